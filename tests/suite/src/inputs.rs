//! What tests of Rancher's objects, of its operator's archives and of its users' manifests work on.

mod archive;
mod small_rancher;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use drover::resources::ResourceSelector;
use drover_testbed::{rancher, rancher_webhook};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use self::archive::Kind;
use crate::api_of;

/// The variable that names a folder of further inputs.
const FURTHER: &str = "DROVER_TEST_INPUTS";

/// What Rancher's operator selects, each way of being selected for itself.
const SELECTED: &str = include_str!("inputs/selected.yaml");

/// What it selects of Kubewarden where its users want that.
const KUBEWARDEN: &str = include_str!("inputs/kubewarden.yaml");

/// Slips of the recorded parts for Kubewarden, and what is meant: by these words they select nothing, or types without
/// their definitions.
const SLIPS: [(&str, &str); 2] =
    [("^ingress$", "^ingresses$"), ("policyrepoter.kyverno.io", "policyreporter.kyverno.io")];

/// The set of the operator's chart that selects all of Rancher.
pub const FULL: &str = "rancher-resource-set-full";
/// The one without Secrets.
pub const BASIC: &str = "rancher-resource-set-basic";

/// One set of inputs. Each test takes [all](Inputs::all) there are.
pub enum Inputs {
    /// The project's own. What is no file of the project lies in this folder.
    Own(TempDir),
    /// Those of a folder that somebody names, recorded from the operator and its users:
    ///
    /// - `seed/manifests`: manifests of users;
    /// - `bro-archives`: the operator's archives `bro-<kind>-*` of one cluster, their entries `<kind>.list`, and their
    ///   configurations `<kind>.yaml`;
    /// - `rancher`: `chart` with the two ResourceSets of the operator's chart and its optional part for Kubewarden, `crds`
    ///   with Rancher's definitions, `webhook/configurations.yaml` with the configurations of rancher-webhook, the
    ///   ResourceSet that the archives were made by, and `populate.py`, which fills a cluster with what they hold.
    Further(PathBuf),
}

impl Inputs {
    /// The project's own, and those of the folder that `DROVER_TEST_INPUTS` names.
    ///
    /// # Panics
    /// When that folder is not there.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let named = std::env::var_os(FURTHER).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let further = named.map(|folder| {
            assert!(folder.is_dir(), "{FURTHER} names {}, which is no folder; give an absolute path", folder.display());
            Self::Further(folder)
        });
        [Self::own()].into_iter().chain(further).collect()
    }

    /// The project's own alone, for tests that need no others to be whole.
    ///
    /// # Panics
    /// When they cannot be written.
    #[must_use]
    pub fn own() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sets = own_sets();
        for (name, set) in &sets {
            std::fs::write(folder.path().join(format!("{name}.yaml")), serde_saphyr::to_string(set).unwrap()).unwrap();
        }
        let objects = own_objects();
        for kind in [Kind::Plain, Kind::AesCbc, Kind::Secretbox] {
            archive::write(&folder.path().join(kind.name()), kind, &objects, &sets[FULL]);
            std::fs::write(folder.path().join(format!("{}.yaml", kind.name())), archive::configuration(kind)).unwrap();
        }
        Self::Own(folder)
    }

    /// The folder of users' manifests.
    #[must_use]
    pub fn manifests(&self) -> PathBuf {
        match self {
            Self::Own(_) => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples"),
            Self::Further(folder) => folder.join("seed/manifests"),
        }
    }

    /// The ResourceSet that selects what the operator's set of this name does, `rancher-resource-set-full` say.
    #[must_use]
    pub fn resource_set(&self, name: &str) -> PathBuf {
        let file = format!("{name}.yaml");
        match self {
            Self::Own(folder) => folder.path().join(file),
            Self::Further(folder) => folder.join("rancher/chart").join(file),
        }
    }

    /// The ResourceSet that the archives were made by. Recorded ones are older than the chart, and their set selected less.
    #[must_use]
    pub fn set_of_archives(&self) -> PathBuf {
        match self {
            Self::Own(_) => self.resource_set(FULL),
            Self::Further(folder) => folder.join("rancher").join(format!("{FULL}.yaml")),
        }
    }

    /// What the operator's sets select of Kubewarden where its users want that: for every set, and for the one with Secrets.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn kubewarden(&self) -> [Vec<ResourceSelector>; 2] {
        match self {
            Self::Own(_) => {
                let all: Vec<ResourceSelector> = serde_saphyr::from_str(KUBEWARDEN).unwrap();
                let (secrets, others) = all.into_iter().partition(|selector| selector.kinds == ["Secret"]);
                [others, secrets]
            }
            Self::Further(folder) => ["basic", "sensitive"].map(|part| {
                let path = folder.join("rancher/chart").join(format!("optional-kubewarden-{part}.yaml"));
                let text = std::fs::read_to_string(path).unwrap();
                let text = SLIPS.iter().fold(text, |text, (slip, meant)| text.replace(slip, meant));
                serde_saphyr::from_str(&text).unwrap()
            }),
        }
    }

    /// The operator's archive of this kind. All kinds are of one cluster.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn archive(&self, kind: Kind) -> PathBuf {
        let name = kind.name();
        match self {
            Self::Own(folder) => folder.path().join(name),
            Self::Further(folder) => {
                let folder = folder.join("bro-archives");
                let is_of_it = |path: &PathBuf| path.to_string_lossy().contains(&format!("/bro-{name}-"));
                let mut files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
                files.find(is_of_it).unwrap_or_else(|| panic!("no archive bro-{name}-* lies in {}", folder.display()))
            }
        }
    }

    /// The encryption configuration of the archive of this kind.
    #[must_use]
    pub fn configuration(&self, kind: Kind) -> PathBuf {
        let file = format!("{}.yaml", kind.name());
        match self {
            Self::Own(folder) => folder.path().join(file),
            Self::Further(folder) => folder.join("bro-archives").join(file),
        }
    }

    /// The paths of the objects in the archives, from what is not read out of them.
    ///
    /// # Panics
    /// When the list is not there.
    #[must_use]
    pub fn paths(&self, kind: Kind) -> BTreeSet<String> {
        match self {
            Self::Own(_) => own_objects().into_keys().collect(),
            Self::Further(folder) => {
                let list = folder.join("bro-archives").join(format!("{}.list", kind.name()));
                let text = std::fs::read_to_string(list).unwrap();
                let is_object = |line: &str| line.strip_suffix(".json").is_some_and(|path| path != "filters/filters");
                text.lines().filter(|line| is_object(line)).map(str::to_owned).collect()
            }
        }
    }

    /// The configurations of webhooks that a rancher-webhook registered, the validating one first. The project's own are
    /// those of its stand-in, [`rancher_webhook::configurations`].
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn webhook_configurations(&self) -> Vec<Value> {
        match self {
            Self::Own(_) => rancher_webhook::configurations(&service).into(),
            Self::Further(folder) => {
                let text = std::fs::read_to_string(folder.join("rancher/webhook/configurations.yaml")).unwrap();
                let list: Value = serde_saphyr::from_str(&text).unwrap();
                list["items"].as_array().unwrap().clone()
            }
        }
    }

    /// Rancher's definitions.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn definitions(&self) -> Vec<CustomResourceDefinition> {
        match self {
            Self::Own(_) => {
                small_rancher::definitions().into_iter().map(|one| serde_json::from_value(one).unwrap()).collect()
            }
            Self::Further(folder) => {
                let files = std::fs::read_dir(folder.join("rancher/crds")).unwrap().map(|file| file.unwrap().path());
                let texts: Vec<_> = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
                let documents = texts.iter().flat_map(|text| text.split("\n---"));
                let documents = documents.filter(|text| text.contains("kind: CustomResourceDefinition"));
                documents.map(|text| serde_saphyr::from_str(text).unwrap()).collect()
            }
        }
    }
}

