//! The figures that drover promises, measured on a real API server, NATS and MinIO, and printed beside the raw LIST and
//! the raw creation of the same objects.
//!
//! `cargo bench` measures 20,000 objects, then 100,000. `DROVER_BENCH_OBJECTS=2000 cargo bench`, or numbers as
//! arguments, measure others. Up to 20,000 objects are also restored into empty clusters; `DROVER_BENCH_CREATED=100000`
//! restores more.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people, with a table as its result")]
#![expect(clippy::unwrap_used, reason = "what fails ends the measurement, and shows where")]

mod creation;
mod filler;
mod measure;
mod table;

use drover_testbed::{Options, Service};
use drover_tests::Site;

use crate::measure::{Figures, Run};

/// How many objects are measured unless told otherwise: those of the promise.
const SIZES: [usize; 2] = [20_000, 100_000];

/// How often each is measured; what is printed are medians.
const RUNS: usize = 3;

/// The most objects that are also made in empty clusters unless told otherwise: it takes about two milliseconds for each
/// of them in every run.
const CREATED: usize = 20_000;

/// Requests at once that fill the cluster: enough that two cores are busy.
const FILLING: usize = 32;

/// The Backup that is run.
const BACKUP: &str = "figures";

/// The namespaces too, so that the archive can be restored into an empty cluster.
const RESOURCE_SET: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: figures}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^namespaces$, resourceNameRegexp: ^cattle-bulk-}
- {apiVersion: v1, kindsRegexp: ^(secrets|configmaps)$, namespaceRegexp: ^cattle-bulk-}
";

#[tokio::main]
async fn main() {
    let sizes = sizes();
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats, Service::Minio])).await;
    site.resource_set(RESOURCE_SET).await;
    site.backup(BACKUP, "figures", Some(site.bucket("figures"))).await;
    table::print_head();
    let mut measured = Vec::new();
    let mut filled = 0;
    for size in sizes {
        eprintln!("filling the cluster up to {size} objects");
        filler::fill(&site.client, filled..size, FILLING).await;
        filled = filled.max(size);
        let figures = measure_size(&site, filled).await;
        table::print_size(&figures);
        measured.push(figures);
    }
    site.testbed.shutdown().await;
    if let [first, .., last] = &*measured {
        table::print_growth(first, last);
    }
}

async fn measure_size(site: &Site, objects: usize) -> Figures {
    let created = (objects <= created()).then_some(objects);
    let mut runs: Vec<Run> = Vec::new();
    for number in 1..=RUNS {
        eprintln!("{objects} objects, run {number} of {RUNS}");
        runs.push(measure::run(site, BACKUP, created).await);
    }
    Figures { objects, runs }
}

/// The numbers of objects: of the arguments, of the environment, or those of the promise.
fn sizes() -> Vec<usize> {
    // What cargo itself passes, "--bench", is no number.
    let arguments: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    if !arguments.is_empty() {
        return arguments;
    }
    match std::env::var("DROVER_BENCH_OBJECTS") {
        Ok(text) => text.split(',').map(|number| number.trim().parse().unwrap()).collect(),
        Err(_) => SIZES.to_vec(),
    }
}

/// The most objects that are also made in empty clusters.
fn created() -> usize {
    std::env::var("DROVER_BENCH_CREATED").map_or(CREATED, |text| text.trim().parse().unwrap())
}
