//! NATS and the S3 server: a wrong image is mended by applying the right one, an upgrade is one command more, no volume is
//! lost, and MinIO of an earlier installation goes on beside the S3 server.

use std::collections::BTreeMap;

use drover::resources::DEFAULT_NAMESPACE;
use drover_testbed::{Options, Service, Testbed};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use tempfile::TempDir;

use super::built::{overlay, own_overlay};
use crate::nats::until;

/// What 0.1.0 had: the default order.
const OF_0_1_0: &str = "
patches:
- target: {kind: StatefulSet}
  patch: |-
    - {op: remove, path: /spec/podManagementPolicy}
";

/// What the README says before an upgrade from there.
const UPGRADE: [&str; 7] =
    ["--namespace", DEFAULT_NAMESPACE, "delete", "statefulset", "nats", "--cascade=orphan", "--ignore-not-found"];

/// MinIO as the overlay `local` of 0.1.0 installed it.
const MINIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/installed/minio-0.1.0.yaml");

/// The objects of MinIO, and its pod.
const OF_MINIO: [&str; 4] = ["statefulset/minio", "service/minio", "secret/minio-credentials", "pod/minio-0"];

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_image_is_mended_and_an_upgrade_keeps_the_volumes() {
    let testbed = Testbed::start(Options::only([Service::Controllers])).await.unwrap();
    let client = testbed.client().await.unwrap();
    testbed.kubectl(&["apply", "-k", &overlay("local/foundation")]).await.unwrap();
    apply(&testbed, &of_0_1_0()).await;
    until("the pod of 0.1.0", async || images(&client, "nats").await == ["nats:wrong"]).await;
    let of_nats = claims(&client).await;
    assert_eq!(of_nats.keys().map(String::as_str).collect::<Vec<_>>(), ["data-nats-0"]);
    testbed.kubectl(&UPGRADE).await.unwrap();
    for tag in ["right", "wrong-again", "right-again"] {
        apply(&testbed, &with_images(&["versitygw"], tag, "")).await;
        until("pods of the image that was applied", async || have_image(&client, tag).await).await;
    }
    let of_both = claims(&client).await;
    assert_eq!(of_both.keys().map(String::as_str).collect::<Vec<_>>(), ["data-nats-0", "data-versitygw-0"]);
    assert_eq!(of_both["data-nats-0"], of_nats["data-nats-0"]);
    apply(&testbed, &with_images(&["versitygw"], "right", "")).await;
    until("pods of the last image", async || have_image(&client, "right").await).await;
    assert_eq!(claims(&client).await, of_both);
    testbed.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_of_an_earlier_installation_stays_as_it_is_on_a_volume_of_its_own() {
    let testbed = Testbed::start(Options::only([Service::Controllers])).await.unwrap();
    let client = testbed.client().await.unwrap();
    testbed.kubectl(&["apply", "-k", &overlay("local/foundation")]).await.unwrap();
    apply(&testbed, &of_0_1_0()).await;
    testbed.kubectl(&["apply", "-f", MINIO]).await.unwrap();
    until("the pod of MinIO", async || images(&client, "minio").await.len() == 1).await;
    let before = versions(&testbed).await;
    testbed.kubectl(&UPGRADE).await.unwrap();
    let with_policies = own_overlay(&["versitygw", "local-storage", "network-policies"], "");
    for folder in [overlay("local"), with_policies.path().display().to_string()] {
        testbed.kubectl(&["apply", "-k", &folder]).await.unwrap();
    }
    until("the claim of the S3 server", async || claims(&client).await.len() == 3).await;
    let names = claims(&client).await.into_keys().collect::<Vec<_>>();
    assert_eq!(names, ["data-minio-0", "data-nats-0", "data-versitygw-0"]);
    until("the pod of the S3 server", async || images(&client, "versitygw").await.len() == 1).await;
    assert_eq!(versions(&testbed).await, before, "MinIO was changed");
    testbed.kubectl(&["delete", "-k", &overlay("local")]).await.unwrap();
    assert_eq!(versions(&testbed).await, before, "MinIO was changed");
    testbed.shutdown().await;
}

/// The base as 0.1.0 had it.
fn of_0_1_0() -> TempDir {
    with_images(&["further-volume"], "wrong", OF_0_1_0)
}

fn with_images(components: &[&str], tag: &str, more: &str) -> TempDir {
    let images = format!("images: [{{name: nats, newTag: {tag}}}, {{name: versity/versitygw, newTag: {tag}}}]\n{more}");
    own_overlay(components, &images)
}

async fn apply(testbed: &Testbed, folder: &TempDir) {
    testbed.kubectl(&["apply", "-k", &folder.path().display().to_string()]).await.unwrap();
}

/// Whether both have one pod, and of this tag. No node runs it, so it is not ready at any time.
async fn have_image(client: &Client, tag: &str) -> bool {
    images(client, "nats").await == [format!("nats:{tag}")]
        && images(client, "versitygw").await == [format!("versity/versitygw:{tag}")]
}

/// The images of a component's pods.
async fn images(client: &Client, component: &str) -> Vec<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), DEFAULT_NAMESPACE);
    let labels = ListParams::default().labels(&format!("app.kubernetes.io/component={component}"));
    let pods = pods.list(&labels).await.unwrap().items;
    pods.into_iter().filter_map(|pod| pod.spec?.containers.into_iter().next()?.image).collect()
}

/// What each object of MinIO is: its UID, its generation where it has one, its data and its selector.
async fn versions(testbed: &Testbed) -> String {
    let format = "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.metadata.generation} {.data} \
                  {.spec.selector}{\"\\n\"}{end}";
    let arguments = ["--namespace", DEFAULT_NAMESPACE, "get", "--output", format];
    testbed.kubectl(&[&arguments[..], &OF_MINIO].concat()).await.unwrap()
}

/// The claims of stateful sets, with their UIDs.
async fn claims(client: &Client) -> BTreeMap<String, Option<String>> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), DEFAULT_NAMESPACE);
    let claims = claims.list(&ListParams::default()).await.unwrap();
    let of_sets = claims.into_iter().filter(|claim| claim.name_any().starts_with("data-"));
    of_sets.map(|claim| (claim.name_any(), claim.uid())).collect()
}
