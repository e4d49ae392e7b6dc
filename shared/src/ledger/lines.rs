use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kube::ResourceExt;

use super::gone::{gone_since, is_long_gone, is_missed};
use super::line::{ahead, held_of, line_of_run, places_of};
use crate::resources::{ArchiveHold, ArchivePlace, BackupArchive, BackupRun, PlaceState, RetentionRecord};
use crate::runs::{Allowed, History, holds, is_over, parse_archive_name};

/// How many lines of archives that drover deleted everywhere are kept of each Backup.
pub(super) const DELETED_KEPT: usize = 100;

/// The lines of one Backup and one cluster, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Lines(Vec<Line>);

/// A line with the time of its archive: the one in its name or, where that was still to come then, the stamp of its run.
#[derive(Clone, Debug)]
struct Line {
    time: Timestamp,
    is_ahead: bool,
    archive: BackupArchive,
}

/// What the ledger knows of an archive at one place.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The line.
    pub archive: &'a BackupArchive,
    /// The place.
    pub place: &'a ArchivePlace,
}

/// Which place of a Backup is meant, where two services have a bucket and a folder of the same names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Site<'a> {
    /// The name of the place; none where it is not known, as of one that a Restore names.
    pub name: Option<&'a str>,
    /// The names of the Backup's other places.
    pub others: &'a [&'a str],
}

impl Site<'_> {
    /// What a line says of the place, where an archive of it lies at `location`. An entry under a name that the Backup has no
    /// more is that of a place which was renamed, and no endpoint is looked at, which may be written in many ways.
    fn among<'p>(&self, places: &'p [ArchivePlace], location: &str) -> Option<&'p ArchivePlace> {
        let may_be_it =
            |place: &&ArchivePlace| place.location == location && !self.others.contains(&place.name.as_str());
        let nearness =
            |place: &&ArchivePlace| (self.name == Some(place.name.as_str()), place.state != PlaceState::Deleted);
        places.iter().filter(may_be_it).max_by_key(nearness)
    }
}

impl Known<'_> {
    /// The recorded size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.archive.spec.bytes).unwrap_or_default()
    }

    /// How many objects it holds.
    #[must_use]
    pub fn objects(&self) -> Option<u64> {
        u64::try_from(self.archive.spec.objects).ok().filter(|objects| *objects > 0)
    }

    /// Whether it lacks types that could not be read, so that it is no backup.
    #[must_use]
    pub fn lacks_types(&self) -> bool {
        !self.archive.spec.missing_types.is_empty()
    }

    /// Whether it counts as verified at this place: it was, and drover has not deleted it since.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.place.state != PlaceState::Deleted
    }
}

impl Lines {
    /// The lines of this Backup in this cluster among all lines.
    #[must_use]
    pub fn of(backup: &str, cluster_uid: &str, archives: impl IntoIterator<Item = BackupArchive>) -> Self {
        let read = |archive: BackupArchive| {
            let name = parse_archive_name(&archive.spec.filename, backup)?;
            let is_own = archive.spec.backup == backup && name.cluster_uid == cluster_uid;
            let ahead = ahead(&archive, name.time);
            is_own.then_some(Line { time: ahead.unwrap_or(name.time), is_ahead: ahead.is_some(), archive })
        };
        let mut lines: Vec<_> = archives.into_iter().filter_map(read).collect();
        lines.sort_by_key(|line| (line.time, line.archive.name_any()));
        Self(lines)
    }

    /// The lines, oldest first.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &BackupArchive> {
        self.0.iter().map(|line| &line.archive)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time of the first archive of the ledger; those of the future begin none.
    #[must_use]
    pub fn since(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.iter().map(|line| line.time).find(|time| *time <= now)
    }

    /// File names of the archives whose names are of a time that was still to come when the API server stamped their runs.
    #[must_use]
    pub fn ahead(&self) -> BTreeSet<String> {
        self.0.iter().filter(|line| line.is_ahead).map(|line| line.archive.spec.filename.clone()).collect()
    }

    /// The newest archive that lies somewhere or is missed; those of the future, also of one that has come, and those that lack
    /// types are none.
    #[must_use]
    pub fn newest(&self, now: Timestamp) -> Option<&BackupArchive> {
        let counts = |line: &&Line| {
            line.time <= now
                && !line.is_ahead
                && line.archive.spec.missing_types.is_empty()
                && places_of(&line.archive).iter().any(|place| place.state != PlaceState::Deleted)
        };
        self.0.iter().rev().find(counts).map(|line| &line.archive)
    }

