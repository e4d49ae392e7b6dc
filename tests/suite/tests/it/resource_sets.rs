//! The ResourceSets in `manifests/resource-sets`: kubectl takes them, and they select what the sets of the Rancher backup
//! operator select.

mod changes;
mod comparison;
mod kubewarden;
mod named;
mod probes;
mod regexps;
mod types;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use drover::api::discover;
use drover::resources::{ResourceSelector, ResourceSet};
use drover_testbed::{Options, Service};
use drover_tests::inputs::{BASIC, FULL, Inputs};
use drover_tests::{Site, objects};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;

use self::comparison::Comparison;
use crate::kubectl;
use crate::manifests::lost;
use crate::populate::populate_awkwardly;

const GUIDE: &str = "rancher-resource-set";
const TURTLES: &str = "rancher-resource-set-turtles";

/// What the operator's selectors say to no effect, each by a piece of it, and why.
const IDLE: [(&str, &str); 6] = [
    ("^globalrole$", "a kind is GlobalRole or globalroles; all of them are selected elsewhere"),
    ("^apiservice$", "APIServices are not of Rancher's group"),
    ("^services$", "Services are of the core group, and not of apps"),
    ("^rancher-csp-adapter-\"", "none of the names that are excluded is included"),
    ("^priorityclasses$", "their group has no other kind"),
    ("^.*$", "any namespace"),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests").join(name)
}

fn file(name: &str) -> PathBuf {
    folder("resource-sets").join(format!("{name}.yaml"))
}

/// A file of the component `kubewarden`.
fn component(name: &str) -> PathBuf {
    folder("../kustomize/components/kubewarden").join(format!("{name}.yaml"))
}

