use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions::{READY, RECONCILING, STALLED, reason};

/// The status of a [`Condition`]. Any other word is as good as none: the schema of Rancher's resources admits it, and one that
/// somebody wrote would keep all Backups from being listed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known yet.
    #[serde(other)]
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// One observation about a resource, in the shape of Rancher's generic condition.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type of the condition: Ready, Uploaded, Reconciling, Stalled, and drover's further ones.
    #[serde(rename = "type")]
    pub type_: String,
    /// Status of the condition, one of True, False, Unknown.
    #[schemars(with = "String")]
    pub status: ConditionStatus,
    /// One word for the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence about the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the condition was last written, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<String>,
    /// When the status last changed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
}

/// The words of the condition `Ready` for what a Backup or Restore is at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ready {
    /// Not begun.
    Pending,
    /// A job works on it.
    InProgress,
    /// Done, and proved.
    Completed,
    /// Ended, or waiting for somebody to mend something.
    Failed,
}

impl Ready {
    /// The status that goes with the word.
    #[must_use]
    pub const fn status(self) -> ConditionStatus {
        match self {
            Self::Pending | Self::InProgress => ConditionStatus::Unknown,
            Self::Completed => ConditionStatus::True,
            Self::Failed => ConditionStatus::False,
        }
    }

    /// The word itself.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Pending => reason::PENDING,
            Self::InProgress => reason::IN_PROGRESS,
            Self::Completed => reason::COMPLETED,
            Self::Failed => reason::FAILED,
        }
    }
}

impl fmt::Display for Ready {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.reason())
    }
}

/// A list of conditions with at most one of each type.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Conditions(pub Vec<Condition>);

impl Conditions {
    /// The condition of this type.
    #[must_use]
    pub fn get(&self, type_: &str) -> Option<&Condition> {
        self.0.iter().find(|condition| condition.type_ == type_)
    }

    /// Whether the condition of this type is there and True.
    #[must_use]
    pub fn is_true(&self, type_: &str) -> bool {
        self.get(type_).is_some_and(|condition| condition.status == ConditionStatus::True)
    }

    /// Sets a condition; the time of transition moves only when the status does, and nothing moves when nothing changed.
    pub fn set(&mut self, type_: &str, status: ConditionStatus, reason: &str, message: &str, now: Timestamp) {
        let now = rfc3339(now);
        let changed = Condition {
            type_: type_.to_owned(),
            status,
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_update_time: Some(now.clone()),
            last_transition_time: Some(now),
        };
        let Some(current) = self.0.iter_mut().find(|condition| condition.type_ == type_) else {
            self.0.push(changed);
            return;
        };
        if current.status == status && current.reason == changed.reason && current.message == changed.message {
            return;
        }
        let transition = if current.status == status { current.last_transition_time.take() } else { None };
        *current = Condition { last_transition_time: transition.or(changed.last_transition_time.clone()), ..changed };
    }

    /// Says that a condition was found to be as it is at this time.
    pub fn renew(&mut self, type_: &str, now: Timestamp) {
        if let Some(condition) = self.0.iter_mut().find(|condition| condition.type_ == type_) {
            condition.last_update_time = Some(rfc3339(now));
        }
    }

    /// Sets `Ready` to one of the four words. The message is what `kubectl get` shows as Status: the word, then the detail.
    pub fn set_ready(&mut self, ready: Ready, detail: &str, now: Timestamp) {
        let word = ready.reason();
        let message = if detail.is_empty() { word.to_owned() } else { format!("{word}: {detail}") };
        self.set(READY, ready.status(), word, &message, now);
    }

    /// Sets `Ready` for what waits and is tried again by itself: it has not ended, and somebody may have to mend something.
    pub fn set_waiting(&mut self, why: &str, now: Timestamp) {
        let word = Ready::InProgress;
        self.set(READY, word.status(), reason::WAITING, &format!("{word}: {why}"), now);
    }

    /// Says that a job works on it; `detail` says at what.
    pub fn set_in_progress(&mut self, detail: &str, now: Timestamp) {
        self.set_ready(Ready::InProgress, detail, now);
        self.set(RECONCILING, ConditionStatus::True, reason::IN_PROGRESS, detail, now);
        self.set(STALLED, ConditionStatus::False, reason::IN_PROGRESS, "", now);
    }

    /// Says that it is done.
    pub fn set_completed(&mut self, now: Timestamp) {
        self.set_ready(Ready::Completed, "", now);
        self.set(RECONCILING, ConditionStatus::False, reason::COMPLETED, "", now);
        self.set(STALLED, ConditionStatus::False, reason::COMPLETED, "", now);
    }

    /// Says that it has failed, and that nothing is tried again before somebody mends something.
    pub fn set_stalled(&mut self, reason: &str, message: &str, now: Timestamp) {
        self.set_ready(Ready::Failed, message, now);
        self.set(RECONCILING, ConditionStatus::False, reason, "", now);
        self.set(STALLED, ConditionStatus::True, reason, message, now);
    }

    /// Whether `Ready` says that it waits.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.has_reason(reason::WAITING)
    }

    /// Whether `Ready` says that a job works on it.
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        self.has_reason(reason::IN_PROGRESS)
    }

    fn has_reason(&self, reason: &str) -> bool {
        self.get(READY).is_some_and(|ready| ready.reason.as_deref() == Some(reason))
    }

    /// What `Ready` says behind its word; empty where it says no more.
    #[must_use]
    pub fn detail(&self) -> &str {
        let said = self.get(READY).and_then(|ready| ready.message.as_deref()).unwrap_or_default();
        said.split_once(": ").map_or("", |(_, detail)| detail)
    }
}

