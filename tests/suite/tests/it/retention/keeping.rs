//! Places that keep what is deleted: twenty rounds, a day each.

use aws_sdk_s3::types::ObjectLockRetentionMode;
use drover::resources::{S3Location, StorageLocation};
use drover_tests::{Site, make_bucket_with_versions};

use super::rounds::{Rounds, day, sweep_at};

const ROUNDS: i64 = 20;

/// How many archives the Backups keep.
const COUNT: i64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_rounds_on_buckets_that_keep_versions() {
    let site = Site::start().await;
    for (bucket, lock) in [
        ("versions", None),
        ("governance", Some(ObjectLockRetentionMode::Governance)),
        ("compliance", Some(ObjectLockRetentionMode::Compliance)),
    ] {
        make_bucket_with_versions(site.testbed.s3().unwrap(), bucket, lock).await;
        let rounds = Rounds::of(&site, bucket, COUNT, Some(in_bucket(&site, bucket))).await;
        for number in 1..=ROUNDS {
            rounds.round(number, 700).await;
            sweep_at(&site, day(number)).await;
            rounds.is_ready().await;
            let expected: Vec<_> = (1.max(number - COUNT + 1)..=number).collect();
            assert_eq!(rounds.lying().await, expected, "{bucket}");
        }
        rounds.has_deleted(1, COUNT).await;
        // Every version is there, each expired one behind one marker, and no look adds another.
        let all = (ROUNDS, ROUNDS - COUNT);
        assert_eq!(versions(&site, bucket).await, all, "{bucket}");
        sweep_at(&site, day(ROUNDS)).await;
        assert_eq!((versions(&site, bucket).await, rounds.pruned().await.0), (all, true), "{bucket}");
    }
    site.testbed.shutdown().await;
}

fn in_bucket(site: &Site, bucket: &str) -> StorageLocation {
    let s3 = site.bucket("rounds").s3.map(|s3| S3Location { bucket_name: bucket.to_owned(), ..s3 });
    StorageLocation { s3 }
}

/// How many versions and delete markers there are.
async fn versions(site: &Site, bucket: &str) -> (i64, i64) {
    let client = site.testbed.s3().unwrap().client().unwrap();
    let listed = client.list_object_versions().bucket(bucket).send().await.unwrap();
    (i64::try_from(listed.versions().len()).unwrap(), i64::try_from(listed.delete_markers().len()).unwrap())
}
