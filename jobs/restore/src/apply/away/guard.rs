//! For which objects one refusal stands: those that the same server stands before for certain. Where a webhook looks at
//! what is only known of each object, each is tried by itself.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::cause::Away;
use crate::objects::shape::Shape;
use crate::survey::types::Type;

/// Before the URL that was called, in the words of the API server.
const CALLED_AT: &str = "Post \"";

/// An object that is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// Its type.
    pub(crate) known: &'a Type,
    /// Empty where it has no namespace.
    pub(crate) namespace: &'a str,
    /// Whether it is to be created, and not changed.
    pub(crate) creates: bool,
    /// The object, as the archive has it.
    pub(crate) object: &'a [u8],
}

/// A webhook of a configuration, as far as it says what it is called for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Hook {
    pub(super) name: String,
    pub(super) client_config: ClientConfig,
    object_selector: Option<LabelSelector>,
    namespace_selector: Option<LabelSelector>,
    match_conditions: Option<Vec<IgnoredAny>>,
}

/// Where a webhook's server is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ClientConfig {
    url: Option<String>,
    service: Option<Service>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Service {
    namespace: String,
    name: String,
    path: Option<String>,
}

impl ClientConfig {
    /// Whether it is called at this URL, as the API server makes it: the port is always in it, and no `/` at its end.
    fn is_at(&self, called: &str) -> bool {
        match (&self.service, &self.url) {
            (Some(Service { namespace, name, path }), _) => {
                let behind = called.strip_prefix(&format!("https://{name}.{namespace}.svc:"));
                let at = behind.map(|behind| behind.trim_start_matches(|port: char| port.is_ascii_digit()));
                at.is_some_and(|at| same_path(at, path.as_deref().unwrap_or_default()))
            }
            (None, Some(url)) => same_path(called, url),
            (None, None) => false,
        }
    }

    /// Where it is, as people read it behind a name. The API server takes no URL with a password.
    pub(super) fn place(&self) -> String {
        match (&self.service, &self.url) {
            (Some(Service { namespace, name, .. }), _) => format!(" (Service \"{namespace}/{name}\")"),
            (None, Some(url)) => format!(" ({url})"),
            (None, None) => String::new(),
        }
    }
}

/// Objects that a refusal stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Class {
    group: String,
    plural: String,
    /// The namespace that they lie in; none where it does not matter.
    namespace: Option<String>,
    /// Whether they are created; none where it does not matter.
    creates: Option<bool>,
}

impl Class {
    /// The objects that the refusal of this one stands for; none where it stands for itself alone. `hooks` are those that
    /// were called.
    pub(super) fn of(away: &Away, hooks: &[Hook], subject: &Subject<'_>) -> Option<Self> {
        let Subject { known, namespace, creates, .. } = subject;
        let whole = Self { group: known.group.clone(), plural: known.plural.clone(), namespace: None, creates: None };
        if !matches!(away, Away::Admission { .. }) {
            return Some(whole);
        }
        let [first, ..] = hooks else { return None };
        if hooks.iter().any(Hook::has_conditions)
            || hooks.iter().any(|hook| hook.object_selector != first.object_selector)
        {
            return None;
        }
        let by_namespace = hooks.iter().any(|hook| !selects_all(hook.namespace_selector.as_ref()));
        // A selector of namespaces looks at the labels of each Namespace that is written.
        let is_namespace = known.group.is_empty() && known.plural == "namespaces";
        if by_namespace && is_namespace {
            return None;
        }
        let namespace = (by_namespace && known.namespaced).then(|| (*namespace).to_owned());
        Some(Self { namespace, creates: Some(*creates), ..whole })
    }

    /// Whether the object is one of them, but for what the webhook says of its labels.
    pub(super) fn has(&self, subject: &Subject<'_>) -> bool {
        self.group == subject.known.group
            && self.plural == subject.known.plural
            && self.namespace.as_deref().is_none_or(|namespace| namespace == subject.namespace)
            && self.creates.is_none_or(|creates| creates == subject.creates)
    }
}

