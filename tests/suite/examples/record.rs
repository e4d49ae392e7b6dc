//! Records what this version leaves between snapshot and upload, for the versions after it to finish: run it before the
//! version is raised.

#![expect(clippy::print_stdout, reason = "a program for people")]

use drover_testbed::{Options, Service};
use drover_tests::Site;
use drover_tests::recording::{Recording, folder};

const SET: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: recorded}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^namespaces$}
";

#[tokio::main]
async fn main() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    site.resource_set(SET).await;
    site.backup("recorded", "recorded", None).await;
    site.job("snapshot").succeed().await;
    let folder = folder().join(env!("CARGO_PKG_VERSION"));
    Recording::of(&site, "recorded").await.write(&folder);
    site.testbed.shutdown().await;
    println!("recorded into {}", folder.display());
}
