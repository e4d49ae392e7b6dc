//! The JSON body of a webhook: texts in it may hold `{{names}}` of what is told.

use serde_json::Value;
use snafu::{Snafu, ensure};

use crate::ping::Ping;

/// A body with names in double braces.
#[derive(Clone, PartialEq)]
pub(crate) struct Template(Value);

/// What stands in braces and is no name that is known.
#[derive(Debug, Snafu)]
#[snafu(display("its body names {name:?} in double braces; allowed: {}", Ping::PLACEHOLDERS.join(", ")))]
pub(crate) struct UnknownName {
    name: String,
}

/// The most characters of an unknown name that are told.
const SHOWN: usize = 40;

impl std::fmt::Debug for Template {
    /// A body may hold a token.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Template")
    }
}

impl Template {
    /// Takes a body whose names are all known.
    pub(crate) fn new(body: Value) -> Result<Self, UnknownName> {
        check(&body)?;
        Ok(Self(body))
    }

    /// Whether it holds one of these names.
    pub(crate) fn names_any(&self, names: &[&str]) -> bool {
        names_any(&self.0, names)
    }

    /// The body about this. A text that is one name becomes what it stands for, a number say, or null; within a longer
    /// text what is not known is empty.
    pub(crate) fn fill(&self, ping: &Ping) -> Value {
        fill(&self.0, ping)
    }
}

/// A text in parts: what stands there, and names.
enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Name(name.trim()));
        rest = behind;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

fn check(value: &Value) -> Result<(), UnknownName> {
    match value {
        Value::String(text) => parts(text).iter().try_for_each(|part| match part {
            Part::Name(name) => {
                let shown: String = name.chars().take(SHOWN).collect();
                ensure!(Ping::PLACEHOLDERS.contains(name), UnknownNameSnafu { name: shown });
                Ok(())
            }
            Part::Text(_) => Ok(()),
        }),
        Value::Array(items) => items.iter().try_for_each(check),
        Value::Object(members) => members.values().try_for_each(check),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn names_any(value: &Value, names: &[&str]) -> bool {
    match value {
        Value::String(text) => parts(text).iter().any(|part| matches!(part, Part::Name(name) if names.contains(name))),
        Value::Array(items) => items.iter().any(|item| names_any(item, names)),
        Value::Object(members) => members.values().any(|member| names_any(member, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn fill(value: &Value, ping: &Ping) -> Value {
    match value {
        Value::String(text) => filled_text(text, ping),
        Value::Array(items) => items.iter().map(|item| fill(item, ping)).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), fill(value, ping))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn filled_text(text: &str, ping: &Ping) -> Value {
    let parts = parts(text);
    if let [Part::Name(name)] = parts[..] {
        return ping.value(name);
    }
    let filled = parts.iter().map(|part| match part {
        Part::Text(text) => (*text).to_owned(),
        Part::Name(name) => match ping.value(name) {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        },
    });
    Value::String(filled.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ping::Signal;
    use crate::ping::tests::whole;

    #[track_caller]
    fn check_filled(body: &Value, signal: Signal, expected: &Value) {
        assert_eq!(&Template::new(body.clone()).unwrap().fill(&whole(signal)), expected);
    }

    #[test]
    fn names_become_what_they_stand_for() {
        let body = json!({
            "text": "{{resource}} {{ name }}: {{status}}{{reason}}", "n": "{{objects}}", "list": ["{{number}}", 3, null],
            "braces": "{ {{signal}} }} {{", "nested": {"run": "run {{run}}"},
        });
        let run = "run 019aaf00-0000-7000-8000-000000000001";
        let mut expected = json!({"text": "Backup daily: success", "n": 1234, "list": [7, 3, null],
            "braces": "{ success }} {{", "nested": {"run": run}});
        check_filled(&body, Signal::Success, &expected);
        expected["text"] = json!("Backup daily: failederror: no answer");
        expected["n"] = Value::Null;
        expected["braces"] = json!("{ failure }} {{");
        check_filled(&body, Signal::Failure, &expected);
    }

    #[test]
    fn a_name_that_is_not_known_is_refused() {
        for body in [json!("{{nmae}}"), json!({"a": ["b {{}}"]}), json!("{{name}} {{token}}")] {
            Template::new(body).unwrap_err();
        }
        let told = Template::new(json!("{{nmae}}")).unwrap_err().to_string();
        assert!(told.contains("\"nmae\"") && told.contains("durationSeconds"), "{told}");
    }
}
