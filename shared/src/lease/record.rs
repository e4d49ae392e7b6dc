//! The record of a lease, and how it is written.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::Api;
use kube::api::PostParams;
use snafu::{IntoError, OptionExt};
use tokio::time::{Instant, timeout};

use super::error::{LeaseError, PermitSnafu, ReachSnafu, RefuseSnafu, SilentSnafu};
use super::holder::Holder;
use super::settings::Settings;
use crate::clock;

/// A record that is ours, and when the request that made it so was sent: the earliest time from which anybody can have
/// seen it.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) lease: LeaseObject,
    pub(super) renewed: Instant,
}

/// The Lease object of one candidate, and how it is written.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) api: Api<LeaseObject>,
    namespace: String,
    pub(super) name: String,
    identity: String,
    pub(super) settings: Settings,
    /// What a Lease that is made goes with.
    pub(super) owner: Option<OwnerReference>,
}

impl Record {
    pub(super) fn new(holder: &Holder, name: &str) -> Self {
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
    pub(super) fn poll_interval(&self) -> Duration {
        self.settings.whole() / 15
    }

    pub(super) async fn read(&self) -> Result<Option<LeaseObject>, LeaseError> {
        self.answer("read", self.api.get_opt(&self.name)).await?.map_err(|error| self.error("read", error))
    }

    /// Waits for an answer of the API server, and no longer than the lease lasts: the client itself waits for minutes.
    async fn answer<T>(&self, verb: &'static str, request: impl Future<Output = T>) -> Result<T, LeaseError> {
        let patience = self.settings.whole();
        let (namespace, name) = (&self.namespace, &self.name);
        timeout(patience, request).await.ok().context(SilentSnafu { verb, namespace, name, patience })
    }

    /// Makes or replaces the record with ours; `None` where somebody else was quicker.
    pub(super) async fn take(&self, found: Option<LeaseObject>) -> Result<Option<Term>, LeaseError> {
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
    pub(super) async fn give_back(&self, term: Term) -> Result<(), LeaseError> {
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
pub(super) fn is_race(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// Whether two versions of a record are of one holder's one term. The identity alone does not tell: two processes may
/// carry the same.
pub(super) fn same_term(one: &LeaseObject, other: &LeaseObject) -> bool {
    let term = |lease: &LeaseObject| {
        let spec = lease.spec.as_ref()?;
        Some((spec.holder_identity.clone()?, spec.acquire_time.clone()?, spec.lease_transitions))
    };
    lease_uid(one) == lease_uid(other) && term(one).is_some() && term(one) == term(other)
}

fn lease_uid(lease: &LeaseObject) -> Option<&str> {
    lease.metadata.uid.as_deref()
}
