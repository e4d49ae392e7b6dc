//! What an object says about being scaled down, and what is written of it: pure.

use std::collections::BTreeMap;

use drover::annotations::REPLICAS_ANNOTATION;
use drover::labels::{self, SCALED_DOWN_BY_LABEL};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Who scales down without a Restore.
pub(crate) const COMMAND_LINE: &str = "command-line";

/// The count of a controller that does not say one.
const DEFAULT_COUNT: i64 = 1;

/// What is looked at of a live object.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct State {
    #[serde(default)]
    metadata: Metadata,
    /// Read leniently: a type of somebody else may have anything here.
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    generation: i64,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    /// Who wrote which fields; read leniently, for it decides nothing.
    #[serde(default)]
    managed_fields: Value,
}

impl Metadata {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.get(name).map(String::as_str)
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }
}

impl State {
    /// The object's name.
    pub(crate) fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The object's namespace; empty where it has none.
    pub(crate) fn namespace(&self) -> &str {
        &self.metadata.namespace
    }

    /// Who scaled it down, if anybody did.
    pub(crate) fn holder(&self) -> Option<&str> {
        self.metadata.label(SCALED_DOWN_BY_LABEL)
    }

    /// Whether it is a part of drover.
    pub(crate) fn is_ours(&self) -> bool {
        labels::is_ours(|name| self.metadata.label(name))
    }

    /// The count of replicas that it wants now; none where it has no such count.
    pub(crate) fn replicas(&self) -> Option<i64> {
        self.spec["replicas"].as_i64()
    }

    /// The count that it is to have when no restore holds it down. While one does that is what its annotation says, and
    /// never the 0 that is live; where somebody took the annotation away, nobody knows more than that it ran.
    pub(crate) fn count(&self) -> i64 {
        let live = self.replicas().unwrap_or(DEFAULT_COUNT);
        match self.holder() {
            None => live,
            Some(_) => self.noted_count().unwrap_or(if live > 0 { live } else { DEFAULT_COUNT }),
        }
    }

    /// The count that `holder` has noted on it.
    pub(crate) fn noted_by(&self, holder: &str) -> Option<i64> {
        self.noted_count().filter(|_| self.holder() == Some(holder))
    }

    /// Who gave it the count that it wants now, by the name that the API server keeps of whoever wrote it.
    pub(crate) fn scaled_by(&self) -> Option<&str> {
        let entries = self.metadata.managed_fields.as_array().into_iter().flatten();
        let of_count = entries.filter(|entry| entry["fieldsV1"]["f:spec"]["f:replicas"].is_object());
        // Times are RFC 3339 in UTC, so their texts are in the same order.
        let last = of_count.max_by(|one, other| one["time"].as_str().cmp(&other["time"].as_str()))?;
        last["manager"].as_str().filter(|name| !name.is_empty())
    }

    fn noted_count(&self) -> Option<i64> {
        self.metadata.annotation(REPLICAS_ANNOTATION)?.parse().ok().filter(|count| *count >= 0)
    }

    /// Whether the controller has seen its spec as it is, and counts no replicas any more. One that keeps no status is
    /// taken at its word.
    pub(crate) fn is_down(&self) -> bool {
        let has_seen = self.status["observedGeneration"].as_i64().is_none_or(|seen| seen >= self.metadata.generation);
        has_seen && self.status["replicas"].as_i64().unwrap_or(0) == 0
    }

    /// The merge patch that scales it down and notes the count, all in one write; none where that is so already.
    pub(crate) fn scale_down(&self, holder: &str) -> Option<Value> {
        if self.noted_by(holder).is_some() && self.replicas() == Some(0) {
            return None;
        }
        Some(self.held(holder, self.count()))
    }

    /// The merge patch that scales it down once more. The count that it gets back is the noted one: whoever scaled it up
    /// in the middle does not decide that. Where the note is gone it is `remembered`, if anything is.
    pub(crate) fn scale_down_again(&self, holder: &str, remembered: Option<i64>) -> Value {
        let count = self.noted_by(holder).or(remembered).unwrap_or_else(|| self.count());
        self.held(holder, count)
    }

