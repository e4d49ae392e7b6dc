//! What kustomize makes of the overlays and components.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::kubectl;

/// The overlays.
pub(crate) const OVERLAYS: [&str; 3] = ["local", "production", "cron-only"];

/// Every component, in an order in which all of them go together.
pub(crate) const COMPONENTS: [&str; 17] = [
    "heartbeat",
    "monitoring",
    "kubewarden",
    "versitygw",
    "local-storage",
    "operator-volume",
    "further-volume",
    "default-s3",
    "cluster-settings/image-pull-secrets",
    "cluster-settings/node-selector",
    "cluster-settings/tolerations",
    "cluster-settings/priority-class",
    "cluster-settings/proxy",
    "cluster-settings/ca-bundle",
    "network-policies",
    "secret-namespace",
    "external-nats",
];

const IMAGES: [&str; 3] = ["drover", "nats", "versity/versitygw"];

const OWN_NAMESPACES: [&str; 2] = ["cattle-resources-system", "default"];

/// The checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The folder of an overlay.
pub(crate) fn overlay(name: &str) -> String {
    root().join("kustomize/overlays").join(name).display().to_string()
}

/// The objects that kustomize makes of a folder. It must have nothing to complain of, such as a field that goes out of use.
pub(crate) async fn build(folder: &str) -> Vec<Value> {
    let output = Command::new(kubectl::program().await)
        .args(["kustomize", folder])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{folder}: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

/// An overlay of a user's own: the base with these components, and what `more` adds to its kustomization.
pub(crate) fn own_overlay(components: &[&str], more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let kustomize = relative(folder.path(), &root().join("kustomize"));
    let settings = root().join("kustomize/components/cluster-settings/settings.yaml");
    std::fs::copy(settings, folder.path().join("settings.yaml")).unwrap();
    let mut text = format!("resources: [{kustomize}/base, settings.yaml]\ncomponents:\n");
    for component in components {
        writeln!(text, "- {kustomize}/components/{component}").unwrap();
    }
    text.push_str(more);
    std::fs::write(folder.path().join("kustomization.yaml"), text).unwrap();
    folder
}

/// A path as kustomize wants it, which takes no absolute one.
pub(crate) fn relative(from: &Path, to: &Path) -> String {
    let up = "../".repeat(from.canonicalize().unwrap().components().count() - 1);
    format!("{up}{}", to.canonicalize().unwrap().display().to_string().trim_start_matches('/'))
}

/// Everything at once.
pub(crate) fn everything(more: &str) -> TempDir {
    own_overlay(&COMPONENTS, more)
}

pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// What an object is called in a failure.
pub(crate) fn title(object: &Value) -> String {
    format!("{} {}", text(object, "/kind"), text(object, "/metadata/name"))
}

/// The template of an object's pods.
pub(crate) fn pod_template(object: &Value) -> Option<&Value> {
    let path = match text(object, "/kind") {
        "CronJob" => "/spec/jobTemplate/spec/template",
        "Deployment" | "StatefulSet" => "/spec/template",
        _ => return None,
    };
    object.pointer(path)
}

pub(super) fn containers(template: &Value) -> impl Iterator<Item = &Value> {
    let of = |kind: &str| template["spec"][kind].as_array().into_iter().flatten();
    of("initContainers").chain(of("containers"))
}

/// Every folder that people apply.
fn folders() -> impl Iterator<Item = String> {
    OVERLAYS.iter().flat_map(|name| [overlay(name), overlay(&format!("{name}/foundation"))])
}

#[tokio::test]
async fn every_object_carries_the_labels_and_a_literal_namespace() {
    let everything = everything("");
    for folder in folders().chain([everything.path().display().to_string()]) {
        for object in build(&folder).await {
            let title = title(&object);
            check_labels(&object["metadata"]["labels"], &title);
            check_labels_of_objects(object.clone(), &title);
            if let Some(template) = pod_template(&object) {
                check_labels(&template["metadata"]["labels"], &format!("the pods of {title}"));
            }
            let namespace = text(&object, "/metadata/namespace");
            assert!(namespace.is_empty() || OWN_NAMESPACES.contains(&namespace), "{title} in {namespace:?}");
            assert!(!["Job", "Pod"].contains(&text(&object, "/kind")), "{title} could not be applied again");
        }
    }
}

#[track_caller]
fn check_labels(labels: &Value, title: &str) {
    for (label, expected) in [("name", Some("drover")), ("part-of", Some("drover")), ("component", None)] {
        let value = labels[format!("app.kubernetes.io/{label}")].as_str();
        assert!(value.is_some_and(|value| expected.is_none_or(|expected| value == expected)), "{title}: {labels}");
    }
}

/// What changes from version to version, or is another tool's to set, stands on the object and nowhere in it: selectors and
/// claim templates cannot be changed, and other labels in a template would make every pod anew.
#[track_caller]
fn check_labels_of_objects(mut object: Value, title: &str) {
    let labels = object["metadata"]["labels"].take();
    // Helm knows by it whose the operator's definitions are.
    let is_operators = title.contains(".resources.cattle.io");
    let manager = if is_operators { Value::Null } else { "kustomize".into() };
    for (label, expected) in
        [("instance", "drover".into()), ("managed-by", manager), ("version", env!("CARGO_PKG_VERSION").into())]
    {
        let label = format!("app.kubernetes.io/{label}");
        assert_eq!(labels[&label], expected, "{title}");
        assert!(!holds(&object, &label), "{title} has {label} elsewhere than in its metadata");
    }
}

/// Whether this stands anywhere in it, as a key or as a text.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(key, value)| key == text || holds(value, text)),
        Value::Array(items) => items.iter().any(|item| holds(item, text)),
        Value::String(found) => found == text,
        _ => false,
    }
}