impl Hook {
    fn has_conditions(&self) -> bool {
        self.match_conditions.as_ref().is_some_and(|conditions| !conditions.is_empty())
    }

    /// Whether the webhook is called for an object with these labels for certain.
    pub(super) fn takes_labels_of(&self, object: &[u8]) -> bool {
        let Some(selector) = self.object_selector.as_ref().filter(|selector| !selects_all(Some(selector))) else {
            return true;
        };
        let labels = Shape::split(object).ok().and_then(|shape| {
            let labels = shape.metadata("labels").map_or("{}", RawValue::get);
            serde_json::from_str::<BTreeMap<String, String>>(labels).ok()
        });
        let selector = Selector::try_from(selector.clone()).ok();
        labels.zip(selector).is_some_and(|(labels, selector)| selector.matches(&labels))
    }
}

/// Those of one name that were called, by the words of the API server, which hold the URL: a validating and a mutating
/// webhook may share the name and not what they are called for. All of them where the words do not tell.
pub(super) fn called(hooks: &[Hook], words: &str) -> Vec<Hook> {
    let url = words.split_once(CALLED_AT).and_then(|(_, rest)| rest.split_once('?')).map(|(url, _)| url);
    let is_called = |hook: &&Hook| url.is_some_and(|url| hook.client_config.is_at(url));
    let called: Vec<Hook> = hooks.iter().filter(is_called).cloned().collect();
    if called.is_empty() { hooks.to_vec() } else { called }
}

