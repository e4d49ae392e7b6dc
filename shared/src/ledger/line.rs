use jiff::Timestamp;
use kube::ResourceExt;

use crate::clock::is_future;
use crate::digest::Sha256;
use crate::labels::{self, LEDGER_LABEL};
use crate::resources::{
    ArchiveHold, ArchivePlace, BackupArchive, BackupArchiveSpec, BackupArchiveStatus, BackupRun, Place, PlaceState,
    rfc3339,
};
use crate::runs::{parse_archive_name, status_of};

/// The longest name that an object of Kubernetes can have.
const NAME_BYTES: usize = 253;

/// How many hexadecimal digits of a hash tell names apart.
const HASH_DIGITS: usize = 10;

/// The name of an archive's line: that of its Backup, its time, and a hash of the file name. Whoever notes the same archive
/// twice writes one line.
#[must_use]
pub fn line_name(backup: &str, filename: &str, time: Timestamp) -> String {
    let hash = Sha256::of(filename);
    let suffix = format!("-{}-{hash:.HASH_DIGITS$}", time.strftime("%Y-%m-%dt%H-%M-%Sz"));
    let room = backup.floor_char_boundary(NAME_BYTES - suffix.len());
    let short = backup[..room].trim_end_matches(['-', '.']);
    format!("{short}{suffix}")
}

/// What selects the lines of a Backup.
pub(super) fn selector(backup: &str) -> String {
    format!("{LEDGER_LABEL}={}", label(backup))
}

fn label(backup: &str) -> String {
    format!("{:.32}", Sha256::of(backup))
}

/// The line of a run's archive, with every place where the run says that it was verified: nobody has looked there since. None
/// where the run has no snapshot.
#[must_use]
pub(super) fn line_of_run(run: &BackupRun) -> Option<BackupArchive> {
    let status = status_of(run);
    let places = status.upload.unwrap_or_default().places;
    let snapshot = status.snapshot?;
    let name = parse_archive_name(&run.spec.filename, &run.spec.backup)?;
    let spec = BackupArchiveSpec {
        backup: run.spec.backup.clone(),
        cluster_uid: name.cluster_uid,
        filename: run.spec.filename.clone(),
        sha256: snapshot.sha256?,
        bytes: snapshot.bytes,
        objects: snapshot.objects,
        taken_at: run.spec.started_at.clone(),
        stamped_at: run.creation_timestamp().map(|time| rfc3339(time.0)),
        run: run.spec.id.to_string(),
        number: run.spec.number,
        missing_types: snapshot.missing_types,
    };
    let mut archive = BackupArchive::new(&line_name(&spec.backup, &spec.filename, name.time), spec);
    archive.metadata.labels = Some(labels::ours(LEDGER_LABEL, &label(&run.spec.backup)));
    let mut told: Vec<ArchivePlace> = Vec::new();
    for place in places.iter().filter(|place| place.is_verified()) {
        let place = ArchivePlace { since: String::new(), ..place_of(place) };
        if !told.iter().any(|other| is_same(other, &place)) {
            told.push(place);
        }
    }
    archive.status = Some(BackupArchiveStatus::default().with_places(told));
    Some(archive)
}

/// Whether two entries of a line are of one place. The API server keeps one for each location and name.
fn is_same(one: &ArchivePlace, other: &ArchivePlace) -> bool {
    one.location == other.location && one.name == other.name
}

/// A place of a run as a line has it, verified.
pub(super) fn place_of(place: &Place) -> ArchivePlace {
    let at = place.verified_at.clone().unwrap_or_default();
    ArchivePlace {
        location: place.location.clone(),
        name: place.name.clone(),
        state: PlaceState::Verified,
        verified_at: at.clone(),
        since: at,
        reason: String::new(),
    }
}

/// The places of a line after one was verified (again); `told` are those that the run tells of, as one of before the ledger
/// may have noted them there alone.
pub(super) fn places_with(known: &[ArchivePlace], told: &[ArchivePlace], verified: &ArchivePlace) -> Vec<ArchivePlace> {
    let mut places: Vec<_> = known.iter().filter(|place| !is_same(place, verified)).cloned().collect();
    // What is verified stands before what the run tells of the same place.
    for place in [verified].into_iter().chain(told) {
        if !places.iter().any(|other| is_same(other, place)) {
            places.push(place.clone());
        }
    }
    places
}

/// Whether the time in an archive's name was still to come when the API server stamped its run. A clock was wrong then, so the
/// name decides nothing, also once its time has come.
#[must_use]
pub fn is_ahead(archive: &BackupArchive) -> bool {
    let name = parse_archive_name(&archive.spec.filename, &archive.spec.backup);
    name.is_some_and(|name| ahead(archive, name.time).is_some())
}

/// The stamp of an archive's run, where the name is of a later time.
pub(super) fn ahead(archive: &BackupArchive, named: Timestamp) -> Option<Timestamp> {
    let stamped = archive.spec.stamped_at.as_ref()?.parse().ok()?;
    is_future(named, stamped).then_some(stamped)
}

/// The places of a line.
#[must_use]
pub fn places_of(archive: &BackupArchive) -> &[ArchivePlace] {
    archive.status.as_ref().map(|status| status.places.as_slice()).unwrap_or_default()
}

/// Why a line's archive is held, as far as the ledger says it.
#[must_use]
pub fn held_of(archive: &BackupArchive) -> Option<&ArchiveHold> {
    archive.status.as_ref()?.held.as_ref()
}

/// The status of a line after something was seen at one of its places; none where that is known already.
#[must_use]
pub fn seen(
    archive: &BackupArchive,
    place: &ArchivePlace,
    state: PlaceState,
    reason: &str,
    now: Timestamp,
) -> Option<BackupArchiveStatus> {
    let status = archive.status.clone().unwrap_or_default();
    let mut places = status.places.clone();
    let place = places.iter_mut().find(|other| is_same(other, place))?;
    let was_looked_at = !place.since.is_empty();
    if place.state == state && place.reason == reason && was_looked_at {
        return None;
    }
    if place.state != state || !was_looked_at {
        place.since = rfc3339(now);
    }
    (place.state, place.reason) = (state, reason.to_owned());
    Some(status.with_places(places))
}
