//! Archives that lie nowhere any more, and for how long their lines are kept.

use jiff::{SignedDuration, Timestamp};

use super::line::places_of;
use crate::resources::{BackupArchive, PlaceState};

/// How long the line of an archive is kept that drover deleted everywhere.
const DELETED_KEPT_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long the line of an archive is kept that is missed: a folder may be empty as its volume is not mounted, or a service
/// be another one for a while, and then every archive seems to be gone at once.
const MISSED_KEPT_FOR: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Since when an archive lies nowhere; none where it does.
pub(super) fn gone_since(archive: &BackupArchive) -> Option<Timestamp> {
    let places = places_of(archive);
    if places.iter().any(|place| place.state.lies()) {
        return None;
    }
    let last = places.iter().filter_map(|place| place.since.parse().ok()).max();
    last.or_else(|| archive.spec.taken_at.parse().ok())
}

/// Whether an archive is not where it was, although drover did not delete it.
pub(super) fn is_missed(archive: &BackupArchive) -> bool {
    places_of(archive).iter().any(|place| place.state == PlaceState::Missing)
}

/// Whether an archive lies nowhere for so long that its line need not be kept.
pub(super) fn is_long_gone(archive: &BackupArchive, now: Timestamp) -> bool {
    let kept_for = if is_missed(archive) { MISSED_KEPT_FOR } else { DELETED_KEPT_FOR };
    gone_since(archive).is_some_and(|since| now.duration_since(since) > kept_for)
}
