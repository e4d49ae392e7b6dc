use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, ToSpan};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use uuid::Uuid;

use super::line::line_of_run;
use super::lines::DELETED_KEPT;
use super::*;
use crate::resources::{
    ArchiveHold, ArchivePlace, BackupArchive, BackupArchiveSpec, BackupArchiveStatus, BackupRun, BackupRunSpec,
    BackupRunStatus, BackupSpec, Losses, Place, PlaceState, RunState, SnapshotStage, StageState, Trigger, TriggerKind,
    UploadStage, rfc3339,
};
use crate::runs::{Allowed, History, archive_name};

const OWN: &str = "8ea4e695-6c77-43ec-9323-d6191e5ef67b";
const OTHER: &str = "99999999-6c77-43ec-9323-d6191e5ef67b";

pub(super) fn day(number: i64) -> Timestamp {
    "2026-11-01T02:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * number)
}

fn file(number: i64) -> String {
    archive_name("daily", OWN, day(number), false)
}

/// A line of a day, whose places are as this says, each since that day.
pub(super) fn line(number: i64, states: &[PlaceState]) -> BackupArchive {
    let spec = BackupArchiveSpec {
        backup: "daily".into(),
        cluster_uid: OWN.into(),
        filename: file(number),
        bytes: 9,
        objects: 700,
        taken_at: rfc3339(day(number)),
        ..BackupArchiveSpec::default()
    };
    let place = |(at, state): (usize, &PlaceState)| ArchivePlace {
        location: format!("/{at}/{}", file(number)),
        name: format!("place-{at}"),
        state: *state,
        verified_at: rfc3339(day(number)),
        since: rfc3339(day(number)),
        reason: String::new(),
    };
    let places = states.iter().enumerate().map(place).collect();
    let mut archive = BackupArchive::new(&line_name("daily", &spec.filename, day(number)), spec);
    archive.status = Some(BackupArchiveStatus::default().with_places(places));
    archive
}

fn lines(archives: impl IntoIterator<Item = BackupArchive>) -> Lines {
    Lines::of("daily", OWN, archives)
}

/// A run of a day, whose archive was verified at these places.
fn run(number: i64, locations: &[&str]) -> BackupRun {
    let spec = BackupRunSpec {
        backup: "daily".into(),
        backup_uid: "uid-1".into(),
        generation: 1,
        id: Uuid::nil(),
        number,
        trigger: Trigger { kind: TriggerKind::Job, by: String::new(), job_uid: None, scheduled_for: None },
        started_at: rfc3339(day(number)),
        filename: file(number),
    };
    let place = |location: &&str| Place {
        name: "default".into(),
        location: (*location).to_owned(),
        verified_bytes: 9,
        state: StageState::Completed,
        verified_at: Some(rfc3339(day(number))),
        reason: None,
    };
    let snapshot = SnapshotStage { objects: 700, bytes: 9, sha256: Some("ab".repeat(32)), ..SnapshotStage::default() };
    let upload = UploadStage { places: locations.iter().map(place).collect(), ..UploadStage::default() };
    let mut run = BackupRun::new(&format!("daily-{number}"), spec);
    run.status = Some(BackupRunStatus {
        state: RunState::Completed,
        snapshot: Some(snapshot),
        upload: Some(upload),
        ..BackupRunStatus::default()
    });
    run
}

fn history(runs: impl IntoIterator<Item = BackupRun>) -> History {
    let mut backup = crate::resources::Backup::new("daily", BackupSpec::default());
    backup.metadata.uid = Some("uid-1".into());
    History::of(&backup, runs)
}

#[test]
fn an_archive_has_one_name_in_the_ledger_however_long_its_backups_is() {
    let name = line_name("daily", &file(1), day(1));
    assert!(name.starts_with("daily-2026-11-02t02-00-00z-") && name.len() == "daily-2026-11-02t02-00-00z-".len() + 10);
    assert_ne!(name, line_name("daily", &archive_name("daily", OTHER, day(1), false), day(1)));
    let long = line_name(&"x".repeat(253), &file(1), day(1));
    assert!(long.len() == 253 && long.contains("x-2026-11-02t02"), "{long}");
}

