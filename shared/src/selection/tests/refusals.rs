use serde_json::json;

use super::*;
use crate::exit::{Exit, Fault};

#[track_caller]
fn check_refused(selector: Value, expected: &str) {
    let error = try_plan(json!([{"apiVersion": "v1"}, selector])).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.exit(), Exit::Usage);
}

#[test]
fn errors_name_the_selector_the_field_and_the_value() {
    check_refused(
        json!({"apiVersion": "v1", "kindsRegexp": "a**"}),
        "failed to read kindsRegexp \"a**\" of resourceSelectors[1], at character 3: a repetition cannot be repeated; give \
         a regexp of Go's RE2",
    );
    check_refused(
        json!({"apiVersion": "v1", "excludeResourceNameRegexp": "x(?!y)"}),
        "failed to read excludeResourceNameRegexp \"x(?!y)\" of resourceSelectors[1], at character 2: Go knows no such \
         group; give a regexp of Go's RE2",
    );
    check_refused(
        json!({"apiVersion": "../../v1?x"}),
        "failed to read apiVersion \"../../v1?x\" of resourceSelectors[1]; give a group and version such as \"apps/v1\", or \
         \"v1\"",
    );
    check_refused(
        json!({"apiVersion": "v1", "resourceNames": ["a/status"]}),
        "failed to read resourceNames of resourceSelectors[1]: no object can be named \"a/status\" (\"/\" and \"%\" are not \
         allowed)",
    );
    check_refused(
        json!({"apiVersion": "v1", "fieldSelectors": {"a=b,c": "d"}}),
        "failed to read fieldSelectors of resourceSelectors[1]: \"a=b,c\" is no path such as \"status.phase\"",
    );
}

#[test]
fn labels_that_kubernetes_refuses_are_refused() {
    let expression = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "owner", "operator": operator, "values": values}]});
    for labels in [
        expression("In", json!([])),
        expression("NotIn", json!(null)),
        expression("Exists", json!(["a"])),
        expression("DoesNotExist", json!(["a"])),
        expression("Equals", json!(["a"])),
        expression("In", json!(["a,b=c"])),
        json!({"matchLabels": {"a": "b,c=d"}}),
        json!({"matchLabels": {"": "b"}}),
        json!({"matchLabels": {"a b": "c"}}),
        json!({"matchLabels": {"/a": "c"}}),
        json!({"matchLabels": {"A.b/c": "d"}}),
        json!({"matchLabels": {"a": "-"}}),
        json!({"matchLabels": {"a": "x".repeat(64)}}),
    ] {
        let text = labels.to_string();
        let error = try_plan(json!([{"apiVersion": "v1", "labelSelectors": labels}])).unwrap_err();
        assert!(matches!(error, PlanError::ReadLabels { .. }), "{text}: {error}");
    }
}

#[test]
fn a_selector_of_what_is_not_served_is_read_all_the_same() {
    assert!(try_plan(json!([{"apiVersion": "nothing.io/v1", "namespaceRegexp": "("}])).is_err());
}
