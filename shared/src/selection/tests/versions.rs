use super::*;

/// A cluster that prefers `v2` of `a.io` to `v1beta1`: things are served in both, old ones in `v1beta1` alone.
fn several() -> Discovery {
    [
        resource("a.io/v2", "Thing", "things", true),
        resource("a.io/v1beta1", "Thing", "things", true),
        resource("a.io/v1beta1", "Old", "olds", true),
        resource("v1", "Secret", "secrets", true),
    ]
    .into_iter()
    .collect()
}

fn planned(selectors: Value, discovery: &Discovery) -> Plan {
    let set: ResourceSet = serde_json::from_value(json!({
        "apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "set"},
        "resourceSelectors": selectors,
    }))
    .unwrap();
    plan(&set, discovery).unwrap()
}

/// Each type with the version that is read and, where it is another, the versions that are named.
#[track_caller]
fn check(selectors: Value, expected: &[&str], not_served: &[&str]) {
    let text = selectors.to_string();
    let plan = planned(selectors, &several());
    let types = plan.types.iter().map(|of_type| {
        let ResourceType { plural, version, .. } = &of_type.resource;
        let named = of_type.named.join(",");
        if named.is_empty() { format!("{plural} {version}") } else { format!("{plural} {version} for {named}") }
    });
    assert_eq!(types.collect::<Vec<_>>(), expected, "{text}");
    assert_eq!(plan.not_served, not_served, "{text}");
}

#[test]
fn a_type_is_read_in_a_version_that_is_served() {
    check(json!([{"apiVersion": "a.io/v2", "kinds": ["Thing"]}]), &["things v2"], &[]);
    check(json!([{"apiVersion": "a.io/v1beta1", "kinds": ["Thing"]}]), &["things v1beta1"], &[]);
    check(json!([{"apiVersion": "a.io/v3", "kinds": ["Thing"]}]), &["things v2 for v3"], &[]);
    check(json!([{"apiVersion": "a.io/v2", "kinds": ["olds"]}]), &["olds v1beta1 for v2"], &[]);
    check(json!([{"apiVersion": "a.io/v2"}]), &["olds v1beta1 for v2", "things v2"], &[]);
    check(json!([{"apiVersion": "a.io/v3", "kindsRegexp": "^t"}]), &["things v2 for v3"], &[]);
    check(json!([{"apiVersion": "a.io/v3", "kindsRegexp": ".", "excludeKinds": ["Old"]}]), &["things v2 for v3"], &[]);
}

#[test]
fn what_is_served_in_no_version_is_not_served() {
    check(json!([{"apiVersion": "b.io/v1"}]), &[], &["b.io/v1"]);
    check(json!([{"apiVersion": "a.io/v3", "kinds": ["Other"]}]), &[], &["a.io/v3"]);
}

/// The kinds that selectors list and that are not served.
#[track_caller]
fn check_kinds(selectors: Value, expected: &[&str]) {
    let text = selectors.to_string();
    assert_eq!(planned(selectors, &several()).kinds_not_served, expected, "{text}");
}

#[test]
fn a_kind_that_is_listed_and_not_served_is_told() {
    check_kinds(json!([{"apiVersion": "a.io/v2", "kinds": ["Other"]}]), &["Other.a.io"]);
    check_kinds(json!([{"apiVersion": "a.io/v2", "kinds": ["Thing", "others", "olds"]}]), &["others.a.io"]);
    check_kinds(json!([{"apiVersion": "a.io/v3", "kinds": ["Thing", "Other"]}]), &["Other.a.io"]);
    check_kinds(json!([{"apiVersion": "v1", "kinds": ["secret", "Secret", "secrets/status"]}]), &["secret"]);
    let twice =
        json!([{"apiVersion": "a.io/v2", "kinds": ["Other"]}, {"apiVersion": "a.io/v1beta1", "kinds": ["Other"]}]);
    check_kinds(twice, &["Other.a.io"]);
    // A pattern may find nothing, and of what a whole API version lacks that one is told.
    check_kinds(json!([{"apiVersion": "a.io/v2", "kindsRegexp": "^other"}]), &[]);
    check_kinds(json!([{"apiVersion": "a.io/v3", "kinds": ["Other"]}]), &[]);
    check_kinds(json!([{"apiVersion": "b.io/v1", "kinds": ["Other"]}]), &[]);
}

#[test]
fn a_type_that_is_named_in_two_versions_is_read_once() {
    let selectors = |one: &str, two: &str| {
        json!([
            {"apiVersion": one, "kinds": ["things"], "namespaces": ["one"]},
            {"apiVersion": two, "kinds": ["things"], "namespaces": ["two"]},
        ])
    };
    check(selectors("a.io/v1beta1", "a.io/v2"), &["things v2"], &[]);
    check(selectors("a.io/v3", "a.io/v1beta1"), &["things v1beta1"], &[]);
    check(selectors("a.io/v4", "a.io/v3"), &["things v2 for v3,v4"], &[]);
    let plan = planned(selectors("a.io/v4", "a.io/v3"), &several());
    for place in ["one/x", "two/x"] {
        assert!(plan.types[0].selects(&thing(place)), "{place}");
    }
    assert!(!plan.types[0].selects(&thing("three/x")));
}

#[test]
fn what_the_cluster_cannot_answer_for_is_unknown() {
    let why = Unavailable { reason: "503".into(), exit: crate::exit::Exit::Unavailable };
    let down = several().without("down.io/v1", why.clone()).without("a.io/v9", why);
    let unknown = |api_version: &str| {
        let plan = planned(json!([{"apiVersion": api_version}]), &down);
        assert!(plan.not_served.is_empty() || plan.unknown.is_empty());
        plan.unknown.into_iter().map(|unknown| unknown.api_version).collect::<Vec<_>>()
    };
    assert_eq!(unknown("down.io/v1"), ["down.io/v1"]);
    assert_eq!(unknown("down.io/v2"), ["down.io/v2"], "its types may be those of the version that is down");
    assert_eq!(unknown("a.io/v2"), [""; 0]);
    assert_eq!(unknown("b.io/v1"), [""; 0]);
}