#[test]
fn lines_are_of_one_backup_and_one_cluster_oldest_first() {
    let (mut other_backup, mut other_cluster) = (line(3, &[]), line(4, &[]));
    other_backup.spec.backup = "weekly".into();
    other_cluster.spec.filename = archive_name("daily", OTHER, day(4), false);
    let lines = lines([line(2, &[]), other_backup, line(1, &[]), other_cluster]);
    assert_eq!(lines.iter().map(|line| line.spec.filename.clone()).collect::<Vec<_>>(), [file(1), file(2)]);
    assert_eq!((lines.since(day(5)), lines.since(day(0))), (Some(day(1)), None));
}

#[test]
fn what_is_known_of_a_place_is_known_by_where_it_lies() {
    let lines = lines([line(1, &[PlaceState::Verified, PlaceState::Deleted]), line(2, &[PlaceState::Damaged])]);
    let at = |root: &str| lines.at(Site::default(), |name| format!("/{root}/{name}"));
    let verified = |root: &str| at(root).values().map(Known::is_verified).collect::<Vec<_>>();
    assert_eq!((verified("0"), verified("1"), verified("2")), (vec![true, true], vec![false], vec![]));
}

/// The name of the entry that is taken for a place, of a line that has one for each of these names at one location.
fn taken(entries: &[(&str, PlaceState)], name: Option<&str>, others: &[&str]) -> Option<String> {
    let mut archive = line(1, &[]);
    let place = |(name, state): &(&str, PlaceState)| ArchivePlace {
        location: format!("s3://bucket/{}", file(1)),
        name: (*name).to_owned(),
        state: *state,
        ..ArchivePlace::default()
    };
    archive.status = Some(BackupArchiveStatus::default().with_places(entries.iter().map(place).collect()));
    let lines = lines([archive]);
    let known = lines.at(Site { name, others }, |name| format!("s3://bucket/{name}"));
    known.into_values().map(|known| known.place.name.clone()).next()
}

#[test]
fn of_two_services_with_a_bucket_of_one_name_each_has_its_own_entry() {
    use PlaceState::{Deleted, Verified};
    let both = [("default", Deleted), ("far", Verified)];
    assert_eq!(taken(&both, Some("default"), &["far"]).as_deref(), Some("default"));
    assert_eq!(taken(&both, Some("far"), &["default"]).as_deref(), Some("far"));
    assert_eq!(taken(&both[..1], Some("far"), &["default"]), None, "it was never verified there");
    assert_eq!(taken(&both, Some("renamed"), &["default"]).as_deref(), Some("far"));
    assert_eq!(taken(&both, None, &[]).as_deref(), Some("far"), "where the name is not known, the one that lies");
}

#[test]
fn a_run_that_tells_of_one_place_twice_makes_one_entry() {
    let mut run = run(1, &["s3://bucket/a", "s3://bucket/a", "s3://bucket/a"]);
    run.status.as_mut().unwrap().upload.as_mut().unwrap().places[2].name = "far".into();
    let told = line_of_run(&run).unwrap();
    let names: Vec<_> = places_of(&told).iter().map(|place| place.name.as_str()).collect();
    assert_eq!(names, ["default", "far"]);
}

#[test]
fn what_is_verified_anew_takes_the_place_of_its_own_entry_alone() {
    let place = |name: &str, reason: &str| ArchivePlace {
        location: "s3://bucket/a".into(),
        name: name.into(),
        reason: reason.into(),
        ..ArchivePlace::default()
    };
    let known = [place("default", "known"), place("far", "known")];
    let told = [place("far", "told"), place("near", "told")];
    let places = line::places_with(&known, &told, &place("far", ""));
    assert_eq!(places, [place("default", "known"), place("far", ""), place("near", "told")]);
}

