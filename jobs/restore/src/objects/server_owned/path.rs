//! Members of members of an object, by the names that lead to them.

use serde_json::{Map, Value};

use super::Object;

/// The member that these names lead to.
pub(super) fn find<'a>(object: &'a Object, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let value = object.get(*first)?;
    if rest.is_empty() { Some(value) } else { find(value.as_object()?, rest) }
}

/// The text that these names lead to.
pub(super) fn text<'a>(object: &'a Object, path: &[&str]) -> Option<&'a str> {
    find(object, path)?.as_str()
}

/// Makes the member what it is in the other object: the same, or not there.
pub(super) fn take_over(object: &mut Object, other: &Object, path: &[&str]) {
    match find(other, path) {
        Some(value) => set(object, path, value.clone()),
        None => remove(object, path),
    }
}

/// Takes the member away, and each map that is empty without it.
pub(super) fn remove(object: &mut Object, path: &[&str]) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        object.remove(*first);
        return;
    }
    let Some(inner) = object.get_mut(*first).and_then(Value::as_object_mut) else { return };
    let was_empty = inner.is_empty();
    remove(inner, rest);
    if inner.is_empty() && !was_empty {
        object.remove(*first);
    }
}

/// Sets the member; what leads to it is made where it is missing, and left alone where it is no map.
fn set(object: &mut Object, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        object.insert((*first).to_owned(), value);
        return;
    }
    let inner = object.entry(*first).or_insert_with(|| Value::Object(Map::new()));
    if inner.is_null() {
        *inner = Value::Object(Map::new());
    }
    if let Some(inner) = inner.as_object_mut() {
        set(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[track_caller]
    fn takes(from: &Value, other: &Value, expected: &Value) {
        let mut changed = object(from);
        take_over(&mut changed, &object(other), &["a", "b", "c"]);
        assert_eq!(Value::Object(changed), *expected);
    }

    #[test]
    fn a_member_is_taken_over() {
        takes(&json!({}), &json!({"a": {"b": {"c": 1}}}), &json!({"a": {"b": {"c": 1}}}));
        takes(&json!({"a": null}), &json!({"a": {"b": {"c": 1}}}), &json!({"a": {"b": {"c": 1}}}));
        takes(&json!({"a": {"b": {"c": 2}, "d": 3}}), &json!({}), &json!({"a": {"d": 3}}));
        takes(&json!({"a": {"b": {"c": 2, "e": 4}}}), &json!({"a": {}}), &json!({"a": {"b": {"e": 4}}}));
        takes(&json!({"a": 7}), &json!({"a": {"b": {"c": 1}}}), &json!({"a": 7}));
        takes(&json!({"a": {"b": {}}}), &json!({}), &json!({"a": {"b": {}}}));
    }

    #[test]
    fn members_are_found() {
        let one = object(&json!({"a": {"b": "c"}}));
        assert_eq!(
            (text(&one, &["a", "b"]), text(&one, &["a"]), text(&one, &["a", "b", "c"])),
            (Some("c"), None, None)
        );
        assert_eq!(find(&one, &[]), None);
    }
}
