//! The condition that exempts one user from a webhook, and what of a configuration and of a refusal has to do with it: pure.

use serde_json::{Map, Value, json};

/// The name of the condition, which is its mark: whoever finds it knows that a restore put it in.
pub(crate) const NAME: &str = "drover-restore";

/// How many conditions Kubernetes lets a webhook have.
const MOST: usize = 64;

/// What adding the condition to a configuration came to.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Added {
    /// How many webhooks have to be changed for it.
    pub(super) changed: usize,
    /// The webhooks that have it now.
    pub(super) exempt: Vec<String>,
    /// Those that have as many conditions as there may be, and cannot have it.
    pub(super) full: Vec<String>,
}

/// The condition in CEL: the API server asks the webhook about the requests of everybody but this user.
pub(super) fn expression(user: &str) -> String {
    format!("request.userInfo.username != {}", literal(user))
}

/// A string literal of CEL.
fn literal(text: &str) -> String {
    let inner: String = text.chars().map(escaped).collect();
    format!("\"{inner}\"")
}

fn escaped(character: char) -> String {
    match character {
        '"' | '\\' => format!("\\{character}"),
        control if control.is_control() => format!("\\u{:04x}", u32::from(control)),
        other => other.to_string(),
    }
}

/// Adds the condition to each webhook of a configuration, behind those that it has.
pub(super) fn add(configuration: &mut Map<String, Value>, expression: &str) -> Added {
    let mut added = Added::default();
    for webhook in webhooks_mut(configuration) {
        let name = name_of(webhook).to_owned();
        let conditions = webhook.entry("matchConditions").or_insert(Value::Null);
        if conditions.is_null() {
            *conditions = json!([]);
        }
        let Some(conditions) = conditions.as_array_mut() else { continue };
        let wanted = json!({"name": NAME, "expression": expression});
        match conditions.iter().position(is_ours) {
            Some(index) if conditions.get(index) == Some(&wanted) => {}
            Some(index) => {
                if let Some(other) = conditions.get_mut(index) {
                    *other = wanted;
                }
                added.changed += 1;
            }
            None if conditions.len() >= MOST => {
                added.full.push(name);
                continue;
            }
            None => {
                conditions.push(wanted);
                added.changed += 1;
            }
        }
        added.exempt.push(name);
    }
    added
}

/// Takes the condition out of each webhook of a configuration, and gives of how many.
pub(super) fn remove(configuration: &mut Map<String, Value>) -> usize {
    let mut removed = 0;
    for webhook in webhooks_mut(configuration) {
        let Some(conditions) = webhook.get_mut("matchConditions").and_then(Value::as_array_mut) else { continue };
        let before = conditions.len();
        conditions.retain(|condition| !is_ours(condition));
        let (left, is_changed) = (conditions.len(), conditions.len() < before);
        removed += usize::from(is_changed);
        if is_changed && left == 0 {
            webhook.remove("matchConditions");
        }
    }
    removed
}

/// Whether a webhook of a configuration lacks the condition and could have it.
pub(super) fn is_missing(configuration: &Map<String, Value>, expression: &str) -> bool {
    add(&mut configuration.clone(), expression).changed > 0
}

/// The names of a configuration's webhooks.
pub(super) fn names(configuration: &Map<String, Value>) -> Vec<String> {
    webhooks(configuration).map(|webhook| name_of(webhook).to_owned()).collect()
}

/// Changes a configuration of an archive: the condition of a restore of then is never restored, and the one of the restore
/// that is at work stays.
pub(crate) fn keep_live(configuration: &mut Map<String, Value>, live: Option<&Map<String, Value>>) {
    remove(configuration);
    let Some(live) = live else { return };
    for webhook in webhooks_mut(configuration) {
        let same = webhooks(live).find(|live| name_of(live) == name_of(webhook));
        let Some(ours) = same.and_then(|live| live.get("matchConditions")?.as_array()?.iter().find(|one| is_ours(one)))
        else {
            continue;
        };
        let conditions = webhook.entry("matchConditions").or_insert(Value::Null);
        if conditions.is_null() {
            *conditions = json!([]);
        }
        if let Some(conditions) = conditions.as_array_mut().filter(|conditions| conditions.len() < MOST) {
            conditions.push(ours.clone());
        }
    }
}

/// The webhook that an answer of the API server is about: it refused a request, or failed to be asked about it.
///
/// The texts are of the API server: `admission webhook "NAME" denied the request: …`, `admission webhook "NAME" does not
/// support dry run`, and `failed calling webhook "NAME": …`. What follows them are the words of others, so the first one
/// counts.
pub(super) fn webhook_of(message: &str) -> Option<&str> {
    let after = |opening: &str| {
        let start = message.find(opening)? + opening.len();
        let (name, rest) = message.get(start..)?.split_once('"')?;
        Some((start, name, rest))
    };
    let refused = after("admission webhook \"").filter(|(_, _, rest)| {
        rest.starts_with(" denied the request") || rest.starts_with(" does not support dry run")
    });
    let failed = after("failed calling webhook \"");
    refused.into_iter().chain(failed).min_by_key(|(start, _, _)| *start).map(|(_, name, _)| name)
}

fn webhooks(configuration: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    let webhooks = configuration.get("webhooks").and_then(Value::as_array);
    webhooks.into_iter().flatten().filter_map(Value::as_object)
}

