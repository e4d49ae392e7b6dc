use std::time::Duration;

use drover::cluster::{ClusterOptions, Events};
use drover::exit::Failure;
use drover::job::name::HEARTBEAT as JOB;
use drover::runs::RunStore;
use drover::storage::StorageOptions;
use kube::Client;

use crate::memories::Memories;
use crate::monitor::Monitor;
use crate::monitors::Monitors;
use crate::sender::Sender;
use crate::turn::Turns;

/// What is needed to tell monitors something. NATS is not part of it.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) options: ClusterOptions,
    pub(crate) storage: StorageOptions,
    pub(crate) runs: RunStore,
    pub(crate) events: Events,
    pub(crate) monitors: Monitors,
    pub(crate) memories: Memories,
    pub(crate) turns: Turns,
    pub(crate) sender: Sender,
}

impl Context {
    pub(crate) fn new(
        client: Client,
        options: ClusterOptions,
        storage: StorageOptions,
        configured: Vec<Monitor>,
        limit: Duration,
    ) -> Result<Self, Failure> {
        let namespace = &options.namespace;
        let holder = options.lease_holder(&client);
        Ok(Self {
            runs: RunStore::new(client.clone(), JOB),
            events: Events::new(client.clone(), JOB, holder.identity()),
            monitors: Monitors::new(configured, client.clone(), namespace),
            memories: Memories::new(client.clone(), namespace),
            turns: Turns::new(holder),
            sender: Sender::new(limit)?,
            storage,
            client,
            options,
        })
    }
}
