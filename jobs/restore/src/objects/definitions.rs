//! CustomResourceDefinitions: what they define, and what makes an old one applicable today.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// API group of the definitions.
pub(crate) const GROUP: &str = "apiextensions.k8s.io";
/// Plural name of the definitions.
pub(crate) const PLURAL: &str = "customresourcedefinitions";

/// The group that a definition is of, from its name `<plural>.<group>`.
pub(crate) fn group_of(name: &str) -> &str {
    name.split_once('.').map_or("", |(_, group)| group)
}

/// What a definition of the archive defines, and whether a live one is ready.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Definition {
    /// What is wanted.
    pub(crate) spec: Spec,
    /// What the server says about it.
    pub(crate) status: Status,
}

/// The part of a definition's spec that a restore reads.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Spec {
    /// API group of the objects.
    pub(crate) group: String,
    /// Names of the objects' type.
    pub(crate) names: Names,
    /// `Cluster` or `Namespaced`.
    pub(crate) scope: String,
    /// The versions.
    pub(crate) versions: Vec<Version>,
}

/// Names of a type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Names {
    /// The kind.
    pub(crate) kind: String,
    /// The plural name.
    pub(crate) plural: String,
}

/// A version of a type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Version {
    /// Such as "v1".
    pub(crate) name: String,
    /// Whether the server serves it.
    pub(crate) served: bool,
    /// What there is beside the object itself.
    pub(crate) subresources: Option<Subresources>,
}

/// Subresources of a version.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Subresources {
    /// There, though empty, where the status is written apart.
    pub(crate) status: Option<Value>,
    /// Where the count of replicas is, for a type that has one.
    pub(crate) scale: Option<Scale>,
}

/// Where a type has its count of replicas.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Scale {
    /// The path of the count that is wanted.
    pub(crate) spec_replicas_path: String,
}

/// What the server says about a definition.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    /// Established, NamesAccepted and others.
    pub(crate) conditions: Vec<Condition>,
}

/// A condition of a definition.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Condition {
    /// Its name.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// `True`, `False` or `Unknown`.
    pub(crate) status: String,
    /// The server's words.
    pub(crate) message: String,
}

impl Version {
    /// Whether the status is written apart.
    pub(crate) fn has_status(&self) -> bool {
        self.subresources.as_ref().is_some_and(|subresources| subresources.status.is_some())
    }

    /// Whether the objects have a count of replicas, at the place where Kubernetes' own controllers have it.
    pub(crate) fn scales(&self) -> bool {
        let scale = self.subresources.as_ref().and_then(|subresources| subresources.scale.as_ref());
        scale.is_some_and(|scale| scale.spec_replicas_path == ".spec.replicas")
    }
}

impl Definition {
    /// The name that such a definition has.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.spec.names.plural, self.spec.group)
    }

    /// What the definition waits for; none when its objects can be written.
    pub(crate) fn waits_for(&self) -> Option<String> {
        ["NamesAccepted", "Established"].into_iter().find_map(|wanted| {
            match self.status.conditions.iter().find(|condition| condition.kind == wanted) {
                Some(condition) if condition.status == "True" => None,
                Some(condition) if !condition.message.is_empty() => Some(format!("{wanted}: {}", condition.message)),
                _ => Some(wanted.to_owned()),
            }
        })
    }
}

/// Changes a definition of an archive so that the API server takes it in place of the live one.
///
/// Versions that only the live one has stay, no longer as the stored one: objects may be stored under them, and the
/// server refuses to lose such a version. `preserveUnknownFields: true` came with v1beta1; v1 refuses it and says the
/// same with a schema that keeps everything.
pub(crate) fn make_applicable(object: &mut Map<String, Value>, live: Option<&Map<String, Value>>) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(true)) {
        spec.insert("preserveUnknownFields".to_owned(), Value::Bool(false));
        for version in versions_mut(spec) {
            version["schema"] =
                json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        }
    }
    let live_versions = live.and_then(|live| live.get("spec")?.get("versions")?.as_array());
    keep_versions(spec, live_versions.map_or(&[], Vec::as_slice));
}

fn versions_mut(spec: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    let versions = spec.get_mut("versions").and_then(Value::as_array_mut);
    versions.into_iter().flatten().filter(|version| version.is_object())
}

fn keep_versions(spec: &mut Map<String, Value>, live: &[Value]) {
    let Some(versions) = spec.get_mut("versions").and_then(Value::as_array_mut) else { return };
    for version in live {
        if version.is_object() && !versions.iter().any(|known| known.get("name") == version.get("name")) {
            let mut version = version.clone();
            version["storage"] = Value::Bool(false);
            versions.push(version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(archive: Value, live: Option<Value>, expected: &Value) {
        let map = |value: Value| value.as_object().cloned().unwrap();
        let mut object = map(archive);
        make_applicable(&mut object, live.map(map).as_ref());
        assert_eq!(Value::Object(object), *expected);
    }

    fn versions(versions: &Value) -> Value {
        json!({"spec": {"versions": versions}})
    }

    #[test]
    fn live_versions_stay_but_are_not_stored() {
        let v1 = json!({"name": "v1", "storage": true, "served": true});
        check(
            versions(&json!([v1])),
            Some(versions(&json!([{"name": "v1", "storage": false}, {"name": "v2", "storage": true, "served": true}]))),
            &versions(&json!([v1, {"name": "v2", "storage": false, "served": true}])),
        );
    }

    #[test]
    fn without_a_live_one_nothing_is_added() {
        let archive = versions(&json!([{"name": "v1", "storage": true}]));
        check(archive.clone(), None, &archive);
        check(archive.clone(), Some(json!({"spec": {}})), &archive);
    }

    #[test]
    fn unknown_fields_are_preserved_in_the_way_of_v1() {
        check(
            json!({"spec": {"preserveUnknownFields": true, "versions": [{"name": "v3"}, {"name": "v4", "schema": {"x": 1}}]}}),
            None,
            &json!({"spec": {"preserveUnknownFields": false, "versions": [
                {"name": "v3", "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
                {"name": "v4", "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
            ]}}),
        );
    }

    #[test]
    fn a_schema_without_it_stays() {
        let archive =
            json!({"spec": {"preserveUnknownFields": false, "versions": [{"name": "v1", "schema": {"x": 1}}]}});
        check(archive.clone(), None, &archive);
    }

    #[test]
    fn what_is_no_definition_is_left_alone() {
        for object in [json!({}), json!({"spec": 7}), json!({"spec": {"versions": 7}}), versions(&json!([7, null]))] {
            check(object.clone(), Some(versions(&json!([]))), &object);
        }
    }

    #[test]
    fn a_definition_waits_until_it_is_accepted_and_established() {
        let waits = |conditions: Value| {
            let definition: Definition = serde_json::from_value(json!({"status": {"conditions": conditions}})).unwrap();
            definition.waits_for()
        };
        assert_eq!(waits(json!([])).as_deref(), Some("NamesAccepted"));
        let refused = json!([{"type": "NamesAccepted", "status": "False", "message": "\"a\" is already in use"}]);
        assert_eq!(waits(refused).as_deref(), Some("NamesAccepted: \"a\" is already in use"));
        let accepted = json!({"type": "NamesAccepted", "status": "True"});
        assert_eq!(waits(json!([accepted])).as_deref(), Some("Established"));
        assert_eq!(waits(json!([accepted, {"type": "Established", "status": "True"}])), None);
    }

    #[test]
    fn groups_of_names() {
        assert_eq!(group_of("backups.resources.cattle.io"), "resources.cattle.io");
        assert_eq!(group_of("backups"), "");
    }
}