#[test]
fn the_newest_is_the_newest_that_was_not_deleted_and_is_whole() {
    let mut partial = line(5, &[PlaceState::Verified]);
    partial.spec.missing_types = vec!["clusters.x".into()];
    let all = [line(1, &[PlaceState::Verified]), line(2, &[PlaceState::Missing]), line(3, &[PlaceState::Deleted])];
    let lines = lines(all.into_iter().chain([partial, line(9, &[PlaceState::Verified])]));
    let newest = |now| lines.newest(now).map(|line| line.spec.filename.clone());
    assert_eq!((newest(day(6)), newest(day(9)), newest(day(0))), (Some(file(2)), Some(file(9)), None));
}

/// The line of a day whose run the API server stamped on another day.
fn stamped(number: i64, stamp: i64) -> BackupArchive {
    let mut archive = line(number, &[PlaceState::Verified]);
    archive.spec.stamped_at = Some(rfc3339(day(stamp)));
    archive
}

#[test]
fn a_name_that_was_ahead_of_its_runs_stamp_is_never_the_newest_also_once_its_time_has_come() {
    let late = line(3, &[PlaceState::Verified]);
    let lines = lines([stamped(5, 2), stamped(4, 4), late]);
    let newest = |now| lines.newest(now).map(|line| line.spec.filename.clone());
    assert_eq!((newest(day(3)), newest(day(9))), (Some(file(3)), Some(file(4))));
    assert_eq!(lines.ahead(), BTreeSet::from([file(5)]));
    assert_eq!((lines.since(day(9)), lines.since(day(1))), (Some(day(2)), None), "it is of when it was stamped");
    assert!(is_ahead(&stamped(5, 2)) && !is_ahead(&stamped(5, 6)) && !is_ahead(&line(5, &[])));
}

#[test]
fn a_stamp_is_exceeded_by_more_than_clocks_may_differ_and_nonsense_is_none() {
    let with = |stamp: String| {
        let mut archive = line(5, &[]);
        archive.spec.stamped_at = Some(stamp);
        archive
    };
    let before = |seconds: i64| with(rfc3339(day(5) - SignedDuration::from_secs(seconds)));
    assert!(!is_ahead(&before(60)) && is_ahead(&before(61)));
    assert!(!is_ahead(&with("soon".to_owned())));
}

#[test]
fn a_line_says_when_its_run_was_stamped_and_one_with_nonsense_for_an_id_is_read() {
    let mut run = run(5, &["/0/a"]);
    assert_eq!(line_of_run(&run).unwrap().spec.stamped_at, None);
    run.metadata.creation_timestamp = Some(Time(day(2)));
    let told = line_of_run(&run).unwrap();
    assert_eq!(told.spec.stamped_at, Some(rfc3339(day(2))));
    let mut nonsense = serde_json::to_value(&told).unwrap();
    nonsense["spec"]["run"] = "nonsense".into();
    let read: BackupArchive = serde_json::from_value(nonsense).unwrap();
    assert_eq!((read.spec.run.as_str(), lines([read.clone()]).ahead().len()), ("nonsense", 1));
}

