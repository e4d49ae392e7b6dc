use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use snafu::{ResultExt, Snafu};

use super::{History, run_name};
use crate::clock;
use crate::cluster::ApiError;
use crate::exit::{Exit, Fault};
use crate::labels::{self, BACKUP_UID_LABEL};
use crate::resources::{Backup, BackupRun, BackupRunSpec, BackupRunStatus, BackupStatus, rfc3339};
use crate::status;

/// Runs asked for at once.
const PAGE: u32 = 500;

/// Why the runs could not be read or written.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display("failed to list the BackupRuns of the Backup {backup:?}; are drover's CRDs installed?"))]
    List { backup: String, source: ApiError },
    #[snafu(display("failed to list the BackupRuns; are drover's CRDs installed?"))]
    ListAll { source: ApiError },
    #[snafu(display("failed to open the BackupRun {name:?}"))]
    Open { name: String, source: ApiError },
    #[snafu(display("failed to record the run"))]
    Record { source: status::Error },
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::List { source, .. } | Self::ListAll { source } | Self::Open { source, .. } => source.exit(),
            Self::Record { source } => source.exit(),
        }
    }
}

impl Error {
    /// Whether the run is gone, as with its Backup.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Record { source } if source.is_gone())
    }
}

/// The runs as they lie in the cluster.
#[derive(Clone)]
pub struct RunStore {
    api: Api<BackupRun>,
    manager: &'static str,
}

impl RunStore {
    /// The runs, written with the field manager `manager`, the job's name.
    #[must_use]
    pub fn new(client: Client, manager: &'static str) -> Self {
        Self { api: Api::all(client), manager }
    }

    /// All runs of a Backup.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn history(&self, backup: &Backup) -> Result<History, Error> {
        let label = format!("{BACKUP_UID_LABEL}={}", backup.uid().unwrap_or_default());
        let runs = self.list(ListParams::default().labels(&label), |_| true).await;
        Ok(History::of(backup, runs.context(ListSnafu { backup: backup.name_any() })?))
    }

    /// The runs of all Backups.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn all(&self) -> Result<Vec<BackupRun>, Error> {
        self.list(ListParams::default(), |_| true).await.context(ListAllSnafu)
    }

    /// All runs of a Backup, and those that are left of one of the same name that is gone.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn history_with_former(&self, backup: &Backup) -> Result<History, Error> {
        let name = backup.name_any();
        let runs = self.list(ListParams::default(), |run| run.spec.backup == name).await;
        Ok(History::of(backup, runs.context(ListSnafu { backup: name })?))
    }

    async fn list(
        &self,
        parameters: ListParams,
        is_wanted: impl Fn(&BackupRun) -> bool,
    ) -> Result<Vec<BackupRun>, ApiError> {
        let mut parameters = parameters.limit(PAGE);
        let mut runs = Vec::new();
        loop {
            let page = self.api.list(&parameters).await?;
            runs.extend(page.items.into_iter().filter(&is_wanted));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(runs),
            }
        }
    }

    /// The run of this name.
    ///
    /// # Errors
    /// When it cannot be read; that it is missing is `None`.
    pub async fn find(&self, name: &str) -> Result<Option<BackupRun>, Error> {
        let found = self.api.get_opt(name).await.map_err(ApiError::from);
        found.context(OpenSnafu { name })
    }

    /// Opens a run. It is owned by its Backup, so that the history goes with it.
    ///
    /// # Errors
    /// When it cannot be created, also because another job has opened one of this number.
    pub async fn open(&self, backup: &Backup, spec: BackupRunSpec) -> Result<BackupRun, Error> {
        let name = run_name(&spec.backup, spec.number);
        let mut run = BackupRun::new(&name, spec);
        run.metadata.labels = Some(labels::ours(BACKUP_UID_LABEL, &backup.uid().unwrap_or_default()));
        run.metadata.owner_references = Some(vec![OwnerReference {
            api_version: Backup::api_version(&()).into_owned(),
            kind: Backup::kind(&()).into_owned(),
            name: backup.name_any(),
            uid: backup.uid().unwrap_or_default(),
            ..OwnerReference::default()
        }]);
        let parameters = PostParams { field_manager: Some(self.manager.to_owned()), ..PostParams::default() };
        let created = self.api.create(&parameters, &run).await.map_err(ApiError::from);
        created.context(OpenSnafu { name })
    }

    /// Changes a run's status; see [`status::update_from`].
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn record(
        &self,
        run: &BackupRun,
        change: impl FnMut(&BackupRun) -> Option<BackupRunStatus>,
    ) -> Result<BackupRun, Error> {
        let name = run.name_any();
        // Boxed, for it holds whole runs and is part of many futures.
        let recorded = Box::pin(status::update_from(&self.api, &name, Some(run.clone()), self.manager, change));
        recorded.await.context(RecordSnafu)
    }

    /// Deletes runs; one that is gone already is none to delete.
    pub async fn delete(&self, names: &[String]) {
        for name in names {
            if let Err(error) = self.api.delete(name, &DeleteParams::default()).await.map_err(ApiError::from)
                && error.code() != Some(404)
            {
                tracing::warn!(run = name, "failed to delete an old BackupRun: {error}");
            }
        }
    }
}

/// The status of a run, empty where none was written yet.
#[must_use]
pub fn status_of(run: &BackupRun) -> BackupRunStatus {
    run.status.clone().unwrap_or_default()
}

/// Now, as the runs' fields hold times.
#[must_use]
pub fn now_text() -> String {
    rfc3339(clock::now())
}

/// Writes a Backup's status, where `change` gives another than it has; `None` leaves it.
///
/// # Errors
/// When it cannot be read or written.
pub async fn set_backup_status(
    client: Client,
    name: &str,
    manager: &str,
    change: impl Fn(&Backup) -> Option<BackupStatus>,
) -> Result<(), status::Error> {
    let another = |backup: &Backup| change(backup).filter(|changed| backup.status.as_ref() != Some(changed));
    status::update(&Api::<Backup>::all(client), name, manager, another).await?;
    Ok(())
}
