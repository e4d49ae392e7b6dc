//! One run of everything that is measured.

use std::io::Write;
use std::time::{Duration, Instant};

use drover::archive::GZIP_LEVEL;
use drover_tests::{Job, Site};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::io::{AsyncBufRead, AsyncBufReadExt};
use kube::Client;
use kube::api::ListParams;
use kube::core::Request;

use crate::creation::{Creation, creation};

/// How often a job's memory is looked at. The kernel keeps the peak, so only what a job takes within its last few
/// milliseconds could be missed.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How long a Lease is held without being renewed.
const LEASE_SECONDS: &str = "15";

/// What was measured of a number of objects.
pub(crate) struct Figures {
    pub(crate) objects: usize,
    pub(crate) runs: Vec<Run>,
}

/// One run.
pub(crate) struct Run {
    /// The unpaged lists, read and dropped.
    pub(crate) list: Duration,
    /// Their bytes.
    pub(crate) list_bytes: u64,
    /// Their compression alone.
    pub(crate) gzip: Duration,
    /// The archive's bytes.
    pub(crate) archive_bytes: u64,
    pub(crate) snapshot: Measured,
    pub(crate) upload: Measured,
    pub(crate) inspect: Measured,
    /// A restore of what has not changed.
    pub(crate) unchanged: Measured,
    /// The making of all objects where there are none; none where they are too many to be made in every run.
    pub(crate) creation: Option<Creation>,
}

/// What a process took.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) time: Duration,
    /// Peak resident memory in KiB; none where the system does not tell (/proc of Linux).
    pub(crate) peak_kib: Option<u64>,
}

/// Measures everything once; the making of `created` objects only where it is asked for.
pub(crate) async fn run(site: &Site, backup: &str, created: Option<usize>) -> Run {
    let (list, list_bytes) = list(&site.client).await;
    let gzip = gzip(&site.client).await;
    let snapshot = process(site.job("snapshot").arguments(["--backup", backup])).await;
    let upload = process(site.job("upload")).await;
    let file = site.folder().join("figures.tar.gz");
    let filename = site.backup_status(backup).await.filename.unwrap();
    site.download(&format!("{backup}/{filename}"), &file).await;
    let inspect = process(site.job("restore").arguments(["inspect".as_ref(), file.as_os_str()])).await;
    let unchanged = process(site.job("restore").arguments(["apply".as_ref(), file.as_os_str()])).await;
    let creation = match created {
        Some(objects) => Some(creation(site, &file, objects).await),
        None => None,
    };
    let archive_bytes = std::fs::metadata(file).unwrap().len();
    Run { list, list_bytes, gzip, archive_bytes, snapshot, upload, inspect, unchanged, creation }
}

/// Both types as the API server sends them in one answer each, read and dropped.
async fn list(client: &Client) -> (Duration, u64) {
    let begun = Instant::now();
    let mut bytes = 0;
    each_chunk(client, |chunk| bytes += chunk.len() as u64).await;
    (begun.elapsed(), bytes)
}

/// The compression of what the server sends, without the time of the sending: nothing is held, however much it is.
async fn gzip(client: &Client) -> Duration {
    let mut encoder = GzEncoder::new(std::io::sink(), Compression::new(GZIP_LEVEL));
    let mut time = Duration::ZERO;
    each_chunk(client, |chunk| {
        let begun = Instant::now();
        encoder.write_all(chunk).unwrap();
        time += begun.elapsed();
    })
    .await;
    let begun = Instant::now();
    encoder.finish().unwrap();
    time + begun.elapsed()
}

async fn each_chunk(client: &Client, mut take: impl FnMut(&[u8])) {
    for path in ["/api/v1/secrets", "/api/v1/configmaps"] {
        let request = Request::new(path).list(&ListParams::default()).unwrap();
        let mut body = Box::pin(client.request_stream(request).await.unwrap());
        while let Some(length) = chunk(&mut body, &mut take).await {
            body.as_mut().consume(length);
        }
    }
}

async fn chunk(body: &mut (impl AsyncBufRead + Unpin), take: &mut impl FnMut(&[u8])) -> Option<usize> {
    let chunk = body.fill_buf().await.unwrap();
    take(chunk);
    (!chunk.is_empty()).then_some(chunk.len())
}

/// Runs a job from its start to its good end.
pub(crate) async fn process(job: Job) -> Measured {
    let begun = Instant::now();
    // A deployment's Lease: that of a test is lost where other work keeps a busy machine from renewing it.
    let running = job.environment("DROVER_LEASE_SECONDS", LEASE_SECONDS).start();
    let watching = tokio::spawn(peak(running.pid().unwrap()));
    let finished = running.wait().await;
    let time = begun.elapsed();
    assert_eq!(finished.code, 0, "{}", finished.log);
    Measured { time, peak_kib: watching.await.unwrap() }
}

/// The most memory that a process ever held, looked at until it ends.
async fn peak(pid: u32) -> Option<u64> {
    let mut peak = None;
    while let Some(kib) = high_water_mark(pid) {
        peak = Some(kib);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    peak
}

fn high_water_mark(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