    fn held(&self, holder: &str, count: i64) -> Value {
        self.patch(&json!({SCALED_DOWN_BY_LABEL: holder}), &json!({REPLICAS_ANNOTATION: count.to_string()}), 0)
    }

    /// The merge patch that puts the count back and takes the note away.
    pub(crate) fn put_back(&self) -> Value {
        self.patch(&json!({SCALED_DOWN_BY_LABEL: null}), &json!({REPLICAS_ANNOTATION: null}), self.count())
    }

    /// Refused by the server where the object is another one by now, or was changed.
    fn patch(&self, labels: &Value, annotations: &Value, replicas: i64) -> Value {
        let Metadata { uid, resource_version, .. } = &self.metadata;
        json!({
            "metadata": {
                "uid": uid, "resourceVersion": resource_version, "labels": labels, "annotations": annotations,
            },
            "spec": {"replicas": replicas},
        })
    }
}

/// Changes a controller of the archive so that it is written scaled down, with the archive's count as the one that it
/// gets back. If it was scaled down when the archive was made, that is the count from before.
pub(crate) fn hold_down(object: &mut Map<String, Value>, holder: &str) {
    let archived: State = serde_json::from_value(Value::Object(object.clone())).unwrap_or_default();
    set(object, &["spec", "replicas"], Value::from(0));
    set(object, &["metadata", "labels", SCALED_DOWN_BY_LABEL], Value::from(holder));
    set(object, &["metadata", "annotations", REPLICAS_ANNOTATION], Value::from(archived.count().to_string()));
}

