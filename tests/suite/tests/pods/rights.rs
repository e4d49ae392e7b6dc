//! The rights of the jobs: none that is missing, none that nobody uses. The API server's audit log has seen every request of
//! the chapters before.

use std::collections::BTreeSet;
use std::path::Path;

use kube::{Client, Config};
use serde_json::{Value, json};

use crate::place::Place;

const OURS: &str = "system:serviceaccount:cattle-resources-system:drover-";

/// Rights that the chapters before do not need, and why they are granted.
const EXPLAINED: [(&str, &str); 16] = [
    ("dispatch: start drover.dev/images cattle-resources-system", "asked for by the policies, not by a request"),
    ("dispatch: patch events.k8s.io/events default", AN_EVENT_AGAIN),
    ("dispatch: create authorization.k8s.io/subjectaccessreviews", "a snapshot may lack a right"),
    ("snapshot: patch events.k8s.io/events default", AN_EVENT_AGAIN),
    ("upload: patch events.k8s.io/events default", AN_EVENT_AGAIN),
    ("retention-prune: patch events.k8s.io/events default", AN_EVENT_AGAIN),
    ("heartbeat: patch events.k8s.io/events default", AN_EVENT_AGAIN),
    ("snapshot: delete drover.dev/backupruns", "of many runs of a Backup the oldest go"),
    ("snapshot: get drover.dev/backupruns", "a run that somebody else wrote meanwhile is read again"),
    ("snapshot: get apiregistration.k8s.io/apiservices", "an aggregated API may be away"),
    ("upload: create coordination.k8s.io/leases cattle-resources-system", A_LEASE_GONE),
    ("retention-prune: create coordination.k8s.io/leases cattle-resources-system", A_LEASE_GONE),
    ("upload: create drover.dev/backuparchives", AN_APPLY_THAT_MAKES),
    ("retention-prune: create drover.dev/backuparchives", AN_APPLY_THAT_MAKES),
    ("retention-prune: patch drover.dev/backuparchives", "archives of before the ledger get their lines"),
    ("retention-prune: delete drover.dev/backuparchives", "a line stays for days after its archive was deleted"),
];

/// The requests that the chapters before want refused: a Backup names a Secret of a namespace that is not open.
const TO_BE_REFUSED: [(&str, &str, &str, &str); 2] =
    [("upload", "get", "/secrets", "default"), ("retention-prune", "get", "/secrets", "default")];

const A_LEASE_GONE: &str = "a Lease may be gone since the snapshot";

const AN_APPLY_THAT_MAKES: &str = "an apply that makes an object is a patch, and needs the right to create";

const AN_EVENT_AGAIN: &str = "an Event that comes again within minutes is counted on the first one";

/// A verb on a type, by a job, in a namespace or (empty) in all.
type Right = (String, String, String, String);

pub(crate) async fn are_enough_and_all_used(place: &Place) {
    nobody_can_become_somebody_else(place).await;
    no_kubelet_lets_them_in(place).await;
    let (used, mut refused) = requests(&place.audit_log());
    for (account, verb, of, namespace) in TO_BE_REFUSED {
        assert!(refused.remove(&(account.to_owned(), verb.to_owned(), of.to_owned(), namespace.to_owned())));
    }
    assert!(!used.is_empty(), "the audit log is empty");
    assert!(refused.is_empty(), "rights that are needed and not granted: {refused:#?}");
    let unused: Vec<String> = granted(place)
        .await
        .into_iter()
        .filter(|(account, verb, of, namespace)| {
            !used.iter().any(|(other, done, on, within)| {
                account == other && verb == done && of == on && (namespace.is_empty() || namespace == within)
            })
        })
        .map(|(account, verb, of, namespace)| format!("{account}: {verb} {of} {namespace}").trim_end().to_owned())
        .filter(|right| !EXPLAINED.iter().any(|(explained, _)| explained == right))
        .collect();
    assert!(unused.is_empty(), "rights that are granted and nobody used: {unused:#?}");
}

/// What was asked and allowed, and what was refused.
fn requests(audit_log: &Path) -> (BTreeSet<Right>, BTreeSet<Right>) {
    let (mut used, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for line in std::fs::read_to_string(audit_log).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let Some(account) = event["user"]["username"].as_str().and_then(|user| user.strip_prefix(OURS)) else {
            continue;
        };
        let Some(right) = right(account, &event) else { continue };
        match event["responseStatus"]["code"].as_u64() {
            Some(403) if is_of_rights(&event) => refused.insert(right),
            _ => used.insert(right),
        };
    }
    (used, refused)
}

/// Quotas and admission refuse with the same code.
fn is_of_rights(event: &Value) -> bool {
    event["annotations"]["authorization.k8s.io/decision"] == "forbid"
}

fn right(account: &str, event: &Value) -> Option<Right> {
    let of = &event["objectRef"];
    let text = |member: &str| of[member].as_str().unwrap_or_default();
    let (group, resource) = (text("apiGroup"), text("resource"));
    let what = match text("subresource") {
        // What is of no type, such as /version.
        _ if resource.is_empty() => event["requestURI"].as_str()?.to_owned(),
        "" => format!("{group}/{resource}"),
        subresource => format!("{group}/{resource}/{subresource}"),
    };
    let verb = event["verb"].as_str()?.to_owned();
    Some((account.to_owned(), verb, what, text("namespace").to_owned()))
}

