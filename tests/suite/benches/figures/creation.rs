//! The same objects made in an empty cluster by plain clients and by a restore of their archive.

use std::path::Path;
use std::time::{Duration, Instant};

use drover_testbed::{Options, Service, Testbed};
use drover_tests::Site;

use crate::filler;
use crate::measure::{Measured, process};

/// Requests in flight, on either side: as many as `restore` has unless told otherwise.
pub(crate) const CLIENTS: usize = 16;

/// How long it takes to make the objects and their namespaces where there are none.
#[derive(Clone, Copy)]
pub(crate) struct Creation {
    /// By plain clients, which look at nothing and create.
    pub(crate) raw: Duration,
    /// By `restore apply`, from the start of its process to its end.
    pub(crate) restore: Measured,
}

/// Measures both, one right after the other.
pub(crate) async fn creation(site: &Site, archive: &Path, objects: usize) -> Creation {
    Creation { raw: raw(objects).await, restore: restore(site, archive).await }
}

async fn raw(objects: usize) -> Duration {
    let cluster = empty_cluster().await;
    let client = cluster.client().await.unwrap();
    let begun = Instant::now();
    filler::fill(&client, 0..objects, CLIENTS).await;
    let time = begun.elapsed();
    cluster.shutdown().await;
    time
}

async fn restore(site: &Site, archive: &Path) -> Measured {
    let cluster = empty_cluster().await;
    let clients = CLIENTS.to_string();
    let apply = ["apply".as_ref(), "--concurrency".as_ref(), clients.as_ref(), archive.as_os_str()];
    let kubeconfig = cluster.kubeconfig().unwrap().to_str().unwrap();
    let restored = process(site.job("restore").arguments(apply).environment("KUBECONFIG", kubeconfig)).await;
    cluster.shutdown().await;
    restored
}

/// A control plane of its own for each side: to delete 20,000 objects takes longer, and leaves etcd larger than it was.
async fn empty_cluster() -> Testbed {
    Testbed::start(Options::only([Service::ControlPlane])).await.unwrap()
}
