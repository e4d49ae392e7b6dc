//! What a restore left behind that was killed, or whose end did not reach the API server.

use std::time::Duration;

use drover::cluster::ClusterOptions;
use drover::exit::Failure;
use kube::Client;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::UNSEEN;
use super::configuration::{Configuration, seen_with_condition, with_condition};
use super::error::ExemptionError;
use crate::exclusive::{self, Taken, Turn};
use crate::request::Server;

/// Takes the condition out of all configurations of the cluster that have it, whoever put it in; names them.
///
/// # Errors
///
/// Where it is not known which have it, or one cannot be written; the others are without it.
pub(crate) async fn take_out_all(server: &Server) -> Result<Vec<String>, ExemptionError> {
    take_out(server, with_condition(server).await?).await
}

async fn take_out(server: &Server, found: Vec<Configuration>) -> Result<Vec<String>, ExemptionError> {
    let (mut done, mut failed) = (Vec::new(), None);
    for configuration in found {
        match configuration.take_out(server).await {
            Ok(0) => {}
            Ok(_) => done.push(configuration.to_string()),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(done), Err)
}

/// Takes out what another restore left behind: while the Lease is held, none is at work. Gives whether there was something,
/// of which API servers learn at different times.
///
/// # Errors
///
/// As [`take_out_all`], but for types that this user may not list.
pub(crate) async fn take_out_left(server: &Server, turn: &Turn) -> Result<bool, Failure> {
    if !turn.is_alone() {
        return Ok(false);
    }
    let done = take_out(server, seen_with_condition(server).await?).await?;
    if !done.is_empty() {
        info!("a restore that died had left somebody exempt from webhooks; that has ended in {}", done.join(", "));
    }
    Ok(!done.is_empty())
}

/// The same before a restore that nobody asked to exempt: waits until webhooks are asked again.
///
/// # Errors
///
/// As [`take_out_left`].
pub(crate) async fn end_left(server: &Server, turn: &Turn) -> Result<(), Failure> {
    if take_out_left(server, turn).await? {
        info!("waiting {} s until all API servers know of that", UNSEEN.as_secs());
        sleep(UNSEEN).await;
    }
    Ok(())
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
    let (identity, settings) = (cluster.identity(), cluster.lease_settings());
    let taken = exclusive::take(client.clone(), &cluster.namespace, &identity, settings, Duration::ZERO, shutdown);
    match taken.await? {
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
