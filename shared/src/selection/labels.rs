//! Label selectors with the meaning that Kubernetes gives them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::core::{Expression, Selector};

use super::error::excerpt;
use super::facts::Facts;

/// Conditions that must all hold; none of them: all objects.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Labels(Vec<Expression>);

/// What is wrong with a label selector: the value and the problem.
pub(super) type Wrong = (String, &'static str);

impl Labels {
    /// Reads a selector, and refuses what Kubernetes refuses: a value with a comma, say, would make two conditions of one
    /// on the way to the server.
    pub(super) fn new(selector: &LabelSelector) -> Result<Self, Wrong> {
        let equal = selector.match_labels.iter().flatten().map(|(key, value)| {
            check_key(key)?;
            check_value(value)?;
            Ok(Expression::Equal(key.clone(), value.clone()))
        });
        let required = selector.match_expressions.iter().flatten().map(expression);
        equal.chain(required).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The selector as a request carries it.
    pub(super) fn to_query(&self) -> String {
        self.0.iter().cloned().collect::<Selector>().to_string()
    }

    pub(super) fn hold_for(&self, object: &impl Facts) -> bool {
        self.0.iter().all(|expression| holds(expression, object))
    }
}

/// `NotIn` and `NotEqual` also hold for an object that lacks the key.
fn holds(expression: &Expression, object: &impl Facts) -> bool {
    match expression {
        Expression::In(key, values) => object.label(key).is_some_and(|value| values.contains(&value)),
        Expression::NotIn(key, values) => object.label(key).is_none_or(|value| !values.contains(&value)),
        Expression::Equal(key, value) => object.label(key).as_ref() == Some(value),
        Expression::NotEqual(key, value) => object.label(key).as_ref() != Some(value),
        Expression::Exists(key) => object.label(key).is_some(),
        Expression::DoesNotExist(key) => object.label(key).is_none(),
    }
}

fn expression(requirement: &LabelSelectorRequirement) -> Result<Expression, Wrong> {
    let LabelSelectorRequirement { key, operator, values } = requirement;
    let values = values.as_deref().unwrap_or_default();
    check_key(key)?;
    values.iter().try_for_each(|value| check_value(value))?;
    let set = || values.iter().cloned().collect();
    match (operator.as_str(), values.is_empty()) {
        ("In", false) => Ok(Expression::In(key.clone(), set())),
        ("NotIn", false) => Ok(Expression::NotIn(key.clone(), set())),
        ("Exists", true) => Ok(Expression::Exists(key.clone())),
        ("DoesNotExist", true) => Ok(Expression::DoesNotExist(key.clone())),
        ("In" | "NotIn", true) => wrong(key, "needs values for its operator"),
        ("Exists" | "DoesNotExist", false) => wrong(key, "has values, which its operator does not take"),
        _ => wrong(operator, "is no operator; allowed: In, NotIn, Exists, DoesNotExist"),
    }
}

fn wrong<T>(value: &str, problem: &'static str) -> Result<T, Wrong> {
    Err((excerpt(value), problem))
}

/// A name of up to 63 characters, with a DNS name and a slash in front or without.
fn check_key(key: &str) -> Result<(), Wrong> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let is_prefix = |prefix: &str| {
        !prefix.is_empty()
            && prefix.len() <= 253
            && prefix.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
    };
    if prefix.is_none_or(is_prefix) && is_name(name) { Ok(()) } else { wrong(key, "is no key of a label") }
}

fn check_value(value: &str) -> Result<(), Wrong> {
    if value.is_empty() || is_name(value) { Ok(()) } else { wrong(value, "is no value of a label") }
}

fn is_name(name: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.len() <= 63
        && name.chars().all(inside)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
}
