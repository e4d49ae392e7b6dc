//! What a plan says of the exemption that carrying it out needs, and what an apply that was not exempt says of it.

use drover::exit::Chain;

use super::error::ExemptionError;
use super::wish::RANCHER;
use super::{condition, configuration};
use crate::api::request::Server;

/// What an `apply` has to ask for where Rancher's webhooks are registered; none where they are not.
pub(crate) async fn foreseen(server: &Server) -> Option<String> {
    match webhooks(server).await {
        Ok(0) => None,
        Ok(webhooks) => Some(format!(
            "the {webhooks} webhooks of {RANCHER} may refuse what was valid when it was saved, and change what is written: \
             --exempt-webhooks {RANCHER} has apply go past them. A Restore goes past them by itself"
        )),
        Err(error) => Some(format!("whether apply meets webhooks of {RANCHER} is not known: {}", Chain(&error))),
    }
}

/// What an `apply` that was exempt from these says where Rancher's webhooks refused objects, by the reasons of those that
/// failed; none where they did not, or were not to be asked.
pub(crate) fn missed<'a>(exempt: &[String], reasons: impl Iterator<Item = &'a str>) -> Option<String> {
    if exempt.iter().any(|name| name == RANCHER) {
        return None;
    }
    let by_rancher = format!("webhook \"{RANCHER}.");
    let refused = reasons.filter(|reason| reason.contains(&by_rancher)).count();
    (refused > 0).then(|| {
        format!(
            "{refused} failed since webhooks of {RANCHER} refused them or did not answer, though they may have been valid \
             when they were saved: --exempt-webhooks {RANCHER} has apply go past those. A Restore goes past them by itself"
        )
    })
}

/// How many webhooks Rancher registered.
async fn webhooks(server: &Server) -> Result<usize, ExemptionError> {
    let mut webhooks = 0;
    for configuration in configuration::of_names(&[RANCHER.to_owned()]) {
        webhooks += configuration.read(server).await?.map_or(0, |live| condition::names(&live).len());
    }
    Ok(webhooks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_past_ranchers_webhooks_is_named_where_they_refused() {
        let denied =
            "admission webhook \"rancher.cattle.io.roletemplates.management.cattle.io\" denied the request: no";
        let away =
            "the webhook \"rancher.cattle.io.secrets\" of the ValidatingWebhookConfiguration does not answer: EOF";
        let other = "admission webhook \"policy.example.io\" denied the request: not in rancher.cattle.io";
        let told = |exempt: &[&str], reasons: &[&str]| {
            let exempt: Vec<String> = exempt.iter().map(|name| (*name).to_owned()).collect();
            missed(&exempt, reasons.iter().copied())
        };
        for exempt in [&["policy"][..], &[]] {
            let words = told(exempt, &[denied, other, away]).unwrap();
            assert!(words.contains("2 failed") && words.contains("--exempt-webhooks rancher.cattle.io"), "{words}");
        }
        assert_eq!(told(&[], &[other]), None);
        assert_eq!(told(&["policy", RANCHER], &[denied, away]), None);
    }
}
