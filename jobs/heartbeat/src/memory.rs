//! What each monitor was told last about a Backup or Restore, and whether something is news to it.

use std::collections::BTreeMap;

use drover::clock::{self, is_future};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::monitor::{Monitor, Service};
use crate::ping::{Concern, Signal};

/// How long the begin of a run is news. A start that is told later would only make the run look shorter than it was.
const START_IS_NEWS: SignedDuration = SignedDuration::from_mins(5);

/// How far a run is: of one run, what is told later says more. Their order is that of the variants.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) enum Phase {
    Began,
    /// A stage failed before the archive was stored; the next try may store it.
    Failed,
    Done,
    /// A stage failed after that: what is stored stays stored, and somebody has to look all the same.
    FailedLater,
}

/// Something that was or is to be told.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Mark {
    /// The event's id.
    pub(crate) id: String,
    /// The run's number; none for a Restore, and for a Job that died before it opened a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<i64>,
    /// Where a Job died before it opened a run: the newest run that was known when this was to be told, 0 where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) known: Option<i64>,
    pub(crate) phase: Phase,
    pub(crate) time: Timestamp,
}

/// What one monitor was told last.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Told {
    /// The begin of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<Mark>,
    /// How a run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<Mark>,
    /// The newest run of whose end it was told: also where the last that it was told has no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) newest: Option<i64>,
    /// Where an audit told that the Backup is not fresh: the newest run that was stored by then, 0 where none was. What it
    /// looked at was older than any success of a later run, and newer than those of this one and before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stale: Option<i64>,
    /// Whether the Backup was found well after the failure that stands above: an audit told so, or a success was withheld for
    /// the failure of another Backup. What failed keeps no success of others from the monitor any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_well: bool,
}

/// What all monitors were told about one Backup or Restore, by the monitor's name.
pub(crate) type Memory = BTreeMap<String, Told>;

/// Whether something is to be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum News {
    Yes,
    /// The monitor was told this.
    Known,
    /// The monitor was told something newer, or it is too late.
    Old,
}

impl Mark {
    /// Whether this comes after the other: by the numbers of their runs, within a run by how far it is, and by time alone
    /// where no number is known, for the clocks of two nodes differ.
    fn is_after(&self, other: &Self) -> bool {
        match (self.place(), other.place()) {
            (Some(one), Some(two)) => (one, self.phase, self.time) > (two, other.phase, other.time),
            _ => self.time > other.time,
        }
    }

    /// The run, and whether this comes behind all that is of it: a Job that died without one died between the newest that
    /// was known and the next.
    fn place(&self) -> Option<(i64, bool)> {
        let of_run = self.number.map(|number| (number, false));
        of_run.or_else(|| self.known.map(|known| (known, true)))
    }
}

impl Told {
    /// Takes times away that lie in the future: a wrong clock made them, and they would be newer than all that follows.
    fn forget_future(&mut self, now: Timestamp) {
        for mark in [&mut self.start, &mut self.end].into_iter().flatten() {
            if is_future(mark.time, now) {
                mark.time = Timestamp::UNIX_EPOCH;
            }
        }
    }

    /// Whether this is news to the monitor.
    pub(crate) fn news(&self, mark: &Mark, now: Timestamp) -> News {
        if mark.phase == Phase::Began {
            return self.start_news(mark, now);
        }
        match &self.end {
            Some(end) if end.id == mark.id => News::Known,
            Some(end) if !mark.is_after(end) => News::Old,
            _ if mark.number.is_some() && mark.number < self.newest => News::Old,
            _ if mark.phase == Phase::Done && mark.number.is_some() && mark.number <= self.stale => News::Old,
            _ => News::Yes,
        }
    }

    fn start_news(&self, mark: &Mark, now: Timestamp) -> News {
        let is_of_same = |start: &Mark| start.id == mark.id || (start.number.is_some() && start.number == mark.number);
        if self.start.as_ref().is_some_and(is_of_same) {
            return News::Known;
        }
        let is_over = self.end.as_ref().is_some_and(|end| !mark.is_after(end));
        let is_overtaken = self.start.as_ref().is_some_and(|start| !mark.is_after(start));
        let is_late = now.duration_since(mark.time) > START_IS_NEWS;
        if is_over || is_overtaken || is_late { News::Old } else { News::Yes }
    }

    /// Notes that the monitor was told this, unless something newer is noted.
    pub(crate) fn note(&mut self, mark: Mark) {
        let place = if mark.phase == Phase::Began {
            &mut self.start
        } else {
            self.newest = self.newest.max(mark.number);
            &mut self.end
        };
        if place.as_ref().is_none_or(|noted| mark.is_after(noted)) {
            self.is_well &= mark.phase == Phase::Began;
            *place = Some(mark);
        }
    }

    /// Whether a failure is the last that was told. What an audit found stale is over with the success of a later run.
    pub(crate) fn is_failing(&self) -> bool {
        let is_failed = |end: &Mark| signal(end.phase) == Signal::Failure;
        let is_later = |end: &Mark| end.phase == Phase::Done && end.number > self.stale;
        let is_stale = self.stale.is_some() && !self.end.as_ref().is_some_and(is_later);
        !self.is_well && (is_stale || self.end.as_ref().is_some_and(is_failed))
    }

    /// Whether the last that was told is a failure after the archive of the run `number` was stored, at `stored`. What a later
    /// stage failed at is over where it went well since, at `pruned`.
    pub(crate) fn is_failed_since(&self, number: i64, stored: Timestamp, pruned: Option<Timestamp>) -> bool {
        let is_over = |end: &Mark| end.phase == Phase::FailedLater && pruned.is_some_and(|pruned| pruned > end.time);
        let end = self.end.as_ref().filter(|end| !self.is_well && !is_over(end));
        end.is_some_and(|end| match (end.phase, end.number.or(end.known)) {
            (Phase::Began | Phase::Done, _) => false,
            (Phase::Failed | Phase::FailedLater, Some(other)) => other >= number,
            (Phase::Failed | Phase::FailedLater, None) => end.time > stored,
        })
    }
}

/// What an event is to a monitor.
pub(crate) const fn signal(phase: Phase) -> Signal {
    match phase {
        Phase::Began => Signal::Start,
        Phase::Done => Signal::Success,
        Phase::Failed | Phase::FailedLater => Signal::Failure,
    }
}

/// The member of a Backup or Restore.
pub(crate) fn member(concern: Concern, uid: &str) -> String {
    format!("{}.{uid}", concern.member())
}

/// The member of another Backup of which a failure is the last that this monitor was told: a monitor that Backups share
/// shows one state, and what one of them made red a success of another does not make green. Restores are not among them, for
/// none of them ever mends.
pub(crate) fn failing_elsewhere<'a>(
    members: &'a BTreeMap<String, String>,
    own: &str,
    monitor: &Monitor,
) -> Option<&'a str> {
    if matches!(monitor.service, Service::Webhook(_)) {
        return None;
    }
    let prefix = format!("{}.", Concern::Backup.member());
    let is_failing = |text| read(Some(text)).get(&monitor.name).is_some_and(Told::is_failing);
    let mut others = members.iter().filter(|(member, _)| member.starts_with(&prefix) && *member != own);
    others.find(|(_, text)| is_failing(text)).map(|(member, _)| member.as_str())
}

/// Reads a member. What somebody wrote into it that is none counts as nothing: a monitor is then told once more.
pub(crate) fn read(text: Option<&String>) -> Memory {
    let mut memory: Memory = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let now = clock::now();
    for told in memory.values_mut() {
        told.forget_future(now);
    }
    memory
}

#[cfg(test)]
mod tests;
