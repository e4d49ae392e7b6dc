//! What became of each object.

use std::collections::HashMap;

use drover::archive::Key;
use drover::exit::Chain;
use serde::Serialize;

use crate::survey::archive::facts::Position;

/// The longest reason that is kept; an admission webhook may answer with pages.
const LONGEST_REASON: usize = 1000;

/// What became of an object.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Outcome {
    /// It was not there.
    Created,
    /// It was there and differed.
    Updated,
    /// It was there and the same.
    Unchanged,
    /// It is special and was left as it is.
    Kept,
    /// The archive lacks it, and it was deleted.
    Pruned,
    /// The archive lacks it, and it was not deleted for what would have gone with it.
    HeldBack,
    /// The server refused it.
    Failed,
    /// The restore ended before it came to this object.
    #[default]
    Untouched,
}

impl Outcome {
    /// All of them, in the order that they are shown in.
    pub(crate) const ALL: [Self; 8] = [
        Self::Created,
        Self::Updated,
        Self::Unchanged,
        Self::Kept,
        Self::Pruned,
        Self::HeldBack,
        Self::Failed,
        Self::Untouched,
    ];

    /// The word that programs read: the name of its count.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::HeldBack => "heldBack",
            other => other.word(),
        }
    }

    /// The outcome of that key.
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.key() == key)
    }

    /// The word that people read.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Kept => "kept",
            Self::Pruned => "pruned",
            Self::HeldBack => "held back",
            Self::Failed => "failed",
            Self::Untouched => "untouched",
        }
    }
}

/// What became of one object, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Result {
    /// What.
    pub(crate) outcome: Outcome,
    /// Why, or what is special; empty where there is nothing to say.
    pub(crate) reason: String,
}

impl Result {
    /// A result with its reason.
    pub(crate) fn new(outcome: Outcome, mut reason: String) -> Self {
        if let Some((end, _)) = reason.char_indices().nth(LONGEST_REASON) {
            reason.truncate(end);
            reason.push('…');
        }
        Self { outcome, reason }
    }

    /// A result with several things to say of it; empty ones are left out.
    pub(crate) fn noted<'a>(outcome: Outcome, notes: impl IntoIterator<Item = &'a str>) -> Self {
        let notes: Vec<&str> = notes.into_iter().filter(|note| !note.is_empty()).collect();
        Self::new(outcome, notes.join("; "))
    }

    /// The object was refused, and the error says why.
    pub(crate) fn failed(error: &(dyn std::error::Error + 'static)) -> Self {
        let reason = Chain(error).to_string();
        Self::new(Outcome::Failed, reason.trim_start_matches(": ").to_owned())
    }

    /// The object was left as it is, for a reason.
    pub(crate) fn kept(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::new(Outcome::Kept, reason.trim_start_matches(": ").to_owned())
    }
}

/// An object that is not one of the archive's, and what became of it: pruned, held back, or made since it was needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Outside {
    /// Which one.
    pub(crate) key: Key,
    /// What became of it.
    pub(crate) result: Result,
}

/// How many objects came to what.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    created: u32,
    updated: u32,
    unchanged: u32,
    kept: u32,
    pruned: u32,
    held_back: u32,
    failed: u32,
    untouched: u32,
}

impl Counts {
    /// How many came to that.
    pub(crate) const fn of(&self, outcome: Outcome) -> u32 {
        match outcome {
            Outcome::Created => self.created,
            Outcome::Updated => self.updated,
            Outcome::Unchanged => self.unchanged,
            Outcome::Kept => self.kept,
            Outcome::Pruned => self.pruned,
            Outcome::HeldBack => self.held_back,
            Outcome::Failed => self.failed,
            Outcome::Untouched => self.untouched,
        }
    }

    /// Whether nothing came to anything else.
    pub(crate) fn is_only(&self, outcome: Outcome) -> bool {
        Outcome::ALL.into_iter().all(|other| other == outcome || self.of(other) == 0)
    }

    /// One more.
    pub(crate) const fn add(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Created => &mut self.created,
            Outcome::Updated => &mut self.updated,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Kept => &mut self.kept,
            Outcome::Pruned => &mut self.pruned,
            Outcome::HeldBack => &mut self.held_back,
            Outcome::Failed => &mut self.failed,
            Outcome::Untouched => &mut self.untouched,
        };
        *count += 1;
    }

    /// Those that there are, in words: "3 created, 1 failed".
    pub(crate) fn in_words(&self) -> String {
        let some = Outcome::ALL.into_iter().filter(|outcome| self.of(*outcome) > 0);
        let words: Vec<String> = some.map(|outcome| format!("{} {}", self.of(outcome), outcome.word())).collect();
        if words.is_empty() { "nothing to do".to_owned() } else { words.join(", ") }
    }
}

/// The results of all objects, by position; a reason takes memory only where there is one.
#[derive(Debug)]
pub(crate) struct Results {
    outcomes: Vec<Outcome>,
    reasons: HashMap<Position, String>,
}

impl Results {
    /// Nothing has been done yet.
    pub(crate) fn new(objects: usize) -> Self {
        Self { outcomes: vec![Outcome::Untouched; objects], reasons: HashMap::new() }
    }

    /// The positions of all objects.
    pub(crate) fn positions(&self) -> impl Iterator<Item = Position> + use<> {
        (0..).take(self.outcomes.len())
    }

    /// Sets what became of an object; a later result takes the place of an earlier one.
    pub(crate) fn set(&mut self, position: Position, result: Result) {
        self.outcomes[position as usize] = result.outcome;
        if result.reason.is_empty() {
            self.reasons.remove(&position);
        } else {
            self.reasons.insert(position, result.reason);
        }
    }

    /// What became of an object.
    pub(crate) fn outcome(&self, position: Position) -> Outcome {
        self.outcomes[position as usize]
    }

    /// Why; empty where there is nothing to say.
    pub(crate) fn reason(&self, position: Position) -> &str {
        self.reasons.get(&position).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_and_said_in_words() {
        let mut results = Results::new(4);
        results.set(0, Result::new(Outcome::Created, String::new()));
        results.set(1, Result::kept("why"));
        results.set(2, Result::new(Outcome::Created, "note".to_owned()));
        let mut counts = Counts::default();
        (0..4).for_each(|position| counts.add(results.outcome(position)));
        assert_eq!(counts.in_words(), "2 created, 1 kept, 1 untouched");
        assert_eq!((results.reason(0), results.reason(1), results.reason(2)), ("", "why", "note"));
        assert_eq!(Counts::default().in_words(), "nothing to do");
    }

    #[test]
    fn programs_read_the_names_of_the_counts() {
        let counts = serde_json::to_value(Counts::default()).unwrap();
        for outcome in Outcome::ALL {
            assert_eq!(counts[outcome.key()], 0, "{outcome:?}");
            assert_eq!(Outcome::of_key(outcome.key()), Some(outcome));
        }
    }

    #[test]
    fn a_later_result_takes_the_place_of_an_earlier_one() {
        let mut results = Results::new(1);
        results.set(0, Result::kept("why"));
        results.set(0, Result::new(Outcome::Updated, String::new()));
        assert_eq!((results.outcome(0), results.reason(0)), (Outcome::Updated, ""));
    }

    #[test]
    fn reasons_are_cut_at_a_character() {
        let result = Result::new(Outcome::Failed, "é".repeat(LONGEST_REASON + 5));
        assert_eq!(result.reason.chars().count(), LONGEST_REASON + 1);
    }
}
