use drover::clock;
use drover::cluster::{self, ClusterOptions, Events};
use drover::coexistence::{self, Operator};
use drover::exit::Failure;
use drover::job::name::RETENTION_PRUNE as JOB;
use drover::lease::Holder;
use drover::ledger::Ledger;
use drover::queue::Connection;
use drover::resources::Backup;
use drover::runs::RunStore;
use drover::storage::StorageOptions;
use jiff::Timestamp;
use kube::Client;

/// Whoever deletes expired archives.
pub struct Pruner {
    pub(crate) client: Client,
    pub(crate) options: ClusterOptions,
    pub(crate) storage: StorageOptions,
    pub(crate) events: Events,
    pub(crate) holder: Holder,
    pub(crate) cluster_uid: String,
    pub(crate) runs: RunStore,
    pub(crate) ledger: Ledger,
    connection: Option<Connection>,
    /// The time that it is taken to be, where it is not the clock's.
    now: Option<Timestamp>,
}

impl Pruner {
    /// A pruner that tells nobody over NATS.
    ///
    /// # Errors
    /// When the cluster does not say which one it is.
    pub async fn connect(client: Client, options: ClusterOptions, storage: StorageOptions) -> Result<Self, Failure> {
        let holder = options.lease_holder(&client);
        Ok(Self {
            cluster_uid: drover::cluster::cluster_uid(&client).await?,
            events: Events::new(client.clone(), JOB, holder.identity()),
            runs: RunStore::new(client.clone(), JOB),
            ledger: Ledger::new(client.clone(), JOB),
            client,
            options,
            storage,
            holder,
            connection: None,
            now: None,
        })
    }

    /// The same, telling over NATS what it does.
    #[must_use]
    pub fn telling(self, connection: Connection) -> Self {
        Self { connection: Some(connection), ..self }
    }

    /// The same, at another time than now.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { now: Some(now), ..self }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now.unwrap_or_else(clock::now)
    }

    pub(crate) const fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref()
    }

    /// The Rancher backup operator, while it is in charge and prunes by itself.
    pub(crate) async fn operator(&self) -> Result<Option<Operator>, Failure> {
        Ok(coexistence::operator(&self.client, &self.options.namespace).await?)
    }

    /// The Backups that are there to stay.
    pub(crate) async fn backups(&self) -> Result<Vec<Backup>, Failure> {
        let mut backups: Vec<Backup> = cluster::list(&self.client).await?;
        backups.retain(|backup| backup.metadata.deletion_timestamp.is_none());
        Ok(backups)
    }
}
