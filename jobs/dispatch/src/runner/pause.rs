//! The growing pause between Jobs that do not get their work done.
//!
//! It is kept as annotations on the CronJob, so that it outlives the process, and is brought up to date from the Jobs that
//! have ended since: a process that was killed before it could note an end counts it all the same.

use std::collections::{BTreeMap, BTreeSet};

use drover::annotations::{ATTEMPTED_ANNOTATION, ATTEMPTS_ANNOTATION, COUNTED_ANNOTATION, NEXT_ATTEMPT_ANNOTATION};
use drover::clock::{TOLERANCE, is_future};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::facts::{Job, Outcome};
use super::marks::{marks_of, text_of};

/// The first pause.
const SHORTEST: SignedDuration = SignedDuration::from_secs(10);

/// The last one.
const LONGEST: SignedDuration = SignedDuration::from_mins(15);

/// The pause after so many Jobs in a row.
pub(crate) fn length(attempts: u32) -> SignedDuration {
    let doubled = 1_i32.checked_shl(attempts.saturating_sub(1)).filter(|factor| *factor > 0);
    doubled.and_then(|factor| SHORTEST.checked_mul(factor)).map_or(LONGEST, |pause| pause.min(LONGEST))
}

/// What a Job says that ended well although its work is still there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Success {
    /// It did what was there: what is there now came later.
    EndsThePause,
    /// It could not do it: it found somebody else at work, say.
    Counts,
}

/// When the next Job may start.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Pause {
    /// Jobs in a row that did not do the work.
    pub(crate) attempts: u32,
    /// Not before, for work that is not new.
    pub(crate) next: Option<Timestamp>,
    /// The work that those Jobs were started for.
    pub(crate) attempted: BTreeSet<String>,
    /// End and UID of the last Job that is counted.
    counted: Option<(Timestamp, String)>,
}

impl Pause {
    /// What a CronJob's annotations say. What cannot be read there was written by somebody else, and says nothing.
    pub(crate) fn read(annotations: &BTreeMap<String, String>) -> Self {
        let text = |name: &str| annotations.get(name).map(String::as_str);
        let counted = text(COUNTED_ANNOTATION).and_then(|text| {
            let (time, uid) = text.split_once('/')?;
            Some((time.parse().ok()?, uid.to_owned()))
        });
        Self {
            attempts: text(ATTEMPTS_ANNOTATION).and_then(|text| text.parse().ok()).unwrap_or_default(),
            next: text(NEXT_ATTEMPT_ANNOTATION).and_then(|text| text.parse().ok()),
            attempted: marks_of(text(ATTEMPTED_ANNOTATION).unwrap_or_default()),
            counted,
        }
    }

    /// The pause when the Jobs that ended since are counted too. What a wrong clock noted that has put it into the future
    /// is forgotten.
    #[must_use]
    pub(crate) fn counting(&self, jobs: &[&Job], success: Success, now: Timestamp) -> Self {
        if self.is_of_the_future(now) {
            let attempted = self.attempted.clone();
            return Self { attempted, ..Self::default() }.counting(jobs, success, now);
        }
        let mut ended: Vec<_> = jobs.iter().filter_map(|job| Some((job.ended_at(now)?, *job))).collect();
        ended.sort_by(|(at, job), (other_at, other)| (at, &job.uid).cmp(&(other_at, &other.uid)));
        let is_new = |at: Timestamp, job: &Job| {
            let counted = self.counted.as_ref();
            counted.is_none_or(|(counted_at, uid)| (at, job.uid.as_str()) > (*counted_at, uid.as_str()))
        };
        ended
            .into_iter()
            .filter(|(at, job)| is_new(*at, job))
            .fold(self.clone(), |pause, (at, job)| pause.count(at, job, success))
    }

    fn is_of_the_future(&self, now: Timestamp) -> bool {
        let counted = self.counted.as_ref().is_some_and(|(at, _)| is_future(*at, now));
        counted || self.next.is_some_and(|next| next.duration_since(now) > LONGEST + TOLERANCE)
    }

    fn count(mut self, at: Timestamp, job: &Job, success: Success) -> Self {
        let failed = matches!(job.outcome, Outcome::Failed { .. });
        if failed || (success == Success::Counts && job.is_ours) {
            self.attempts = self.attempts.saturating_add(1);
        } else if success == Success::EndsThePause && (job.is_ours || self.attempts > 0) {
            self.attempts = 0;
        } else {
            // A Job of the CronJob's own schedule, of which there is one every few minutes.
            return self;
        }
        if failed || job.is_ours {
            self.next = at.checked_add(length(self.attempts)).ok();
            self.attempted.extend(job.attempted.iter().cloned());
        }
        self.counted = Some((at, job.uid.clone()));
        self
    }

    /// The pause when there is no work any more.
    #[must_use]
    pub(crate) fn over(self) -> Self {
        Self { counted: self.counted, ..Self::default() }
    }

    /// Whether there is something that a new process must know: also what is counted already, or Jobs that did their work
    /// would be taken for tries of the work that comes next.
    pub(crate) fn differs(&self, noted: &Self) -> bool {
        let known = |pause: &Self| (pause.attempts, pause.attempted.clone(), pause.counted.clone());
        known(self) != known(noted) || (self.attempts > 0 && self.next != noted.next)
    }

    /// Whether work of these marks was never tried.
    pub(crate) fn is_new(&self, marks: &BTreeSet<String>) -> bool {
        !marks.is_subset(&self.attempted)
    }

    /// The annotations, `null` for what is to go.
    pub(crate) fn annotations(&self) -> Value {
        let counted = self.counted.as_ref().map(|(at, uid)| format!("{at}/{uid}"));
        let is_paused = self.attempts > 0;
        json!({
            ATTEMPTS_ANNOTATION: is_paused.then(|| self.attempts.to_string()),
            NEXT_ATTEMPT_ANNOTATION: self.next.filter(|_| is_paused).map(drover::resources::rfc3339),
            ATTEMPTED_ANNOTATION: (!self.attempted.is_empty()).then(|| text_of(&self.attempted)),
            COUNTED_ANNOTATION: counted,
        })
    }
}
