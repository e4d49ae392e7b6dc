//! What lies at a place, and what is recorded beside it.

use std::cmp::Ordering;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use crate::exit::{Chain, Exit, Fault};
use crate::runs::{ArchiveName, split_archive_name};
use crate::storage::{self, Label, Listed, Storage};

/// How many archives are asked at once for what is recorded beside them.
pub(super) const LABELS_AT_ONCE: usize = 8;

/// A file at a place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Archive {
    /// What the listing says of it.
    pub file: Listed,
    /// What its name says, where it is that of an archive.
    pub origin: Option<Origin>,
}

/// What the name of an archive says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// Name of the Backup.
    pub backup: String,
    /// The cluster, when, and whether encrypted.
    pub name: ArchiveName,
}

impl Archive {
    /// What a listing says, and what the name does.
    #[must_use]
    pub fn new(file: Listed) -> Self {
        let origin = split_archive_name(&file.name).map(|(backup, name)| Origin { backup: backup.to_owned(), name });
        Self { file, origin }
    }

    /// When it was begun, by its name; else when it was written, where the place tells.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        self.origin.as_ref().map(|origin| origin.name.time).or(self.file.modified)
    }
}

/// What lies at a place, the newest first. Names alone are read: a few hundred bytes of memory for each.
///
/// # Errors
/// When the place refuses.
pub async fn at(storage: &Storage) -> Result<Vec<Archive>, storage::Error> {
    let mut found: Vec<_> = storage.list().map_ok(Archive::new).try_collect().await?;
    found.sort_by(newest_first);
    Ok(found)
}

pub(super) fn newest_first(one: &Archive, other: &Archive) -> Ordering {
    other.time().cmp(&one.time()).then_with(|| one.file.name.cmp(&other.file.name))
}

/// What is recorded beside each of these, in their order; none beside one that has gone meanwhile, or that cannot be looked
/// at, which hides no other.
///
/// # Errors
/// When the place is away.
pub async fn labels(storage: &Storage, archives: &[Archive]) -> Result<Vec<Option<Label>>, storage::Error> {
    let mut asked = Vec::new();
    for archive in archives {
        asked.push(label(storage, &archive.file.name));
    }
    stream::iter(asked).buffered(LABELS_AT_ONCE).try_collect().await
}

pub(super) async fn label(storage: &Storage, name: &str) -> Result<Option<Label>, storage::Error> {
    match storage.label(name).await {
        Err(error) if error.exit() != Exit::Unavailable => {
            tracing::warn!(name, "{}", Chain(&error));
            Ok(None)
        }
        label => label,
    }
}

/// Whether what is recorded beside an archive says that it was stored whole.
#[must_use]
pub fn is_verified(label: &Label) -> bool {
    label.sha256.is_some() && !label.is_bad
}
