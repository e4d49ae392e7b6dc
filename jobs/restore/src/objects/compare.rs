//! Whether a live object is what the archive wants it to be: exact, member by member, each one's bytes first and only
//! where those differ its meaning.

use std::hash::{BuildHasher, RandomState};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::objects::shape::Shape;

/// What becomes of an object's status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StatusRule {
    /// The type has a status subresource, and the archive's status is written through it.
    Subresource,
    /// The type keeps its status as a plain member, written with the rest.
    Plain,
    /// Kubernetes works it out from what it sees: written once, it would be overwritten at once.
    Observed,
}

/// How a live object differs from what is wanted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Difference {
    /// Anything but what the other two say.
    pub(crate) body: bool,
    /// The status, where it is written through the subresource.
    pub(crate) status: bool,
    /// For each owner that the archive's object names, the mark of the UID that the live object names it with.
    pub(crate) owners: Box<[Option<UidMark>]>,
}

/// Stands for a UID in 8 bytes; a hash with this process' own key, so that nobody can make two of them equal.
pub(crate) type UidMark = u64;

/// Makes [`UidMark`]s that can be compared with each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct UidMarks(RandomState);

impl UidMarks {
    /// The mark of a UID.
    pub(crate) fn mark(&self, uid: &str) -> UidMark {
        self.0.hash_one(uid)
    }
}

/// Compares what is wanted with what is live.
pub(crate) fn compare(wanted: &Shape<'_>, live: &Shape<'_>, rule: StatusRule, marks: &UidMarks) -> Difference {
    let apart = |name: &str| name == "status" && rule != StatusRule::Plain;
    let content = same_members(
        wanted.content().filter(|(name, _)| !apart(name)),
        live.content().filter(|(name, _)| !apart(name)),
    );
    // The server leaves out empty maps and lists of metadata, so they are as good as none.
    let metadata = same_members(
        wanted.client_metadata().filter(|(_, value)| !is_empty(value)),
        live.client_metadata().filter(|(_, value)| !is_empty(value)),
    );
    let owners = match_owners(&wanted.owner_references(), &live.owner_references(), marks);
    let status = rule == StatusRule::Subresource
        && wanted.member("status").is_some_and(|status| !same_status(status, live.member("status")));
    Difference { body: !content || !metadata || owners.is_none(), status, owners: owners.unwrap_or_default() }
}

fn same_members<'a, 'b>(
    wanted: impl Iterator<Item = (&'a str, &'a RawValue)>,
    mut live: impl Iterator<Item = (&'b str, &'b RawValue)>,
) -> bool {
    // Both come from sorted maps, so the same members come in the same order.
    for (name, value) in wanted {
        match live.next() {
            Some((live_name, live_value)) if live_name == name && same(value, live_value) => {}
            _ => return false,
        }
    }
    live.next().is_none()
}

/// Whether two values mean the same.
pub(crate) fn same(one: &RawValue, other: &RawValue) -> bool {
    one.get() == other.get()
        || meaning(one).is_some_and(|one| meaning(other).is_some_and(|other| same_meaning(&one, &other)))
}