#[test]
fn runs_of_before_the_ledger_are_taken_over() {
    let lines = lines([line(2, &[PlaceState::Verified])]);
    let history = history([run(1, &["/0/a"]), run(2, &["/0/b"]), run(3, &[]), run(4, &["/0/d", "/1/d"])]);
    let missing = lines.missing(history.iter(), OWN);
    let told: Vec<_> = missing.iter().map(|line| (line.spec.number, places_of(line).len())).collect();
    assert_eq!(told, [(1, 1), (4, 2)]);
    assert_eq!(lines.missing(history.iter(), OTHER).len(), 0, "archives of another cluster are not this one's");
    let all = lines.with("daily", OWN, missing);
    assert_eq!((all.iter().count(), all.since(day(9))), (3, Some(day(1))));
    assert_eq!(all.missing(history.iter(), OWN).len(), 0);
    let cut_off = self::lines([line(1, &[])]);
    let missing = cut_off.missing(&[run(1, &["/0/a"])], OWN);
    assert_eq!(cut_off.with("daily", OWN, missing).iter().map(|line| places_of(line).len()).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_line_says_which_types_its_archive_lacks() {
    let mut run = run(1, &["/0/a"]);
    run.status.as_mut().unwrap().snapshot.as_mut().unwrap().missing_types = vec!["clusters.x".into()];
    assert_eq!(line_of_run(&run).unwrap().spec.missing_types, ["clusters.x"]);
}

/// A run of a day that is stored where this says and counted something, and tells that these archives have what it lost, each
/// with its word.
fn counted(number: i64, locations: &[&str], lost: &[(i64, &str)]) -> BackupRun {
    let mut run = run(number, locations);
    let losses = |(kept, word): &(i64, &str)| Losses {
        kept: file(*kept),
        confirmation: (*word).to_owned(),
        ..Losses::default()
    };
    let status = run.status.as_mut().unwrap();
    // What no place has yet waits for its upload.
    status.state = if locations.is_empty() { RunState::InProgress } else { RunState::Completed };
    let snapshot = status.snapshot.as_mut().unwrap();
    snapshot.types = [("secrets".to_owned(), 1)].into();
    snapshot.losses = lost.iter().map(losses).collect();
    run
}

/// The archives that are held by these runs, where the ledger says of the first that `loss-1` holds it.
#[track_caller]
fn check_held(runs: &[BackupRun], words: Option<&str>, expected: &[(i64, &str)]) {
    let mut noted = line(1, &[PlaceState::Verified]);
    noted.status.as_mut().unwrap().held = Some(ArchiveHold { confirmation: "loss-1".into(), reason: "until".into() });
    let lines = lines([noted, line(2, &[PlaceState::Verified])]);
    let held = lines.held(&history(runs.iter().cloned()), Allowed::by(words));
    let held: Vec<_> = held.into_iter().map(|(filename, held)| (filename, held.confirmation)).collect();
    let expected: Vec<_> = expected.iter().map(|(number, word)| (file(*number), (*word).to_owned())).collect();
    assert_eq!(held, expected);
}

#[test]
fn archives_are_held_as_the_runs_say_and_where_they_are_gone_until_somebody_confirms() {
    let first = || counted(1, &["/0/a"], &[]);
    let lossy = |number: i64| counted(number, &["/0/b"], &[(1, "loss-1")]);
    check_held(&[first(), lossy(2)], None, &[(1, "loss-1")]);
    check_held(&[first(), lossy(2)], Some("other,loss-1"), &[]);
    let both = [(1, "loss-1"), (2, "loss-2")];
    check_held(&[first(), lossy(2), counted(3, &["/0/c"], &both)], None, &both);
    check_held(&[first(), lossy(2), counted(3, &["/0/c"], &both)], Some("loss-1"), &both[1..]);
    check_held(&[first(), lossy(2), counted(3, &["/0/c"], &both)], Some("loss-2"), &both[..1]);
    check_held(&[first(), lossy(2), counted(3, &["/0/c"], &[(1, "loss-3")])], None, &[(1, "loss-3")]);
    check_held(&[first(), lossy(2), counted(3, &["/0/c"], &[])], None, &[]);
    // The archive's own run is forgotten, and those that told of it are too.
    check_held(&[lossy(2), counted(3, &["/0/c"], &[])], None, &[]);
    check_held(&[counted(3, &["/0/c"], &[])], None, &[(1, "loss-1")]);
}

#[test]
fn what_the_ledger_holds_does_not_hang_on_the_runs_of_a_backup() {
    // Upload has said so and was killed before its run did; the run is not stored, or failed.
    let waiting = || counted(2, &[], &[(1, "loss-1")]);
    check_held(&[counted(1, &["/0/a"], &[]), waiting()], None, &[(1, "loss-1")]);
    // The Backup was made again, before its first run and after it.
    check_held(&[], None, &[(1, "loss-1")]);
    check_held(&[], Some("other,loss-1"), &[]);
    check_held(&[counted(3, &["/0/c"], &[])], Some("loss-2"), &[(1, "loss-1")]);
    // What an earlier version counted nobody knows.
    let former = || run(3, &["/0/c"]);
    check_held(
        &[counted(1, &["/0/a"], &[]), counted(2, &["/0/b"], &[(1, "loss-1")]), former()],
        None,
        &[(1, "loss-1")],
    );
    check_held(&[former()], None, &[(1, "loss-1")]);
}

#[test]
fn lines_of_archives_that_are_gone_are_kept_for_a_while_and_the_first_for_ever() {
    use PlaceState::{Deleted, Missing, Verified};
    let all = [
        line(1, &[Deleted]),
        line(2, &[Deleted, Missing]),
        line(3, &[Deleted, Verified]),
        line(4, &[Deleted]),
        line(5, &[Deleted]),
        line(6, &[Missing]),
    ];
    let lines = lines(all);
    let forgotten = |now, history: &History| lines.forgotten(history, now);
    let names = |days: &[i64]| days.iter().map(|day| line(*day, &[]).name_any()).collect::<Vec<_>>();
    assert_eq!(forgotten(day(11), &History::default()), names(&[]));
    assert_eq!(forgotten(day(11) + 1.second(), &History::default()), names(&[4]));
    assert_eq!(forgotten(day(92), &History::default()), names(&[4, 5]), "one that is missed may be there again");
    assert_eq!(
        forgotten(day(99), &History::default()),
        names(&[2, 4, 5]),
        "the newest is missed until there is another"
    );
    assert_eq!(forgotten(day(99), &history([run(4, &["/0/d"])])), names(&[2, 5]));
    assert_eq!(forgotten(day(0), &History::default()), names(&[]), "a time of the future decides nothing");
}

#[test]
fn however_many_archives_are_gone_their_lines_are_bounded() {
    let count = i64::try_from(DELETED_KEPT).unwrap() + 3;
    let gone = |state: PlaceState| {
        let gone = (1..=count).map(move |number| line(number, &[state]));
        lines(gone.chain([line(0, &[PlaceState::Verified]), line(count + 1, &[PlaceState::Verified])]))
    };
    let forgotten = gone(PlaceState::Deleted).forgotten(&History::default(), day(1));
    assert_eq!(forgotten, (1..=3).map(|number| line(number, &[]).name_any()).collect::<Vec<_>>());
    let forgotten = gone(PlaceState::Missing).forgotten(&History::default(), day(count + 2));
    assert_eq!(forgotten, (1..15).map(|number| line(number, &[]).name_any()).collect::<Vec<_>>());
}

#[test]
fn what_is_seen_is_noted_once_and_since_when() {
    let archive = line(1, &[PlaceState::Verified, PlaceState::Verified]);
    let here = places_of(&archive)[0].clone();
    let elsewhere = ArchivePlace { name: "elsewhere".into(), ..here.clone() };
    assert_eq!(seen(&archive, &here, PlaceState::Verified, "", day(5)), None);
    assert_eq!(seen(&archive, &elsewhere, PlaceState::Missing, "", day(5)), None);
    let status = seen(&archive, &here, PlaceState::Missing, "not there", day(5)).unwrap();
    let place = &status.places[0];
    assert_eq!((place.since.as_str(), place.reason.as_str()), (rfc3339(day(5)).as_str(), "not there"));
    assert_eq!(status.lies_at, "place-1");
    let other = BackupArchive { status: Some(status), ..archive };
    let again = seen(&other, &here, PlaceState::Missing, "still not there", day(6)).unwrap();
    assert_eq!(again.places[0].since, rfc3339(day(5)));
}

#[test]
fn that_somebody_has_looked_at_what_a_run_tells_is_noted_too() {
    let told = line_of_run(&run(1, &["/0/a"])).unwrap();
    let here = places_of(&told)[0].clone();
    assert_eq!((here.since.as_str(), here.verified_at), ("", rfc3339(day(1))));
    let status = seen(&told, &places_of(&told)[0], PlaceState::Verified, "", day(5)).unwrap();
    assert_eq!(status.places[0].since, rfc3339(day(5)));
    let looked_at = BackupArchive { status: Some(status), ..told };
    assert_eq!(seen(&looked_at, &places_of(&looked_at)[0], PlaceState::Verified, "", day(6)), None);
}
