//! The operator's encrypted archives, each restored with its configuration: what comes back is what the plain archive of
//! the same cluster holds.
//!
//! The archives and their configurations lie beside the checkout.

use std::collections::BTreeMap;
use std::path::Path;

use drover_testbed::{Options, Service};
use drover_tests::{Site, differing_members, objects, shared, shared_or_skip};
use serde_json::Value;

use crate::rancher::{self, ARCHIVE, KEPT};

const AESCBC: &str = "bro-archives/bro-aescbc-8ea4e695-6c77-43ec-9323-d6191e5ef67b-2026-11-22T13-05-22Z.tar.gz.enc";
const SECRETBOX: &str =
    "bro-archives/bro-secretbox-8ea4e695-6c77-43ec-9323-d6191e5ef67b-2026-11-22T13-05-24Z.tar.gz.enc";

#[tokio::test(flavor = "multi_thread")]
async fn archive_that_the_operator_sealed_with_aescbc_comes_back() {
    comes_back(&shared_or_skip!(AESCBC), &shared_or_skip!("bro-archives/aescbc.yaml")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn archive_that_the_operator_sealed_with_secretbox_comes_back() {
    comes_back(&shared_or_skip!(SECRETBOX), &shared_or_skip!("bro-archives/secretbox.yaml")).await;
}

async fn comes_back(archive: &Path, configuration: &Path) {
    let site = Site::start_with(Options::only([Service::ControlPlane])).await;
    let arguments = [Path::new("apply"), archive, Path::new("--encryption-config"), configuration];
    site.job("restore").arguments(arguments).succeed().await;
    let live = site.folder().join("live.tar.gz");
    let finished = rancher::snapshot(&site, &live).await;
    assert_eq!(finished.code, 0, "{}", finished.log);
    let [plain, live] = [shared(ARCHIVE).unwrap(), live].map(|archive| without_kept(objects(&archive)));
    assert!(plain.keys().eq(live.keys()), "{:?} in the plain archive, {:?} live", plain.keys(), live.keys());
    assert_eq!(differing_members(&plain, &live), rancher::changed());
    site.testbed.shutdown().await;
}

/// Without what a cluster keeps of its own.
fn without_kept(mut objects: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    for (path, _) in KEPT {
        objects.remove(path);
    }
    objects
}
