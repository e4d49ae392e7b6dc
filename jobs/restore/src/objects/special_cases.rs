//! The objects that a restore does not simply put back: one table, with the reason that people read.

use drover::annotations::{FORCE_DEPLOY_ANNOTATION, TOKEN_UID_ANNOTATION as TOKEN_UID};
use drover::labels;
use serde_json::{Map, Value};

use crate::apply::exemption;
use crate::objects::shape::Shape;
use crate::objects::special_case::{SpecialCase, Subject, Treatment};
use crate::objects::{definitions, server_owned};

/// The special case that an object is, if it is one. An object is of one case at most.
pub(crate) fn special_case(subject: &Subject<'_>) -> Option<&'static SpecialCase> {
    SPECIAL_CASES.iter().chain(server_owned::OBJECTS).find(|case| (case.matches)(subject))
}

const MANAGEMENT: &str = "management.cattle.io";

/// The groups whose objects a restore works with.
const OWN_GROUPS: [&str; 2] = ["resources.cattle.io", "drover.dev"];

/// Why an object that carries drover's label is left alone.
pub(crate) const OURS: &str = "drover stands on it: it carries drover's label";

/// The first rows are what drover stands on. Of the others the Rancher backup operator has the same but for those of
/// built-in objects of Kubernetes and of tokens; it skips built-in roles even where they are missing. The definitions of
/// Backup, Restore and ResourceSet may be older in the archive than the ones that this restore works with. The row of
/// controllers stands behind those that leave them as they are: what is not written stays down by itself.
static SPECIAL_CASES: [SpecialCase; 19] = [
    SpecialCase {
        matches: |subject| {
            is(subject, definitions::GROUP, definitions::PLURAL)
                && OWN_GROUPS.contains(&definitions::group_of(subject.name))
        },
        treatment: Treatment::KeepLive,
        reason: "the restore itself works with the live definition",
        named: true,
    },
    SpecialCase { matches: |subject| is_ours(subject.shape), treatment: Treatment::Keep, reason: OURS, named: true },
    SpecialCase {
        matches: |subject| is(subject, "coordination.k8s.io", "leases"),
        treatment: Treatment::Keep,
        reason: "a Lease says who works now, and not who worked when the archive was made",
        named: true,
    },
    SpecialCase {
        matches: |subject| {
            subject.group == "drover.dev"
                || (subject.group == "resources.cattle.io" && ["backups", "restores"].contains(&subject.plural))
        },
        treatment: Treatment::Keep,
        reason: "an order to drover or its record: one of the past must not be carried out again, or be taken for true",
        named: true,
    },
    SpecialCase {
        matches: |subject| is(subject, "", "namespaces") && subject.name == subject.ground.namespace(),
        treatment: Treatment::KeepLive,
        reason: "drover runs in this namespace",
        named: true,
    },
    SpecialCase {
        matches: |subject| is(subject, "", "secrets") && subject.ground.pulls_with(subject.namespace, subject.name),
        treatment: Treatment::KeepLive,
        reason: "drover's pods are pulled with this Secret",
        named: true,
    },
    SpecialCase {
        matches: |subject| is(subject, "", "secrets") && subject.ground.keeps_secret(subject.namespace, subject.name),
        treatment: Treatment::KeepLive,
        reason: "a live Backup, Restore or BackupPolicy, or the default location, names this Secret \
                 (drover.dev/restore-credentials: \"true\" restores it too)",
        named: true,
    },
    SpecialCase {
        matches: |subject| is(subject, definitions::GROUP, definitions::PLURAL),
        treatment: Treatment::Change(definitions::make_applicable),
        reason: "versions that only the live definition has are kept",
        named: false,
    },
    SpecialCase {
        matches: |subject| {
            (is(subject, MANAGEMENT, "globalroles") || is(subject, MANAGEMENT, "roletemplates")) && is_builtin(subject)
        },
        treatment: Treatment::KeepLive,
        reason: "built-in role: Rancher makes it what its version needs",
        named: true,
    },
    SpecialCase {
        matches: |subject| {
            is(subject, "apps", "deployments")
                && subject.namespace == "cattle-system"
                && ["rancher", "rancher-webhook"].contains(&subject.name)
        },
        treatment: Treatment::Keep,
        reason: "Rancher's own Deployment belongs to its Helm chart",
        named: true,
    },
    SpecialCase {
        matches: |subject| subject.ground.holds_down(subject.group, subject.plural, subject.namespace, subject.name),
        treatment: Treatment::HoldDown,
        reason: "held at 0 replicas until all is written; then it gets the count of the archive",
        named: true,
    },
    SpecialCase {
        matches: |subject| subject.group == exemption::GROUP && exemption::PLURALS.contains(&subject.plural),
        treatment: Treatment::Change(exemption::keep_live),
        reason: "the exemption of a restore from webhooks is the live one",
        named: false,
    },
    SpecialCase {
        matches: |subject| is(subject, "", "configmaps") && subject.name == "kube-root-ca.crt",
        treatment: Treatment::Keep,
        reason: "Kubernetes publishes the certificate of its own cluster in every namespace",
        named: true,
    },
    SpecialCase {
        matches: |subject| has_type(subject, "fleet.cattle.io/cluster-registration-values"),
        treatment: Treatment::Keep,
        reason: "registration values of Fleet are made anew for each registration",
        named: true,
    },
    SpecialCase {
        matches: |subject| has_type(subject, "kubernetes.io/service-account-token"),
        treatment: Treatment::Change(forget_token),
        reason: "the token is made anew: one of another cluster or account would be deleted within seconds",
        named: true,
    },
    SpecialCase {
        matches: |subject| is(subject, "", "serviceaccounts") && subject.shape.member("secrets").is_some(),
        treatment: Treatment::Change(|object, live| take_over(object, live, "secrets")),
        reason: "its list of token Secrets is the live one",
        named: true,
    },
    SpecialCase {
        matches: |subject| is(subject, "fleet.cattle.io", "clusters"),
        treatment: Treatment::Change(|object, _| raise(object, "redeployAgentGeneration")),
        reason: "redeployAgentGeneration is raised, so that Fleet deploys its agent again",
        named: true,
    },
    SpecialCase {
        matches: |subject| is(subject, "provisioning.cattle.io", "clusters"),
        treatment: Treatment::Change(|object, _| raise(object, "redeploySystemAgentGeneration")),
        reason: "redeploySystemAgentGeneration is raised, so that Rancher deploys its system agent again",
        named: true,
    },
    SpecialCase {
        matches: |subject| is(subject, MANAGEMENT, "clusters"),
        treatment: Treatment::Change(|object, _| annotate(object, FORCE_DEPLOY_ANNOTATION, "true")),
        reason: "annotated io.cattle.agent.force.deploy, so that Rancher deploys its agent again",
        named: true,
    },
];

/// Whether a refusal is the one of Rancher's webhook that guards Settings: that Setting then stays as it is.
///
/// The text is of the API server: `admission webhook "rancher.cattle.io.settings…" denied the request: …`.
pub(crate) fn is_guarded_setting(group: &str, plural: &str, refusal: &str) -> bool {
    let parts = ["admission webhook", "rancher.cattle.io.settings", "denied the request"];
    group == MANAGEMENT && plural == "settings" && parts.iter().all(|part| refusal.contains(part))
}

/// Whether an object carries drover's label.
pub(crate) fn is_ours(shape: &Shape<'_>) -> bool {
    labels::is_ours(|name| shape.label(name))
}

fn is(subject: &Subject<'_>, group: &str, plural: &str) -> bool {
    subject.group == group && subject.plural == plural
}

fn is_builtin(subject: &Subject<'_>) -> bool {
    // The operator takes the text "true" for it as well.
    subject.shape.member("builtin").is_some_and(|value| matches!(value.get(), "true" | "\"true\""))
}

fn has_type(subject: &Subject<'_>, secret_type: &str) -> bool {
    is(subject, "", "secrets") && subject.shape.text("type").as_deref() == Some(secret_type)
}

/// The member is what it is in the live object, or not there.
fn take_over(object: &mut Map<String, Value>, live: Option<&Map<String, Value>>, member: &str) {
    object.remove(member);
    if let Some(value) = live.and_then(|live| live.get(member)) {
        object.insert(member.to_owned(), value.clone());
    }
}

/// Token and UID are the live ones; without both, the token controller fills them in.
fn forget_token(object: &mut Map<String, Value>, live: Option<&Map<String, Value>>) {
    take_over(object, live, "data");
    let live_uid = live.and_then(|live| live.get("metadata")?.get("annotations")?.get(TOKEN_UID));
    let annotations = object.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"));
    let Some(annotations) = annotations.and_then(Value::as_object_mut) else { return };
    annotations.remove(TOKEN_UID);
    if let Some(uid) = live_uid {
        annotations.insert(TOKEN_UID.to_owned(), uid.clone());
    }
}

/// One more than the archive's, and not than the live one's: a second restore of the archive changes nothing.
fn raise(object: &mut Map<String, Value>, member: &str) {
    let Some(spec) = member_map(object, "spec") else { return };
    let generation = spec.get(member).and_then(Value::as_f64).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "a generation is a small whole number; `as` saturates")]
    spec.insert(member.to_owned(), Value::from((generation as i64).saturating_add(1)));
}

