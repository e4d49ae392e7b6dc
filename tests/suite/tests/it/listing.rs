//! Lists of a real API server: one that is forgotten while it is read, and one of objects as large as they may be.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use drover::api::{PageSizes, discover};
use drover::listing::{Body, Options as ListOptions, Pages, pages};
use drover::resources::ResourceSet;
use drover::selection::plan;
use drover_testbed::{Options, Service};
use drover_tests::{Running, Site, objects};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::Value;

/// ConfigMaps of one namespace.
const SET: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: maps}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^configmaps$, namespaces: [default]}
";

/// The peak that every job keeps to: 64 MiB, and a quarter more where it was built without optimisation.
const MOST_KIB: u64 = if cfg!(debug_assertions) { 80 << 10 } else { 64 << 10 };

#[tokio::test(flavor = "multi_thread")]
async fn list_that_the_server_forgets_loses_and_doubles_nothing() {
    // Without the gate kube-apiserver 1.34 serves what etcd has compacted from a cache, and no token ever expires.
    let forgetful = ["--etcd-compaction-interval=1s", "--feature-gates=ListFromCacheSnapshot=false"];
    let options = Options::only([Service::ControlPlane]).api_server_arguments(forgetful);
    let site = Site::start_with(options).await;
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "default");
    make(&maps, 400, 10).await;
    let of_snapshots = ListOptions::default();
    let sizes = PageSizes { first_limit: 10, most_limit: 20, ..of_snapshots.sizes };
    let options = ListOptions { sizes, ..of_snapshots };
    let mut pages = begin(&site.client, options).await;
    let mut names = Vec::new();
    take(&mut pages, &mut names).await;

    forget(&maps).await;
    // Two that were there go, one behind the point that the list has reached and one before it.
    for name in ["item-000", "item-399"] {
        maps.delete(name, &DeleteParams::default()).await.unwrap();
    }
    while take(&mut pages, &mut names).await {}
    let items: Vec<_> = names.iter().filter(|name| name.starts_with("item-")).collect();
    let distinct: BTreeSet<_> = items.iter().copied().collect();
    assert_eq!(items.len(), distinct.len(), "doubled");
    let lost: Vec<_> =
        (0..399).map(|index| format!("item-{index:03}")).filter(|name| !distinct.contains(name)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    // It went on at the present state, which shows that the old one was forgotten indeed.
    assert!(!distinct.contains(&"item-399".to_owned()), "the list was served from a cache");
    site.testbed.shutdown().await;
}

async fn make(maps: &Api<ConfigMap>, count: usize, bytes: usize) {
    let make = async |index| {
        let metadata = ObjectMeta { name: Some(format!("item-{index:03}")), ..ObjectMeta::default() };
        let data = Some([("data".to_owned(), drover_testbed::rancher::noise(index, bytes))].into());
        let map = ConfigMap { metadata, data, ..ConfigMap::default() };
        maps.create(&PostParams::default(), &map).await.unwrap();
    };
    stream::iter(0..count).map(make).buffer_unordered(8).collect::<()>().await;
}

async fn begin(client: &Client, options: ListOptions) -> Pages {
    let set: ResourceSet = serde_saphyr::from_str(SET).unwrap();
    let discovery = discover(client, ["v1"].into_iter()).await.unwrap();
    pages(client.clone(), Arc::new(plan(&set, &discovery).unwrap()), options)
}

/// Takes one page; `false` at the end.
async fn take(pages: &mut Pages, names: &mut Vec<String>) -> bool {
    let Some(page) = pages.try_next().await.unwrap() else { return false };
    let Body::List(body) = page.body else { panic!("one object alone") };
    let list: Value = serde_json::from_slice(&body).unwrap();
    for item in list["items"].as_array().unwrap() {
        names.push(item["metadata"]["name"].as_str().unwrap().to_owned());
    }
    true
}

/// Waits until the server has forgotten the present state: a token that is of it is refused.
async fn forget(maps: &Api<ConfigMap>) {
    let first = maps.list(&ListParams::default().limit(1)).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    for index in 0.. {
        match maps.list(&ListParams::default().limit(1).continue_token(&token)).await {
            Err(kube::Error::Api(status)) if status.code == 410 => return,
            other => drop(other.unwrap()),
        }
        assert!(index < 300, "the server forgets nothing");
        // Only what is older than the newest change is ever forgotten.
        let metadata = ObjectMeta { name: Some(format!("other-{index:03}")), ..ObjectMeta::default() };
        maps.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_as_large_as_they_may_be_are_read_within_the_memory_limits() {
    let site = Site::start_with(Options::only([Service::ControlPlane])).await;
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "default");
    make(&maps, 40, 1_000_000).await;
    let options = ListOptions::default();
    let most = options.sizes.most_page_bytes;
    let mut pages = begin(&site.client, options).await;
    let mut bytes = 0;
    while let Some(page) = pages.try_next().await.unwrap() {
        let Body::List(body) = page.body else { panic!("one object alone") };
        assert!(body.len() <= most, "a page of {} bytes", body.len());
        bytes += body.len();
    }
    assert!(bytes > 40_000_000, "{bytes}");
    drop(pages);

    let (set, output) = (site.folder().join("set.yaml"), site.folder().join("large.tar.gz"));
    std::fs::write(&set, SET).unwrap();
    let arguments = ["--resource-set".as_ref(), set.as_os_str(), "--output".as_ref(), output.as_os_str()];
    let job = site.job("snapshot").arguments(arguments).start();
    let peak = peak_kib(job).await;
    eprintln!("peak of snapshot with 40 objects of 1 MB: {} MiB", peak >> 10);
    assert!(peak <= MOST_KIB, "{peak} KiB");
    assert_eq!(objects(&output).len(), 40);
    site.testbed.shutdown().await;
}

/// The largest resident set of a job, which must succeed.
async fn peak_kib(job: Running) -> u64 {
    let status = format!("/proc/{}/status", job.pid().unwrap());
    let reading = async {
        let mut peak = 0;
        loop {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            // A process that has ended has no memory any more.
            let Some(kib) = kib else { return peak };
            peak = kib;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (peak, finished) = tokio::join!(reading, job.wait());
    assert_eq!(finished.code, 0, "{}", finished.log);
    peak
}
