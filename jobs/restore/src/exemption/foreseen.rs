//! What a plan says of the exemption that carrying it out needs.

use drover::exit::Chain;

use super::condition;
use super::configuration;
use super::error::ExemptionError;
use super::wish::RANCHER;
use crate::request::Server;

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

/// How many webhooks Rancher registered.
async fn webhooks(server: &Server) -> Result<usize, ExemptionError> {
    let mut webhooks = 0;
    for configuration in configuration::of_names(&[RANCHER.to_owned()]) {
        webhooks += configuration.read(server).await?.map_or(0, |live| condition::names(&live).len());
    }
    Ok(webhooks)
}
