use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use drover::archive::{Key, Writer};
use drover_testbed::{Options, Service, Testbed, seconds_pass};
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::Kubeconfig;
use kube::discovery::ApiResource;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::{OnceCell, RwLock};

/// One control plane for all tests: each has namespaces and names of its own. It ends with this process.
static TESTBED: OnceCell<Testbed> = OnceCell::const_new();

/// A cluster with controllers, so that owners and namespaces behave as in real life.
pub(crate) async fn testbed() -> &'static Testbed {
    let start = async || Testbed::start(Options::only([Service::Controllers])).await.unwrap();
    TESTBED.get_or_init(start).await
}

/// Read by whoever is exempt from webhooks, and written by whoever ends what others left of an exemption: a restore that holds
/// a Lease takes all of them for left, since a user's cluster has one Lease.
pub(crate) static EXEMPT: RwLock<()> = RwLock::const_new(());

/// An archive with these objects, written as drover writes them.
pub(crate) struct Archive {
    folder: TempDir,
}

impl Archive {
    /// Each object with the plural name of its type.
    pub(crate) fn of(objects: &[(&str, Value)], resource_set: Option<&Value>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(folder.path().join("archive.tar.gz")).unwrap();
        let mut writer = Writer::new(file, jiff::Timestamp::UNIX_EPOCH);
        for (plural, object) in objects {
            writer.append(&key(plural, object), object.to_string().as_bytes()).unwrap();
        }
        if let Some(set) = resource_set {
            writer.resource_set(set.to_string().as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("archive.tar.gz")
    }
}

fn key(plural: &str, object: &Value) -> Key {
    let api_version = object["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let namespace = object["metadata"]["namespace"].as_str().map(|namespace| format!("{namespace}/"));
    let name = object["metadata"]["name"].as_str().unwrap();
    let path = format!("{plural}.{group}#{version}/{}{name}.json", namespace.unwrap_or_default());
    Key::from_path(&path).unwrap()
}

/// What a run of the program printed, and how it ended.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) report: Value,
    pub(crate) errors: String,
}

impl Run {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            report: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Waits for the end of a process.
    pub(crate) async fn wait(child: Child) -> Self {
        Self::of(&child.wait_with_output().await.unwrap())
    }

    /// Kills a process as soon as the condition holds; gives how it ended where it did before.
    pub(crate) async fn kill_when(mut child: Child, condition: impl Future<Output = ()>) -> Option<Self> {
        tokio::select! {
            ended = child.wait() => {
                ended.unwrap();
                Some(Self::wait(child).await)
            }
            () = condition => {
                child.kill().await.unwrap();
                None
            }
        }
    }

    /// Asks a process to end, as the kubelet does.
    pub(crate) fn ask_to_end(child: &Child) {
        Self::signal(child, Signal::TERM);
    }

    /// Sends a process a signal.
    pub(crate) fn signal(child: &Child, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until a process logs these words, and gives what it logged so far.
    pub(crate) async fn first_line(child: &mut Child, words: &str) -> String {
        let (mut log, errors) = (String::new(), child.stderr.as_mut().unwrap());
        let mut lines = BufReader::new(errors);
        while !log.contains(words) && lines.read_line(&mut log).await.unwrap() > 0 {}
        log
    }

    /// All counts, where the whole report is too long to be shown.
    pub(crate) fn counts(&self) -> &Value {
        &self.report["counts"]
    }

    /// How many objects came to that.
    pub(crate) fn count(&self, result: &str) -> u64 {
        self.report["counts"][result].as_u64().unwrap_or_else(|| panic!("no counts: {}", self.errors))
    }

    /// Result and reason of an object that there is one of at most.
    pub(crate) fn result(&self, resource: &str, name: &str) -> (String, String) {
        let objects = self.report["objects"].as_array().unwrap();
        let object = objects.iter().find(|object| object["resource"] == resource && object["name"] == name).unwrap();
        let text = |member: &str| object[member].as_str().unwrap_or_default().to_owned();
        (text("result"), text("reason"))
    }
}

/// The program with this command line and the kubeconfig.
pub(crate) fn command(kubeconfig: &Path, subcommand: &str, archive: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_restore"));
    command.arg(subcommand).arg(archive).args(["--output", "json"]).env("KUBECONFIG", kubeconfig);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program against the testbed.
pub(crate) async fn run(subcommand: &str, archive: &Archive) -> Run {
    run_asking(subcommand, archive, &[]).await
}

/// Runs the program against the testbed, with these arguments too. A prune comes late enough to take what was made before.
pub(crate) async fn run_asking(subcommand: &str, archive: &Archive, arguments: &[&str]) -> Run {
    if arguments.iter().any(|argument| argument.starts_with("--prune")) {
        seconds_pass(2).await;
    }
    let mut command = command(testbed().await.kubeconfig().unwrap(), subcommand, &archive.path());
    command.args(arguments);
    Run::of(&tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap())
}

/// Starts the program with further arguments; it ends with the test.
pub(crate) fn start(kubeconfig: &Path, subcommand: &str, archive: &Path, arguments: &[&str]) -> Child {
    let mut command = tokio::process::Command::from(command(kubeconfig, subcommand, archive));
    command.args(arguments).kill_on_drop(true).spawn().unwrap()
}

/// Runs the program with further arguments against whatever the kubeconfig names, while the test does other things.
pub(crate) async fn run_through(kubeconfig: &Path, subcommand: &str, archive: &Archive, arguments: &[&str]) -> Run {
    Run::wait(start(kubeconfig, subcommand, &archive.path(), arguments)).await
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_mins(1), waiting).await.is_ok(), "waited in vain until {what}");
}

/// Runs the program against whatever the kubeconfig names.
pub(crate) fn run_with(kubeconfig: &Path, subcommand: &str, archive: &Path) -> Run {
    Run::of(&command(kubeconfig, subcommand, archive).output().unwrap())
}

/// A type as a client asks for it.
pub(crate) fn resource(plural: &str, api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// The objects of a type in a namespace, or outside of any.
pub(crate) async fn api(plural: &str, api_version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let client: Client = testbed().await.client().await.unwrap();
    let resource = resource(plural, api_version, kind);
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

/// A rule of a role.
pub(crate) fn rule(group: &str, resource: &str, verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": [resource], "verbs": verbs})
}

/// A user who has these rights and no others; gives the kubeconfig, which lies in that folder.
pub(crate) async fn kubeconfig_of(user: &str, rules: &[Value], folder: &Path) -> PathBuf {
    let rbac = "rbac.authorization.k8s.io/v1";
    let role = json!({"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": user}, "rules": rules});
    let binding = json!({"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]});
    make(&api("clusterroles", rbac, "ClusterRole", None).await, &role).await;
    make(&api("clusterrolebindings", rbac, "ClusterRoleBinding", None).await, &binding).await;
    let mut kubeconfig = Kubeconfig::read_from(testbed().await.kubeconfig().unwrap()).unwrap();
    kubeconfig.auth_infos[0].auth_info.as_mut().unwrap().impersonate = Some(user.to_owned());
    let path = folder.join("kubeconfig");
    std::fs::write(&path, serde_json::to_string(&kubeconfig).unwrap()).unwrap();
    path
}

/// Makes an object.
pub(crate) async fn make(api: &Api<DynamicObject>, object: &Value) {
    api.create(&PostParams::default(), &serde_json::from_value(object.clone()).unwrap()).await.unwrap();
}

/// Makes an admission policy, and binds it to the namespace of its name.
pub(crate) async fn make_policy(home: &str, rule: &Value, validation: &Value) {
    let group = "admissionregistration.k8s.io/v1";
    let policy = json!({"apiVersion": group, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": home},
        "spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": [validation]}});
    let bound = json!({"apiVersion": group, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": home},
        "spec": {"policyName": home, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": home}}}}});
    make(&api("validatingadmissionpolicies", group, "ValidatingAdmissionPolicy", None).await, &policy).await;
    make(&api("validatingadmissionpolicybindings", group, "ValidatingAdmissionPolicyBinding", None).await, &bound)
        .await;
}

/// Changes an object by a JSON merge patch.
pub(crate) async fn change(api: &Api<DynamicObject>, name: &str, patch: &Value) {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// A live object as JSON.
pub(crate) async fn live(api: &Api<DynamicObject>, name: &str) -> Value {
    serde_json::to_value(api.get(name).await.unwrap()).unwrap()
}

pub(crate) fn namespace(name: &str) -> (&'static str, Value) {
    let metadata = json!({"name": name, "labels": {"kubernetes.io/metadata.name": name}});
    let spec = json!({"finalizers": ["kubernetes"]});
    ("namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata, "spec": spec}))
}

pub(crate) fn config_map(namespace: &str, name: &str, owners: &Value) -> (&'static str, Value) {
    let metadata = json!({"namespace": namespace, "name": name, "ownerReferences": owners});
    ("configmaps", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": name}}))
}

/// A reference to an owner as an archive holds it: with the UID of another life.
pub(crate) fn old_owner(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": "00000000-0000-4000-8000-000000000000"})
}

/// A definition of cluster-scoped things with a status of their own; as a server gives it, with all defaults filled in.
pub(crate) fn definition(group: &str, versions: &[&str]) -> (&'static str, Value) {
    let version = |(index, name): (usize, &&str)| {
        json!({
            "name": name, "served": true, "storage": index == 0, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
        })
    };
    let versions: Vec<Value> = versions.iter().enumerate().map(version).collect();
    let names = json!({"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{group}")},
        "spec": {"group": group, "scope": "Cluster", "names": names, "versions": versions,
            "conversion": {"strategy": "None"}},
        "status": {"storedVersions": ["v0"], "conditions": [], "acceptedNames": {"plural": "", "kind": ""}},
    });
    ("customresourcedefinitions", definition)
}

pub(crate) fn thing(group: &str, name: &str, content: &Value) -> (&'static str, Value) {
    let mut object = json!({"apiVersion": format!("{group}/v1"), "kind": "Thing", "metadata": {"name": name}});
    object.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    ("things", object)
}
