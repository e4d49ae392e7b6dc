use std::collections::BTreeSet;

use drover::annotations::{ATTEMPTED_ANNOTATION, INSTANTIATE_ANNOTATION, POD_ANNOTATION, STARTED_BY_ANNOTATION};
use drover::clock::is_future;
use drover::job::name::DISPATCH;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1 as batch;
use kube::ResourceExt;

use super::digests::pod_digest;
use crate::runner::marks::marks_of;

/// A Job of a CronJob.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) created: Timestamp,
    /// UID of the CronJob that controls it, also where a person made it of that.
    pub(crate) owner: Option<String>,
    /// Whether dispatch made it.
    pub(crate) is_ours: bool,
    /// Whether a person made it.
    pub(crate) is_by_hand: bool,
    /// The digest of the pod that its CronJob said when it was made.
    pub(crate) pod: String,
    /// The work that it was started for.
    pub(crate) attempted: BTreeSet<String>,
    pub(crate) outcome: Outcome,
}

/// How a Job stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It has not ended. One that is being deleted counts until it is gone: its pod may still work.
    Active,
    /// It ended well.
    Completed {
        /// When.
        at: Timestamp,
    },
    /// It did not.
    Failed {
        /// When.
        at: Timestamp,
        /// Kubernetes' word for it: `BackoffLimitExceeded`, `DeadlineExceeded`.
        reason: String,
    },
}

impl Outcome {
    pub(crate) fn ended_at(&self) -> Option<Timestamp> {
        match self {
            Self::Active => None,
            Self::Completed { at } | Self::Failed { at, .. } => Some(*at),
        }
    }
}

impl Job {
    /// When it ended; where a wrong clock put that into the future, when the API server stamped it.
    pub(crate) fn ended_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.outcome.ended_at().map(|at| if is_future(at, now) { self.created } else { at })
    }

    /// What is kept of a Job.
    pub(crate) fn of(job: &batch::Job) -> Self {
        let owner = job.owner_references().iter().find(|owner| owner.controller == Some(true));
        let owner = owner.filter(|owner| owner.kind == "CronJob").map(|owner| owner.uid.clone());
        let annotation = |name: &str| job.annotations().get(name).map(String::as_str).unwrap_or_default();
        let created = job.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        Self {
            name: job.name_any(),
            uid: job.uid().unwrap_or_default(),
            created,
            owner,
            is_ours: annotation(STARTED_BY_ANNOTATION) == DISPATCH,
            is_by_hand: annotation(INSTANTIATE_ANNOTATION) == "manual",
            pod: Some(annotation(POD_ANNOTATION).to_owned())
                .filter(|pod| !pod.is_empty())
                .unwrap_or_else(|| pod_of(job)),
            attempted: marks_of(annotation(ATTEMPTED_ANNOTATION)),
            outcome: outcome(job.status.as_ref(), created),
        }
    }

    /// Whether it has not ended.
    pub(crate) fn is_active(&self) -> bool {
        self.outcome == Outcome::Active
    }
}

/// Kubernetes' own controller says nothing of the CronJob, but its Jobs are what that said.
fn pod_of(job: &batch::Job) -> String {
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod_digest(&serde_json::to_value(pod).unwrap_or_default())
}

fn outcome(status: Option<&batch::JobStatus>, created: Timestamp) -> Outcome {
    let conditions = status.and_then(|status| status.conditions.as_ref()).into_iter().flatten();
    for condition in conditions.filter(|condition| condition.status == "True") {
        let at = condition.last_transition_time.as_ref().map_or(created, |time| time.0);
        match condition.type_.as_str() {
            "Complete" => return Outcome::Completed { at },
            "Failed" => return Outcome::Failed { at, reason: condition.reason.clone().unwrap_or_default() },
            _ => {}
        }
    }
    Outcome::Active
}