/// Sets a member deep in an object; what is in the way of it and no map is no controller, and the server says so.
fn set(object: &mut Map<String, Value>, path: &[&str], value: Value) {
    let Some((name, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        object.insert((*name).to_owned(), value);
        return;
    }
    let member = object.entry(*name).or_insert(Value::Null);
    if member.is_null() {
        *member = Value::Object(Map::new());
    }
    if let Some(member) = member.as_object_mut() {
        set(member, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(replicas: &Value, holder: Option<&str>, noted: Option<&str>) -> State {
        let labels: Map<String, Value> =
            holder.map(|holder| (SCALED_DOWN_BY_LABEL.to_owned(), holder.into())).into_iter().collect();
        let annotations: Map<String, Value> =
            noted.map(|noted| (REPLICAS_ANNOTATION.to_owned(), noted.into())).into_iter().collect();
        let metadata = json!({"uid": "u", "resourceVersion": "7", "labels": labels, "annotations": annotations});
        serde_json::from_value(json!({"metadata": metadata, "spec": {"replicas": replicas}})).unwrap()
    }

    fn scaled(holder: &str, count: &str) -> Value {
        let metadata = json!({
            "uid": "u", "resourceVersion": "7",
            "labels": {SCALED_DOWN_BY_LABEL: holder}, "annotations": {REPLICAS_ANNOTATION: count},
        });
        json!({"metadata": metadata, "spec": {"replicas": 0}})
    }

    #[test]
    fn the_count_and_the_scaling_are_one_write() {
        for (replicas, holder, noted, expected) in [
            (json!(3), None, None, Some(scaled("me", "3"))),
            (json!(0), None, None, Some(scaled("me", "0"))),
            // A note that nobody stands for is an old one.
            (json!(3), None, Some("9"), Some(scaled("me", "3"))),
            // Killed after its first write: the count is the noted one, not the 0 that is live.
            (json!(0), Some("me"), Some("3"), None),
            (json!(0), Some("other"), Some("3"), Some(scaled("me", "3"))),
            // Somebody scaled it up meanwhile.
            (json!(2), Some("me"), Some("3"), Some(scaled("me", "3"))),
            // Somebody took the note away.
            (json!(2), Some("me"), None, Some(scaled("me", "2"))),
            (json!(0), Some("me"), None, Some(scaled("me", "1"))),
            (json!(0), Some("me"), Some("-3"), Some(scaled("me", "1"))),
        ] {
            assert_eq!(state(&replicas, holder, noted).scale_down("me"), expected, "{replicas} {holder:?} {noted:?}");
        }
    }

    #[test]
    fn who_scales_up_in_the_middle_does_not_decide_which_count_comes_back() {
        for (holder, noted, remembered, expected) in [
            (Some("me"), Some("3"), Some(2), "3"),
            (Some("me"), Some("3"), None, "3"),
            // It was made anew, or the note was taken off.
            (None, None, Some(2), "2"),
            (None, Some("9"), Some(2), "2"),
            (Some("me"), None, Some(2), "2"),
            // It was not there before.
            (None, None, None, "7"),
        ] {
            let patch = state(&json!(7), holder, noted).scale_down_again("me", remembered);
            assert_eq!(patch, scaled("me", expected), "{holder:?} {noted:?} {remembered:?}");
        }
    }

    #[test]
    fn who_scaled_it_is_the_last_one_that_wrote_the_count() {
        let by = |managers: Value| {
            let state: State = serde_json::from_value(json!({"metadata": {"managedFields": managers}})).unwrap();
            state.scaled_by().map(str::to_owned)
        };
        let count = json!({"f:spec": {"f:replicas": {}}});
        let of = |manager: &str, time: &str, fields: &Value| json!({"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields});
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z");
        let other = of("kubectl", late, &json!({"f:spec": {"f:paused": {}}}));
        assert_eq!(by(json!([other, of("argocd", early, &count)])).as_deref(), Some("argocd"));
        assert_eq!(by(json!([of("late", late, &count), of("early", early, &count)])).as_deref(), Some("late"));
        assert_eq!(by(json!([other, {"manager": "x"}])), None);
        assert_eq!(by(json!(null)), None);
    }

    #[test]
    fn the_count_comes_back_and_the_note_goes_with_one_write() {
        let expected = json!({
            "metadata": {
                "uid": "u", "resourceVersion": "7",
                "labels": {SCALED_DOWN_BY_LABEL: null}, "annotations": {REPLICAS_ANNOTATION: null},
            },
            "spec": {"replicas": 3},
        });
        assert_eq!(state(&json!(0), Some("me"), Some("3")).put_back(), expected);
    }

    #[test]
    fn counts_of_another_shape_are_none() {
        for replicas in [json!(null), json!("3"), json!({}), json!(1.5)] {
            assert_eq!(state(&replicas, None, None).replicas(), None, "{replicas}");
        }
        let without_spec: State = serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": 7})).unwrap();
        assert_eq!((without_spec.replicas(), without_spec.holder()), (None, None));
    }

    #[test]
    fn a_controller_is_down_when_it_has_seen_the_count_and_counts_none() {
        for (status, expected) in [
            (json!({}), true),
            (json!(null), true),
            (json!({"observedGeneration": 2}), true),
            (json!({"observedGeneration": 1}), false),
            (json!({"observedGeneration": 2, "replicas": 1}), false),
            (json!({"replicas": 0}), true),
        ] {
            let object = json!({"metadata": {"generation": 2}, "status": status});
            assert_eq!(serde_json::from_value::<State>(object).unwrap().is_down(), expected, "{status}");
        }
    }

    #[track_caller]
    fn held(object: Value, expected: &Value) {
        let Value::Object(mut object) = object else { panic!("no object") };
        hold_down(&mut object, "me");
        assert_eq!(Value::Object(object), *expected);
    }

    #[test]
    fn a_controller_of_the_archive_is_held_down_and_gets_the_archives_count() {
        let expected = |count: &str| {
            let metadata =
                json!({"labels": {SCALED_DOWN_BY_LABEL: "me", "a": "b"}, "annotations": {REPLICAS_ANNOTATION: count}});
            json!({"metadata": metadata, "spec": {"replicas": 0}})
        };
        let labels = json!({"a": "b"});
        held(json!({"metadata": {"labels": labels}, "spec": {"replicas": 5}}), &expected("5"));
        held(json!({"metadata": {"labels": labels}}), &expected("1"));
        held(json!({"metadata": {"labels": labels, "annotations": null}, "spec": {"replicas": 0}}), &expected("0"));
        let metadata =
            json!({"labels": {SCALED_DOWN_BY_LABEL: "dead", "a": "b"}, "annotations": {REPLICAS_ANNOTATION: "4"}});
        held(json!({"metadata": metadata, "spec": {"replicas": 0}}), &expected("4"));
    }
}
