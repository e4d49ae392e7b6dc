//! The writing while controllers are down. Each time that one comes up in the middle it pauses, and goes on in another
//! round, in which everything is decided anew: whoever ran in between may have written.

use std::collections::HashSet;
use std::sync::Arc;

use drover::archive::Key;
use drover::exit::Failure;
use drover::resources::ResourceSet;
use drover::task;
use tokio_util::sync::CancellationToken;

use super::{Finished, Restoration};
use crate::apply::controllers::{Controllers, Guard, Hold, Watched};
use crate::report::outcome::{Outcome, Outside, Result as ObjectResult, Results};
use crate::report::progress::Doing;
use crate::survey::archive::facts::Position;
use crate::survey::archive::part::{Archive, is_same_object};

impl Restoration {
    /// Scales the controllers down and writes everything, in as many rounds as it takes.
    pub(super) async fn write_while_down(
        &self,
        controllers: &Controllers,
        set: Option<&ResourceSet>,
        hold: &Hold,
        shutdown: &CancellationToken,
    ) -> Result<Finished, Failure> {
        self.gauge.begin(Doing::ScalingDown, 0);
        if !controllers.scale_down(&self.server, hold, shutdown).await? {
            return Ok(self.untouched());
        }
        let held = self.holding(controllers, hold);
        let mut guard = Guard::new(&self.server, controllers, hold);
        let mut before = None;
        loop {
            let pause = shutdown.child_token();
            let round = Box::pin(held.round(controllers, set, hold, &pause));
            let (round, watched) = Box::pin(guard.during(round, &pause)).await;
            let mut finished = ended(before.take(), round)?;
            match watched {
                Watched::CameUp if goes_on(&finished) && !shutdown.is_cancelled() => {
                    before = Some(finished);
                    continue;
                }
                Watched::GivenUp(error) => finished.given_up = Some(error),
                Watched::Down | Watched::CameUp => {}
            }
            for told in guard.told() {
                let (archive, key) = (Arc::clone(&self.rest), told.key.clone());
                let found = task::spawn_blocking(move || archive.find(&key)).await.ok().flatten();
                tell(&mut finished, &self.rest, found, told);
            }
            return Ok(finished);
        }
    }

    /// What is decided and written once the controllers' pods are gone, unless `pause` comes first.
    async fn round(
        &self,
        controllers: &Controllers,
        set: Option<&ResourceSet>,
        hold: &Hold,
        pause: &CancellationToken,
    ) -> Result<Finished, Failure> {
        self.gauge.begin(Doing::ScalingDown, 0);
        if !controllers.are_gone(&self.server, hold, &self.gauge, pause).await? {
            return Ok(self.untouched());
        }
        self.gauge.begin(Doing::Comparing, 0);
        let (types, definitions) = self.known_types().await?;
        self.write(types, &definitions, set, pause).await
    }
}

/// Whether nothing but a controller keeps a round from going on.
const fn goes_on(finished: &Finished) -> bool {
    finished.lost.is_none() && finished.failed.is_none()
}

/// What a round came to after an earlier one: what that one did stays told, also where this one failed.
fn ended(earlier: Option<Finished>, round: Result<Finished, Failure>) -> Result<Finished, Failure> {
    match (earlier, round) {
        (Some(earlier), Err(failure)) => Ok(Finished { failed: Some(failure), ..earlier }),
        (earlier, round) => Ok(after(earlier, round?)),
    }
}

/// Says what became of an object where it is told of already: among those of this part of the archive, at that position, or
/// among the others.
fn tell(finished: &mut Finished, archive: &Arc<Archive>, position: Option<Position>, told: Outside) {
    let part = finished.parts.iter_mut().find(|(part, _)| Arc::ptr_eq(part, archive));
    if let Some(((_, results), position)) = part.zip(position) {
        let result = beside(results.outcome(position), results.reason(position), &told);
        results.set(position, result);
        return;
    }
    match finished.outside.iter_mut().find(|known| is_same_object(&known.key, &told.key)) {
        Some(known) => known.result = beside(known.result.outcome, &known.result.reason, &told),
        None => finished.outside.push(told),
    }
}

