//! Leases: one run of a Backup, one restore of a cluster at a time.
//!
//! A lease is a `coordination.k8s.io/v1` Lease, held in the way of client-go's leader election, so that a person reads
//! it with `kubectl get leases` and Rancher's operator respects it:
//!
//! - The holder renews it every third of its duration, and gives it up by itself ([`Lease::lost`]) after two thirds
//!   without a renewal: before anybody else may take it.
//! - A candidate watches the record. Only when it has not changed for the holder's duration *by the candidate's own
//!   clock* is the holder dead. Clocks of two machines are never compared.
//! - Every write is guarded by the resource version that was read: of two candidates one gets a conflict.
//!
//! Own code, since the crates for it judge by comparing the holder's `renewTime` with the local clock, so a clock that
//! is wrong by the duration gives one lease to two holders (kube-lease-manager 0.13, `LeaseState::sync`;
//! kube-leader-election 0.44, `has_lease_expired`), and none of them names the dead holder that was taken over.

mod candidate;
mod holder;
mod name;
mod observation;
mod onlooker;
mod renewal;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::Api;
use kube::api::PostParams;
use snafu::{IntoError, OptionExt, Snafu};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use self::candidate::Candidate;
pub use self::holder::Holder;
pub use self::name::{DISPATCH, RESTORES, of_backup, of_monitors};
pub use self::onlooker::{Onlooker, Sight, Version};
use self::renewal::{Renewal, Term};
use crate::clock;
use crate::exit::{Chain, Exit, Fault};

/// How a lease is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// How long a holder may be silent before it counts as dead. The record has whole seconds: a part of one is
    /// rounded up, and the least is one second.
    pub duration: Duration,
}

impl Default for Settings {
    /// 15 s, as client-go's leader election has it.
    fn default() -> Self {
        Self { duration: Duration::from_secs(15) }
    }
}

impl Settings {
    /// The duration as the record can hold it.
    fn seconds(self) -> i32 {
        let rounded_up = self.duration.as_secs() + u64::from(self.duration.subsec_nanos() > 0);
        i32::try_from(rounded_up.max(1)).unwrap_or(i32::MAX)
    }

    fn whole(self) -> Duration {
        Duration::from_secs(u64::from(self.seconds().unsigned_abs()))
    }
}

/// How long a candidate waits for a lease that somebody holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// No longer than it takes to see whether the holder lives: at most its duration.
    No,
    /// Until it is free or this time has passed.
    Until(Duration),
}

/// What became of [`Holder::acquire`].
#[derive(Debug)]
pub enum Acquired {
    /// It is ours, until it is released or lost.
    Held(Lease),
    /// Somebody else holds it and lives.
    Busy {
        /// The identity of that holder.
        holder: String,
    },
}

/// Why a lease could not be taken or given back.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum LeaseError {
    #[snafu(display(
        "failed to {verb} lease \"{namespace}/{name}\": not permitted; grant get, create and update on leases of \
         coordination.k8s.io in that namespace"
    ))]
    Permit { verb: &'static str, namespace: String, name: String, source: kube::Error },
    /// The API server refused it: the namespace is missing, or a name is not valid.
    #[snafu(display("failed to {verb} lease \"{namespace}/{name}\": refused; check that the namespace exists"))]
    Refuse { verb: &'static str, namespace: String, name: String, source: kube::Error },
    /// The API server cannot be reached or has trouble of its own.
    #[snafu(display(
        "failed to {verb} lease \"{namespace}/{name}\": the API server is away; try again when it answers"
    ))]
    Reach { verb: &'static str, namespace: String, name: String, source: kube::Error },
    #[snafu(display(
        "failed to {verb} lease \"{namespace}/{name}\": {} did not answer for {patience:?}; try again when it does",
        crate::cluster::api_server()
    ))]
    Silent { verb: &'static str, namespace: String, name: String, patience: Duration },
}

impl Fault for LeaseError {
    fn exit(&self) -> Exit {
        match self {
            Self::Permit { .. } | Self::Refuse { .. } => Exit::Usage,
            Self::Reach { .. } | Self::Silent { .. } => Exit::Unavailable,
        }
    }
}

/// A lease that is held, and renewed in the background.
///
/// Dropped without [`Lease::release`] it is no longer renewed, and expires.
#[derive(Debug)]
pub struct Lease {
    record: Arc<Record>,
    renewal: Renewal,
    taken_over_from: Option<String>,
}

impl Lease {
    /// Fires when the lease was taken by somebody else, was deleted, or could not be renewed in time. Whoever works
    /// under the lease stops then, and writes nothing more.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.renewal.lost()
    }

    /// The dead holder whom it was taken over from; none where it was free.
    #[must_use]
    pub fn taken_over_from(&self) -> Option<&str> {
        self.taken_over_from.as_deref()
    }

    /// Gives it back, so that the next one need not wait for it to expire. A lease that was lost is left alone.
    ///
    /// # Errors
    /// When the API server does not answer for as long as a lease lasts; it expires then by itself.
    pub async fn release(self) -> Result<(), LeaseError> {
        let Self { record, renewal, taken_over_from: _ } = self;
        match renewal.stop().await {
            Some(term) => record.give_back(term).await,
            None => Ok(()),
        }
    }

    /// Gives it back, also where that has to wait until it expires.
    pub async fn end(self) {
        if let Err(error) = self.release().await {
            info!("the Lease expires by itself: {}", Chain(&error));
        }
    }

    /// Does the work while it is held, and gives it back. None where it was lost meanwhile: the work is dropped where it
    /// stands, before anybody else may begin.
    pub async fn during<T>(self, work: impl Future<Output = T>) -> Option<T> {
        let lost = self.lost();
        let done = tokio::select! {
            biased;
            done = work => Some(done),
            () = lost.cancelled() => None,
        };
        self.end().await;
        done
    }
}