/// How the API server reaches a real rancher-webhook: without the certificate, which is another one in each cluster.
#[must_use]
pub fn service(path: &str) -> Value {
    json!({"service": {"name": "rancher-webhook", "namespace": "cattle-system", "path": path, "port": 443}})
}

/// The project's ResourceSets by name: the one with Secrets, and the one without.
fn own_sets() -> BTreeMap<&'static str, Value> {
    let named = |name: &'static str| {
        let mut set: Value = serde_saphyr::from_str(SELECTED).unwrap();
        set["metadata"]["name"] = name.into();
        (name, set)
    };
    let mut sets = BTreeMap::from([FULL, BASIC].map(named));
    let selectors = sets.get_mut(BASIC).unwrap()["resourceSelectors"].as_array_mut().unwrap();
    selectors.retain(|selector| selector["kinds"] != json!(["Secret"]));
    sets
}

/// What the project's archives hold, by path.
fn own_objects() -> BTreeMap<String, Value> {
    archive::objects(&own_sets().into_values().collect::<Vec<_>>())
}

/// Fills a cluster with what the project's archives hold, apart from what is of the operator and of the cluster itself,
/// and with what they leave out; with the awkward objects too, where those are wanted.
///
/// # Panics
/// When the API server refuses one of them.
pub async fn populate(client: &Client, awkwardly: bool) {
    for definition in small_rancher::definitions() {
        rancher::make(client, &definition).await.unwrap();
    }
    rancher::wait_until_served(client, &small_rancher::TYPES).await.unwrap();
    let further = if awkwardly { small_rancher::awkward() } else { Vec::new() };
    let objects = [small_rancher::selected(), small_rancher::left_out(), further].concat();
    let mut uids = BTreeMap::new();
    for object in &objects {
        let mut unowned = object.clone();
        unowned["metadata"].as_object_mut().unwrap().remove("ownerReferences");
        let made = rancher::make(client, &unowned).await.unwrap();
        uids.insert(title(object, &object["metadata"]["name"]), made.uid().unwrap());
    }
    for object in &objects {
        own(client, object, &uids).await;
        if object["metadata"]["name"] == "held-by-finalizer" {
            api_of(client, object).delete("held-by-finalizer", &DeleteParams::default()).await.unwrap();
        }
    }
}

fn title(of: &Value, name: &Value) -> String {
    format!("{} {} {name}", of["apiVersion"], of["kind"])
}

/// Gives an object its owners, by the UIDs that they have in this cluster.
async fn own(client: &Client, object: &Value, uids: &BTreeMap<String, String>) {
    let Some(owners) = object["metadata"]["ownerReferences"].as_array() else { return };
    let mut owners = owners.clone();
    for owner in &mut owners {
        // Not by what the archive has for a UID: two kinds of two groups bear one name, and Kubernetes' garbage collector takes
        // away what names an owner that is none.
        owner["uid"] = uids[&title(owner, &owner["name"])].clone().into();
    }
    let patch = Patch::Merge(json!({"metadata": {"ownerReferences": owners}}));
    let name = object["metadata"]["name"].as_str().unwrap();
    api_of(client, object).patch(name, &PatchParams::default(), &patch).await.unwrap();
}