fn beside(outcome: Outcome, reason: &str, told: &Outside) -> ObjectResult {
    ObjectResult::noted(outcome, [reason, told.result.reason.as_str()])
}

/// What two rounds come to: what the earlier one wrote was not there, or not so, before the restore.
fn after(earlier: Option<Finished>, mut later: Finished) -> Finished {
    let Some(earlier) = earlier else { return later };
    for ((_, later), (_, earlier)) in later.parts.iter_mut().zip(&earlier.parts) {
        merge(earlier, later);
    }
    later.outside = outside(earlier.outside, later.outside);
    later
}

fn merge(earlier: &Results, later: &mut Results) {
    for position in later.positions() {
        let first = earlier.outcome(position);
        let (outcome, is_first) = both(first, later.outcome(position));
        if is_first {
            later.set(position, ObjectResult::new(outcome, earlier.reason(position).to_owned()));
        } else if outcome != later.outcome(position) {
            later.set(position, ObjectResult::new(outcome, later.reason(position).to_owned()));
        }
    }
}

/// What an object came to in both rounds, and whether that is all told by the first.
const fn both(first: Outcome, second: Outcome) -> (Outcome, bool) {
    match (first, second) {
        // What is created where it is missing and never written over is kept from then on.
        (Outcome::Created | Outcome::Updated, Outcome::Unchanged | Outcome::Kept) | (_, Outcome::Untouched) => {
            (first, true)
        }
        (Outcome::Created, Outcome::Updated) => (first, false),
        (_, second) => (second, false),
    }
}

/// What was pruned or made in the earlier round is not among the later one's, for it is gone, or there.
fn outside(earlier: Vec<Outside>, mut later: Vec<Outside>) -> Vec<Outside> {
    let known: HashSet<Key> = later.iter().map(|outside| outside.key.clone()).collect();
    let is_done = |outside: &Outside| matches!(outside.result.outcome, Outcome::Pruned | Outcome::Created);
    later.extend(earlier.into_iter().filter(|outside| is_done(outside) && !known.contains(&outside.key)));
    later
}

#[cfg(test)]
mod tests {
    use drover::archive::{Limits, Spool, Unsealing, Writer};
    use drover::exit::Exit;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_earlier_round_wrote_stays_told() {
        use Outcome::{Created, Failed, Kept, Unchanged, Untouched, Updated};
        for (first, second, expected) in [
            (Created, Unchanged, (Created, true)),
            (Updated, Unchanged, (Updated, true)),
            (Created, Kept, (Created, true)),
            (Unchanged, Kept, (Kept, false)),
            (Created, Updated, (Created, false)),
            (Updated, Updated, (Updated, false)),
            // Somebody deleted it in between.
            (Updated, Created, (Created, false)),
            // The later round did not come to it.
            (Created, Untouched, (Created, true)),
            (Failed, Untouched, (Failed, true)),
            (Kept, Untouched, (Kept, true)),
            (Untouched, Created, (Created, false)),
            (Unchanged, Updated, (Updated, false)),
            (Created, Failed, (Failed, false)),
            (Failed, Created, (Created, false)),
        ] {
            assert_eq!(both(first, second), expected, "{first:?} {second:?}");
        }
    }

