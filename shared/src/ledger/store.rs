use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use snafu::{ResultExt, Snafu};

use super::left::Left;
use super::line::{held_of, line_name, line_of_run, place_of, places_of, places_with, selector};
use super::lines::Lines;
use crate::cluster::ApiError;
use crate::exit::{Exit, Fault};
use crate::job::name::RETENTION_PRUNE;
use crate::resources::{ArchiveHold, BackupArchive, BackupArchiveStatus, BackupRun, Place};
use crate::runs::parse_archive_name;
use crate::status;

/// Lines asked for at once.
const PAGE: u32 = 500;

/// Why the ledger could not be read or written.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display(
        "failed to find the definition of BackupArchive, the ledger of what was stored; apply your overlay's \
         foundation again"
    ))]
    NotInstalled,
    #[snafu(display("failed to list the BackupArchives of the Backup {backup:?}"))]
    List { backup: String, source: ApiError },
    #[snafu(display("failed to list the BackupArchives"))]
    ListAll { source: ApiError },
    #[snafu(display("failed to {verb} the BackupArchive {name:?}"))]
    Ask { verb: &'static str, name: String, source: ApiError },
    #[snafu(display("failed to note in the ledger what became of an archive"))]
    Note { source: status::Error },
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::NotInstalled => Exit::Usage,
            Self::List { source, .. } | Self::ListAll { source } | Self::Ask { source, .. } => source.exit(),
            Self::Note { source } => source.exit(),
        }
    }
}

/// The ledger as it lies in the cluster.
#[derive(Clone)]
pub struct Ledger {
    api: Api<BackupArchive>,
    manager: &'static str,
}

impl Ledger {
    /// The ledger, written with the field manager `manager`, the job's name.
    #[must_use]
    pub fn new(client: Client, manager: &'static str) -> Self {
        Self { api: Api::all(client), manager }
    }

    /// The lines of a Backup in a cluster.
    ///
    /// # Errors
    /// When they cannot be listed, also because their definition is missing: that is no empty ledger.
    pub async fn lines(&self, backup: &str, cluster_uid: &str) -> Result<Lines, Error> {
        let mut parameters = ListParams::default().labels(&selector(backup)).limit(PAGE);
        let mut archives = Vec::new();
        loop {
            let page = match self.api.list(&parameters).await.map_err(ApiError::from) {
                Err(error) if error.code() == Some(404) => return NotInstalledSnafu.fail(),
                page => page.context(ListSnafu { backup })?,
            };
            archives.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(Lines::of(backup, cluster_uid, archives)),
            }
        }
    }

    /// Forgets lines of Backups that are gone, which are none of `backups`: those of archives that lie nowhere for long or that
    /// nobody has looked at for long.
    ///
    /// # Errors
    /// When the lines cannot be listed.
    pub async fn forget_left(&self, backups: &BTreeSet<String>, now: Timestamp) -> Result<(), Error> {
        let (mut left, mut parameters) = (Left::default(), ListParams::default().limit(PAGE));
        loop {
            let page = match self.api.list(&parameters).await.map_err(ApiError::from) {
                Err(error) if error.code() == Some(404) => return NotInstalledSnafu.fail(),
                page => page.context(ListAllSnafu)?,
            };
            self.forget(&left.sift(&page.items, backups, now)).await;
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => break,
            }
        }
        self.forget(&left.firsts()).await;
        Ok(())
    }

    /// The line of this name; none where there is none.
    ///
    /// # Errors
    /// When it cannot be read, also because the definition of lines is missing: that says nothing of this one.
    pub async fn find(&self, name: &str) -> Result<Option<BackupArchive>, Error> {
        match self.api.get_opt(name).await.map_err(ApiError::from) {
            // A line that is not there is no error here: this one says that there is no such path.
            Err(error) if error.code() == Some(404) => NotInstalledSnafu.fail(),
            found => found.context(AskSnafu { verb: "read", name }),
        }
    }

    /// Notes that a run's archive was read back at a place and matched. To do so again changes nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn record(&self, run: &BackupRun, place: &Place) -> Result<(), Error> {
        let Some(line) = line_of_run(run) else { return Ok(()) };
        let there = self.put(&line).await?;
        let verified = place_of(place);
        self.note_from(Some(there), &line.name_any(), |there| {
            let before = places_of(there);
            let places = places_with(before, places_of(&line), &verified);
            // Nothing that another job notes becomes this one's as well: it could not take it back.
            (places != before).then(|| BackupArchiveStatus::default().with_places(places))
        })
        .await
    }

    /// Notes that a Backup's archive is held, as retention-prune does, which takes it back. Where there is no line nothing is
    /// noted: retention-prune makes one of the archive's run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn hold(&self, backup: &str, filename: &str, held: &ArchiveHold) -> Result<(), Error> {
        let Some(name) = parse_archive_name(filename, backup) else { return Ok(()) };
        let (as_prune, name) =
            (Self { manager: RETENTION_PRUNE, ..self.clone() }, line_name(backup, filename, name.time));
        let noted = as_prune.note(&name, |line| {
            let status = line.status.clone().unwrap_or_default();
            (held_of(line) != Some(held)).then(|| BackupArchiveStatus { held: Some(held.clone()), ..status })
        });
        noted.await
    }

    /// Writes a line of before there was a ledger, with all places that it has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn seed(&self, line: &BackupArchive) -> Result<(), Error> {
        let there = self.put(line).await?;
        let change = |there: &BackupArchive| there.status.is_none().then(|| line.status.clone()).flatten();
        self.note_from(Some(there), &line.name_any(), change).await
    }

    async fn put(&self, line: &BackupArchive) -> Result<BackupArchive, Error> {
        let name = line.name_any();
        let (kind, api_version) = (BackupArchive::kind(&()), BackupArchive::api_version(&()));
        let labels = &line.metadata.labels;
        let patch = json!({
            "apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": line.spec,
        });
        let written = self.api.patch(&name, &PatchParams::apply(self.manager).force(), &Patch::Apply(&patch)).await;
        match written.map_err(ApiError::from) {
            Err(error) if error.code() == Some(404) => NotInstalledSnafu.fail(),
            written => written.context(AskSnafu { verb: "write", name }),
        }
    }

    /// Changes what a line says of its archive, where `change` gives something. One that is gone is left so.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn note(
        &self,
        name: &str,
        change: impl Fn(&BackupArchive) -> Option<BackupArchiveStatus>,
    ) -> Result<(), Error> {
        self.note_from(None, name, change).await
    }

    async fn note_from(
        &self,
        known: Option<BackupArchive>,
        name: &str,
        change: impl Fn(&BackupArchive) -> Option<BackupArchiveStatus>,
    ) -> Result<(), Error> {
        match status::update_from(&self.api, name, known, self.manager, change).await {
            Err(error) if error.is_gone() => Ok(()),
            noted => noted.map(|_| ()).context(NoteSnafu),
        }
    }

    /// Deletes lines that need not be kept; one that cannot be deleted now is so the next time.
    pub async fn forget(&self, names: &[String]) {
        for name in names {
            if let Err(error) = self.api.delete(name, &DeleteParams::default()).await.map_err(ApiError::from)
                && error.code() != Some(404)
            {
                tracing::warn!(line = name, "failed to delete an old BackupArchive: {error}");
            }
        }
    }
}
