//! The memory as it lies in the cluster: in one ConfigMap of drover's namespace, in a member for each Backup and Restore, so
//! that it outlives the pod and the queue, and a person can read it.

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use drover::cluster::ApiError;
use drover::exit::{Exit, Failure, Fault};
use drover::job::name::HEARTBEAT as JOB;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use snafu::{OptionExt, ResultExt, Snafu};

use crate::memory::{Memory, member, read};
use crate::ping::Concern;

/// The ConfigMap. The manifests bring it, so that the job needs the right to change this one alone.
const CONFIG_MAP: &str = "heartbeat-told";

/// How often what is to be noted is held against what somebody else has written meanwhile.
const CONFLICTS: usize = 20;

/// Why it is not known what monitors were told.
#[derive(Debug, Snafu)]
pub(crate) enum MemoryError {
    #[snafu(display(
        "failed to find the ConfigMap {CONFIG_MAP:?} in the namespace {namespace:?}, which says what monitors were told; apply \
         the component heartbeat again"
    ))]
    Find { namespace: String },
    #[snafu(display("failed to read the ConfigMap {CONFIG_MAP:?} in the namespace {namespace:?}"))]
    Read { namespace: String, source: ApiError },
    #[snafu(display(
        "failed to note in the ConfigMap {CONFIG_MAP:?} in the namespace {namespace:?} what monitors were told"
    ))]
    Write { namespace: String, source: ApiError },
}

impl Fault for MemoryError {
    fn exit(&self) -> Exit {
        match self {
            Self::Find { .. } => Exit::Usage,
            Self::Read { source, .. } | Self::Write { source, .. } => source.exit(),
        }
    }
}

impl MemoryError {
    /// Whether somebody else has written since it was read.
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.code() == Some(409))
    }
}

/// The memory as it lies in the cluster.
pub(crate) struct Memories {
    api: Api<ConfigMap>,
    namespace: String,
}

impl Memories {
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), namespace: namespace.to_owned() }
    }

    /// What monitors were told about everything.
    pub(crate) async fn all(&self) -> Result<BTreeMap<String, String>, MemoryError> {
        Ok(self.map().await?.data.unwrap_or_default())
    }

    /// Changes what is noted of one Backup or Restore. Where somebody else has written meanwhile, what is there then is
    /// read and changed: nobody's note is lost, whoever's turn it was.
    pub(crate) async fn note(
        &self,
        concern: Concern,
        uid: &str,
        change: impl Fn(&mut Memory),
    ) -> Result<(), MemoryError> {
        let member = member(concern, uid);
        let once = async || {
            let map = self.map().await?;
            let mut memory = read(map.data.as_ref().and_then(|data| data.get(&member)));
            change(&mut memory);
            let changed = [(member.clone(), json!(json!(memory).to_string()))];
            self.change(&changed, map.metadata.resource_version).await
        };
        let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(20)).with_jitter();
        once.retry(pauses.with_max_times(CONFLICTS)).when(MemoryError::is_conflict).await
    }

    /// Forgets these members.
    pub(crate) async fn forget(&self, members: Vec<String>) -> Result<(), MemoryError> {
        if members.is_empty() {
            return Ok(());
        }
        let members: Vec<_> = members.into_iter().map(|member| (member, Value::Null)).collect();
        self.change(&members, None).await
    }

    async fn map(&self) -> Result<ConfigMap, MemoryError> {
        let namespace = &self.namespace;
        let found = self.api.get_opt(CONFIG_MAP).await.map_err(ApiError::from).context(ReadSnafu { namespace })?;
        found.context(FindSnafu { namespace })
    }

    /// Changes members, and leaves the others as they are; with a version only while the ConfigMap is of this one.
    async fn change(&self, members: &[(String, Value)], version: Option<String>) -> Result<(), MemoryError> {
        let data: serde_json::Map<_, _> = members.iter().cloned().collect();
        let metadata = version.map_or_else(|| json!({}), |version| json!({ "resourceVersion": version }));
        let patch = Patch::Merge(json!({ "metadata": metadata, "data": data }));
        let parameters = PatchParams { field_manager: Some(JOB.to_owned()), ..PatchParams::default() };
        let written = self.api.patch(CONFIG_MAP, &parameters, &patch).await.map_err(ApiError::from);
        written.context(WriteSnafu { namespace: &self.namespace })?;
        Ok(())
    }
}

/// What is remembered, and why it is not known what. Nothing counts as told then: a monitor that hears something twice is
/// better than one that hears of no failure.
pub(crate) fn known(
    read: Result<BTreeMap<String, String>, MemoryError>,
) -> (BTreeMap<String, String>, Option<Failure>) {
    match read {
        Ok(memories) => (memories, None),
        Err(error) => (BTreeMap::new(), Some(error.into())),
    }
}