    #[test]
    fn the_reason_is_that_of_the_round_that_tells_all() {
        let results = |outcomes: &[(Outcome, &str)]| {
            let mut results = Results::new(outcomes.len());
            for (position, (outcome, reason)) in (0..).zip(outcomes) {
                results.set(position, ObjectResult::new(*outcome, (*reason).to_owned()));
            }
            results
        };
        let earlier = results(&[(Outcome::Created, "first"), (Outcome::Created, "first"), (Outcome::Failed, "no")]);
        let second = [(Outcome::Unchanged, "second"), (Outcome::Updated, "second"), (Outcome::Created, "")];
        let mut later = results(&second);
        merge(&earlier, &mut later);
        let told = |position| (later.outcome(position), later.reason(position));
        assert_eq!(told(0), (Outcome::Created, "first"));
        assert_eq!(told(1), (Outcome::Created, "second"));
        assert_eq!(told(2), (Outcome::Created, ""));
    }

    fn of(name: &str, outcome: Outcome) -> Outside {
        let key = Key::from_path(&format!("secrets.#v1/a/{name}.json")).unwrap();
        Outside { key, result: ObjectResult::new(outcome, format!("why {name}")) }
    }

    #[test]
    fn what_an_earlier_round_did_stays_told_where_the_later_one_fails() {
        let failure = || Failure::new(Exit::Unavailable, "away");
        let earlier = Finished { outside: vec![of("a", Outcome::Pruned)], ..Finished::default() };
        let both = ended(Some(earlier), Err(failure())).unwrap_or_default();
        assert_eq!((both.outside.len(), goes_on(&both)), (1, false));
        assert_eq!(both.failed.map(|failure| failure.exit()), Some(Exit::Unavailable));
        assert!(ended(None, Err(failure())).is_err());
        assert!(ended(None, Ok(Finished::default())).is_ok_and(|first| goes_on(&first)));
    }

    /// What comes neither first nor last of an archive with these two.
    fn two() -> Arc<Archive> {
        let mut writer = Writer::new(Vec::<u8>::new(), jiff::Timestamp::UNIX_EPOCH);
        for name in ["one", "two"] {
            let metadata = json!({"namespace": "a", "name": name});
            let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata}).to_string();
            writer.append(&of(name, Outcome::Created).key, object.as_bytes()).unwrap();
        }
        let (bytes, _) = writer.finish().unwrap();
        let spool =
            Spool::read_in(&std::env::temp_dir(), &*bytes, &Limits::default(), Unsealing::Refuse, &mut |_| {}).unwrap();
        let [_, rest, _] = Archive::parts(&Arc::new(spool));
        Arc::new(rest)
    }

    #[test]
    fn each_object_is_told_of_once() {
        let (archive, mut results) = (two(), Results::new(2));
        results.set(1, ObjectResult::new(Outcome::Updated, "held".to_owned()));
        let outside = vec![of("gone", Outcome::Pruned)];
        let mut finished = Finished { parts: vec![(Arc::clone(&archive), results)], outside, ..Finished::default() };
        for name in ["two", "gone", "new"] {
            let told = of(name, Outcome::Kept);
            tell(&mut finished, &archive, archive.find(&told.key), told);
        }
        let (_, results) = &finished.parts[0];
        assert_eq!((results.outcome(1), results.reason(1)), (Outcome::Updated, "held; why two"));
        let others = finished.outside.iter().map(|told| (told.result.outcome, told.result.reason.as_str()));
        let expected = [(Outcome::Pruned, "why gone; why gone"), (Outcome::Kept, "why new")];
        assert_eq!(others.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_was_pruned_in_an_earlier_round_stays_told() {
        let earlier = vec![
            of("gone", Outcome::Pruned),
            of("came-back", Outcome::Pruned),
            of("held", Outcome::HeldBack),
            of("not-yet", Outcome::Untouched),
        ];
        let later = vec![of("came-back", Outcome::Untouched), of("held", Outcome::HeldBack)];
        let told = outside(earlier, later);
        let told: Vec<_> = told.iter().map(|told| (told.key.name.as_str(), told.result.outcome)).collect();
        let expected = [("came-back", Outcome::Untouched), ("held", Outcome::HeldBack), ("gone", Outcome::Pruned)];
        assert_eq!(told, expected);
    }
}
