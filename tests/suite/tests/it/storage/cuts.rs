//! Uploads that are killed at random points. `DROVER_TEST_CUTS` says how many of them for each place and size.

use std::time::Instant;

use drover::storage::{Location, Parcel, Storage, Verification};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{child, makes, names, open, place, spool, unfinished};
use crate::kill::dice::Dice;

/// Sizes that go up as one request and as three parts.
const SIZES: [usize; 2] = [4 << 20, 12 << 20];

fn cuts() -> usize {
    std::env::var("DROVER_TEST_CUTS").map_or(2, |count| count.parse().unwrap())
}

/// Starts storing in a process of its own, and waits until it has begun.
async fn begin(place: &Value, name: &str, size: usize) -> tokio::process::Child {
    let mut process = child::start(place, &[json!(["store", name, size])], &[]);
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.ends_with("begun") {
            return process;
        }
    }
    panic!("it did not begin");
}

/// Kills uploads to a place again and again, and mends each by another try; gives how many had left no archive.
async fn cut(place: &Value, storage: &Storage, size: usize) -> usize {
    let name = format!("cut-{size}.tar.gz");
    let (file, content) = spool(size);
    let begun = Instant::now();
    storage.store(&name, file.path(), content, |_| ()).await.unwrap();
    let took = begun.elapsed();
    let (mut dice, mut cut_off) = (Dice::of("cuts"), 0);
    for _ in 0..cuts() {
        storage.remove(&name).await.unwrap();
        let mut process = begin(place, &name, size).await;
        tokio::time::sleep(dice.point_of(took)).await;
        process.kill().await.unwrap();
        // A name means a whole archive, also now.
        let left = storage.verify(&name, content).await.unwrap();
        assert!(matches!(left, Verification::Missing | Verification::Verified), "{left:?}");
        cut_off += usize::from(left == Verification::Missing);
        storage.store(&name, file.path(), Parcel { objects: Some(700), ..content.into() }, |_| ()).await.unwrap();
        assert_eq!(storage.verify(&name, content).await.unwrap(), Verification::Verified);
        let label = storage.label(&name).await.unwrap().unwrap();
        assert_eq!((label.sha256, label.objects, label.is_bad), (Some(content.sha256), Some(700), false));
    }
    cut_off
}

#[tokio::test]
async fn an_upload_to_a_bucket_that_is_killed_leaves_nothing_once_it_is_tried_again() {
    for s3 in makes().await {
        let location = place(s3, "cuts");
        let storage = open(s3, &location).await;
        for size in SIZES {
            let handed = child::bucket(&location, Some([&s3.access_key, &s3.secret_key]));
            let cut_off = cut(&handed, &storage, size).await;
            println!("{}: {cut_off} of {} uploads of {size} bytes were cut off", s3.url, cuts());
            assert_eq!(unfinished(s3, &format!("cuts/cut-{size}.tar.gz")).await, 0);
        }
        assert_eq!(names(&storage).await, ["cut-12582912.tar.gz", "cut-4194304.tar.gz"]);
    }
}

#[tokio::test]
async fn an_upload_to_a_folder_that_is_killed_leaves_nothing_once_it_is_tried_again() {
    let folder = TempDir::new().unwrap();
    let storage = Storage::open(Location::Folder(folder.path().to_owned())).await.unwrap();
    for size in SIZES {
        let cut_off = cut(&child::folder(folder.path()), &storage, size).await;
        println!("folder: {cut_off} of {} uploads of {size} bytes were cut off", cuts());
        storage.remove(&format!("cut-{size}.tar.gz")).await.unwrap();
    }
    // Not even a hidden file.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
