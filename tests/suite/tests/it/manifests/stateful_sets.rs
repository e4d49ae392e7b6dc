//! NATS and MinIO: a wrong image is mended by applying the right one, an upgrade is one command more, and no volume is lost.

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
const UPGRADE: [&str; 8] = [
    "--namespace",
    DEFAULT_NAMESPACE,
    "delete",
    "statefulset",
    "nats",
    "minio",
    "--cascade=orphan",
    "--ignore-not-found",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_image_is_mended_and_an_upgrade_keeps_the_volumes() {
    let testbed = Testbed::start(Options::only([Service::Controllers])).await.unwrap();
    let client = testbed.client().await.unwrap();
    testbed.kubectl(&["apply", "-k", &overlay("local/foundation")]).await.unwrap();
    apply(&testbed, &images("wrong", OF_0_1_0)).await;
    until("the pods of 0.1.0", async || have_image(&client, "wrong").await).await;
    let claims = claims(&client).await;
    assert_eq!(claims.keys().map(String::as_str).collect::<Vec<_>>(), ["data-minio-0", "data-nats-0"]);
    testbed.kubectl(&UPGRADE).await.unwrap();
    for tag in ["right", "wrong-again", "right-again"] {
        apply(&testbed, &images(tag, "")).await;
        until("pods of the image that was applied", async || have_image(&client, tag).await).await;
    }
    assert_eq!(self::claims(&client).await, claims);
    testbed.shutdown().await;
}

fn images(tag: &str, more: &str) -> TempDir {
    let images = format!("images: [{{name: nats, newTag: {tag}}}, {{name: minio/minio, newTag: {tag}}}]\n{more}");
    own_overlay(&["minio"], &images)
}

async fn apply(testbed: &Testbed, folder: &TempDir) {
    testbed.kubectl(&["apply", "-k", &folder.path().display().to_string()]).await.unwrap();
}

/// Whether both have one pod, and of this tag. No node runs it, so it is not ready at any time.
async fn have_image(client: &Client, tag: &str) -> bool {
    let pods: Api<Pod> = Api::namespaced(client.clone(), DEFAULT_NAMESPACE);
    let of = async |component: &str| {
        let labels = ListParams::default().labels(&format!("app.kubernetes.io/component={component}"));
        let pods = pods.list(&labels).await.unwrap().items;
        let images = pods.into_iter().filter_map(|pod| pod.spec?.containers.into_iter().next()?.image);
        images.collect::<Vec<_>>()
    };
    of("nats").await == [format!("nats:{tag}")] && of("minio").await == [format!("minio/minio:{tag}")]
}

/// The claims, with their UIDs.
async fn claims(client: &Client) -> BTreeMap<String, Option<String>> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), DEFAULT_NAMESPACE);
    let claims = claims.list(&ListParams::default()).await.unwrap();
    let of_sets = claims.into_iter().filter(|claim| claim.name_any().starts_with("data-"));
    of_sets.map(|claim| (claim.name_any(), claim.uid())).collect()
}
