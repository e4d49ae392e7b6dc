//! What each monitor was told last about a Backup or Restore, and whether something is news to it.
//!
//! It lies in one ConfigMap of drover's namespace, in a member for each Backup and Restore, so that it outlives the pod
//! and the queue, and a person can read it.

use std::collections::BTreeMap;

use drover::cluster::ApiError;
use drover::exit::{Exit, Fault};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use snafu::{ResultExt, Snafu};

use crate::JOB;
use crate::ping::Concern;
use crate::signal::Signal;

/// The ConfigMap. The manifests bring it, so that the job needs the right to change this one alone.
pub(crate) const CONFIG_MAP: &str = "heartbeat-told";

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
    /// where a number is missing.
    fn is_after(&self, other: &Self) -> bool {
        match (self.number, other.number) {
            (Some(one), Some(two)) => (one, self.phase, self.time) > (two, other.phase, other.time),
            _ => self.time > other.time,
        }
    }
}

impl Told {
    /// Whether this is news to the monitor.
    pub(crate) fn news(&self, mark: &Mark, now: Timestamp) -> News {
        if mark.phase == Phase::Began {
            return self.start_news(mark, now);
        }
        match &self.end {
            Some(end) if end.id == mark.id => News::Known,
            Some(end) if !mark.is_after(end) => News::Old,
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

    /// Notes that the monitor was told this.
    pub(crate) fn note(&mut self, mark: Mark) {
        let place = if mark.phase == Phase::Began { &mut self.start } else { &mut self.end };
        *place = Some(mark);
    }

    /// Whether the last that was told is a failure after the archive of the run `number` was stored, at `stored`.
    pub(crate) fn is_failed_since(&self, number: i64, stored: Timestamp) -> bool {
        self.end.as_ref().is_some_and(|end| match (end.phase, end.number) {
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

/// Why it is not known what monitors were told.
#[derive(Debug, Snafu)]
pub(crate) enum MemoryError {
    #[snafu(display(
        "failed to find the ConfigMap {CONFIG_MAP:?} in the namespace {namespace:?}, which says what monitors were told; apply \
         the component heartbeat again"
    ))]
    Find { namespace: String },
    #[snafu(display("failed to read the ConfigMap {CONFIG_MAP:?} in the namespace {namespace:?}"))]
    Read { namespace: String, source: ApiError },
    #[snafu(display(
        "failed to note in the ConfigMap {CONFIG_MAP:?} in the namespace {namespace:?} what monitors were told"
    ))]
    Write { namespace: String, source: ApiError },
}

impl Fault for MemoryError {
    fn exit(&self) -> Exit {
        match self {
            Self::Find { .. } => Exit::Usage,
            Self::Read { source, .. } | Self::Write { source, .. } => source.exit(),
        }
    }
}

/// The memory as it lies in the cluster.
pub(crate) struct Memories {
    api: Api<ConfigMap>,
    namespace: String,
}

impl Memories {
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), namespace: namespace.to_owned() }
    }

    /// What monitors were told about everything.
    pub(crate) async fn all(&self) -> Result<BTreeMap<String, String>, MemoryError> {
        let namespace = &self.namespace;
        let found = self.api.get_opt(CONFIG_MAP).await.map_err(ApiError::from).context(ReadSnafu { namespace })?;
        let Some(map) = found else { return FindSnafu { namespace }.fail() };
        Ok(map.data.unwrap_or_default())
    }

    /// What monitors were told about one Backup or Restore.
    pub(crate) async fn of(&self, concern: Concern, uid: &str) -> Result<Memory, MemoryError> {
        Ok(read(self.all().await?.get(&member(concern, uid))))
    }

    /// Notes what they were told.
    pub(crate) async fn note(&self, concern: Concern, uid: &str, memory: &Memory) -> Result<(), MemoryError> {
        self.change(&[(member(concern, uid), json!(json!(memory).to_string()))]).await
    }

    /// Forgets these members.
    pub(crate) async fn forget(&self, members: Vec<String>) -> Result<(), MemoryError> {
        if members.is_empty() {
            return Ok(());
        }
        let members: Vec<_> = members.into_iter().map(|member| (member, Value::Null)).collect();
        self.change(&members).await
    }

    /// Changes members, and leaves the others to whoever else is at work.
    async fn change(&self, members: &[(String, Value)]) -> Result<(), MemoryError> {
        let data: serde_json::Map<_, _> = members.iter().cloned().collect();
        let patch = Patch::Merge(json!({ "data": data }));
        let parameters = PatchParams { field_manager: Some(JOB.to_owned()), ..PatchParams::default() };
        let written = self.api.patch(CONFIG_MAP, &parameters, &patch).await.map_err(ApiError::from);
        written.context(WriteSnafu { namespace: &self.namespace })?;
        Ok(())
    }
}

/// The member of a Backup or Restore.
pub(crate) fn member(concern: Concern, uid: &str) -> String {
    format!("{}.{uid}", concern.member())
}

/// Reads a member. What somebody wrote into it that is none counts as nothing: a monitor is then told once more.
pub(crate) fn read(text: Option<&String>) -> Memory {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A mark of a run at a second.
    fn mark(number: Option<i64>, phase: Phase, second: i64) -> Mark {
        let id = format!("{number:?}.{phase:?}.{second}");
        Mark { id, number, phase, time: Timestamp::from_second(second).unwrap() }
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
        assert!(!told.is_failed_since(7, at(0)));
        told.note(mark(Some(7), Phase::FailedLater, 1));
        assert!(told.is_failed_since(7, at(2)) && !told.is_failed_since(8, at(0)));
        told.note(mark(None, Phase::FailedLater, 5));
        assert!(told.is_failed_since(7, at(4)) && !told.is_failed_since(7, at(6)));
        told.note(mark(Some(8), Phase::Done, 1));
        assert!(!told.is_failed_since(8, at(0)));
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

    proptest! {
        /// Whatever is delivered, how often and in which order: no success of a run follows a failure of a later one.
        #[test]
        fn an_old_success_never_follows_a_newer_failure(
            deliveries in prop::collection::vec((1_i64..5, 0_usize..4, 0_i64..100), 1..40)
        ) {
            let phases = [Phase::Began, Phase::Failed, Phase::Done, Phase::FailedLater];
            let mut told = Told::default();
            let mut last = None;
            for (number, phase, second) in deliveries {
                let mark = mark(Some(number), phases[phase], second);
                if told.news(&mark, mark.time) == News::Yes {
                    told.note(mark.clone());
                    if mark.phase != Phase::Began {
                        if let Some((before, failed)) = last {
                            prop_assert!(number >= before, "{number} after {before}");
                            prop_assert!(!(failed && mark.phase == Phase::Done && number < before));
                        }
                        last = Some((number, mark.phase != Phase::Done));
                    }
                }
            }
        }
    }
}
