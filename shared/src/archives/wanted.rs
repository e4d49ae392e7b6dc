//! Which archive a Restore wants, in words of its own.

use crate::annotations::LATEST_OF_ANNOTATION;
use crate::resources::Restore;
use crate::runs::split_archive_name;

/// The Backup of which a Restore wants the latest archive, where it says one.
#[must_use]
pub fn latest_of(restore: &Restore) -> Option<&str> {
    let annotations = restore.metadata.annotations.as_ref()?;
    annotations.get(LATEST_OF_ANNOTATION).map(|name| name.trim()).filter(|name| !name.is_empty())
}

/// The Backup whose archive a Restore wants, by the archive's name or what it says.
#[must_use]
pub fn backup_of(restore: &Restore) -> Option<&str> {
    let of_file = restore.archive().and_then(split_archive_name).map(|(backup, _)| backup);
    of_file.or_else(|| latest_of(restore))
}