fn read(path: &Path) -> ResourceSet {
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn set_of_the_guide_is_the_full_one_and_the_basic_one_is_that_without_secrets() {
    let [guide, basic, full] = [GUIDE, BASIC, FULL].map(|name| read(&file(name)));
    assert_eq!(guide.spec, full.spec);
    assert_eq!(basic.spec.controller_references, full.spec.controller_references);
    let (common, secrets) = full.spec.resource_selectors.split_at(basic.spec.resource_selectors.len());
    assert_eq!(basic.spec.resource_selectors, common);
    let takes_secrets = |selector: &ResourceSelector| selector.api_version == "v1" && selector.kinds == ["Secret"];
    assert!(!secrets.is_empty() && secrets.iter().all(takes_secrets), "{secrets:?}");
    let is_narrow = |selector: &ResourceSelector| selector.api_version != "v1" || !selector.kinds.is_empty();
    assert!(common.iter().all(|selector| is_narrow(selector) && !takes_secrets(selector)), "{common:?}");
}

#[test]
fn set_of_turtles_is_the_full_one_with_more_on_top() {
    let [full, turtles] = [FULL, TURTLES].map(|name| read(&file(name)).spec);
    assert_eq!(turtles.controller_references, full.controller_references);
    let (common, on_top) = turtles.resource_selectors.split_at(full.resource_selectors.len());
    assert_eq!(common, full.resource_selectors);
    assert!(!on_top.is_empty());
}

#[test]
fn sets_select_what_those_of_the_operator_select() {
    for (inputs, name) in Inputs::all().iter().flat_map(|inputs| [BASIC, FULL].map(|name| (inputs, name))) {
        let [ours, theirs] = [file(name), inputs.resource_set(name)].map(|path| read(&path).spec);
        assert_eq!(ours.controller_references, theirs.controller_references);
        let [ours, theirs] = [ours, theirs].map(|set| set.resource_selectors);
        let comparison = Comparison::new(types::of(inputs.definitions(), &[&ours, &theirs]), &[&ours, &theirs]);
        assert_eq!(comparison.difference(&ours, &theirs), None, "{name}");
    }
}

#[test]
fn no_part_of_a_set_can_be_missed() {
    for inputs in Inputs::all() {
        let [ours, theirs] = [file(FULL), inputs.resource_set(FULL)].map(|path| read(&path).spec.resource_selectors);
        let comparison = Comparison::new(types::of(inputs.definitions(), &[&ours, &theirs]), &[&ours, &theirs]);
        assert_eq!(comparison.unseen(&ours, &theirs), Vec::<String>::new());
    }
}

#[test]
fn probes_reach_every_part_of_the_operators_selectors() {
    for inputs in Inputs::all() {
        let expected = if matches!(inputs, Inputs::Own(_)) { &[][..] } else { &IDLE };
        probes_reach_every_part(&inputs, expected);
    }
}

fn probes_reach_every_part(inputs: &Inputs, expected: &[(&str, &str)]) {
    let theirs = read(&inputs.resource_set(FULL)).spec.resource_selectors;
    let comparison = Comparison::new(types::of(inputs.definitions(), &[&theirs]), &[&theirs]);
    let alone = theirs.chunks(1).flat_map(|selector| comparison.unseen(selector, selector));
    let (idle, unseen): (Vec<String>, Vec<String>) =
        alone.partition(|selector| expected.iter().any(|(piece, _)| selector.contains(piece)));
    assert_eq!(unseen, Vec::<String>::new());
    for (piece, why) in expected {
        assert!(idle.iter().any(|selector| selector.contains(piece)), "{piece} is no longer idle, though {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_of_a_populated_cluster_have_the_same_entries() {
    for inputs in Inputs::all() {
        archives_have_the_same_entries(&inputs).await;
    }
}

async fn archives_have_the_same_entries(inputs: &Inputs) {
    let site = Site::start_with(Options::only([Service::Controllers])).await;
    populate_awkwardly(&site, inputs).await;
    root_certificates_are_there(&site).await;
    let both = [BASIC, FULL].map(|name| (name, [file(name), inputs.resource_set(name)]));
    let selectors = both.iter().flat_map(|(_, paths)| paths).flat_map(|path| read(path).spec.resource_selectors);
    let versions: Vec<String> = selectors.map(|selector| selector.api_version).collect();
    let discovery = discover(&site.client, versions.iter().map(String::as_str)).await.unwrap();
    let mut found = Vec::new();
    for (name, paths) in both {
        let [ours, theirs] = [entries(&site, &paths[0]).await, entries(&site, &paths[1]).await];
        assert_eq!(ours, theirs, "{name}");
        let [of_ours, of_theirs] = paths.map(|path| read(&path).spec.resource_selectors);
        let comparison = Comparison::new(discovery.clone(), &[&of_ours, &of_theirs]);
        assert_eq!(comparison.difference(&of_ours, &of_theirs), None, "{name}");
        found.push(ours);
    }
    let secrets: Vec<_> = found[1].difference(&found[0]).collect();
    assert!(found[0].is_subset(&found[1]) && !secrets.is_empty());
    assert!(secrets.iter().all(|path| path.starts_with("secrets.#v1/")), "{secrets:?}");
    site.testbed.shutdown().await;
}

/// The paths of the objects of an archive that `snapshot` makes with a set.
async fn entries(site: &Site, set: &Path) -> BTreeSet<String> {
    let output = site.folder().join("archive.tar.gz");
    let arguments = [Path::new("--resource-set"), set, Path::new("--output"), &output];
    site.job("snapshot").arguments(arguments).succeed().await;
    let entries = objects(&output).into_keys().collect();
    std::fs::remove_file(output).unwrap();
    entries
}

/// Kubernetes makes one in each namespace, and the sets select some: two archives are alike only after the last is there.
async fn root_certificates_are_there(site: &Site) {
    let namespaces: Api<Namespace> = Api::all(site.client.clone());
    let maps: Api<ConfigMap> = Api::all(site.client.clone());
    let certificates = ListParams::default().fields("metadata.name=kube-root-ca.crt");
    let expected = namespaces.list(&ListParams::default()).await.unwrap().items.len();
    while maps.list(&certificates).await.unwrap().items.len() < expected {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn kubectl_kustomize_builds_every_file_of_the_folders() {
    for name in ["crds", "resource-sets"] {
        let built = kubectl::alone(&["kustomize", folder(name).to_str().unwrap()]).await;
        let built: BTreeSet<String> = built.split("\n---\n").map(named).collect();
        let files = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
        let files: BTreeSet<String> = files
            .filter(|path| !path.ends_with("kustomization.yaml"))
            .map(|path| named(&std::fs::read_to_string(path).unwrap()))
            .collect();
        assert_eq!(built, files, "{name}");
    }
}

/// Kind and name of the object in a text.
fn named(text: &str) -> String {
    let object: Value = serde_saphyr::from_str(text).unwrap();
    format!("{} {}", object["kind"], object["metadata"]["name"])
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_the_folders_strictly_and_nothing_in_a_set_is_lost() {
    let site = Site::start_with(Options::only([Service::ControlPlane])).await;
    for name in ["crds", "resource-sets"] {
        let arguments = ["apply", "--server-side", "--force-conflicts", "--validate=strict", "--kustomize"];
        kubectl::on(&site, &[&arguments[..], &[folder(name).to_str().unwrap()]].concat()).await;
    }
    let sets: Api<ResourceSet> = Api::all(site.client.clone());
    for name in [GUIDE, BASIC, FULL, TURTLES] {
        let sent: Value = serde_saphyr::from_str(&std::fs::read_to_string(file(name)).unwrap()).unwrap();
        let stored = serde_json::to_value(sets.get(name).await.unwrap()).unwrap();
        assert_eq!(lost(&sent, &stored, ""), Vec::<String>::new(), "{name}");
    }
    site.testbed.shutdown().await;
}