/// What the roles say that are bound to drover's ServiceAccounts, but for those that may do all of something.
async fn granted(place: &Place) -> BTreeSet<Right> {
    let listed = place
        .kubectl(&["get", "clusterroles,roles,clusterrolebindings,rolebindings", "--all-namespaces", "--output=json"])
        .await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let objects = listed["items"].as_array().unwrap();
    let mut granted = BTreeSet::new();
    for binding in objects.iter().filter(|object| object["roleRef"].is_object()) {
        let role = objects.iter().find(|object| is_role_of(object, binding));
        for account in accounts(binding) {
            for rule in role.and_then(|role| role["rules"].as_array()).into_iter().flatten() {
                granted.extend(rights_of(
                    &account,
                    rule,
                    binding["metadata"]["namespace"].as_str().unwrap_or_default(),
                ));
            }
        }
    }
    granted
}

fn is_role_of(role: &Value, binding: &Value) -> bool {
    let of = &binding["roleRef"];
    let is_same_kind = role["kind"] == of["kind"] && role["metadata"]["name"] == of["name"];
    is_same_kind && (of["kind"] == "ClusterRole" || role["metadata"]["namespace"] == binding["metadata"]["namespace"])
}

fn accounts(binding: &Value) -> Vec<String> {
    let subjects = binding["subjects"].as_array().into_iter().flatten();
    let ours = subjects.filter(|subject| subject["namespace"] == "cattle-resources-system");
    ours.filter_map(|subject| subject["name"].as_str()?.strip_prefix("drover-").map(str::to_owned)).collect()
}

fn rights_of(account: &str, rule: &Value, namespace: &str) -> Vec<Right> {
    let texts = |member: &str| -> Vec<String> {
        rule[member].as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
    };
    let mut rights = Vec::new();
    for group in texts("apiGroups").iter().filter(|group| *group != "*") {
        for resource in texts("resources").iter().filter(|resource| *resource != "*") {
            for verb in texts("verbs") {
                rights.push((account.to_owned(), verb, format!("{group}/{resource}"), namespace.to_owned()));
            }
        }
    }
    rights
}

/// Whether drover's accounts may do what only others of them may.
async fn nobody_can_become_somebody_else(place: &Place) {
    for (account, verb, resource, namespace, expected) in [
        ("snapshot", "create", "jobs.batch", "cattle-resources-system", false),
        ("upload", "create", "jobs.batch", "cattle-resources-system", false),
        ("upload", "create", "pods", "cattle-resources-system", false),
        ("upload", "get", "secrets", "default", false),
        ("upload", "get", "secrets", "cattle-resources-system", true),
        ("retention-prune", "create", "jobs.batch", "cattle-resources-system", false),
        ("retention-prune", "get", "secrets", "default", false),
        ("heartbeat", "create", "jobs.batch", "cattle-resources-system", false),
        ("heartbeat", "get", "secrets", "default", false),
        ("heartbeat", "patch", "configmaps", "cattle-resources-system", false),
        ("dispatch", "create", "jobs.batch", "cattle-resources-system", true),
        ("dispatch", "create", "jobs.batch", "default", false),
        ("dispatch", "get", "secrets", "cattle-resources-system", false),
        ("setup", "create", "jobs.batch", "cattle-resources-system", false),
        ("nats", "get", "secrets", "default", false),
    ] {
        let user = format!("--as={OURS}{account}");
        let asked = ["auth", "can-i", verb, resource, "--namespace", namespace, &user];
        // It ends with 1 for a no.
        let answer = place.testbed.kubectl(&asked).await;
        assert_eq!(answer.is_ok(), expected, "{asked:?}");
    }
}

/// A kubelet asks no admission policy: what it opens, the rights alone decide. Whoever may write roles is let in.
async fn no_kubelet_lets_them_in(place: &Place) {
    let address = "jsonpath={.items[0].status.addresses[?(@.type==\"InternalIP\")].address}";
    let address = place.kubectl(&["get", "nodes", "--output", address]).await;
    let restore = at_kubelet(place, &address, "restore").await;
    restore.request_text(get("/pods")).await.unwrap();
    for account in ["snapshot", "upload", "retention-prune", "heartbeat", "dispatch", "setup", "nats"] {
        let client = at_kubelet(place, &address, account).await;
        for path in ["/pods", "/exec/cattle-resources-system/any/any?command=id&output=1", "/configz", "/metrics"] {
            match client.request_text(get(path)).await {
                Err(kube::Error::Api(status)) if status.code == 403 => {}
                other => panic!("{account}: {path}: {other:?}"),
            }
        }
    }
}

fn get(path: &str) -> http::Request<Vec<u8>> {
    http::Request::get(path).body(Vec::new()).unwrap()
}

/// A client of the kubelet itself, with the token of an account.
async fn at_kubelet(place: &Place, address: &str, account: &str) -> Client {
    let token = place.kubectl_here(&["create", "token", &format!("drover-{account}")]).await;
    let mut config = Config::new(format!("https://{address}:10250").parse().unwrap());
    config.accept_invalid_certs = true;
    config.auth_info = serde_json::from_value(json!({"token": token.trim()})).unwrap();
    Client::try_from(config).unwrap()
}
