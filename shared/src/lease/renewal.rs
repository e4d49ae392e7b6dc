//! The renewal of a held lease, in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::record::{Record, Term, is_race, same_term};
use crate::exit::Chain;
use crate::{clock, task};

/// The task that renews.
#[derive(Debug)]
pub(super) struct Renewal {
    lost: CancellationToken,
    stop: CancellationToken,
    task: AbortOnDropHandle<Option<Term>>,
}

impl Renewal {
    pub(super) fn start(record: Arc<Record>, term: Term) -> Self {
        let (lost, stop) = (CancellationToken::new(), CancellationToken::new());
        let task = task::spawn(keep(record, term, stop.clone(), lost.clone()));
        Self { lost, stop, task: AbortOnDropHandle::new(task) }
    }

    pub(super) fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Ends the renewal between two requests, and hands back the last record; none where it was lost.
    pub(super) async fn stop(self) -> Option<Term> {
        self.stop.cancel();
        self.task.await.ok().flatten()
    }
}

/// Renews until it is told to stop or the lease is lost.
async fn keep(record: Arc<Record>, mut term: Term, stop: CancellationToken, lost: CancellationToken) -> Option<Term> {
    let interval = record.settings.whole() / 3;
    // However the task ends but by `stop`, also by a panic: whoever works under the lease must not go on.
    let fire = lost.drop_guard();
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                let _ = fire.disarm();
                return Some(term);
            }
            () = sleep_until(term.renewed + interval) => {}
        }
        let deadline = term.renewed + interval * 2;
        match timeout_at(deadline, renew_until_answered(&record, &term)).await {
            Ok(Some(renewed)) => term = renewed,
            Ok(None) => {
                tracing::error!(lease = %record.name, "lease was taken or deleted; what worked under it stops");
                return None;
            }
            Err(_) => {
                tracing::error!(lease = %record.name, "lease could not be renewed in time; what worked under it stops");
                return None;
            }
        }
    }
}

/// Tries until the server answers; `None` where the record is no longer ours.
async fn renew_until_answered(record: &Record, term: &Term) -> Option<Term> {
    let mut known = term.lease.clone();
    // A connection that hangs must not use up all the time that is left.
    let patience = record.settings.whole() / 6;
    loop {
        let sent = Instant::now();
        let Ok(answer) = timeout_at(sent + patience, renew(record, &known)).await else { continue };
        match answer {
            Ok(lease) => return Some(Term { lease, renewed: sent }),
            // Also after a write of ours whose answer got lost: then the record is newer, and still ours.
            Err(error) if is_race(&error) => match record.api.get_opt(&record.name).await {
                Ok(Some(lease)) if same_term(&lease, &term.lease) => known = lease,
                Ok(_) => return None,
                Err(error) => pause(record, &error).await,
            },
            Err(kube::Error::Api(status)) if status.is_not_found() => return None,
            Err(error) => pause(record, &error).await,
        }
    }
}

async fn renew(record: &Record, known: &LeaseObject) -> Result<LeaseObject, kube::Error> {
    let mut lease = known.clone();
    if let Some(spec) = lease.spec.as_mut() {
        spec.renew_time = Some(MicroTime(clock::now()));
    }
    record.api.replace(&record.name, &PostParams::default(), &lease).await
}

async fn pause(record: &Record, error: &kube::Error) {
    tracing::warn!(lease = %record.name, error = %Chain(error), "lease could not be renewed yet; trying again");
    sleep(record.poll_interval().min(Duration::from_secs(1))).await;
}
