use std::collections::BTreeSet;

use drover::artifacts;
use drover::queue::{self, CONSUMERS, ConnectError, HEARTBEAT_CONSUMER, Settings, UPLOAD_CONSUMER, Waiting};
use drover::resources::ResourceSet;
use drover_testbed::{Options, Service};
use drover_tests::Site;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::{Closed, site};
use crate::nats::{event, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_survey_sees_with_the_right_to_ask_alone_what_is_missing_old_or_waiting() {
    let mut closed = Closed::install(site().await, "closed-survey").await;
    closed.roll_out().await;
    let dispatch = closed.connect("dispatch").await;
    let consumers = BTreeSet::from(CONSUMERS.map(str::to_owned));
    let survey = async || queue::survey(&dispatch.jetstream, &consumers).await.unwrap();
    let missing = async || survey().await.missing.into_iter().collect::<Vec<_>>();
    assert_eq!(missing().await, ["stream DROVER", "stream OBJ_drover-artifacts"]);

    let setup = closed.connect("setup").await;
    queue::setup(&setup.jetstream, &Settings::default()).await.unwrap();
    let waiting = async || survey().await.consumers.remove(UPLOAD_CONSUMER).unwrap();
    assert_eq!((missing().await.len(), waiting().await), (0, Waiting::default()));
    let snapshot = closed.connect("snapshot").await;
    snapshot.publish(&event(drover::events::Kind::BackupSnapshotted, "daily")).await.unwrap();
    assert_eq!((missing().await.len(), waiting().await), (0, Waiting { pending: 1, in_flight: 0, stored: 1 }));
    // A consumer of several kinds of events has the sum of them.
    let told = async || survey().await.consumers.remove(HEARTBEAT_CONSUMER).unwrap();
    assert_eq!(told().await, Waiting::default());
    snapshot.publish(&event(drover::events::Kind::BackupStarted, "daily")).await.unwrap();
    snapshot.publish(&event(drover::events::Kind::BackupFailed, "daily")).await.unwrap();
    assert_eq!(told().await, Waiting { pending: 2, in_flight: 0, stored: 2 });

    let mut config = setup.jetstream.get_stream(artifacts::STREAM).await.unwrap().cached_info().config.clone();
    config.metadata.retain(|key, _| !key.starts_with("_nats."));
    config.metadata.insert("drover.dev/layout".to_owned(), "0".to_owned());
    setup.jetstream.update_stream(&config).await.unwrap();
    assert_eq!(missing().await, ["layout 3 of stream OBJ_drover-artifacts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_makes_the_queue_and_the_resource_sets_that_are_missing() {
    let site = Site::start_with(Options::only([Service::ControlPlane])).await;
    let mut closed = Closed::install(&site, "cattle-resources-system").await;
    closed.roll_out().await;
    let folder = closed.path("resource-sets");
    resource_sets_are_mounted(&folder);
    let setup = async || {
        let job = closed.job("dispatch", "setup").await.arguments(["setup", "queue"]);
        job.environment("DROVER_RESOURCE_SETS", folder.to_str().unwrap())
    };
    setup().await.succeed().await;
    let sets: Api<ResourceSet> = Api::all(site.client.clone());
    let names = async || {
        let sets = sets.list(&kube::api::ListParams::default()).await.unwrap();
        sets.iter().map(ResourceExt::name_any).collect::<Vec<_>>()
    };
    let all = ["", "-basic", "-full", "-turtles"].map(|name| format!("rancher-resource-set{name}"));
    assert_eq!(names().await, all);
    for (name, has_secrets) in all.iter().zip([true, false, true, true]) {
        let selectors = sets.get(name).await.unwrap().spec.resource_selectors;
        let selects = |kind: &str, version: &str| {
            selectors.iter().any(|one| one.api_version == version && (kind.is_empty() || one.kinds == [kind]))
        };
        assert!(selects("", "policies.kubewarden.io/v1"), "{name}");
        assert_eq!(selects("Secret", "v1"), has_secrets, "{name}");
    }

    // What a person changed stays, and what a person deleted comes again.
    sets.delete("rancher-resource-set-full", &DeleteParams::default()).await.unwrap();
    let change = Patch::Merge(json!({"resourceSelectors": [{"apiVersion": "v1"}]}));
    sets.patch("rancher-resource-set", &PatchParams::default(), &change).await.unwrap();
    setup().await.succeed().await;
    assert_eq!(names().await, all);
    assert_eq!(sets.get("rancher-resource-set").await.unwrap().spec.resource_selectors.len(), 1);

    let definitions: Api<CustomResourceDefinition> = Api::all(site.client.clone());
    let name = "resourcesets.resources.cattle.io";
    definitions.delete(name, &DeleteParams::default()).await.unwrap();
    until("the definition is gone", async || definitions.get_opt(name).await.unwrap().is_none()).await;
    until("nobody serves it", async || sets.list(&kube::api::ListParams::default()).await.is_err()).await;
    let finished = setup().await.end_with(69).await;
    assert!(finished.log.contains("apply drover's definitions"), "{}", finished.log);
    drop(closed);
    site.testbed.shutdown().await;
}

/// The ResourceSets and what the component `kubewarden` adds to them, as the job finds them.
fn resource_sets_are_mounted(folder: &std::path::Path) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for of in ["manifests/resource-sets", "kustomize/components/kubewarden"] {
        for path in std::fs::read_dir(root.join(of)).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap();
            if name != "kustomization.yaml" {
                std::fs::copy(&path, folder.join(name)).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_or_with_anothers_nobody_gets_in() {
    let closed = Closed::start(site().await, "closed-door").await;
    closed.mount("upload").await;
    let ca = closed.path("mounted-upload").join("ca.crt");
    let flags = ["--nats-url", &closed.url(), "--nats-ca", ca.to_str().unwrap()];
    let keyless = queue::connect(&crate::nats::options(&flags), "upload").await.unwrap_err();
    assert!(matches!(keyless, ConnectError::Refused { .. }), "{keyless}");
    let stranger = nkeys::KeyPair::new_user().seed().unwrap();
    std::fs::write(closed.path("mounted-upload").join("nkey"), stranger).unwrap();
    let refused = queue::connect(&closed.mounted("upload"), "upload").await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { .. }), "{refused}");
    // An authority that is another's: the server is not believed.
    let other = rcgen::generate_simple_self_signed(["nats".to_owned()]).unwrap().cert.pem();
    std::fs::write(&ca, other).unwrap();
    let refused = queue::connect(&closed.mounted("upload"), "upload").await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { .. } | ConnectError::Away { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_is_named_with_what_brings_it() {
    let closed = Closed::install(site().await, "closed-missing").await;
    closed.secrets().delete("nats-setup", &DeleteParams::default()).await.unwrap();
    let finished = closed.setup().end_with(64).await;
    assert!(finished.log.contains("nats-setup") && finished.log.contains("kubectl apply -k"), "{}", finished.log);
    assert!(closed.data("nats-server").await.is_empty(), "nothing is half done");
}

/// After an upgrade without the foundation, which brings the Secret of a new job, all others go on.
#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_one_job_that_is_missing_keeps_nats_from_nothing() {
    let closed = Closed::install(site().await, "closed-upgraded").await;
    closed.secrets().delete("nats-restore", &DeleteParams::default()).await.unwrap();
    let finished = closed.setup().succeed().await;
    assert!(finished.log.contains("nats-restore") && finished.log.contains("`foundation`"), "{}", finished.log);
    for name in ["nats-server", "nats-upload", "nats-setup"] {
        assert!(!closed.data(name).await.is_empty(), "{name}");
    }
    assert!(closed.secrets().get_opt("nats-restore").await.unwrap().is_none());
}