/// Equal, and a whole number is the same however it is written: the API server keeps 1.0 as 1.
///
/// The parser ends at a depth of 128, and so does this.
fn same_meaning(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_meaning(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            members(one).count() == members(other).count()
                && members(one).all(|(name, one)| other.get(name).is_some_and(|other| same_meaning(one, other)))
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() != other.is_f64() => one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

/// The members that say something. Servers before Kubernetes 1.34 write `creationTimestamp: null` in every template of a
/// pod, and later ones leave it out.
fn members(map: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    map.iter().filter(|(name, value)| !(value.is_null() && *name == "creationTimestamp"))
}

/// The tree, whose maps are sorted; none for one that is nested too deeply, which then counts as different.
fn meaning(value: &RawValue) -> Option<Value> {
    serde_json::from_str(value.get()).ok()
}

fn is_empty(value: &RawValue) -> bool {
    matches!(value.get(), "{}" | "[]")
}

fn same_status(wanted: &RawValue, live: Option<&RawValue>) -> bool {
    live.map_or_else(|| is_empty(wanted), |live| same(wanted, live))
}

/// Finds each live owner among the wanted ones, in order and whatever its UID; none where a live one is not wanted.
fn match_owners(
    wanted: &[OwnerReference],
    live: &[OwnerReference],
    marks: &UidMarks,
) -> Option<Box<[Option<UidMark>]>> {
    let mut matched = vec![None; wanted.len()];
    let mut next = 0;
    for reference in live {
        let found = wanted[next..].iter().position(|candidate| same_but_for_uid(candidate, reference))?;
        matched[next + found] = Some(marks.mark(&reference.uid));
        next += found + 1;
    }
    Some(matched.into_boxed_slice())
}

fn same_but_for_uid(one: &OwnerReference, other: &OwnerReference) -> bool {
    let parts = |reference: &OwnerReference| {
        let flags = [reference.controller, reference.block_owner_deletion].map(Option::unwrap_or_default);
        (reference.api_version.clone(), reference.kind.clone(), reference.name.clone(), flags)
    };
    parts(one) == parts(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wanted: &str, live: &str, rule: StatusRule, body: bool, status: bool) {
        let (wanted, live) = (Shape::split(wanted.as_bytes()).unwrap(), Shape::split(live.as_bytes()).unwrap());
        let difference = compare(&wanted, &live, rule, &UidMarks::default());
        assert_eq!((difference.body, difference.status), (body, status));
    }

    #[track_caller]
    fn same(wanted: &str, live: &str) {
        check(wanted, live, StatusRule::Plain, false, false);
    }

    #[track_caller]
    fn differs(wanted: &str, live: &str) {
        check(wanted, live, StatusRule::Plain, true, false);
    }

    #[test]
    fn order_spaces_and_escapes_do_not_matter() {
        same(r#"{"data":{"a":"<","b":2}}"#, r#"{"data":{"b":2, "a":"\u003c"}}"#);
    }

    #[test]
    fn whole_numbers_are_the_same_however_they_are_written() {
        same(r#"{"spec":{"a":[1.0,2e3]}}"#, r#"{"spec":{"a":[1,2000]}}"#);
        differs(r#"{"spec":{"a":1.5}}"#, r#"{"spec":{"a":1}}"#);
        differs(r#"{"spec":{"a":9007199254740993}}"#, r#"{"spec":{"a":9007199254740992}}"#);
        differs(r#"{"spec":{"a":"1"}}"#, r#"{"spec":{"a":1}}"#);
    }

    #[test]
    fn the_type_and_what_the_server_sets_do_not_matter() {
        same(
            r#"{"apiVersion":"v1","kind":"A","metadata":{"name":"a"}}"#,
            r#"{"metadata":{"name":"a","uid":"1","resourceVersion":"2","generation":3,"managedFields":[{}],"creationTimestamp":"t"}}"#,
        );
    }

    #[test]
    fn null_members_and_empty_metadata_are_as_good_as_none() {
        same(r#"{"data":null,"metadata":{"labels":{},"finalizers":[]}}"#, r#"{"metadata":{"annotations":null}}"#);
    }

    #[test]
    fn a_time_that_is_null_is_as_good_as_none_in_templates() {
        same(r#"{"spec":{"metadata":{"creationTimestamp":null,"a":1}}}"#, r#"{"spec":{"metadata":{"a":1}}}"#);
        same(r#"{"spec":{"metadata":{}}}"#, r#"{"spec":{"metadata":{"creationTimestamp":null}}}"#);
        differs(r#"{"spec":{"creationTimestamp":"t"}}"#, r#"{"spec":{"creationTimestamp":null}}"#);
        differs(r#"{"spec":{"a":null}}"#, r#"{"spec":{}}"#);
    }

    #[test]
    fn values_names_and_finalizers_matter() {
        differs(r#"{"data":{"a":1}}"#, r#"{"data":{"a":2}}"#);
        differs(r#"{"data":{"a":1}}"#, r#"{"date":{"a":1}}"#);
        differs(r#"{"a":1}"#, r#"{"a":1,"b":1}"#);
        differs(r#"{"a":1,"b":1}"#, r#"{"a":1}"#);
        differs(r#"{"metadata":{"finalizers":["x"]}}"#, r#"{"metadata":{}}"#);
        differs(r#"{"spec":{}}"#, r"{}");
        differs(r#"{"spec":[1,2]}"#, r#"{"spec":[2,1]}"#);
    }

    #[test]
    fn status_is_compared_where_it_is_written() {
        let (one, other, none) = (r#"{"status":{"a":1}}"#, r#"{"status":{"a":2}}"#, "{}");
        check(one, other, StatusRule::Subresource, false, true);
        check(one, none, StatusRule::Subresource, false, true);
        check(none, one, StatusRule::Subresource, false, false);
        check(r#"{"status":{}}"#, none, StatusRule::Subresource, false, false);
        check(one, other, StatusRule::Plain, true, false);
        check(one, other, StatusRule::Observed, false, false);
    }

    #[test]
    fn nesting_without_end_counts_as_different_and_does_no_harm() {
        let deep = |last: &str| format!(r#"{{"a":{}{last}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
        differs(&deep("1"), &deep("2"));
        same(&deep("1"), &deep("1"));
    }

    fn owned(owners: &[(&str, &str)]) -> String {
        let references: Vec<String> = owners
            .iter()
            .map(|(name, uid)| format!(r#"{{"apiVersion":"v1","kind":"A","name":"{name}","uid":"{uid}"}}"#))
            .collect();
        format!(r#"{{"metadata":{{"ownerReferences":[{}]}}}}"#, references.join(","))
    }

    #[track_caller]
    fn owners(wanted: &[(&str, &str)], live: &[(&str, &str)], expected: Option<&[Option<&str>]>) {
        let marks = UidMarks::default();
        let (wanted, live) = (owned(wanted), owned(live));
        let (wanted, live) = (Shape::split(wanted.as_bytes()).unwrap(), Shape::split(live.as_bytes()).unwrap());
        let difference = compare(&wanted, &live, StatusRule::Plain, &marks);
        assert_eq!(difference.body, expected.is_none());
        let expected: Vec<_> = expected.unwrap_or_default().iter().map(|uid| uid.map(|uid| marks.mark(uid))).collect();
        assert_eq!(difference.owners.as_ref(), expected);
    }

    #[test]
    fn owners_are_matched_whatever_their_uid() {
        owners(&[("a", "1"), ("b", "2")], &[("a", "8"), ("b", "9")], Some(&[Some("8"), Some("9")]));
        owners(&[("a", "1"), ("b", "2")], &[("b", "9")], Some(&[None, Some("9")]));
        owners(&[("a", "1")], &[], Some(&[None]));
        owners(&[], &[("a", "1")], None);
        owners(&[("a", "1"), ("b", "2")], &[("b", "2"), ("a", "1")], None);
    }
}
