//! What a restore left behind that was killed, or whose end did not reach the API server.

use std::time::Duration;

use drover::cluster::ClusterOptions;
use drover::exit::{Exit, Failure};
use kube::Client;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::UNSEEN;
use super::condition::NAME;
use super::configuration::{Configuration, seen_with_condition, with_condition};
use super::error::ExemptionError;
use super::wish::Exempt;
use crate::api::request::Server;
use crate::job::exclusive::{self, Taken, Turn};

/// Takes the condition out of all configurations of the cluster that have it, whoever put it in; names them.
///
/// # Errors
///
/// Where it is not known which have it, or one cannot be written; the others are without it.
pub(crate) async fn take_out_all(server: &Server) -> Result<Vec<Configuration>, ExemptionError> {
    take_out(server, with_condition(server).await?).await
}

async fn take_out(server: &Server, found: Vec<Configuration>) -> Result<Vec<Configuration>, ExemptionError> {
    let (mut done, mut failed) = (Vec::new(), None);
    for configuration in found {
        match configuration.take_out(server).await {
            Ok(0) => {}
            Ok(_) => done.push(configuration),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(done), Err)
}

/// Takes out what another restore left behind: while the Lease is held, none is at work. Gives what it was taken out of, of
/// which API servers learn at different times.
///
/// # Errors
///
/// As [`take_out_all`], but for types that this user may not list.
async fn take_out_left(server: &Server, turn: &Turn) -> Result<Vec<Configuration>, Failure> {
    if !turn.is_alone() {
        return Ok(Vec::new());
    }
    let done = take_out(server, seen_with_condition(server).await?).await?;
    if !done.is_empty() {
        info!("a restore that died had left somebody exempt from webhooks; that has ended in {}", names_of(&done));
    }
    Ok(done)
}

/// The same before whoever is to be exempt from these configurations and from nothing else: waits until other webhooks are
/// asked again.
///
/// # Errors
///
/// As [`take_out_left`].
pub(crate) async fn end_left_but_for(
    server: &Server,
    turn: &Turn,
    is_exempt: impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    let done = take_out_left(server, turn).await?;
    if done.iter().any(|configuration| !is_exempt(configuration.name())) {
        info!("waiting {} s until all API servers know of that", UNSEEN.as_secs());
        sleep(UNSEEN).await;
    }
    Ok(())
}

/// The same before a Restore: one before it, of the same job, may have left something behind. It goes on where that cannot
/// be ended; gives what is to be told of it then. Only what somebody named is exempt for certain, whoever the user is.
pub(crate) async fn end_left_before(server: &Server, turn: &Turn, exempt: &Exempt) -> Option<String> {
    let failure = end_left_but_for(server, turn, |name| exempt.is_named(name)).await.err()?;
    if failure.exit() == Exit::Unavailable {
        return stays(None, exempt, &failure);
    }
    // It may have been taken out of some.
    sleep(UNSEEN).await;
    let found = seen_with_condition(server).await.ok();
    stays(found.as_deref(), exempt, &failure)
}

/// The same before a restore by hand, which is to be exempt from the configurations of these names.
///
/// Where there is no Lease nobody tells what was left behind from what another restore needs, so it stays, and is told with
/// the command that ends it; gives what was told.
///
/// # Errors
///
/// As [`take_out_left`].
pub(crate) async fn end_left(
    server: &Server,
    turn: &Turn,
    exempt: &[String],
    ending: &str,
) -> Result<Option<String>, Failure> {
    if !turn.has_lease() {
        let note = passed(&seen_with_condition(server).await?, exempt, ending);
        return Ok(note.inspect(|note| warn!("{note}")));
    }
    end_left_but_for(server, turn, |name| exempt.iter().any(|exempt| exempt == name)).await?;
    Ok(None)
}

/// What is said where what was left could not be ended; `found` is what has the condition, where that is known.
fn stays(found: Option<&[Configuration]>, exempt: &Exempt, failure: &Failure) -> Option<String> {
    let Some(found) = found else {
        return Some(format!("whether all webhooks are asked about what is written is not known: {failure}"));
    };
    let unasked = names_but_for(found, |name| exempt.is_named(name))?;
    Some(format!(
        "the webhooks of {unasked} may not be asked about what is written: a restore before left the condition {NAME:?} \
         there, and this one could not take it out: {failure}. Once it can be, this ends it: restore unexempt"
    ))
}

/// What is said of conditions that may let this restore pass webhooks that nobody asked to be exempt from.
fn passed(found: &[Configuration], exempt: &[String], ending: &str) -> Option<String> {
    let unasked = names_but_for(found, |name| exempt.iter().any(|exempt| exempt == name))?;
    Some(format!(
        "the webhooks of {unasked} may not be asked about what is written: a restore that died left the condition {NAME:?} \
         there, or one that is at work needs it, and no Lease tells which. If none is at work, this ends it: {ending}"
    ))
}

/// The configurations in words, but for those that somebody is to be exempt from; none where there are no others.
fn names_but_for(found: &[Configuration], is_exempt: impl Fn(&str) -> bool) -> Option<String> {
    let others = found.iter().filter(|configuration| !is_exempt(configuration.name()));
    let others: Vec<Configuration> = others.cloned().collect();
    (!others.is_empty()).then(|| names_of(&others))
}

fn names_of(configurations: &[Configuration]) -> String {
    configurations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Takes out what was left behind where there is nothing else to do, unless the Lease of restores is held: then it is of a
/// restore that is at work, or the holder sees to it.
///
/// # Errors
///
/// Where it cannot be looked for, or not be taken out.
pub(crate) async fn tidy(
    client: &Client,
    server: &Server,
    cluster: &ClusterOptions,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    if seen_with_condition(server).await?.is_empty() {
        return Ok(());
    }
    match exclusive::take(&cluster.lease_holder(client), Duration::ZERO, shutdown).await? {
        Taken::Busy { holder } => {
            info!("{holder:?} restores this cluster and is exempt from webhooks meanwhile");
            Ok(())
        }
        Taken::Ours(turn) => {
            let done = take_out_left(server, &turn).await;
            turn.end().await;
            done.map(drop)
        }
    }
}

#[cfg(test)]
mod tests {

    use super::super::configuration::of_names;
    use super::*;

    #[test]
    fn what_lets_a_restore_pass_webhooks_and_cannot_be_ended_is_told_where_nobody_asked_for_it() {
        let found = of_names(&["a.io".to_owned(), "b.io".to_owned()]);
        let told = |found: Option<&[Configuration]>, exempt: &[&str]| {
            let exempt = Exempt::of_names(exempt.iter().map(|name| (*name).to_owned()).collect());
            stays(found, &exempt, &Failure::new(Exit::Failure, "not you"))
        };
        let words = told(Some(&found), &["a.io"]).unwrap();
        assert!(words.contains("validatingwebhookconfigurations \"b.io\"") && !words.contains("a.io"), "{words}");
        assert!(words.ends_with("restore unexempt") && words.contains(": not you. "), "{words}");
        assert_eq!(told(Some(&found), &["a.io", "b.io"]), None);
        assert!(told(None, &["a.io", "b.io"]).is_some());
    }

    #[test]
    fn what_lets_a_restore_pass_webhooks_that_nobody_named_is_told_with_its_end() {
        let found = of_names(&["a.io".to_owned(), "b.io".to_owned()]);
        let told = |exempt: &[&str]| {
            let exempt: Vec<String> = exempt.iter().map(|name| (*name).to_owned()).collect();
            passed(&found, &exempt, "restore unexempt --context x")
        };
        let words = told(&["a.io"]).unwrap();
        assert!(words.contains("validatingwebhookconfigurations \"b.io\"") && !words.contains("a.io"), "{words}");
        assert!(words.ends_with("this ends it: restore unexempt --context x"), "{words}");
        assert_eq!(told(&["a.io", "b.io"]), None);
    }
}
