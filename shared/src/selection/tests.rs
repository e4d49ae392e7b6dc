#![expect(clippy::needless_pass_by_value, reason = "a table reads best with `json!({…})` as the argument itself")]

mod refusals;
mod versions;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::resources::ResourceSet;

struct Thing {
    name: &'static str,
    namespace: Option<&'static str>,
    labels: BTreeMap<&'static str, &'static str>,
    fields: BTreeMap<&'static str, &'static str>,
}

impl Facts for Thing {
    fn name(&self) -> &str {
        self.name
    }
    fn namespace(&self) -> Option<&str> {
        self.namespace
    }
    fn label(&self, key: &str) -> Option<String> {
        self.labels.get(key).map(|value| (*value).to_owned())
    }
    fn field(&self, path: &str) -> Option<String> {
        self.fields.get(path).map(|value| (*value).to_owned())
    }
}

/// An object from `namespace/name` or `name`.
fn thing(path: &'static str) -> Thing {
    let (namespace, name) = path.split_once('/').map_or((None, path), |(namespace, name)| (Some(namespace), name));
    Thing { name, namespace, labels: BTreeMap::new(), fields: BTreeMap::new() }
}

fn labelled(path: &'static str, labels: &[(&'static str, &'static str)]) -> Thing {
    Thing { labels: labels.iter().copied().collect(), ..thing(path) }
}

fn with_fields(path: &'static str, fields: &[(&'static str, &'static str)]) -> Thing {
    Thing { fields: fields.iter().copied().collect(), ..thing(path) }
}

fn resource(api_version: &str, kind: &str, plural: &str, namespaced: bool) -> ResourceType {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ResourceType {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        namespaced,
        can_list: true,
        can_get: true,
    }
}

