use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A mark of a run at a second.
fn mark(number: Option<i64>, phase: Phase, second: i64) -> Mark {
    let id = format!("{number:?}.{phase:?}.{second}");
    Mark { id, number, known: None, phase, time: Timestamp::from_second(second).unwrap() }
}

/// The mark of a Job that died before it opened a run, when this run was the newest.
fn without_run(known: i64, second: i64) -> Mark {
    let id = format!("died.{known}.{second}");
    Mark { id, known: Some(known), ..mark(None, Phase::Failed, second) }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[track_caller]
fn check(told: &[Mark], next: &Mark, expected: News) {
    let mut memory = Told::default();
    told.iter().cloned().for_each(|mark| memory.note(mark));
    assert_eq!(memory.news(next, next.time), expected, "{told:?} {next:?}");
}

#[test]
fn each_thing_is_told_once_and_in_its_order() {
    use Phase::{Began, Done, Failed, FailedLater};
    let of = |number, phase, second| mark(Some(number), phase, second);
    check(&[], &of(7, Done, 10), News::Yes);
    check(&[of(7, Done, 10)], &of(7, Done, 10), News::Known);
    check(&[of(7, Began, 1)], &of(7, Done, 10), News::Yes);
    check(&[of(7, Failed, 5)], &of(7, Failed, 9), News::Yes);
    check(&[of(7, Failed, 5)], &of(7, Done, 10), News::Yes);
    // Whatever the clocks of two nodes say: a run that is stored does not fail to be stored.
    check(&[of(7, Done, 10)], &of(7, Failed, 11), News::Old);
    check(&[of(8, Failed, 5)], &of(7, Done, 10), News::Old);
    check(&[of(7, Done, 10)], &of(7, FailedLater, 9), News::Yes);
    check(&[of(7, FailedLater, 9)], &of(8, Done, 20), News::Yes);
    // A success of a run is news although the next one has begun.
    check(&[of(8, Began, 12)], &of(7, Done, 20), News::Yes);
    // A Job that died before it opened a run has a time alone.
    check(&[mark(None, Failed, 30)], &of(7, Done, 20), News::Old);
    check(&[mark(None, Failed, 30)], &of(8, Done, 40), News::Yes);
    check(&[of(7, Done, 20)], &mark(None, Failed, 30), News::Yes);
}

#[test]
fn a_job_that_died_before_its_run_is_placed_by_the_newest_run_and_by_no_clock() {
    use Phase::{Began, Done, Failed, FailedLater};
    let of = |number, phase, second| mark(Some(number), phase, second);
    for second in [1, 1000] {
        let died = || without_run(7, second);
        check(&[died()], &of(8, Done, 100), News::Yes);
        check(&[died()], &of(8, Began, 100), News::Yes);
        check(&[died()], &of(8, Failed, 100), News::Yes);
        check(&[died()], &of(7, Done, 100), News::Old);
        check(&[died()], &of(6, Done, 100), News::Old);
        check(&[of(7, Done, 100)], &died(), News::Yes);
        check(&[of(7, FailedLater, 100)], &died(), News::Yes);
        check(&[of(8, Done, 100)], &died(), News::Old);
        check(&[without_run(0, second)], &of(1, Done, 100), News::Yes);
        check(&[died()], &without_run(8, 100), News::Yes);
    }
    check(&[without_run(7, 10)], &without_run(7, 11), News::Yes);
    check(&[without_run(7, 10)], &without_run(7, 9), News::Old);
    let mut told = Told::default();
    told.note(without_run(7, 1));
    assert!(told.is_failed_since(7, at(1000), None) && !told.is_failed_since(8, at(0), None));
}

#[test]
fn a_start_is_told_only_while_it_is_news() {
    use Phase::{Began, Done, Failed};
    let of = |number, phase, second| mark(Some(number), phase, second);
    check(&[of(7, Done, 10)], &of(8, Began, 20), News::Yes);
    check(&[of(8, Began, 20)], &of(8, Began, 25), News::Known);
    check(&[of(8, Failed, 20)], &of(8, Began, 19), News::Old);
    check(&[of(9, Began, 20)], &of(8, Began, 19), News::Old);
    let late = of(8, Began, 20);
    assert_eq!(Told::default().news(&late, at(20 + 300)), News::Yes);
    assert_eq!(Told::default().news(&late, at(20 + 301)), News::Old);
}

#[test]
fn a_failure_of_a_later_stage_is_remembered_until_the_next_success() {
    let mut told = Told::default();
    assert!(!told.is_failed_since(7, at(0), None));
    told.note(mark(Some(7), Phase::FailedLater, 1));
    assert!(told.is_failed_since(7, at(2), None) && !told.is_failed_since(8, at(0), None));
    told.note(mark(None, Phase::FailedLater, 5));
    assert!(told.is_failed_since(7, at(4), None) && !told.is_failed_since(7, at(6), None));
    told.note(mark(Some(8), Phase::Done, 9));
    assert!(!told.is_failed_since(8, at(0), None));
}

#[test]
fn a_failed_prune_is_over_once_one_went_well() {
    let mut told = Told::default();
    told.note(mark(Some(7), Phase::FailedLater, 10));
    assert!(told.is_failed_since(7, at(1), None));
    // The Job of a prune that died leaves the condition as the one before it did.
    assert!(told.is_failed_since(7, at(1), Some(at(9))));
    assert!(!told.is_failed_since(7, at(1), Some(at(11))));
    let mut told = Told::default();
    told.note(mark(Some(7), Phase::Failed, 10));
    assert!(told.is_failed_since(7, at(1), Some(at(11))), "a prune stores nothing");
}

#[test]
fn memory_is_read_as_it_was_written() {
    let mut told = Told::default();
    told.note(mark(Some(7), Phase::Began, 1));
    told.note(mark(None, Phase::Failed, 2));
    let memory = Memory::from([("team".to_owned(), told)]);
    assert_eq!(read(Some(&json!(memory).to_string())), memory);
    assert_eq!(read(Some(&"nonsense".to_owned())), Memory::new());
}

#[test]
fn a_note_that_comes_late_takes_nothing_back() {
    use Phase::{Began, Done, Failed};
    let mut told = Told::default();
    for late in [mark(Some(8), Failed, 20), mark(Some(7), Done, 10), mark(Some(7), Began, 5)] {
        told.note(late);
    }
    assert_eq!(told.end, Some(mark(Some(8), Failed, 20)));
    // A Job that died before it opened a run does not let an older run be told after all, whatever the clocks say.
    told.note(mark(None, Failed, 30));
    assert_eq!(told.news(&mark(Some(7), Done, 40), at(40)), News::Old);
    assert_eq!(told.news(&mark(Some(8), Done, 40), at(40)), News::Yes);
}

proptest! {
    /// Whatever is delivered, how often and in which order: no success of a run follows a failure of a later one.
    #[test]
    fn an_old_success_never_follows_a_newer_failure(
        deliveries in prop::collection::vec((0_i64..5, 0_usize..4, 0_i64..100), 1..40)
    ) {
        let phases = [Phase::Began, Phase::Failed, Phase::Done, Phase::FailedLater];
        let mut told = Told::default();
        let mut failed = None;
        for (number, phase, second) in deliveries {
            // Nought stands for a Job that died before it opened a run, which has failed.
            let mark = match number {
                0 => mark(None, Phase::Failed, second),
                number => mark(Some(number), phases[phase], second),
            };
            if told.news(&mark, mark.time) != News::Yes {
                continue;
            }
            told.note(mark.clone());
            match mark.phase {
                Phase::Began => {}
                Phase::Done => prop_assert!(mark.number >= failed, "{mark:?} after a failure of {failed:?}"),
                Phase::Failed | Phase::FailedLater => failed = failed.max(mark.number),
            }
        }
    }

    /// The same where Jobs die before they open a run, and whatever the clocks say: what is told follows the numbers, and the
    /// success of a run that is newer than all others is always told.
    #[test]
    fn no_clock_silences_a_success_of_a_newer_run_or_tells_an_older_one(
        deliveries in prop::collection::vec((0_i64..6, 0_usize..4, 0_i64..100), 1..40)
    ) {
        let phases = [Phase::Failed, Phase::Done, Phase::FailedLater];
        let mut told = Told::default();
        // The newest run of which anything was told, and the newest that a told failure comes behind.
        let (mut newest, mut failed) = (-1, -1);
        for (number, phase, second) in deliveries {
            let mark = match phases.get(phase) {
                Some(phase) => mark(Some(number), *phase, second),
                None => without_run(number, second),
            };
            let is_told = told.news(&mark, mark.time) == News::Yes;
            prop_assert!(is_told || number <= newest, "{mark:?} is newer than {newest}");
            if !is_told {
                continue;
            }
            told.note(mark.clone());
            match (mark.number, mark.phase) {
                (Some(_), Phase::Done) => prop_assert!(number >= failed, "{mark:?} after a failure of {failed}"),
                (Some(_), _) => failed = failed.max(number),
                // No success of this run or one before it may follow.
                (None, _) => failed = failed.max(number + 1),
            }
            newest = newest.max(number);
        }
    }

    /// Whenever runs are stored, their events come and audits look: what an audit has looked at is no success after it said
    /// that the Backup is not fresh, and what was stored since then is.
    #[test]
    fn a_success_of_before_an_audit_does_not_follow_its_failure(
        steps in prop::collection::vec((0_usize..5, 1_i64..6), 1..60)
    ) {
        let mut told = Told::default();
        let (mut stored, mut looked_at) = (0, 0);
        for (step, number) in steps {
            let done = mark(Some(number), Phase::Done, number);
            let is_news = told.news(&done, done.time) == News::Yes;
            match step {
                0 => stored += 1,
                1 => {
                    told.stale = Some(stored);
                    looked_at = stored;
                }
                2 => {
                    told.stale = None;
                    looked_at = 0;
                }
                3 if number <= stored && is_news => {
                    prop_assert!(number > looked_at, "{number}, and the audit had seen {looked_at}");
                    told.note(done);
                }
                3 if number <= stored => {
                    let is_old = told.newest.is_some_and(|newest| number <= newest);
                    prop_assert!(number <= looked_at || is_old, "{number} was stored after {looked_at} and is not told");
                }
                _ => {
                    let failed = mark(Some(number), Phase::FailedLater, number);
                    let is_newest = told.newest.is_none_or(|newest| number > newest);
                    let is_told = told.news(&failed, failed.time) == News::Yes;
                    prop_assert!(!is_newest || is_told, "an audit keeps no failure from being told");
                }
            }
        }
    }
}

#[test]
fn what_was_found_stale_is_over_with_the_success_of_a_later_run() {
    let stale = || Told { stale: Some(7), ..Told::default() };
    let after = |number, phase| {
        let mut told = stale();
        told.note(mark(Some(number), phase, 10));
        told.is_failing()
    };
    assert!(stale().is_failing());
    assert!(!after(8, Phase::Done));
    assert!(after(7, Phase::Done) && after(8, Phase::Failed) && after(8, Phase::FailedLater));
}
