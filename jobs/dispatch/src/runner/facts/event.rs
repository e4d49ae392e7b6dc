use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;

/// Reasons of Events that tell what keeps a pod from running, where no status tells it.
const TELLING: [&str; 7] = [
    "FailedCreate",
    "FailedMount",
    "FailedAttachVolume",
    "FailedMapVolume",
    "FailedCreatePodSandBox",
    "FailedValidation",
    "NetworkNotReady",
];

/// A warning about a CronJob, a Job or a pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Event {
    /// UID of the object that it is about.
    pub(crate) about: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) last: Timestamp,
}

impl Event {
    /// What is kept of an Event; nothing of one that tells nothing here.
    pub(crate) fn of(event: core::Event) -> Option<Self> {
        let reason = event.reason.filter(|reason| TELLING.contains(&reason.as_str()))?;
        let series = event.series.and_then(|series| series.last_observed_time).map(|time| time.0);
        let times = [series, event.last_timestamp.map(|time| time.0), event.event_time.map(|time| time.0)];
        let created = event.metadata.creation_timestamp.map(|time| time.0);
        Some(Self {
            about: event.involved_object.uid?,
            reason,
            message: event.message.unwrap_or_default(),
            last: times.into_iter().flatten().max().or(created).unwrap_or(Timestamp::UNIX_EPOCH),
        })
    }
}
