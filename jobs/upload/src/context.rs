use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use drover::artifacts::Store;
use drover::cluster::{ClusterOptions, Events};
use drover::exit::Failure;
use drover::job::connect_to_store;
use drover::job::name::UPLOAD as JOB;
use drover::lease::Holder;
use drover::ledger::Ledger;
use drover::places::Target;
use drover::policy::Policies;
use drover::queue::{Connection, NatsOptions};
use drover::runs::RunStore;
use drover::storage::{Storage, StorageOptions};
use futures::TryFutureExt;
use kube::Client;
use uuid::Uuid;

use crate::away;
use crate::refusals::Refusals;

/// What every message's handling needs.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) options: ClusterOptions,
    pub(crate) holder: Holder,
    pub(crate) storage: StorageOptions,
    pub(crate) spool: PathBuf,
    pub(crate) policies: Policies,
    pub(crate) runs: RunStore,
    pub(crate) ledger: Ledger,
    pub(crate) store: Store,
    pub(crate) events: Events,
    pub(crate) connection: Connection,
    /// Places that refused in this job.
    pub(crate) refusals: Refusals,
    /// Runs whose messages have come in this job.
    seen: Mutex<HashSet<Uuid>>,
}

impl Context {
    /// A message about the run has come.
    pub(crate) fn note_seen(&self, run: Uuid) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(run);
    }

    /// Whether one has.
    pub(crate) fn has_seen(&self, run: Uuid) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).contains(&run)
    }

    pub(crate) async fn connect(
        client: Client,
        options: ClusterOptions,
        nats: &NatsOptions,
        storage: StorageOptions,
        spool: PathBuf,
    ) -> Result<Self, Failure> {
        let holder = options.lease_holder(&client);
        let connect = connect_to_store(&client, nats, JOB, || away::waiting(&client));
        let ((connection, store), policies) =
            tokio::try_join!(connect, Policies::load(&client).map_err(Failure::from))?;
        Ok(Self {
            policies,
            runs: RunStore::new(client.clone(), JOB),
            ledger: Ledger::new(client.clone(), JOB),
            events: Events::new(client.clone(), JOB, holder.identity()),
            client,
            options,
            holder,
            storage,
            spool,
            store,
            connection,
            refusals: Refusals::default(),
            seen: Mutex::default(),
        })
    }

    /// Opens a place, with the credentials that it names.
    pub(crate) async fn open(&self, target: &Target) -> Result<Storage, Failure> {
        target.open(&self.client, &self.options.namespace, &self.storage).await
    }
}
