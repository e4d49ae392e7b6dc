//! How much memory storing takes. `DROVER_TEST_ARCHIVE_MIB` sets the size of the archive.

use std::path::Path;

use drover::digest::{Content, Hasher};
use drover::resources::S3Location;
use drover::storage::Storage;
use tempfile::NamedTempFile;

use super::{place, settings, testbed};

/// The most memory that a process may have had after it stored an archive, in kB: the figure that holds for every job.
const MOST_MEMORY: u64 = 64 << 10;

/// Set in the process that [`memory_does_not_grow_with_the_archive`] starts, to the number of the server.
const MEASURED: &str = "DROVER_TEST_MEASURED_STORE";

/// The most memory that this process has had, in kB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The tests of a binary share a process, so the one that measures its memory runs in a process of its own.
#[tokio::test]
async fn memory_does_not_grow_with_the_archive() {
    if let Ok(location) = std::env::var(MEASURED) {
        return store_and_measure(&location).await;
    }
    let testbed = testbed().await;
    for s3 in [testbed.s3().unwrap(), testbed.s3_tls().unwrap()] {
        let handed = serde_json::json!([place(s3, "large"), s3.access_key, s3.secret_key]).to_string();
        let run = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["memory_does_not_grow_with_the_archive", "--nocapture"])
            .env(MEASURED, handed)
            .status();
        assert!(run.await.unwrap().success(), "{}", s3.url);
    }
}

async fn store_and_measure(handed: &str) {
    let (location, access_key, secret_key): (S3Location, String, String) = serde_json::from_str(handed).unwrap();
    // Written in pieces, so that the test itself holds no archive.
    let file = NamedTempFile::new().unwrap();
    let mebibytes = std::env::var("DROVER_TEST_ARCHIVE_MIB").map_or(100, |size| size.parse().unwrap());
    let content = write_large(file.path(), mebibytes);
    let storage = Storage::open(settings(&location, &access_key, &secret_key)).await.unwrap();
    let (before, begun) = (peak_memory(), std::time::Instant::now());
    storage.store("a.tar.gz", file.path(), content, |_| ()).await.unwrap();
    let (after, took) = (peak_memory(), begun.elapsed());
    println!("{mebibytes} MiB stored and verified in {took:?}, peak {before} kB before, {after} kB after");
    assert!(after <= MOST_MEMORY, "{after} kB");
}

fn write_large(path: &Path, mebibytes: usize) -> Content {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    let mut hasher = Hasher::default();
    let mut piece = vec![0; 1 << 20];
    for number in 0..mebibytes {
        piece.fill(u8::try_from(number % 251).unwrap());
        file.write_all(&piece).unwrap();
        hasher.update(&piece);
    }
    hasher.finish()
}
