use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use drover::archive::{Limits, Spool, Unsealing};
use serde_json::Value;

/// An object with this content, at a place that is its name, or its namespace and its name with a slash between them.
#[must_use]
pub fn object(api_version: &str, kind: &str, place: &str, content: Value) -> Value {
    let (namespace, name) = place.split_once('/').map_or((None, place), |(namespace, name)| (Some(namespace), name));
    let mut object = content;
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    object["metadata"]["name"] = name.into();
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

/// The objects of an archive by path, without what every cluster sets anew: the generation, who manages which field, and
/// the UIDs of owners.
///
/// # Panics
/// When the archive is refused.
#[must_use]
pub fn objects(archive: &Path) -> BTreeMap<String, Value> {
    let file = std::fs::File::open(archive).unwrap();
    let spool =
        Spool::read_in(&std::env::temp_dir(), file, &Limits::default(), Unsealing::Refuse, &mut |_| {}).unwrap();
    let load = |id| {
        let loaded = spool.load(id).unwrap();
        let mut object: Value = serde_json::from_slice(&loaded.object).unwrap();
        normalise(&mut object);
        (loaded.key.path(), object)
    };
    spool.ids().map(load).collect()
}

fn normalise(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    metadata.remove("generation");
    metadata.remove("managedFields");
    for owner in metadata.get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
        owner["uid"] = Value::Null;
    }
}

/// Which members differ, each as `<type> <path of the member>`, with `*` for every place in a list.
#[must_use]
pub fn differing_members(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, object) in before {
        let Some(other) = after.get(path) else { continue };
        let plural = path.split('#').next().unwrap_or_default();
        differ(object, other, &format!("{plural} "), &mut found);
    }
    found
}

fn differ(one: &Value, other: &Value, at: &str, found: &mut BTreeSet<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
                let [one, other] = [one, other].map(|members| members.get(name).unwrap_or(&Value::Null));
                differ(one, other, &format!("{at}/{name}"), found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (one, other) in one.iter().zip(other) {
                differ(one, other, &format!("{at}/*"), found);
            }
        }
        (one, other) => drop((one != other).then(|| found.insert(at.to_owned()))),
    }
}
