use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::gone::is_long_gone;
use super::line::places_of;
use crate::resources::BackupArchive;

/// How long the line of an archive is kept at which nobody looks any more, for its Backup is gone.
const UNSEEN_KEPT_FOR: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The lines of Backups that are gone, while all lines of the ledger go by: which of them need not be kept.
///
/// Of each Backup its first line stays as long as another one does, for it tells archives of before the ledger from later
/// ones. No more than that one is remembered of each.
#[derive(Debug, Default)]
pub(super) struct Left(BTreeMap<(String, String), First>);

/// The first line so far of one Backup and one cluster.
#[derive(Debug)]
struct First {
    line: Seen,
    /// Whether another line stays.
    has_company: bool,
}

#[derive(Debug)]
struct Seen {
    name: String,
    may_go: bool,
}

impl Left {
    /// Names of the lines of a page, or of one before it, that need not be kept; `backups` are those that there are.
    pub(super) fn sift(&mut self, page: &[BackupArchive], backups: &BTreeSet<String>, now: Timestamp) -> Vec<String> {
        let of_gone = page.iter().filter(|line| !backups.contains(&line.spec.backup));
        of_gone.filter_map(|line| self.see(line, now)).collect()
    }

    /// The line that goes once this one is known. Names of a Backup's lines are in the order of their archives' times.
    fn see(&mut self, line: &BackupArchive, now: Timestamp) -> Option<String> {
        let seen = Seen { name: line.name_any(), may_go: may_go(line, now) };
        match self.0.entry((line.spec.backup.clone(), line.spec.cluster_uid.clone())) {
            Entry::Vacant(entry) => {
                entry.insert(First { line: seen, has_company: false });
                None
            }
            Entry::Occupied(mut entry) => {
                let first = entry.get_mut();
                let later = if seen.name < first.line.name { mem::replace(&mut first.line, seen) } else { seen };
                first.has_company |= !later.may_go;
                later.may_go.then_some(later.name)
            }
        }
    }

    /// Names of the first lines that need not be kept either, once all pages have gone by.
    pub(super) fn firsts(self) -> Vec<String> {
        let lonely = self.0.into_values().filter(|first| first.line.may_go && !first.has_company);
        lonely.map(|first| first.line.name).collect()
    }
}

/// Whether the line of a Backup that is gone need not be kept.
fn may_go(line: &BackupArchive, now: Timestamp) -> bool {
    let is_long_unseen = last_seen(line).is_some_and(|seen| now.duration_since(seen) > UNSEEN_KEPT_FOR);
    is_long_unseen || is_long_gone(line, now)
}

/// When something was found out about an archive last.
fn last_seen(line: &BackupArchive) -> Option<Timestamp> {
    let times = places_of(line).iter().flat_map(|place| [&place.verified_at, &place.since]);
    times.chain([&line.spec.taken_at]).filter_map(|time| time.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::{day, line};
    use crate::resources::PlaceState;
    use crate::resources::PlaceState::{Deleted, Missing, Verified};

    fn of(backup: &str, mut line: BackupArchive) -> BackupArchive {
        line.spec.backup = backup.to_owned();
        line
    }

    /// Which lines go, by their days: of one Backup, given page by page.
    #[track_caller]
    fn check(pages: &[&[(i64, PlaceState)]], now: i64, expected: &[i64]) {
        let (mut left, mut gone) = (Left::default(), Vec::new());
        for page in pages {
            let page: Vec<_> = page.iter().map(|(number, state)| line(*number, &[*state])).collect();
            gone.extend(left.sift(&page, &BTreeSet::from(["weekly".to_owned()]), day(now)));
        }
        gone.extend(left.firsts());
        gone.sort();
        assert_eq!(gone, expected.iter().map(|number| line(*number, &[]).name_any()).collect::<Vec<_>>());
    }

    #[test]
    fn lines_of_a_backup_that_is_gone_go_once_their_archives_are_gone_or_nobody_looked_for_long() {
        check(&[&[(1, Verified), (2, Deleted), (3, Missing)]], 9, &[]);
        check(&[&[(1, Verified), (2, Deleted), (3, Missing)]], 10, &[2]);
        check(&[&[(1, Verified), (2, Deleted), (3, Missing)]], 94, &[2, 3]);
        check(&[&[(1, Verified), (2, Verified), (50, Verified)]], 403, &[2]);
    }

    #[test]
    fn the_first_line_stays_as_long_as_another_does_however_the_pages_come() {
        check(&[&[(1, Deleted)], &[(2, Verified)], &[(3, Deleted)]], 20, &[3]);
        check(&[&[(3, Deleted), (2, Verified)], &[(1, Deleted)]], 20, &[3]);
        check(&[&[(2, Deleted)], &[(1, Deleted)]], 20, &[1, 2]);
        check(&[&[(1, Verified)], &[(2, Verified)]], 500, &[1, 2]);
    }

    #[test]
    fn lines_of_a_backup_that_is_there_stay() {
        let mut left = Left::default();
        let page = [of("weekly", line(1, &[Deleted])), of("daily", line(2, &[Deleted]))];
        let backups = BTreeSet::from(["daily".to_owned(), "weekly".to_owned()]);
        assert_eq!(left.sift(&page, &backups, day(900)), Vec::<String>::new());
        assert_eq!(left.firsts(), Vec::<String>::new());
    }
}
