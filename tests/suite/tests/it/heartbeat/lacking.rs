use drover_tests::Site;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;

use super::server::{Behaviour, Server, TOKEN};
use super::{drain, heartbeat, snapshot, start};

const SET: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: items}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^namespaces$, resourceNameRegexp: ^kube-}
- {apiVersion: v1, kinds: [ConfigMap], resourceNameRegexp: ^item-}
";

/// A backup that has fewer objects of a type than before is stored, and told as something that somebody has to look at, until
/// somebody has.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_archive_lacks_is_told_until_somebody_confirms() {
    let site = start().await;
    let server = Server::start(Behaviour::Documented).await;
    site.resource_set(SET).await;
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "default");
    for index in 0..5 {
        let metadata = ObjectMeta { name: Some(format!("item-{index}")), ..ObjectMeta::default() };
        maps.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await.unwrap();
    }
    site.backup("daily", "items", None).await;
    let url = server.url(&format!("/heartbeat/{TOKEN}"));
    let monitors = format!("monitors:\n- {{name: team, kind: oneuptime, url: \"{url}\", backups: {{}}}}\n");
    store(&site).await;
    drain(&site, &monitors).succeed().await;
    told(&server, &["is stored and verified"]);

    for index in 0..4 {
        maps.delete(&format!("item-{index}"), &DeleteParams::default()).await.unwrap();
    }
    store(&site).await;
    drain(&site, &monitors).succeed().await;
    let words =
        ["failed", "its archive is stored and verified, but fewer objects than before", "configmaps (5 before, 1 now)"];
    told(&server, &words);
    let audit = heartbeat(&site, &monitors).end_with(1).await;
    assert!(audit.log.contains("not fresh: fewer objects than before"), "{}", audit.log);
    told(&server, &["failed", "not fresh", "configmaps (5 before, 1 now)"]);

    let losses = site.runs("daily").await.pop().unwrap().status.unwrap().snapshot.unwrap().losses;
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"drover.dev/allow": losses[0].confirmation}}}));
    site.backups().patch("daily", &PatchParams::default(), &patch).await.unwrap();
    site.job("retention-prune").succeed().await;
    heartbeat(&site, &monitors).succeed().await;
    told(&server, &["success", "fresh"]);
    site.testbed.shutdown().await;
}

async fn store(site: &Site) {
    snapshot(site, "daily").await;
    site.job("upload").succeed().await;
}

#[track_caller]
fn told(server: &Server, words: &[&str]) {
    let told = server.take();
    let [told] = &told[..] else { panic!("told {} times, not once", told.len()) };
    assert!(words.iter().all(|words| told.body.contains(words)), "{told:?}");
}
