//! Which Restores wait to be carried out, and which are not drover's to carry out.

use drover::cluster::{self, ApiError};
use drover::exit::{Failure, Fault};
use drover::resources::Restore;
use drover::{coexistence, installation};
use jiff::Timestamp;
use kube::{Client, ResourceExt};
use snafu::{ResultExt, Snafu};
use tracing::info;

use crate::api::request::Server;
use crate::apply::{controllers, copies};
use crate::job::cluster_report as report;

/// The Restores cannot be read.
#[derive(Debug, Snafu)]
#[snafu(display("failed to read the Restores; are the CRDs of resources.cattle.io installed?"))]
pub(crate) struct ReadError {
    source: ApiError,
}

impl Fault for ReadError {
    fn exit(&self) -> drover::exit::Exit {
        self.source.exit()
    }
}

/// Whether another try left something behind.
///
/// # Errors
/// When one of them cannot be looked for.
pub(crate) async fn is_anything_left(client: &Client, server: &Server, namespace: &str) -> Result<bool, Failure> {
    Ok(!controllers::scaled_down(server).await?.is_empty() || copies::are_left(client, namespace).await?)
}

/// The Restores that are to be carried out, oldest first. Each of those that are not says why.
///
/// # Errors
/// When the Restores, the operator's Deployment or the installation cannot be read.
pub(crate) async fn to_carry_out(client: &Client, namespace: &str) -> Result<Vec<Restore>, Failure> {
    let waiting = not_ended(client).await?;
    if waiting.is_empty() {
        return Ok(waiting);
    }
    if let Some(operator) = coexistence::operator(client, namespace).await? {
        info!("nothing is restored: {}", operator.message());
        for restore in &waiting {
            report::not_in_charge(client, restore, &operator).await;
        }
        return Ok(Vec::new());
    }
    let installed = installation::since(client, namespace).await?;
    let (older, ours): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(|restore| installation::is_older(restore, installed));
    for restore in &older {
        report::refused(client, restore, &older_than(installed)).await?;
    }
    Ok(ours)
}

fn older_than(installed: Option<Timestamp>) -> String {
    let installed = installed.map(drover::resources::rfc3339).unwrap_or_default();
    format!(
        "it is older than drover's installation ({installed}), so it was meant for another program; to have it carried \
         out, delete it and apply it again"
    )
}

async fn not_ended(client: &Client) -> Result<Vec<Restore>, ReadError> {
    let mut waiting: Vec<Restore> = cluster::list(client).await.context(ReadSnafu)?;
    waiting.retain(|restore| !restore.has_ended() && restore.metadata.deletion_timestamp.is_none());
    waiting.sort_by_key(|restore| (restore.creation_timestamp().map(|time| time.0), restore.name_any()));
    Ok(waiting)
}
