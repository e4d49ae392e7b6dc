//! The operator's encrypted archives, each restored with its configuration: what comes back is what the plain archive of
//! the same cluster holds.

use std::collections::BTreeMap;
use std::path::Path;

use drover_testbed::{Options, Service};
use drover_tests::inputs::{Inputs, Kind};
use drover_tests::{Site, differing_members, objects};
use serde_json::Value;

use crate::rancher::{self, KEPT};

#[tokio::test(flavor = "multi_thread")]
async fn archive_that_the_operator_sealed_with_aescbc_comes_back() {
    for inputs in Inputs::all() {
        comes_back(&inputs, Kind::AesCbc).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archive_that_the_operator_sealed_with_secretbox_comes_back() {
    for inputs in Inputs::all() {
        comes_back(&inputs, Kind::Secretbox).await;
    }
}

async fn comes_back(inputs: &Inputs, kind: Kind) {
    let site = Site::start_with(Options::only([Service::ControlPlane])).await;
    let (archive, configuration) = (inputs.archive(kind), inputs.configuration(kind));
    let arguments = [Path::new("apply"), &archive, Path::new("--encryption-config"), &configuration];
    site.job("restore").arguments(arguments).succeed().await;
    let live = site.folder().join("live.tar.gz");
    let finished = rancher::snapshot(&site, inputs, &live).await;
    assert_eq!(finished.code, 0, "{}", finished.log);
    let [plain, live] = [inputs.archive(Kind::Plain), live].map(|archive| without_kept(objects(&archive)));
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