fn annotate(object: &mut Map<String, Value>, name: &str, value: &str) {
    let Some(annotations) = member_map(object, "metadata").and_then(|metadata| member_map(metadata, "annotations"))
    else {
        return;
    };
    annotations.insert(name.to_owned(), Value::from(value));
}

/// The map of that name, made where it is missing or null; none where it is something else.
fn member_map<'a>(object: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    let member = object.entry(name).or_insert(Value::Null);
    if member.is_null() {
        *member = Value::Object(Map::new());
    }
    member.as_object_mut()
}

#[cfg(test)]
mod tests {
    use crate::survey::ground::Ground;
    use drover::labels::PART_OF_LABEL;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn find(path: (&str, &str, &str, &str), object: &Value) -> Option<&'static SpecialCase> {
        let bytes = object.to_string();
        let shape = Shape::split(bytes.as_bytes()).unwrap();
        let (group, plural, namespace, name) = path;
        let ground = Ground::of_namespace("home".to_owned()).with_secrets(("vault", "keys"), ("home", "registry"));
        special_case(&Subject { group, plural, namespace, name, shape: &shape, ground: &ground })
    }

    #[track_caller]
    fn changes(path: (&str, &str, &str, &str), object: &Value, live: Option<&Value>, expected: &Value) {
        let case = find(path, object).unwrap();
        let live = live.map(|live| live.to_string().into_bytes());
        let changed = case.change(object.to_string().as_bytes(), live.as_deref(), "").unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&changed).unwrap(), *expected);
    }

    #[track_caller]
    fn keeps(path: (&str, &str, &str, &str), object: &Value, only_live: bool) {
        let treatment = find(path, object).unwrap().treatment;
        assert!(matches!((treatment, only_live), (Treatment::KeepLive, true) | (Treatment::Keep, false)), "{path:?}");
    }

    #[test]
    fn what_is_kept() {
        let nothing = json!({});
        keeps((MANAGEMENT, "globalroles", "", "admin"), &json!({"builtin": true}), true);
        keeps((MANAGEMENT, "roletemplates", "", "owner"), &json!({"builtin": "true"}), true);
        keeps(("apps", "deployments", "cattle-system", "rancher"), &nothing, false);
        keeps(("", "configmaps", "cattle-system", "kube-root-ca.crt"), &nothing, false);
        keeps(("apps", "deployments", "cattle-system", "rancher-webhook"), &nothing, false);
        let registration = json!({"type": "fleet.cattle.io/cluster-registration-values"});
        keeps(("", "secrets", "fleet-default", "c-1"), &registration, false);
        keeps(("", "namespaces", "", "home"), &nothing, true);
        keeps(("", "secrets", "vault", "keys"), &nothing, true);
        keeps(("", "secrets", "home", "registry"), &nothing, true);
        keeps(("coordination.k8s.io", "leases", "home", "restore-controller"), &nothing, false);
        keeps(("resources.cattle.io", "restores", "", "r"), &nothing, false);
        for plural in ["backupruns", "backuparchives"] {
            keeps(("drover.dev", plural, "", "r"), &nothing, false);
        }
        let ours = json!({"metadata": {"labels": {PART_OF_LABEL: "drover"}}});
        keeps(("rbac.authorization.k8s.io", "clusterroles", "", "any"), &ours, false);
        for name in ["backups.resources.cattle.io", "backupruns.drover.dev", "backuparchives.drover.dev"] {
            keeps((definitions::GROUP, definitions::PLURAL, "", name), &nothing, true);
        }
    }

    #[test]
    fn what_only_looks_like_it_is_not_special() {
        for (path, object) in [
            ((MANAGEMENT, "globalroles", "", "own"), json!({"builtin": false})),
            ((MANAGEMENT, "users", "", "own"), json!({"builtin": true})),
            (("example.io", "globalroles", "", "own"), json!({"builtin": true})),
            (("apps", "deployments", "cattle-system", "rancher-2"), json!({})),
            (("apps", "deployments", "default", "rancher"), json!({})),
            (("apps", "daemonsets", "cattle-system", "rancher"), json!({})),
            (("", "secrets", "fleet-default", "c"), json!({"type": "Opaque"})),
            (("", "configmaps", "fleet-default", "c"), json!({"type": "kubernetes.io/service-account-token"})),
            (("", "serviceaccounts", "a", "b"), json!({})),
            (("cluster.x-k8s.io", "clusters", "a", "b"), json!({})),
            (("", "namespaces", "", "home-2"), json!({})),
            (("", "namespaces", "", "vault"), json!({})),
            (("", "secrets", "home", "keys"), json!({})),
            (("", "configmaps", "vault", "keys"), json!({})),
            (("resources.cattle.io", "resourcesets", "", "r"), json!({})),
            (("", "secrets", "home", "s3"), json!({"metadata": {"labels": {PART_OF_LABEL: "rover"}}})),
        ] {
            assert!(find(path, &object).is_none(), "{path:?}");
        }
    }

    #[test]
    fn definitions_of_other_groups_are_changed() {
        let case = find((definitions::GROUP, definitions::PLURAL, "", "a.notdrover.dev"), &json!({})).unwrap();
        assert!(matches!(case.treatment, Treatment::Change(_)));
    }

    #[test]
    fn a_token_is_forgotten_and_the_live_one_stays() {
        let path = ("", "secrets", "a", "robot-token");
        let annotated = |annotations: Value, data: Value| {
            let kind = "kubernetes.io/service-account-token";
            json!({"type": kind, "metadata": {"annotations": annotations}, "data": data})
        };
        let old = annotated(json!({TOKEN_UID: "old", "x": "y"}), json!({"token": "b2xk"}));
        let mut created = annotated(json!({"x": "y"}), Value::Null);
        created.as_object_mut().unwrap().remove("data");
        changes(path, &old, None, &created);
        let live = annotated(json!({TOKEN_UID: "new"}), json!({"token": "bmV3"}));
        changes(path, &old, Some(&live), &annotated(json!({TOKEN_UID: "new", "x": "y"}), json!({"token": "bmV3"})));
    }

    #[test]
    fn a_service_account_keeps_its_live_secrets() {
        let (path, object) = (("", "serviceaccounts", "a", "robot"), json!({"secrets": [{"name": "old"}], "x": 1}));
        changes(path, &object, None, &json!({"x": 1}));
        changes(path, &object, Some(&json!({"secrets": [1]})), &json!({"secrets": [1], "x": 1}));
    }

    #[test]
    fn generations_are_raised_from_the_archive_and_made_where_missing() {
        let path = ("fleet.cattle.io", "clusters", "fleet-default", "c");
        changes(path, &json!({}), None, &json!({"spec": {"redeployAgentGeneration": 1}}));
        let four = json!({"spec": {"redeployAgentGeneration": 4}});
        let five = json!({"spec": {"redeployAgentGeneration": 5}});
        changes(path, &four, Some(&json!({"spec": {"redeployAgentGeneration": 9}})), &five);
        changes(path, &json!({"spec": 7}), None, &json!({"spec": 7}));
        let path = ("provisioning.cattle.io", "clusters", "fleet-default", "c");
        changes(path, &json!({"spec": null}), None, &json!({"spec": {"redeploySystemAgentGeneration": 1}}));
    }

    #[test]
    fn a_management_cluster_without_annotations_gets_one() {
        let path = (MANAGEMENT, "clusters", "", "c-1");
        let expected = json!({"metadata": {"name": "c-1", "annotations": {"io.cattle.agent.force.deploy": "true"}}});
        changes(path, &json!({"metadata": {"name": "c-1"}}), None, &expected);
    }

    #[test]
    fn a_setting_that_the_webhook_guards_is_known_by_its_refusal() {
        let refusal = r#"admission webhook "rancher.cattle.io.settings.management.cattle.io" denied the request: no"#;
        assert!(is_guarded_setting(MANAGEMENT, "settings", refusal));
        assert!(!is_guarded_setting(MANAGEMENT, "users", refusal));
        assert!(!is_guarded_setting(MANAGEMENT, "settings", "settings is forbidden"));
    }

    #[test]
    fn what_is_unchanged_is_not_said_to_be_changed() {
        let change = Treatment::Change(|_, _| {});
        for (treatment, named, written, unchanged) in [
            (change, true, "why", ""),
            (change, false, "", ""),
            (Treatment::HoldDown, true, "why", "why"),
            (Treatment::KeepLive, true, "", ""),
        ] {
            let case = SpecialCase { named, ..SpecialCase::for_tests(treatment, "why") };
            assert_eq!((case.note(true), case.note(false)), (written, unchanged), "{treatment:?} {named}");
        }
    }
}
