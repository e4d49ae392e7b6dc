//! What is done with archives after they were stored: looking, marking, removing, tidying.

use std::time::Duration;

use jiff::Timestamp;
use snafu::ResultExt;

use super::error::{Difference, Error, MarkSnafu, ReadSnafu, RemoveSnafu, TidySnafu, UseNameSnafu};
use super::label::Label;
use super::name::check_name;
use super::removal::Removal;
use super::{Place, Storage, mark};
use crate::clock;

impl Storage {
    /// What stands recorded beside an archive; `None` where there is no archive.
    ///
    /// # Errors
    /// When the place refuses. What cannot be read of a record is as good as missing.
    pub async fn label(&self, name: &str) -> Result<Option<Label>, Error> {
        check_name(name).context(UseNameSnafu { name })?;
        let recorded = match &self.place {
            Place::Folder(folder) => folder.recorded(name).await,
            Place::Bucket(bucket) => bucket.recorded(name).await,
        };
        let recorded = recorded.with_context(|_| ReadSnafu { name, place: self.location.to_string() })?;
        let Some((bytes, recorded)) = recorded else { return Ok(None) };
        let is_bad = self.is_marked(name).await?;
        Ok(Some(recorded.label(bytes, is_bad)))
    }

    /// Removes an archive and what lies beside it; in a bucket by one request that names no version.
    ///
    /// # Errors
    /// When the place refuses. That it keeps the archive, by a lock or a policy, is no error: see [`Removal::Retained`].
    pub async fn remove(&self, name: &str) -> Result<Removal, Error> {
        check_name(name).context(UseNameSnafu { name })?;
        let removal = match &self.place {
            Place::Folder(folder) => folder.remove(name).await,
            Place::Bucket(bucket) => Box::pin(bucket.remove(name)).await,
        };
        removal.with_context(|_| RemoveSnafu { name, place: self.location.to_string() })
    }

    /// Marks an archive as a bad copy: it is not read any more, and listed as bad, until a good one of the same name is
    /// stored or the archive is removed.
    ///
    /// # Errors
    /// When the place refuses.
    pub async fn mark_bad(&self, name: &str, difference: &Difference) -> Result<(), Error> {
        check_name(name).context(UseNameSnafu { name })?;
        let text = mark::text(name, difference, clock::now());
        let marked = match &self.place {
            Place::Folder(folder) => folder.write_mark(name, text).await,
            Place::Bucket(bucket) => bucket.write_mark(name, text).await,
        };
        marked.with_context(|_| MarkSnafu { name, place: self.location.to_string() })
    }

    pub(super) async fn lift_mark(&self, name: &str) -> Result<(), Error> {
        let lifted = match &self.place {
            Place::Folder(folder) => folder.lift_mark(name).await,
            Place::Bucket(bucket) => bucket.lift_mark(name).await,
        };
        lifted.with_context(|_| MarkSnafu { name, place: self.location.to_string() })
    }

    pub(super) async fn is_marked(&self, name: &str) -> Result<bool, Error> {
        let is_marked = match &self.place {
            Place::Folder(folder) => folder.is_marked(name).await,
            Place::Bucket(bucket) => bucket.is_marked(name).await,
        };
        is_marked.with_context(|_| ReadSnafu { name, place: self.location.to_string() })
    }

    /// Removes what uploads left that were begun more than `older_than` before `now` and never ended: multipart uploads
    /// of archives, by their names, in exactly this folder of a bucket, or unfinished files of a folder. Tells how many
    /// there were.
    ///
    /// # Errors
    /// When the place refuses.
    pub async fn abort_forgotten(&self, older_than: Duration, now: Timestamp) -> Result<u64, Error> {
        // What lies before the beginning of time is older than every upload.
        let before = now.checked_sub(older_than).unwrap_or(Timestamp::MIN);
        let aborted = match &self.place {
            Place::Folder(folder) => folder.remove_forgotten(before).await,
            Place::Bucket(bucket) => Box::pin(bucket.abort_forgotten(before)).await,
        };
        aborted.with_context(|_| TidySnafu { place: self.location.to_string() })
    }
}

#[cfg(test)]
#[path = "upkeep_tests.rs"]
mod tests;
