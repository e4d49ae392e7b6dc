//! A selector with one part taken out: what a slip of the hand would make of it.

use drover::resources::ResourceSelector;
use serde_json::{Map, Value};

use super::regexps::shortened;

/// The selector gone, and the selector without one of its conditions, one item of a list, or one piece of a regexp: each
/// way once.
pub(super) fn changes(selector: &ResourceSelector) -> Vec<Option<ResourceSelector>> {
    let whole = serde_json::to_value(selector).unwrap();
    let smaller = smaller("", &whole).into_iter().map(|part| Some(serde_json::from_value(part).unwrap()));
    [None].into_iter().chain(smaller).collect()
}

fn smaller(name: &str, value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) if items.len() > 1 => (0..items.len()).map(|index| without_item(items, index)).collect(),
        Value::Object(members) => members.keys().flat_map(|name| with_less_of(members, name)).collect(),
        // The probes are of all types that there are, and of none with nearly the name of one.
        Value::String(pattern) if name.ends_with("Regexp") && name != "kindsRegexp" => {
            shortened(pattern).into_iter().map(Value::String).collect()
        }
        _ => Vec::new(),
    }
}

fn without_item(items: &[Value], index: usize) -> Value {
    let mut items = items.to_vec();
    items.remove(index);
    Value::Array(items)
}

/// The object without a member, and with each smaller value of it.
fn with_less_of(members: &Map<String, Value>, name: &str) -> Vec<Value> {
    let with = |value: Option<Value>| {
        let mut members = members.clone();
        members.remove(name);
        members.extend(value.map(|value| (name.to_owned(), value)));
        Value::Object(members)
    };
    let values = smaller(name, &members[name]).into_iter().map(Some);
    let gone = (members.len() > 1 && !says_nothing(name, &members[name])).then_some(None);
    values.chain(gone).map(with).collect()
}

/// An API version must be there, and all kinds are selected by "." as by nothing: the operator needs it for `excludeKinds`.
fn says_nothing(name: &str, value: &Value) -> bool {
    name == "apiVersion" || (name == "kindsRegexp" && value == ".")
}