    /// What is known of the archives at a place, by file name; `path_of` tells where a file of that name lies there.
    #[must_use]
    pub fn at(&self, site: Site<'_>, path_of: impl Fn(&str) -> String) -> BTreeMap<&str, Known<'_>> {
        let known = self.iter().filter_map(|archive| {
            let place = site.among(places_of(archive), &path_of(&archive.spec.filename))?;
            Some((archive.spec.filename.as_str(), Known { archive, place }))
        });
        known.collect()
    }

    /// The retention that was recorded last, with the name of the line where it stands.
    #[must_use]
    pub fn retention(&self) -> Option<(&BackupArchive, &RetentionRecord)> {
        self.iter().find_map(|archive| Some((archive, archive.status.as_ref()?.retention.as_ref()?)))
    }

    /// The archives that are kept until somebody confirms that they may go, by file name: those that the runs tell of, and
    /// those that were noted here and of which no run says that it is over. Runs forget, and a Backup may be made again.
    #[must_use]
    pub fn held(&self, history: &History, allowed: Allowed<'_>) -> BTreeMap<String, ArchiveHold> {
        let is_open = |held: &ArchiveHold| !allowed.has(&held.confirmation) && !is_over(history, &held.confirmation);
        let noted = self.iter().filter_map(|archive| {
            let held = held_of(archive).filter(|held| is_open(held))?;
            Some((archive.spec.filename.clone(), held.clone()))
        });
        noted.chain(holds(history, allowed)).collect()
    }

    /// Lines that runs tell of and the ledger lacks: those of before there was one.
    #[must_use]
    pub fn missing<'a>(&self, runs: impl IntoIterator<Item = &'a BackupRun>, cluster_uid: &str) -> Vec<BackupArchive> {
        // One without a place was cut off when it was made.
        let whole = self.iter().filter(|archive| !places_of(archive).is_empty());
        let known: BTreeSet<_> = whole.map(|archive| archive.spec.filename.as_str()).collect();
        let unknown = runs.into_iter().filter(|run| !known.contains(run.spec.filename.as_str()));
        let lines = unknown.filter_map(line_of_run);
        lines.filter(|line| line.spec.cluster_uid == cluster_uid && !places_of(line).is_empty()).collect()
    }

    /// The same with further lines, in the place of those of the same archives.
    #[must_use]
    pub fn with(self, backup: &str, cluster_uid: &str, further: Vec<BackupArchive>) -> Self {
        let is_further = |line: &Line| further.iter().any(|other| other.spec.filename == line.archive.spec.filename);
        let own: Vec<_> = self.0.into_iter().filter(|line| !is_further(line)).map(|line| line.archive).collect();
        Self::of(backup, cluster_uid, own.into_iter().chain(further))
    }

    /// Names of the lines that need not be kept: those of archives that lie nowhere for long, or that were deleted before many
    /// others. The first line stays, the newest archive's, and those of runs that are remembered, which would only make them
    /// again.
    #[must_use]
    pub fn forgotten(&self, history: &History, now: Timestamp) -> Vec<String> {
        let mut kept: BTreeSet<_> = history.iter().map(|run| run.spec.filename.as_str()).collect();
        let retention = self.retention().map(|(archive, _)| archive);
        let ends = [self.iter().next(), self.newest(now), retention];
        kept.extend(ends.into_iter().flatten().map(|archive| archive.spec.filename.as_str()));
        let may_go = self.iter().filter(|archive| !kept.contains(archive.spec.filename.as_str()));
        let mut gone: Vec<_> = may_go.filter_map(|archive| Some((gone_since(archive)?, archive))).collect();
        gone.sort_by_cached_key(|(since, archive)| (*since, archive.name_any()));
        let mut too_many = gone.iter().filter(|(_, archive)| !is_missed(archive)).count().saturating_sub(DELETED_KEPT);
        let is_forgotten = |(_, archive): &(Timestamp, &BackupArchive)| {
            let is_one_of_many = too_many > 0 && !is_missed(archive);
            too_many -= usize::from(is_one_of_many);
            is_one_of_many || is_long_gone(archive, now)
        };
        gone.into_iter().filter(is_forgotten).map(|(_, archive)| archive.name_any()).collect()
    }
}
