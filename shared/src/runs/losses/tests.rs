use super::super::history::tests::{backup, run};
use super::*;
use crate::resources::{Place, RunState, SnapshotStage, StageState, UploadStage};
use crate::runs::lacking;

/// A run that is stored, with these counts.
fn stored(number: i64, types: &[(&str, i64)], losses: Option<Losses>) -> BackupRun {
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
    let found = losses(&stored(1, &[(name, before)], None), &counted(&now));
    assert_eq!(found.map(|losses| losses.types[0].reason), expected, "{name}: {before}, then {now:?}");
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
        losses(&stored(base, types, None), &counted(now)).unwrap().confirmation
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
    let base = stored(1, &full, None);
    let lost = losses(&base, &counted(&[("secrets", 10)])).unwrap();
    let second = stored(2, &[("secrets", 10)], Some(lost.clone()));
    let third = stored(3, &[("secrets", 10)], Some(lost.clone()));
    let history = History::of(&backup(), [base.clone(), second.clone(), third]);
    let none = Allowed::default();
    assert_eq!(measure(&history, none).unwrap().spec.number, 1);
    let (archive, held) = hold(&history, none).unwrap();
    assert_eq!((archive.as_str(), &held.confirmation), ("daily-1.tar.gz", &lost.confirmation));
    for words in ["things.gone.io (5 before, 0 now, the cluster serves it no longer)", lost.confirmation.as_str()] {
        assert!(held.reason.contains(words), "{}", held.reason);
    }

    let words = format!("fewer-objects, {}", lost.confirmation);
    let confirmed = Allowed::by(Some(&words));
    assert_eq!((measure(&history, confirmed).unwrap().spec.number, hold(&history, confirmed)), (3, None));
    let others = Allowed::by(Some("loss-00000000,fewer-objects"));
    assert!(hold(&history, others).is_some());

    let mended = History::of(&backup(), [base, second, stored(3, &full, None)]);
    assert_eq!((measure(&mended, none).unwrap().spec.number, hold(&mended, none)), (3, None));
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
    let base = stored(1, &[("secrets", 10), ("things.gone.io", 5)], None);
    let lost = losses(&base, &counted(&[("secrets", 10)]));
    let lossy = |number, state| stored_at_one_place(stored(number, &[("secrets", 10)], lost.clone()), state);
    for state in [RunState::InProgress, RunState::Failed] {
        let history = History::of(&backup, [base.clone(), lossy(2, state)]);
        assert_eq!(measure(&history, none).unwrap().spec.number, 1);
        assert_eq!(hold(&history, none).unwrap().0, "daily-1.tar.gz", "{state:?}");
        assert!(lacking(&history, &backup)[0].contains("things.gone.io"), "{state:?}");
        let confirmation = lost.as_ref().unwrap().confirmation.as_str();
        assert_eq!(hold(&history, Allowed::by(Some(confirmation))), None, "{state:?}");
    }

    // What no place has displaces nothing, and what lacks types is no backup.
    let mut nowhere = lossy(2, RunState::InProgress);
    nowhere.status.as_mut().unwrap().upload = None;
    assert_eq!(hold(&History::of(&backup, [base.clone(), nowhere]), none), None);
    let mut lacks_types = lossy(2, RunState::InProgress);
    let snapshot = lacks_types.status.as_mut().unwrap().snapshot.as_mut().unwrap();
    snapshot.missing_types = vec!["others.a.io".into()];
    let history = History::of(&backup, [base.clone(), lacks_types]);
    assert_eq!(hold(&history, none), None);
    assert!(lacking(&history, &backup)[0].contains("others.a.io"));

    // The run that tells of it is kept for as long.
    let mut runs = vec![base, lossy(2, RunState::Failed)];
    runs.extend((3..15).map(|number| run(number, RunState::Failed, false)));
    let expired = History::of(&backup, runs).expired();
    assert_eq!(expired, ["daily-3", "daily-4"]);
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
    let lost = losses(&stored(1, &known, None), &counted(&[])).unwrap();
    assert_eq!((lost.count, lost.types.len()), (30, 20));
    assert!(lost.to_string().ends_with(" and 10 more types"), "{lost}");
}