fn same_path(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

fn selects_all(selector: Option<&LabelSelector>) -> bool {
    selector.is_none_or(|selector| {
        selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
            && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn known(plural: &str, namespaced: bool) -> Type {
        Type::for_tests("", plural, "", namespaced)
    }

    fn hook(more: &Value) -> Hook {
        let mut hook = json!({"name": "w.a.io", "namespaceSelector": {}, "objectSelector": {}});
        hook.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(hook).unwrap()
    }

    fn away() -> Away {
        Away::Admission { webhook: "w.a.io".to_owned() }
    }

    fn subject<'a>(known: &'a Type, namespace: &'a str, creates: bool) -> Subject<'a> {
        Subject { known, namespace, creates, object: b"{}" }
    }

    /// Whether the refusal of a ConfigMap in "a" stands for another one.
    #[track_caller]
    fn check(more: &Value, namespace: &str, creates: bool, expected: bool) {
        let maps = known("configmaps", true);
        let class = Class::of(&away(), &[hook(more)], &subject(&maps, "a", true));
        let stands = class.is_some_and(|class| class.has(&subject(&maps, namespace, creates)));
        assert_eq!(stands, expected, "{more} {namespace} {creates}");
    }

    #[test]
    fn a_refusal_stands_for_those_that_the_webhook_is_called_for_as_well() {
        check(&json!({}), "a", true, true);
        check(&json!({}), "b", true, true);
        check(&json!({}), "a", false, false);
        let selector = json!({"namespaceSelector": {"matchLabels": {"x": "y"}}});
        check(&selector, "a", true, true);
        check(&selector, "b", true, false);
        check(&json!({"matchConditions": [{"name": "x", "expression": "true"}]}), "a", true, false);
        check(&json!({"matchConditions": []}), "a", true, true);
    }

    #[test]
    fn of_two_webhooks_of_one_name_the_one_that_was_called_counts() {
        let at = |path: &str| json!({"clientConfig": {"service": {"namespace": "a", "name": "w", "path": path}}});
        let mut mutating = at("/m");
        mutating["matchConditions"] = json!([{"name": "x", "expression": "true"}]);
        let (hooks, maps) = ([hook(&at("/v")), hook(&mutating)], known("configmaps", true));
        for (words, expected) in [
            ("Post \"https://w.a.svc:443/v?timeout=10s\": EOF", true),
            ("Post \"https://w.a.svc:8443/v?timeout=10s\": context deadline exceeded", true),
            ("Post \"https://w.a.svc:443/m?timeout=10s\": EOF", false),
            ("Post \"https://w.a.svc:443/m/v?timeout=10s\": EOF", false),
            ("Post \"https://w.b.svc:443/v?timeout=10s\": EOF", false),
            ("the server is currently unable to handle the request", false),
        ] {
            let class = Class::of(&away(), &called(&hooks, words), &subject(&maps, "a", true));
            assert_eq!(class.is_some(), expected, "{words}");
        }
    }

    #[test]
    fn a_webhook_is_found_by_its_whole_url_and_one_without_a_path_too() {
        let names = |config: Value, words: &str| {
            let mut other = hook(&json!({"clientConfig": {"url": "https://127.0.0.1:1/other"}}));
            other.name = "other".to_owned();
            let hooks = [other, hook(&json!({"clientConfig": config}))];
            called(&hooks, words).into_iter().map(|hook| hook.name).collect::<Vec<_>>()
        };
        let words = "Post \"https://127.0.0.1:1/x?timeout=1s\": EOF";
        assert_eq!(names(json!({"url": "https://127.0.0.1:1/x"}), words), ["w.a.io"]);
        assert_eq!(names(json!({"url": "https://127.0.0.1:1/x/y"}), words), ["other", "w.a.io"]);
        let words = "Post \"https://w.a.svc:443/?timeout=1s\": EOF";
        assert_eq!(names(json!({"service": {"namespace": "a", "name": "w"}}), words), ["w.a.io"]);
    }

    #[test]
    fn a_refusal_stands_for_no_other_type_and_for_nothing_where_the_webhook_is_gone() {
        let (maps, secrets) = (known("configmaps", true), known("secrets", true));
        let class = Class::of(&away(), &[hook(&json!({}))], &subject(&maps, "a", true)).unwrap();
        assert!(!class.has(&subject(&secrets, "a", true)));
        assert_eq!(Class::of(&away(), &[], &subject(&maps, "a", true)), None);
    }

    #[test]
    fn a_namespace_is_selected_by_its_own_labels_and_what_lies_in_none_always() {
        let selector = hook(&json!({"namespaceSelector": {"matchLabels": {"x": "y"}}}));
        let (namespaces, roles) = (known("namespaces", false), known("clusterroles", false));
        assert_eq!(Class::of(&away(), std::slice::from_ref(&selector), &subject(&namespaces, "", true)), None);
        assert!(Class::of(&away(), &[selector], &subject(&roles, "", true)).is_some());
    }

    #[test]
    fn what_is_not_an_admission_webhook_stands_before_a_whole_type() {
        let things = known("things", true);
        let away = Away::Conversion { definition: "things.a.io".to_owned() };
        let class = Class::of(&away, &[], &subject(&things, "a", true)).unwrap();
        assert!(class.has(&subject(&things, "b", false)));
    }

    #[test]
    fn labels_are_looked_at_where_the_webhook_looks_at_them() {
        let labelled = br#"{"metadata":{"labels":{"x":"y"}}}"#;
        for (selector, object, expected) in [
            (json!({}), &b"{}"[..], true),
            (json!({"matchLabels": {"x": "y"}}), labelled, true),
            (json!({"matchLabels": {"x": "y"}}), b"{}", false),
            (json!({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}), b"{}", true),
            (json!({"matchExpressions": [{"key": "x", "operator": "Odd"}]}), labelled, false),
        ] {
            let hook = hook(&json!({"objectSelector": selector}));
            assert_eq!(hook.takes_labels_of(object), expected, "{hook:?}");
        }
    }

    #[test]
    fn a_server_is_named_by_its_service_or_its_address() {
        let place = |config: Value| serde_json::from_value::<ClientConfig>(config).unwrap().place();
        let service = json!({"service": {"namespace": "a", "name": "w", "port": 443}, "caBundle": "eA=="});
        assert_eq!(place(service), " (Service \"a/w\")");
        assert_eq!(place(json!({"url": "https://127.0.0.1:1/x"})), " (https://127.0.0.1:1/x)");
        assert_eq!(place(json!({})), "");
    }
}