/// The Lease object of one candidate, and how it is written.
#[derive(Clone, Debug)]
struct Record {
    api: Api<LeaseObject>,
    namespace: String,
    name: String,
    identity: String,
    settings: Settings,
    /// What a Lease that is made goes with.
    owner: Option<OwnerReference>,
}

impl Record {
    fn new(holder: &Holder, name: &str) -> Self {
        let Holder { client, namespace, identity, settings } = holder;
        Self {
            api: Api::namespaced(client.clone(), namespace),
            namespace: namespace.clone(),
            name: name.to_owned(),
            identity: identity.clone(),
            settings: *settings,
            owner: None,
        }
    }

    /// How often a candidate looks: often enough to see every renewal of a holder with the same settings.
    fn poll_interval(&self) -> Duration {
        self.settings.whole() / 15
    }

    async fn read(&self) -> Result<Option<LeaseObject>, LeaseError> {
        self.answer("read", self.api.get_opt(&self.name)).await?.map_err(|error| self.error("read", error))
    }

    /// Waits for an answer of the API server, and no longer than the lease lasts: the client itself waits for minutes.
    async fn answer<T>(&self, verb: &'static str, request: impl Future<Output = T>) -> Result<T, LeaseError> {
        let patience = self.settings.whole();
        let (namespace, name) = (&self.namespace, &self.name);
        timeout(patience, request).await.ok().context(SilentSnafu { verb, namespace, name, patience })
    }

    /// Makes or replaces the record with ours; `None` where somebody else was quicker.
    async fn take(&self, found: Option<LeaseObject>) -> Result<Option<Term>, LeaseError> {
        let begun = Instant::now();
        let written = match found {
            None => {
                let owner_references = self.owner.clone().map(|owner| vec![owner]);
                let metadata = ObjectMeta { name: Some(self.name.clone()), owner_references, ..ObjectMeta::default() };
                let lease = LeaseObject { metadata, spec: Some(self.spec(0)) };
                self.answer("create", self.api.create(&PostParams::default(), &lease)).await?
            }
            Some(mut lease) => {
                let transitions = lease.spec.and_then(|spec| spec.lease_transitions).unwrap_or(0);
                lease.spec = Some(self.spec(transitions.saturating_add(1)));
                self.answer("take", self.api.replace(&self.name, &PostParams::default(), &lease)).await?
            }
        };
        match written {
            Ok(lease) => Ok(Some(Term { lease, renewed: begun })),
            Err(error) if is_race(&error) => Ok(None),
            Err(error) => Err(self.error("write", error)),
        }
    }

    fn spec(&self, transitions: i32) -> LeaseSpec {
        let now = MicroTime(clock::now());
        LeaseSpec {
            acquire_time: Some(now.clone()),
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(self.settings.seconds()),
            lease_transitions: Some(transitions),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }
    }

    /// Empties the holder, unless the record is no longer ours. An empty string and not a missing field, as client-go
    /// does it, since that is what every reader of Leases has met.
    async fn give_back(&self, term: Term) -> Result<(), LeaseError> {
        let mut ours = term.lease;
        loop {
            let mut emptied = ours.clone();
            if let Some(spec) = emptied.spec.as_mut() {
                spec.holder_identity = Some(String::new());
                spec.renew_time = Some(MicroTime(clock::now()));
            }
            match self.answer("release", self.api.replace(&self.name, &PostParams::default(), &emptied)).await? {
                Ok(_) => return Ok(()),
                Err(error) if is_race(&error) => match self.read().await? {
                    Some(lease) if same_term(&lease, &ours) => ours = lease,
                    _ => return Ok(()),
                },
                Err(error) => return Err(self.error("release", error)),
            }
        }
    }

    fn error(&self, verb: &'static str, error: kube::Error) -> LeaseError {
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        match &error {
            kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
                PermitSnafu { verb, namespace, name }.into_error(error)
            }
            kube::Error::Api(status) if matches!(status.code, 400 | 404 | 422) => {
                RefuseSnafu { verb, namespace, name }.into_error(error)
            }
            _ => ReachSnafu { verb, namespace, name }.into_error(error),
        }
    }
}

/// Whether a write failed because somebody else wrote or deleted the record first.
fn is_race(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// Whether two versions of a record are of one holder's one term. The identity alone does not tell: two processes may
/// carry the same.
fn same_term(one: &LeaseObject, other: &LeaseObject) -> bool {
    let term = |lease: &LeaseObject| {
        let spec = lease.spec.as_ref()?;
        Some((spec.holder_identity.clone()?, spec.acquire_time.clone()?, spec.lease_transitions))
    };
    lease_uid(one) == lease_uid(other) && term(one).is_some() && term(one) == term(other)
}

fn lease_uid(lease: &LeaseObject) -> Option<&str> {
    lease.metadata.uid.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_whole_seconds_and_at_least_one() {
        let seconds = |millis| Settings { duration: Duration::from_millis(millis) }.seconds();
        assert_eq!([0, 1, 1000, 1001, 15_000].map(seconds), [1, 1, 1, 2, 15]);
    }
}