fn webhooks_mut(configuration: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let webhooks = configuration.get_mut("webhooks").and_then(Value::as_array_mut);
    webhooks.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn name_of(webhook: &Map<String, Value>) -> &str {
    webhook.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn is_ours(condition: &Value) -> bool {
    condition.get("name").and_then(Value::as_str) == Some(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("no object") };
        map
    }

    fn condition(name: &str, expression: &str) -> Value {
        json!({"name": name, "expression": expression})
    }

    fn configuration(webhooks: &Value) -> Map<String, Value> {
        map(json!({"metadata": {"name": "rancher.cattle.io"}, "webhooks": webhooks}))
    }

    #[track_caller]
    fn adds(before: &Value, after: &Value, changed: usize) {
        let mut changing = configuration(before);
        let added = add(&mut changing, "mine");
        assert_eq!((Value::Object(changing.clone()), added.changed), (Value::Object(configuration(after)), changed));
        assert!(!is_missing(&changing, "mine"));
        assert_eq!(is_missing(&configuration(before), "mine"), changed > 0);
    }

    #[test]
    fn one_user_is_named_as_a_literal_of_cel() {
        let user = "system:serviceaccount:cattle-resources-system:drover-restore";
        assert_eq!(expression(user), format!("request.userInfo.username != \"{user}\""));
        for (text, expected) in [
            ("", r#""""#),
            (r#"a"b"#, r#""a\"b""#),
            (r"CORP\jo", r#""CORP\\jo""#),
            ("a\nb\u{85}", r#""a\u000ab\u0085""#),
            ("jö 🐄 'x' ${y}", r#""jö 🐄 'x' ${y}""#),
            (r#"" || true || ""#, r#""\" || true || \"""#),
        ] {
            assert_eq!(literal(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_condition_is_added_to_each_webhook_and_others_stay() {
        let (ours, theirs) = (condition(NAME, "mine"), condition("filter", "theirs"));
        adds(&json!([{"name": "a"}]), &json!([{"name": "a", "matchConditions": [ours]}]), 1);
        adds(&json!([{"matchConditions": null}]), &json!([{"matchConditions": [ours]}]), 1);
        adds(
            &json!([{"matchConditions": [theirs]}, {}]),
            &json!([{"matchConditions": [theirs, ours]}, {"matchConditions": [ours]}]),
            2,
        );
        adds(&json!([{"matchConditions": [ours, theirs]}]), &json!([{"matchConditions": [ours, theirs]}]), 0);
        let dead = condition(NAME, "somebody else's");
        adds(&json!([{"matchConditions": [dead, theirs]}]), &json!([{"matchConditions": [ours, theirs]}]), 1);
        adds(&json!([]), &json!([]), 0);
        adds(&json!([7, {"matchConditions": 7}]), &json!([7, {"matchConditions": 7}]), 0);
    }

    #[test]
    fn a_webhook_with_as_many_conditions_as_there_may_be_is_named() {
        let many = |count: usize| (0..count).map(|index| condition(&index.to_string(), "x")).collect::<Vec<_>>();
        let mut full = configuration(
            &json!([{"name": "full", "matchConditions": many(64)}, {"name": "b", "matchConditions": many(63)}]),
        );
        let added = add(&mut full, "mine");
        assert_eq!((added.changed, added.exempt, added.full), (1, vec!["b".to_owned()], vec!["full".to_owned()]));
        assert!(!is_missing(&full, "mine"));
        assert_eq!(names(&full), ["full", "b"]);
    }

    #[test]
    fn what_was_added_is_taken_out_and_nothing_else() {
        let before = json!([{"name": "a"}, {"matchConditions": [condition("filter", "x")]}, {"matchConditions": []}]);
        let mut changing = configuration(&before);
        add(&mut changing, "mine");
        assert_eq!(remove(&mut changing), 3);
        let after = json!([{"name": "a"}, {"matchConditions": [condition("filter", "x")]}, {}]);
        assert_eq!(changing, configuration(&after));
        assert_eq!(remove(&mut changing), 0);
        assert_eq!(remove(&mut map(json!({"webhooks": 7}))), 0);
    }

    #[test]
    fn an_archive_neither_brings_the_condition_nor_takes_it_away() {
        let (ours, old, theirs) = (condition(NAME, "now"), condition(NAME, "then"), condition("filter", "x"));
        let archived =
            json!([{"name": "a", "matchConditions": [old]}, {"name": "b", "matchConditions": [theirs, old]}]);
        let mut alone = configuration(&archived);
        keep_live(&mut alone, None);
        assert_eq!(alone, configuration(&json!([{"name": "a"}, {"name": "b", "matchConditions": [theirs]}])));
        let live =
            configuration(&json!([{"name": "a", "matchConditions": [ours]}, {"name": "c", "matchConditions": [ours]}]));
        let mut exempt = configuration(&archived);
        keep_live(&mut exempt, Some(&live));
        let expected = json!([{"name": "a", "matchConditions": [ours]}, {"name": "b", "matchConditions": [theirs]}]);
        assert_eq!(exempt, configuration(&expected));
    }

    #[test]
    fn a_refusal_names_its_webhook() {
        for (message, expected) in [
            (r#"admission webhook "a.io" denied the request: no"#, Some("a.io")),
            (r#"admission webhook "a.io" denied the request without explanation"#, Some("a.io")),
            (r#"admission webhook "a.io" does not support dry run"#, Some("a.io")),
            (
                r#"Internal error occurred: failed calling webhook "b.io": failed to call webhook: Post "https://x": EOF"#,
                Some("b.io"),
            ),
            (r#"admission webhook "a.io" denied the request: failed calling webhook "b.io": x"#, Some("a.io")),
            (r#"failed calling webhook "b.io": admission webhook "a.io" denied the request"#, Some("b.io")),
            (r#"admission webhook "a.io" is told of"#, None),
            (r#"admission webhook "a.io"#, None),
            (r#"things "admission webhook" is forbidden"#, None),
            ("", None),
        ] {
            assert_eq!(webhook_of(message), expected, "{message}");
        }
    }
}
