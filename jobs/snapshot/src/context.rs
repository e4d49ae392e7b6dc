use drover::artifacts::Store;
use drover::cluster::{ClusterOptions, Events, host_name};
use drover::exit::Failure;
use drover::job::connect_to_store;
use drover::job::name::SNAPSHOT as JOB;
use drover::lease::{self, Holder, Onlooker};
use drover::listing::{Account, SNAPSHOT_ACCOUNT};
use drover::policy::Policies;
use drover::queue::{Connection, NatsOptions};
use drover::resources::{Trigger, TriggerKind};
use drover::runs::RunStore;
use futures::TryFutureExt;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::away;

/// What every Backup's snapshot needs.
pub(crate) struct Context {
    pub(crate) client: Client,
    /// For lists, which are tried again by themselves.
    pub(crate) lister: Client,
    pub(crate) options: ClusterOptions,
    pub(crate) holder: Holder,
    pub(crate) cluster_uid: String,
    pub(crate) policies: Policies,
    pub(crate) runs: RunStore,
    pub(crate) store: Store,
    pub(crate) events: Events,
    /// Whoever restores this cluster.
    pub(crate) restores: Onlooker,
    pub(crate) shutdown: CancellationToken,
    pub(crate) connection: Connection,
}

impl Context {
    pub(crate) async fn connect(
        client: Client,
        options: ClusterOptions,
        nats: &NatsOptions,
        backup: Option<&str>,
        shutdown: CancellationToken,
    ) -> Result<Self, Failure> {
        let holder = options.lease_holder(&client);
        let cluster_uid = drover::cluster::cluster_uid(&client).map_err(Failure::from);
        let policies = Policies::load(&client).map_err(Failure::from);
        let lister = drover::cluster::connect_without_retries().map_err(Failure::from);
        let (cluster_uid, policies, lister, (connection, store)) = tokio::try_join!(
            cluster_uid,
            policies,
            lister,
            connect_to_store(&client, nats, JOB, || away::waiting(&client, backup))
        )?;
        Ok(Self {
            runs: RunStore::new(client.clone(), JOB),
            events: Events::new(client.clone(), JOB, holder.identity()),
            restores: Onlooker::new(&holder, lease::RESTORES),
            client,
            lister,
            options,
            holder,
            cluster_uid,
            policies,
            store,
            shutdown,
            connection,
        })
    }

    /// As whom it reads, in a pod; a person who runs it is somebody else.
    pub(crate) fn account(&self) -> Option<Account> {
        let namespace = self.options.namespace.clone();
        self.options.pod_name.as_ref().map(|_| Account { namespace, name: SNAPSHOT_ACCOUNT })
    }

    /// What made this process begin, for the run's record.
    pub(crate) fn trigger(&self, is_sweep: bool, scheduled_for: Option<jiff::Timestamp>) -> Trigger {
        let kind = match (&self.options.job_name, is_sweep) {
            (_, true) => TriggerKind::Schedule,
            (Some(_), false) => TriggerKind::Job,
            (None, false) => TriggerKind::Person,
        };
        let by = self.options.job_name.clone().unwrap_or_else(|| {
            let user = std::env::var("USER").unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()));
            format!("{user} on {}", host_name())
        });
        let job_uid = self.options.job_uid.clone();
        Trigger { kind, by, job_uid, scheduled_for: scheduled_for.map(drover::resources::rfc3339) }
    }
}