#[tokio::test]
async fn every_component_goes_by_itself() {
    for component in COMPONENTS.iter().copied().chain(["without-dispatch"]) {
        let needed: &[&str] = if component == "operator-volume" { &["local-storage"] } else { &[] };
        let components: Vec<&str> = needed.iter().copied().chain([component]).collect();
        let folder = own_overlay(&components, "");
        assert!(!build(&folder.path().display().to_string()).await.is_empty(), "{component}");
    }
}

#[tokio::test]
async fn every_component_is_tested() {
    let mut found = Vec::new();
    let mut waiting = vec![root().join("kustomize/components")];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                waiting.push(entry);
            } else if entry.ends_with("kustomization.yaml") {
                let name = folder.strip_prefix(root().join("kustomize/components")).unwrap();
                found.push(name.display().to_string());
            }
        }
    }
    let mut expected: Vec<_> = COMPONENTS.iter().copied().chain(["without-dispatch"]).map(str::to_owned).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn an_overlays_images_alone_set_every_name_and_tag() {
    let mut images = "images:\n".to_owned();
    for image in IMAGES {
        writeln!(images, "- {{name: {image}, newName: registry.example.com/{image}, newTag: set}}").unwrap();
    }
    let everything_but_nats = COMPONENTS.iter().copied().filter(|name| *name != "external-nats").collect::<Vec<_>>();
    let folder = own_overlay(&everything_but_nats, &images);
    let mut seen = Vec::new();
    for object in build(&folder.path().display().to_string()).await {
        for container in pod_template(&object).into_iter().flat_map(containers) {
            let image = text(container, "/image");
            let name = image.strip_prefix("registry.example.com/").and_then(|rest| rest.strip_suffix(":set"));
            seen.push(name.unwrap_or_else(|| panic!("{}: {image}", title(&object))).to_owned());
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["drover", "nats", "versity/versitygw"]);
}

/// An overlay over another one, as kustomize takes it.
fn over(folder: &Path, more: &str) -> TempDir {
    let outer = tempfile::tempdir().unwrap();
    let text = format!("resources: [{}]\n{more}\n", relative(outer.path(), folder));
    std::fs::write(outer.path().join("kustomization.yaml"), text).unwrap();
    outer
}

#[tokio::test]
async fn the_role_of_dispatch_names_the_image_that_overlays_set() {
    let set = "images: [{name: drover, newName: registry.example.com:5000/a/drover, newTag: set}]";
    let digest = "sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3";
    let inner = over(&root().join("kustomize/overlays/production"), set);
    let outer =
        over(inner.path(), &format!("images: [{{name: registry.example.com:5000/a/drover, digest: '{digest}'}}]"));
    for (folder, expected) in [
        (overlay("local"), concat!("drover:", env!("CARGO_PKG_VERSION")).to_owned()),
        (inner.path().display().to_string(), "registry.example.com:5000/a/drover:set".to_owned()),
        (outer.path().display().to_string(), format!("registry.example.com:5000/a/drover@{digest}")),
    ] {
        let objects = build(&folder).await;
        let role = objects.iter().find(|object| title(object) == "Role drover-dispatch").unwrap();
        let rules = role["rules"].as_array().unwrap();
        let named: Vec<_> = rules.iter().filter(|rule| rule["apiGroups"][0] == "drover.dev").collect();
        assert_eq!(named.len(), 1);
        assert_eq!(named[0]["resourceNames"], serde_json::json!([expected]), "{folder}");
        let cron_job = objects.iter().find(|object| title(object) == "CronJob restore").unwrap();
        assert_eq!(text(cron_job, "/spec/jobTemplate/spec/template/spec/containers/0/image"), expected);
    }
}

#[tokio::test]
async fn another_namespace_or_other_names_are_refused_by_kustomize() {
    for of in ["base", "overlays/production", "overlays/local/foundation"] {
        for more in ["namespace: other", "namespace: cattle-resources-system", "namePrefix: my-", "nameSuffix: -mine"] {
            let folder = over(&root().join("kustomize").join(of), more);
            let said = refused(&folder.path().display().to_string()).await;
            assert!(said.contains("the names of drover are fixed"), "{of}, {more}: {said}");
            let twice = over(folder.path(), "");
            refused(&twice.path().display().to_string()).await;
        }
    }
    let both = over(&root().join("kustomize/base"), "components: []");
    let foundation = relative(both.path(), &root().join("kustomize/foundation"));
    let base = relative(both.path(), &root().join("kustomize/base"));
    std::fs::write(both.path().join("kustomization.yaml"), format!("resources: [{base}, {foundation}]\n")).unwrap();
    assert!(!build(&both.path().display().to_string()).await.is_empty());
}

/// What kustomize says about a folder that it refuses.
async fn refused(folder: &str) -> String {
    let mut command = Command::new(kubectl::program().await);
    let output = command.args(["kustomize", folder]).stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    assert!(!output.status.success(), "{folder}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn every_image_of_an_overlay_has_a_tag() {
    for name in OVERLAYS {
        for object in build(&overlay(name)).await {
            for container in pod_template(&object).into_iter().flat_map(containers) {
                let (_, tag) = text(container, "/image").split_once(':').unwrap();
                assert!(!tag.is_empty() && tag != "latest", "{name}: {}", title(&object));
            }
        }
    }
}

#[tokio::test]
async fn the_foundation_holds_no_secret_and_overlays_none_of_the_users() {
    for folder in folders() {
        for object in build(&folder).await.iter().filter(|object| text(object, "/kind") == "Secret") {
            let is_for_trying = text(object, "/metadata/name") == "versitygw-credentials";
            assert!(is_for_trying || object.get("data").is_none(), "{}", title(object));
        }
    }
}

#[tokio::test]
async fn what_outlives_an_overlay_is_not_in_it() {
    for name in OVERLAYS {
        for object in build(&overlay(name)).await {
            let kind = text(&object, "/kind");
            let is_of_nats = text(&object, "/metadata/name").starts_with("nats-");
            let outlives = ["Namespace", "CustomResourceDefinition", "PersistentVolumeClaim"].contains(&kind)
                || (kind == "Secret" && is_of_nats)
                || text(&object, "/apiVersion").starts_with("resources.cattle.io/");
            assert!(!outlives, "kubectl delete -k would take {}", title(&object));
        }
    }
}

#[tokio::test]
async fn cluster_settings_reach_every_pod() {
    let without_nats: Vec<_> = COMPONENTS.iter().copied().filter(|name| *name != "external-nats").collect();
    let folder = own_overlay(&without_nats, "");
    let objects = build(&folder.path().display().to_string()).await;
    let templates: Vec<_> = objects.iter().filter_map(pod_template).collect();
    assert_eq!(templates.len(), 9, "six jobs, dispatch, NATS and the S3 server");
    for template in templates {
        let pod = &template["spec"];
        assert_eq!(pod["imagePullSecrets"][0]["name"], "registry-credentials");
        assert_eq!(pod["nodeSelector"]["kubernetes.io/os"], "linux");
        assert_eq!(pod["tolerations"][0]["key"], "dedicated");
        assert_eq!(pod["priorityClassName"], "management");
    }
    let settings = objects.iter().find(|object| title(object) == "ConfigMap drover").unwrap();
    assert_eq!(settings["data"]["HTTPS_PROXY"], "http://proxy.example.com:3128");
    assert!(objects.iter().all(|object| object["kind"] != "ClusterSettings"), "it is kustomize's alone");
}

#[tokio::test]
async fn the_volume_of_the_operator_is_used_as_its_user() {
    let folder = own_overlay(&["heartbeat", "local-storage", "operator-volume"], "");
    let objects = build(&folder.path().display().to_string()).await;
    for name in ["upload", "retention-prune", "restore", "heartbeat"] {
        let job = objects.iter().find(|object| title(object) == format!("CronJob {name}")).unwrap();
        let pod = &pod_template(job).unwrap()["spec"];
        let claims: Vec<_> = pod["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|volume| volume.get("persistentVolumeClaim"))
            .collect();
        assert_eq!(claims, [&serde_json::json!({"claimName": "rancher-backup-1"})]);
        assert_eq!(pod["securityContext"]["runAsUser"], 1000);
    }
}

#[tokio::test]
async fn secrets_of_any_namespace_can_be_opened() {
    let more = "patches:\n- target: {kind: RoleBinding, name: drover-secrets}\n  patch: |-\n    - {op: replace, path: \
                /metadata/namespace, value: velero}\n";
    let folder = own_overlay(&["secret-namespace"], more);
    let objects = build(&folder.path().display().to_string()).await;
    let bindings: Vec<_> = objects.iter().filter(|object| title(object) == "RoleBinding drover-secrets").collect();
    assert_eq!(bindings.len(), 1);
    assert_eq!(bindings[0]["metadata"]["namespace"], "velero");
}