impl JsonSchema for Conditions {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Conditions".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = <Vec<Condition>>::json_schema(generator);
        schema.insert("x-kubernetes-list-type".into(), "map".into());
        schema.insert("x-kubernetes-list-map-keys".into(), serde_json::json!(["type"]));
        schema
    }
}

/// A time as the status fields hold it: RFC 3339, UTC, whole seconds.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_is_no_word_of_conditions_is_unknown() {
        for (word, expected) in [
            ("True", ConditionStatus::True),
            ("False", ConditionStatus::False),
            ("Unknown", ConditionStatus::Unknown),
            ("nonsense", ConditionStatus::Unknown),
        ] {
            let read: ConditionStatus = serde_json::from_value(word.into()).unwrap();
            assert_eq!(read, expected, "{word}");
        }
    }

    #[test]
    fn transition_time_moves_only_with_the_status() {
        let mut conditions = Conditions::default();
        let times = [1_000, 2_000, 3_000].map(|second| Timestamp::from_second(second).unwrap());
        conditions.set_ready(Ready::InProgress, "", times[0]);
        conditions.set_ready(Ready::InProgress, "700 objects", times[1]);
        let ready = conditions.get("Ready").unwrap();
        assert_eq!(ready.last_transition_time.as_deref(), Some("1970-01-01T00:16:40Z"));
        assert_eq!(ready.last_update_time.as_deref(), Some("1970-01-01T00:33:20Z"));
        assert_eq!(ready.message.as_deref(), Some("InProgress: 700 objects"));
        conditions.set_ready(Ready::Completed, "", times[2]);
        let ready = conditions.get("Ready").unwrap();
        assert_eq!(ready.last_transition_time.as_deref(), Some("1970-01-01T00:50:00Z"));
        assert_eq!(ready.message.as_deref(), Some("Completed"));
        assert_eq!(conditions.0.len(), 1);
    }

    #[test]
    fn what_waits_is_in_progress_and_has_a_reason_of_its_own() {
        let mut conditions = Conditions::default();
        assert_eq!((conditions.waits(), conditions.is_in_progress(), conditions.detail()), (false, false, ""));
        conditions.set_ready(Ready::InProgress, "reading the archive", Timestamp::from_second(1_000).unwrap());
        assert_eq!((conditions.waits(), conditions.is_in_progress()), (false, true));
        conditions.set_waiting("no bucket: none", Timestamp::from_second(2_000).unwrap());
        assert_eq!((conditions.waits(), conditions.is_in_progress()), (true, false));
        let ready = conditions.get("Ready").unwrap();
        assert_eq!((ready.status, ready.reason.as_deref()), (ConditionStatus::Unknown, Some("Waiting")));
        assert_eq!(
            (ready.message.as_deref(), conditions.detail()),
            (Some("InProgress: no bucket: none"), "no bucket: none")
        );
    }

    #[track_caller]
    fn check(step: impl FnOnce(&mut Conditions), expected: [(&str, ConditionStatus, &str, &str); 3]) {
        let mut conditions = Conditions::default();
        step(&mut conditions);
        let said = conditions.0.iter().map(|said| {
            let (reason, message) = (said.reason.as_deref().unwrap(), said.message.as_deref().unwrap());
            (said.type_.as_str(), said.status, reason, message)
        });
        assert_eq!(said.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_step_says_whether_it_is_ready_and_reconciling_and_stalled() {
        use ConditionStatus::{False, True, Unknown};
        let now = Timestamp::UNIX_EPOCH;
        let expected = [
            ("Ready", Unknown, "InProgress", "InProgress: 3 of 9"),
            ("Reconciling", True, "InProgress", "3 of 9"),
            ("Stalled", False, "InProgress", ""),
        ];
        check(|conditions| conditions.set_in_progress("3 of 9", now), expected);
        let expected = [
            ("Ready", True, "Completed", "Completed"),
            ("Reconciling", False, "Completed", ""),
            ("Stalled", False, "Completed", ""),
        ];
        check(|conditions| conditions.set_completed(now), expected);
        let expected = [
            ("Ready", False, "Failed", "Failed: no bucket"),
            ("Reconciling", False, "MissingTypes", ""),
            ("Stalled", True, "MissingTypes", "no bucket"),
        ];
        check(|conditions| conditions.set_stalled("MissingTypes", "no bucket", now), expected);
    }

    #[test]
    fn setting_the_same_again_changes_nothing() {
        let mut conditions = Conditions::default();
        conditions.set_ready(Ready::Failed, "no bucket", Timestamp::from_second(1_000).unwrap());
        let before = conditions.clone();
        conditions.set_ready(Ready::Failed, "no bucket", Timestamp::from_second(2_000).unwrap());
        assert_eq!(conditions, before);
        conditions.renew("Ready", Timestamp::from_second(3_000).unwrap());
        let ready = conditions.get("Ready").unwrap();
        assert_eq!(ready.last_update_time.as_deref(), Some("1970-01-01T00:50:00Z"));
        assert_eq!(ready.last_transition_time.as_deref(), Some("1970-01-01T00:16:40Z"));
    }
}
