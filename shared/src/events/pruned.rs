//! What a prune did, as its event tells it.

use serde::{Deserialize, Serialize};

/// How many archives of each kind an event names; the counts are of all.
const NAMED_ARCHIVES: usize = 30;

/// The most characters of a reason.
const REASON_LIMIT: usize = 200;

/// What became of the expired archives of a Backup.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pruned {
    /// How many were deleted.
    pub deleted: u64,
    /// How many were kept.
    pub kept: u64,
    /// How many were to be deleted, and their place keeps them.
    pub retained: u64,
    /// The first that were deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted_archives: Vec<PrunedArchive>,
    /// The first that their place keeps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retained_archives: Vec<PrunedArchive>,
}

/// An archive that expired.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PrunedArchive {
    /// Its file name.
    pub name: String,
    /// Name of the place.
    pub place: String,
    /// Why it was deleted, or what keeps it.
    pub reason: String,
}

impl Pruned {
    /// Notes an archive that was deleted.
    pub fn note_deleted(&mut self, archive: PrunedArchive) {
        self.deleted += 1;
        note(&mut self.deleted_archives, archive);
    }

    /// Notes an archive that its place keeps.
    pub fn note_retained(&mut self, archive: PrunedArchive) {
        self.retained += 1;
        note(&mut self.retained_archives, archive);
    }
}

/// An event has a largest size, and must not exceed it by what it tells.
fn note(archives: &mut Vec<PrunedArchive>, mut archive: PrunedArchive) {
    if archives.len() < NAMED_ARCHIVES {
        if archive.reason.chars().count() > REASON_LIMIT {
            archive.reason = archive.reason.chars().take(REASON_LIMIT).chain(['…']).collect();
        }
        archives.push(archive);
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::super::{Data, Event, Kind};
    use super::*;

    #[test]
    fn however_much_is_pruned_the_event_can_be_sent() {
        let mut pruned = Pruned::default();
        for _ in 0..10_000 {
            let archive = PrunedArchive { name: "ä".repeat(127), place: "p".repeat(63), reason: "ß".repeat(5_000) };
            pruned.note_deleted(archive.clone());
            pruned.note_retained(archive);
        }
        let data = Data { name: "daily".to_owned(), pruned: Some(pruned.clone()), ..Data::default() };
        let event = Event::new(Kind::BackupPruned, "retention-prune", Timestamp::UNIX_EPOCH, data);
        let read = Event::parse(&event.encode().unwrap()).unwrap();
        assert_eq!(read.data.pruned, Some(pruned.clone()));
        assert_eq!((pruned.deleted, pruned.retained, pruned.deleted_archives.len()), (10_000, 10_000, NAMED_ARCHIVES));
        let later = Event { time: event.time + SignedDuration::from_secs(1), ..event.clone() };
        assert_ne!(later.id(), event.id());
    }
}