fn cluster() -> Discovery {
    [
        resource("v1", "Secret", "secrets", true),
        resource("v1", "ConfigMap", "configmaps", true),
        resource("v1", "Namespace", "namespaces", false),
        resource("v1", "Pod", "pods/status", true),
        ResourceType { can_list: false, can_get: false, ..resource("v1", "Binding", "bindings", true) },
        resource("apps/v1", "Deployment", "deployments", true),
        resource("management.cattle.io/v3", "Token", "tokens", false),
        resource("management.cattle.io/v3", "User", "users", false),
        resource("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false),
        ResourceType { can_list: false, ..resource("ext.cattle.io/v1", "Useractivity", "useractivities", false) },
        ResourceType { can_list: false, ..resource("ext.cattle.io/v1", "Kubeconfig", "kubeconfigs", true) },
    ]
    .into_iter()
    .collect()
}

fn try_plan(selectors: Value) -> Result<Plan, PlanError> {
    let set: ResourceSet = serde_json::from_value(json!({
        "apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "set"},
        "resourceSelectors": selectors,
    }))
    .unwrap();
    plan(&set, &cluster())
}

fn plan_of(selectors: Value) -> Plan {
    try_plan(selectors).unwrap()
}

#[track_caller]
fn check_types(selector: Value, expected: &[&str]) {
    let text = selector.to_string();
    let types: Vec<String> = plan_of(json!([selector])).types.iter().map(|plan| plan.resource.type_name()).collect();
    assert_eq!(types, expected, "{text}");
}

#[track_caller]
fn check_objects(selectors: Value, taken: &[Thing], left: &[Thing]) {
    let text = selectors.to_string();
    let plan = plan_of(selectors);
    for thing in taken {
        assert!(plan.types[0].selects(thing), "{} is not selected by {text}", thing.name);
    }
    for thing in left {
        assert!(!plan.types[0].selects(thing), "{} is selected by {text}", thing.name);
    }
}

#[test]
fn kinds_match_by_kind_or_plural_name() {
    check_types(json!({"apiVersion": "v1"}), &["namespaces", "configmaps", "secrets"]);
    check_types(json!({"apiVersion": "v1", "kindsRegexp": "."}), &["namespaces", "configmaps", "secrets"]);
    check_types(json!({"apiVersion": "v1", "kinds": ["Secret"]}), &["secrets"]);
    check_types(json!({"apiVersion": "v1", "kinds": ["secrets", "Secret"]}), &["secrets"]);
    check_types(json!({"apiVersion": "v1", "kinds": ["secret"]}), &[]);
    check_types(json!({"apiVersion": "v1", "kinds": ["ecret"]}), &[]);
    check_types(json!({"apiVersion": "v1", "kindsRegexp": "^secrets$"}), &["secrets"]);
    check_types(json!({"apiVersion": "v1", "kindsRegexp": "^Secret$"}), &["secrets"]);
    check_types(json!({"apiVersion": "v1", "kindsRegexp": "ap"}), &["configmaps"]);
    check_types(json!({"apiVersion": "v1", "kinds": ["secrets"], "kindsRegexp": "^conf"}), &["configmaps", "secrets"]);
}

#[test]
fn excluded_kinds_hold_but_for_kinds_listed_exactly() {
    let users = &["users.management.cattle.io"];
    let both = &["tokens.management.cattle.io", "users.management.cattle.io"];
    let version = "management.cattle.io/v3";
    check_types(json!({"apiVersion": version, "kindsRegexp": ".", "excludeKinds": ["tokens"]}), users);
    check_types(json!({"apiVersion": version, "kindsRegexp": ".", "excludeKinds": ["Token"]}), users);
    check_types(json!({"apiVersion": version, "kindsRegexp": "User|tokens", "excludeKinds": ["Token"]}), users);
    check_types(json!({"apiVersion": version, "excludeKinds": ["tokens"]}), users);
    let listed = json!({"apiVersion": version, "kinds": ["tokens"], "kindsRegexp": ".", "excludeKinds": ["tokens"]});
    check_types(listed, both);
}

#[test]
fn subresources_and_what_can_only_be_created_are_passed_over() {
    check_types(json!({"apiVersion": "v1", "kinds": ["pods/status", "Pod", "bindings"]}), &[]);
}

#[test]
fn names_are_a_list_or_a_regexp() {
    let selector = |more: Value| {
        let mut selector = json!({"apiVersion": "v1", "kinds": ["namespaces"]});
        selector.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([selector])
    };
    check_objects(selector(json!({})), &[thing("any")], &[]);
    check_objects(selector(json!({"resourceNames": ["a", "b"]})), &[thing("a"), thing("b")], &[thing("ab")]);
    check_objects(selector(json!({"resourceNameRegexp": "a"})), &[thing("a"), thing("bab")], &[thing("b")]);
    check_objects(selector(json!({"resourceNameRegexp": "."})), &[thing("a")], &[]);
    check_objects(
        selector(json!({"resourceNameRegexp": "^c-", "resourceNames": ["local"]})),
        &[thing("c-1"), thing("local")],
        &[thing("local2")],
    );
    check_objects(
        selector(json!({"resourceNameRegexp": "^c-", "excludeResourceNameRegexp": "x$"})),
        &[thing("c-1")],
        &[thing("c-x"), thing("x"), thing("d")],
    );
    check_objects(selector(json!({"excludeResourceNameRegexp": "^default$"})), &[thing("a")], &[thing("default")]);
    check_objects(
        selector(json!({"excludeResourceNameRegexp": "^default", "resourceNames": ["default"]})),
        &[thing("default"), thing("all-others")],
        &[thing("default-token")],
    );
}

#[test]
fn namespaces_are_a_list_or_a_regexp_and_concern_namespaced_types_only() {
    let selector = |kind: &str, more: Value| {
        let mut selector = json!({"apiVersion": "v1", "kinds": [kind]});
        selector.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([selector])
    };
    check_objects(
        selector("secrets", json!({"namespaces": ["a"], "namespaceRegexp": "^c-"})),
        &[thing("a/x"), thing("c-1/x")],
        &[thing("b/x"), thing("b/a")],
    );
    check_objects(selector("secrets", json!({"namespaceRegexp": "."})), &[thing("a/x")], &[]);
    check_objects(selector("namespaces", json!({"namespaces": ["a"]})), &[thing("x")], &[]);
    check_objects(
        selector("secrets", json!({"namespaces": ["a"], "resourceNames": ["x"]})),
        &[thing("a/x")],
        &[thing("a/y"), thing("b/x")],
    );
}

/// Two selectors, so that the first one's conditions cannot be left to the server.
fn beside_another(selector: Value) -> Value {
    json!([selector, {"apiVersion": "v1", "kinds": ["secrets"], "resourceNames": ["another"]}])
}

#[test]
fn labels_have_the_meaning_of_kubernetes() {
    let check = |labels: Value, taken: &[Thing], left: &[Thing]| {
        let selector = json!({"apiVersion": "v1", "kinds": ["secrets"], "labelSelectors": labels});
        check_objects(beside_another(selector), taken, left);
    };
    let expression = |operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": "owner", "operator": operator, "values": values}]});
    let helm = || labelled("n/x", &[("owner", "helm")]);
    let empty = || labelled("n/x", &[("owner", "")]);
    let other = || labelled("n/x", &[("own", "helm")]);
    check(json!(null), &[helm(), other()], &[]);
    check(json!({}), &[helm(), other()], &[]);
    check(json!({"matchLabels": {"owner": "helm"}}), &[helm()], &[empty(), other()]);
    check(json!({"matchLabels": {"owner": ""}}), &[empty()], &[helm(), other()]);
    check(expression("In", &["helm", "x"]), &[helm()], &[empty(), other()]);
    check(expression("NotIn", &["helm"]), &[empty(), other()], &[helm()]);
    check(expression("Exists", &[]), &[helm(), empty()], &[other()]);
    check(expression("DoesNotExist", &[]), &[other()], &[helm(), empty()]);
    check(
        json!({"matchLabels": {"own": "helm"}, "matchExpressions": [{"key": "owner", "operator": "Exists"}]}),
        &[labelled("n/x", &[("own", "helm"), ("owner", "y")])],
        &[helm(), other()],
    );
}

#[test]
fn fields_that_the_server_is_not_asked_for_are_looked_at() {
    let fields = json!({"type": "Opaque", "spec.paused": "false"});
    let selector = json!({"apiVersion": "v1", "kinds": ["secrets"], "fieldSelectors": fields});
    check_objects(
        beside_another(selector),
        &[
            with_fields("n/x", &[("type", "Opaque")]),
            with_fields("n/x", &[("type", "Opaque"), ("spec.paused", "false")]),
        ],
        &[thing("n/x"), with_fields("n/x", &[("type", "Opaque"), ("spec.paused", "true")])],
    );
}

#[test]
fn selectors_of_one_type_are_alternatives_and_the_type_is_listed_once() {
    let selectors = json!([
        {"apiVersion": "v1", "kindsRegexp": "^secrets$", "namespaces": ["a"], "resourceNames": ["x"]},
        {"apiVersion": "v1", "kinds": ["Secret"], "namespaceRegexp": "^b"},
    ]);
    assert_eq!(plan_of(selectors.clone()).types.len(), 1);
    check_objects(selectors, &[thing("a/x"), thing("b/y")], &[thing("a/y"), thing("c/x")]);
}

#[test]
fn the_order_is_definitions_then_cluster_scoped_then_namespaced_each_by_name() {
    let selectors = json!([
        {"apiVersion": "apps/v1"}, {"apiVersion": "v1"}, {"apiVersion": "nothing.io/v1"},
        {"apiVersion": "management.cattle.io/v3"}, {"apiVersion": "apiextensions.k8s.io/v1"}, {"apiVersion": "nothing.io/v1"},
    ]);
    let plan = plan_of(selectors);
    let types: Vec<String> = plan.types.iter().map(|plan| plan.resource.type_name()).collect();
    let expected = [
        "customresourcedefinitions.apiextensions.k8s.io",
        "namespaces",
        "tokens.management.cattle.io",
        "users.management.cattle.io",
        "configmaps",
        "deployments.apps",
        "secrets",
    ];
    assert_eq!(types, expected);
    assert_eq!(plan.not_served, ["nothing.io/v1"]);
}

#[track_caller]
fn check_request(
    selectors: Value,
    namespace: Option<&str>,
    name: Option<&str>,
    labels: Option<&str>,
    fields: Option<&str>,
) {
    let text = selectors.to_string();
    let expected = Request::List {
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        label_selector: labels.map(str::to_owned),
        field_selector: fields.map(str::to_owned),
    };
    assert_eq!(plan_of(selectors).types[0].request, expected, "{text}");
}

#[test]
fn the_server_is_asked_for_what_all_selectors_say_alike() {
    let s = |more: Value| {
        let mut selector = json!({"apiVersion": "v1", "kinds": ["secrets"]});
        selector.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        selector
    };
    let helm = json!({"matchExpressions": [{"key": "owner", "operator": "NotIn", "values": ["helm", "a"]}]});
    check_request(json!([s(json!({}))]), None, None, None, None);
    check_request(json!([s(json!({"namespaces": ["a"]}))]), Some("a"), None, None, None);
    check_request(
        json!([s(json!({"namespaces": ["a"]})), s(json!({"namespaces": ["a"]}))]),
        Some("a"),
        None,
        None,
        None,
    );
    check_request(json!([s(json!({"namespaces": ["a"]})), s(json!({"namespaces": ["b"]}))]), None, None, None, None);
    check_request(json!([s(json!({"namespaces": ["a"]})), s(json!({}))]), None, None, None, None);
    check_request(json!([s(json!({"namespaces": ["a", "b"]}))]), None, None, None, None);
    check_request(json!([s(json!({"namespaces": ["a"], "namespaceRegexp": "b"}))]), None, None, None, None);
    check_request(json!([s(json!({"resourceNames": ["x"]}))]), None, Some("x"), None, None);
    check_request(json!([s(json!({"resourceNames": ["x"], "resourceNameRegexp": "y"}))]), None, None, None, None);
    check_request(
        json!([s(json!({"resourceNames": ["x"], "excludeResourceNameRegexp": "y"}))]),
        None,
        None,
        None,
        None,
    );
    check_request(json!([s(json!({"labelSelectors": helm}))]), None, None, Some("owner notin (a,helm)"), None);
    let labelled_twice =
        json!([s(json!({"labelSelectors": helm})), s(json!({"labelSelectors": helm, "namespaces": ["a"]}))]);
    check_request(labelled_twice, None, None, Some("owner notin (a,helm)"), None);
    check_request(json!([s(json!({"labelSelectors": helm})), s(json!({}))]), None, None, None, None);
    check_request(json!([s(json!({"labelSelectors": {}}))]), None, None, None, None);
    let fields = json!({"type": "a=b,c\\d", "metadata.name": "x"});
    check_request(
        json!([s(json!({"fieldSelectors": fields}))]),
        None,
        None,
        None,
        Some("metadata.name=x,type=a\\=b\\,c\\\\d"),
    );
    let some_alike =
        json!([s(json!({"fieldSelectors": fields})), s(json!({"fieldSelectors": {"metadata.name": "x"}}))]);
    check_request(some_alike, None, None, None, Some("metadata.name=x"));
}

#[test]
fn a_cluster_scoped_type_is_asked_for_without_a_namespace() {
    check_request(json!([{"apiVersion": "v1", "kinds": ["namespaces"], "namespaces": ["a"]}]), None, None, None, None);
}

#[test]
fn what_the_server_was_asked_for_is_not_looked_at_again() {
    let labels = json!({"matchLabels": {"a": "b"}});
    let selector =
        json!({"apiVersion": "v1", "kinds": ["secrets"], "labelSelectors": labels, "fieldSelectors": {"type": "x"}});
    check_objects(json!([selector]), &[thing("n/x")], &[]);
}

#[test]
fn a_type_that_cannot_be_listed_is_read_by_name_and_namespace() {
    let plan = plan_of(json!([
        {"apiVersion": "ext.cattle.io/v1", "kinds": ["Kubeconfig"], "resourceNames": ["x", "y"], "namespaces": ["b", "a"]},
        {"apiVersion": "ext.cattle.io/v1", "kinds": ["Kubeconfig"], "resourceNames": ["x"], "namespaces": ["a"]},
        {"apiVersion": "ext.cattle.io/v1", "kinds": ["useractivities"], "resourceNames": ["x"], "namespaces": ["a"]},
    ]));
    let objects = |index: usize| match &plan.types[index].request {
        Request::Get { objects } => {
            objects.iter().map(|(namespace, name)| format!("{}/{name}", namespace.as_deref().unwrap_or(""))).collect()
        }
        Request::List { .. } => Vec::new(),
    };
    assert_eq!(objects(0), ["/x"]);
    assert_eq!(objects(1), ["a/x", "a/y", "b/x", "b/y"]);
}

#[test]
fn a_type_that_needs_names_and_has_none_is_told() {
    let plan = plan_of(json!([
        {"apiVersion": "ext.cattle.io/v1", "kinds": ["kubeconfigs"], "resourceNames": ["x"], "namespaceRegexp": "."},
        {"apiVersion": "ext.cattle.io/v1", "kinds": ["useractivities"], "resourceNameRegexp": "."},
    ]));
    assert!(plan.types.is_empty());
    assert_eq!(plan.without_names, ["useractivities.ext.cattle.io", "kubeconfigs.ext.cattle.io"]);
}

#[test]
fn paths_hold_each_name_as_one_segment() {
    let secrets = resource("v1", "Secret", "secrets", true);
    let roles = resource("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false);
    assert_eq!(secrets.list_path(None), "/api/v1/secrets");
    assert_eq!(secrets.object_path(Some("a"), "b"), "/api/v1/namespaces/a/secrets/b");
    let path = roles.object_path(Some("ignored"), "system:a b/ä?#%");
    assert_eq!(path, "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:a%20b%2F%C3%A4%3F%23%25");
}
