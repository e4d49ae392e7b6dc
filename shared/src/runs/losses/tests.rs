use super::super::history::tests::{backup, run};
use super::*;
use crate::resources::{Place, RunState, SnapshotStage, StageState, UploadStage};
use crate::runs::lacking;

/// A run that is stored, with these counts.
fn stored(number: i64, types: &[(&str, i64)], losses: Vec<Losses>) -> BackupRun {
    let mut run = run(number, RunState::Completed, true);
    run.spec.filename = format!("daily-{number}.tar.gz");
    let types = types.iter().map(|(name, objects)| ((*name).to_owned(), *objects)).collect();
    let snapshot = SnapshotStage { types, losses, ..status_of(&run).snapshot.unwrap() };
    run.status.as_mut().unwrap().snapshot = Some(snapshot);
    run
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What a snapshot lost after these runs.
fn lost(runs: &[BackupRun], counted: &Counted, words: Option<&str>) -> Vec<Losses> {
    losses(&History::of(&backup(), runs.iter().cloned()), counted, Allowed::by(words))
}

/// The cluster serves the core group and two types of `a.io`.
fn counted(types: &[(&str, u64)]) -> Counted {
    Counted {
        types: types.iter().map(|(name, objects)| ((*name).to_owned(), *objects)).collect(),
        groups: names(&["", "a.io", "gone.io", "down.io"]),
        served: names(&["secrets", "configmaps", "things.a.io", "others.a.io"]),
        missing: names(&["others.a.io"]),
        unknown_groups: names(&["down.io"]),
    }
}

#[track_caller]
fn check(name: &str, before: i64, now: Option<u64>, expected: Option<LossReason>) {
    let now: Vec<_> = now.map(|now| (name, now)).into_iter().collect();
    let found = lost(&[stored(1, &[(name, before)], Vec::new())], &counted(&now), None);
    let reason = found.first().map(|losses| losses.types[0].reason);
    assert_eq!(reason, expected, "{name}: {before}, then {now:?}");
}

#[test]
fn a_type_is_lost_that_is_served_no_longer_or_of_which_none_or_fewer_than_half_and_three_fewer_are_left() {
    use LossReason::{Fewer, NotSelected, NotServed};
    check("secrets", 10, Some(5), None);
    check("secrets", 10, Some(4), Some(Fewer));
    check("secrets", 5, Some(2), Some(Fewer));
    check("secrets", 3, Some(0), Some(Fewer));
    check("secrets", 3, Some(1), None);
    check("secrets", 2, Some(0), Some(Fewer));
    check("secrets", 1, Some(0), Some(Fewer));
    check("secrets", 1, Some(1), None);
    check("pods", 2, Some(0), None);
    check("secrets", 0, None, None);
    check("events", 1_000, Some(0), None);
    check("things.gone.io", 1, None, Some(NotServed));
    check("lost.a.io", 1, None, Some(NotServed));
    check("tokens.gone.io", 40, None, Some(NotServed));
    check("things.a.io", 3, None, Some(NotSelected));
    check("things.a.io", 1, None, Some(NotSelected));
    check("jobs.batch", 2, None, None);
    check("things.never-named.io", 3, None, Some(NotSelected));
    check("others.a.io", 50, None, None);
    check("things.down.io", 50, None, None);
}

#[test]
fn a_confirmation_is_for_these_types_since_that_archive() {
    let word = |base: i64, types: &[(&str, i64)], now: &[(&str, u64)]| {
        lost(&[stored(base, types, Vec::new())], &counted(now), None).remove(0).confirmation
    };
    let one = word(1, &[("things.gone.io", 5)], &[]);
    assert!(one.starts_with("loss-") && one.len() == 13, "{one}");
    assert_eq!(word(1, &[("things.gone.io", 7), ("secrets", 4)], &[("secrets", 4)]), one);
    assert_ne!(word(2, &[("things.gone.io", 5)], &[]), one, "another archive");
    assert_ne!(word(1, &[("things.gone.io", 5), ("secrets", 4)], &[("secrets", 0)]), one, "a further type");
}

#[test]
fn the_same_loss_is_told_until_it_is_confirmed_or_mended() {
    let full = [("secrets", 10), ("things.gone.io", 5)];
    let base = stored(1, &full, Vec::new());
    let now = counted(&[("secrets", 10)]);
    let first = lost(std::slice::from_ref(&base), &now, None);
    let lossy = |number| stored(number, &[("secrets", 10)], first.clone());
    assert_eq!(lost(&[base.clone(), lossy(2)], &now, None), first);
    let history = History::of(&backup(), [base.clone(), lossy(2), lossy(3)]);
    let held: Vec<_> = holds(&history, Allowed::default()).into_iter().collect();
    let [(archive, held)] = &held[..] else { panic!("{held:?}") };
    let word = first[0].confirmation.as_str();
    assert_eq!((archive.as_str(), held.confirmation.as_str()), ("daily-1.tar.gz", word));
    for words in ["things.gone.io (5 before, 0 now, the cluster serves it no longer)", word] {
        assert!(held.reason.contains(words), "{}", held.reason);
    }

    let words = format!("fewer-objects, {word}");
    assert_eq!(lost(&[base.clone(), lossy(2)], &now, Some(&words)), []);
    assert!(holds(&history, Allowed::by(Some(&words))).is_empty());
    assert!(!holds(&history, Allowed::by(Some("loss-00000000,fewer-objects"))).is_empty());

    let mended = [base, lossy(2), stored(3, &full, Vec::new())];
    assert!(holds(&History::of(&backup(), mended.clone()), Allowed::default()).is_empty());
    assert_eq!(lost(&mended, &now, None)[0].kept, "daily-3.tar.gz");
}

/// Runs of a Backup, one after another: each counts these things of `things.gone.io` and others of `others.gone.io`, and is
/// stored. Gives what each lost: the number of the run whose archive is kept, and the type.
fn told(counts: &[(u64, u64)], words: impl Fn(&[BackupRun]) -> String) -> (Vec<BackupRun>, Vec<Vec<String>>) {
    let mut runs: Vec<BackupRun> = Vec::new();
    let mut told = Vec::new();
    for (number, (things, others)) in (1..).zip(counts) {
        let types = [("secrets", 9), ("things.gone.io", *things), ("others.gone.io", *others)];
        let there: Vec<_> = types.into_iter().filter(|(_, objects)| *objects > 0).collect();
        let found = lost(&runs, &counted(&there), Some(&words(&runs)));
        told.push(found.iter().map(|losses| format!("{}: {losses}", losses.kept)).collect());
        let there: Vec<_> = there.into_iter().map(|(name, objects)| (name, i64::try_from(objects).unwrap())).collect();
        runs.push(stored(number, &there, found));
    }
    (runs, told)
}

const THINGS: &str = "daily-1.tar.gz: things.gone.io (5 before, 0 now, the cluster serves it no longer)";
const OTHERS: &str = "daily-2.tar.gz: others.gone.io (4 before, 0 now, the cluster serves it no longer)";

fn held_by(runs: &[BackupRun], words: Option<&str>) -> Vec<String> {
    holds(&History::of(&backup(), runs.iter().cloned()), Allowed::by(words)).into_keys().collect()
}

#[test]
fn a_loss_is_told_and_held_beside_one_that_is_open_and_each_has_its_word() {
    let (runs, told) = told(&[(5, 0), (0, 4), (0, 0), (0, 0)], |_| String::new());
    let both = [THINGS.to_owned(), OTHERS.to_owned()];
    assert_eq!(told, [vec![], both[..1].to_vec(), both.to_vec(), both.to_vec()]);
    assert_eq!(held_by(&runs, None), ["daily-1.tar.gz", "daily-2.tar.gz"]);
    let losses = status_of(&runs[3]).snapshot.unwrap().losses;
    let [things, others] = &losses[..] else { panic!("{losses:?}") };
    assert_ne!(things.confirmation, others.confirmation);
    assert_eq!(held_by(&runs, Some(&things.confirmation)), ["daily-2.tar.gz"]);
    assert_eq!(held_by(&runs, Some(&others.confirmation)), ["daily-1.tar.gz"]);
    let none = counted(&[("secrets", 9)]);
    assert_eq!(lost(&runs, &none, Some(&things.confirmation)), losses[1..]);
    let of_backup = lacking(&History::of(&backup(), runs), &backup());
    for losses in &losses {
        let words = format!("{losses}, in {:?} ({})", losses.kept, losses.confirmation);
        assert!(of_backup[0].contains(&words), "{words}: {of_backup:?}");
    }
}

#[test]
fn what_is_lost_is_known_however_many_runs_come_and_ends_with_the_objects() {
    let mut counts = vec![(5, 0), (0, 4)];
    counts.extend([(0, 0); 14]);
    let (runs, _) = told(&counts, |_| String::new());
    let history = History::of(&backup(), runs.clone());
    assert_eq!(history.expired(), (1..=6).map(|number| format!("daily-{number}")).collect::<Vec<_>>());
    let left = &runs[6..];
    assert_eq!(held_by(left, None), ["daily-1.tar.gz", "daily-2.tar.gz"]);
    let only_things = counted(&[("secrets", 9), ("things.gone.io", 5)]);
    let found = lost(left, &only_things, None);
    assert_eq!(found.iter().map(|losses| losses.kept.as_str()).collect::<Vec<_>>(), ["daily-2.tar.gz"]);
    let word = status_of(&runs[15]).snapshot.unwrap().losses[0].confirmation.clone();
    let next = stored(17, &[("secrets", 9), ("things.gone.io", 5)], found);
    let history = |runs: &[BackupRun]| History::of(&backup(), runs.iter().cloned());
    assert!(!is_over(&history(left), &word));
    let runs = [left, &[next]].concat();
    assert!(is_over(&history(&runs), &word));
    assert!(!is_over(&history(&runs[10..]), &word), "what nobody knows any more does not end");
}

#[test]
fn a_type_that_was_confirmed_to_be_lost_is_measured_from_there() {
    let confirmed = |runs: &[BackupRun]| {
        let losses = runs.last().map(|run| status_of(run).snapshot.unwrap().losses).unwrap_or_default();
        losses.into_iter().map(|losses| losses.confirmation).collect::<Vec<_>>().join(",")
    };
    let (_, told) = told(&[(5, 4), (0, 4), (0, 0), (3, 0), (0, 0)], confirmed);
    let kept: Vec<Vec<_>> = told.iter().map(|told| told.iter().map(|words| &words[..7]).collect()).collect();
    assert_eq!(kept, [vec![], vec!["daily-1"], vec!["daily-2"], vec![], vec!["daily-4"]]);
}

#[test]
fn a_run_of_an_earlier_version_neither_measures_nor_ends_a_hold() {
    let (mut runs, _) = told(&[(5, 4), (0, 4)], |_| String::new());
    runs.push(stored(3, &[], Vec::new()));
    assert_eq!(held_by(&runs, None), ["daily-1.tar.gz"]);
    assert!(lacking(&History::of(&backup(), runs.clone()), &backup())[0].contains("things.gone.io"));
    let found = lost(&runs, &counted(&[("secrets", 9)]), None);
    let kept: Vec<_> = found.iter().map(|losses| losses.kept.as_str()).collect();
    assert_eq!(kept, ["daily-1.tar.gz", "daily-2.tar.gz"]);
    runs.extend((4..20).map(|number| stored(number, &[], Vec::new())));
    let expired = History::of(&backup(), runs).expired();
    assert!(!expired.contains(&"daily-2".to_owned()) && expired.contains(&"daily-1".to_owned()), "{expired:?}");
}

/// The same run while a further place is away, or after it waited for that one too long.
fn stored_at_one_place(mut run: BackupRun, state: RunState) -> BackupRun {
    let place = |name: &str, state| Place {
        name: name.to_owned(),
        location: String::new(),
        verified_bytes: 1,
        state,
        verified_at: None,
        reason: None,
    };
    let places = vec![place("far", StageState::Failed), place(Place::DEFAULT, StageState::Completed)];
    let status = run.status.as_mut().unwrap();
    status.upload = Some(UploadStage { places, ..UploadStage::default() });
    status.state = state;
    run
}

#[test]
fn what_is_lost_while_a_place_is_away_is_held_and_told() {
    let (backup, none) = (backup(), Allowed::default());
    let base = stored(1, &[("secrets", 10), ("things.gone.io", 5)], Vec::new());
    let lost = lost(std::slice::from_ref(&base), &counted(&[("secrets", 10)]), None);
    let word = lost[0].confirmation.as_str();
    let lossy = |number, state| stored_at_one_place(stored(number, &[("secrets", 10)], lost.clone()), state);
    for state in [RunState::InProgress, RunState::Failed] {
        let runs = [base.clone(), lossy(2, state)];
        assert_eq!(held_by(&runs, None), ["daily-1.tar.gz"], "{state:?}");
        assert!(lacking(&History::of(&backup, runs.clone()), &backup)[0].contains("things.gone.io"), "{state:?}");
        assert!(held_by(&runs, Some(word)).is_empty(), "{state:?}");
    }

    // What no place has displaces nothing, and what lacks types is no backup.
    let mut nowhere = lossy(2, RunState::InProgress);
    nowhere.status.as_mut().unwrap().upload = None;
    assert!(held_by(&[base.clone(), nowhere], None).is_empty());
    let mut lacks_types = lossy(2, RunState::InProgress);
    lacks_types.status.as_mut().unwrap().snapshot.as_mut().unwrap().missing_types = vec!["others.a.io".to_owned()];
    let history = History::of(&backup, [base.clone(), lacks_types]);
    assert!(holds(&history, none).is_empty());
    assert!(lacking(&history, &backup)[0].contains("others.a.io"));

    // The run that tells of it is kept for as long.
    let mut runs = vec![base, lossy(2, RunState::Failed)];
    runs.extend((3..15).map(|number| run(number, RunState::Failed, false)));
    let expired = History::of(&backup, runs).expired();
    assert_eq!(expired, ["daily-3", "daily-4"]);
}

#[test]
fn what_came_and_went_while_a_place_is_away_is_measured_by_the_place_that_has_it() {
    let base = stored(1, &[("secrets", 10)], Vec::new());
    let with_things = stored(2, &[("secrets", 10), ("things.gone.io", 5)], Vec::new());
    for state in [RunState::InProgress, RunState::Failed] {
        let runs = [base.clone(), stored_at_one_place(with_things.clone(), state)];
        let found = lost(&runs, &counted(&[("secrets", 10)]), None);
        assert_eq!(
            found.iter().map(|losses| losses.kept.as_str()).collect::<Vec<_>>(),
            ["daily-2.tar.gz"],
            "{state:?}"
        );
        let third = stored_at_one_place(stored(3, &[("secrets", 10)], found), RunState::InProgress);
        assert_eq!(held_by(&[&runs[..], &[third]].concat(), None), ["daily-2.tar.gz"], "{state:?}");
    }
}

#[test]
fn only_what_is_there_is_remembered_and_of_too_many_types_the_largest() {
    let some = counted(&[("secrets", 4), ("configmaps", 0)]);
    assert_eq!(some.remembered(), BTreeMap::from([("secrets".to_owned(), 4)]));
    let types = (0..2_000).map(|number| (format!("type-{number:04}"), number)).collect();
    let many = Counted { types, ..Counted::default() }.remembered();
    assert_eq!((many.len(), many.first_key_value().unwrap().0.as_str()), (1_000, "type-1000"));
}

#[test]
fn of_many_losses_the_first_are_named() {
    let known: Vec<_> = (0..30).map(|number| format!("things{number:02}.gone.io")).collect();
    let known: Vec<_> = known.iter().map(|name| (name.as_str(), 1)).collect();
    let lost = lost(&[stored(1, &known, Vec::new())], &counted(&[]), None).remove(0);
    assert_eq!((lost.count, lost.types.len()), (30, 30));
    assert!(
        lost.to_string()
            .ends_with("things19.gone.io (1 before, 0 now, the cluster serves it no longer) and 10 more types")
    );
}
