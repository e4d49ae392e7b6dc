//! What is recorded, marked and removed in buckets: plain ones, ones with versions and ones with locks.

use std::time::Duration;

use aws_sdk_s3::types::{ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockRetentionMode};
use drover::digest::{Content, Sha256};
use drover::exit::{Exit, Fault};
use drover::resources::{S3Location, ServerSideAlgorithm, ServerSideEncryption};
use drover::storage::{
    BadCopy, Difference, Error, Found, Label, Listed, Location, Parcel, Removal, Storage, Verification,
};
use drover_testbed::S3;
use drover_tests::make_bucket_with_versions;
use futures::TryStreamExt;
use serde_json::json;

use super::{BUCKET, PARTS, child, makes, names, open, place, settings, spool, store, testbed, unfinished};

const NAME: &str = "a.tar.gz";

/// How many versions and delete markers there are.
async fn versions(s3: &S3, bucket: &str) -> (usize, usize) {
    let listed = s3.client().unwrap().list_object_versions().bucket(bucket).send().await.unwrap();
    (listed.versions().len(), listed.delete_markers().len())
}

#[tokio::test]
async fn digest_and_objects_are_recorded_and_go_with_the_archive() {
    for s3 in makes().await {
        let storage = open(s3, &place(s3, "label")).await;
        for length in [1000, 6 << 20] {
            let (file, content) = spool(length);
            let parcel = Parcel { mac: Some([5; 32].into()), objects: Some(700), ..content.into() };
            storage.store(NAME, file.path(), parcel, |_| ()).await.unwrap();
            let label = Label {
                bytes: length as u64,
                sha256: Some(content.sha256),
                objects: Some(700),
                lacks_types: false,
                mac: parcel.mac,
                is_bad: false,
            };
            assert_eq!(storage.label(NAME).await.unwrap(), Some(label));
            assert_eq!(storage.remove(NAME).await.unwrap(), Removal::Removed);
            assert_eq!(storage.remove(NAME).await.unwrap(), Removal::Gone);
            assert_eq!(storage.label(NAME).await.unwrap(), None);
        }
        // What others put there says nothing of itself.
        let put = s3.client().unwrap().put_object().bucket(BUCKET).key("label/b.tar.gz").body(b"x".to_vec().into());
        put.send().await.unwrap();
        let label = Label { bytes: 1, sha256: None, objects: None, lacks_types: false, mac: None, is_bad: false };
        assert_eq!(storage.label("b.tar.gz").await.unwrap(), Some(label));
        let nowhere = open(s3, &S3Location { bucket_name: "nowhere".to_owned(), ..place(s3, "label") }).await;
        assert_eq!(nowhere.label(NAME).await.unwrap_err().exit(), Exit::Usage);
        assert_eq!(nowhere.remove(NAME).await.unwrap_err().exit(), Exit::Usage);
    }
}

#[tokio::test]
async fn another_whole_archive_of_that_name_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut storages = vec![Storage::open(Location::Folder(folder.path().to_owned())).await.unwrap()];
    for s3 in makes().await {
        storages.push(open(s3, &place(s3, "another")).await);
    }
    for storage in storages {
        let first = store(&storage, NAME, 1000).await;
        let same_size = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&same_size, [7; 1000]).unwrap();
        let sha256 = Sha256::of([7; 1000]);
        for (file, content) in [spool(2000), (same_size, Content { bytes: 1000, sha256 })] {
            let error = storage.store(NAME, file.path(), content, |_| ()).await.unwrap_err();
            assert!(matches!(error, Error::Another { recorded, .. } if recorded == first), "{error:?}");
            assert_eq!(error.exit(), Exit::DataRefused);
            assert_eq!(storage.verify(NAME, first).await.unwrap(), Verification::Verified);
        }
        // One that is marked as a bad copy is no whole archive.
        let (file, content) = spool(2000);
        let difference = Difference { expected: content, found: Found::Content(first), copy: BadCopy::Left };
        storage.mark_bad(NAME, &difference).await.unwrap();
        storage.store(NAME, file.path(), content, |_| ()).await.unwrap();
        assert_eq!(storage.verify(NAME, content).await.unwrap(), Verification::Verified);
    }
}

#[tokio::test]
async fn a_missing_archive_is_told_with_the_nearest_names() {
    for s3 in makes().await {
        let storage = open(s3, &place(s3, "nearest")).await;
        for name in ["daily-1.tar.gz", "daily-2.tar.gz", "unlike-any-other-name.tar.gz"] {
            store(&storage, name, 7).await;
        }
        let error = storage.open_archive("daily-3.tar.gz").await.map(|opened| opened.size()).unwrap_err();
        assert!(error.to_string().ends_with("; the nearest there: \"daily-1.tar.gz\", \"daily-2.tar.gz\""), "{error}");
    }
}

#[tokio::test]
async fn a_bad_copy_is_not_read_before_a_good_one_is_stored() {
    for s3 in makes().await {
        let storage = open(s3, &place(s3, "bad")).await;
        let content = store(&storage, NAME, 1000).await;
        // One byte is another.
        let client = s3.client().unwrap();
        let object = client.get_object().bucket(BUCKET).key("bad/a.tar.gz").send().await.unwrap();
        let mut bytes = object.body.collect().await.unwrap().to_vec();
        bytes[500] ^= 1;
        client.put_object().bucket(BUCKET).key("bad/a.tar.gz").body(bytes.into()).send().await.unwrap();
        let Verification::Differs(found) = storage.verify(NAME, content).await.unwrap() else {
            panic!("not found out")
        };
        assert!(matches!(found, Found::Content(_)));
        storage.mark_bad(NAME, &Difference { expected: content, found, copy: BadCopy::Left }).await.unwrap();
        assert!(storage.label(NAME).await.unwrap().unwrap().is_bad);
        let listed: Vec<Listed> = storage.list().try_collect().await.unwrap();
        assert_eq!(listed.iter().map(|listed| (&*listed.name, listed.is_bad)).collect::<Vec<_>>(), [(NAME, true)]);
        let error = storage.open_archive(NAME).await.map(|opened| opened.size()).unwrap_err();
        assert_eq!(error.exit(), Exit::DataRefused, "{error}");
        store(&storage, NAME, 1000).await;
        let listed: Vec<Listed> = storage.list().try_collect().await.unwrap();
        assert_eq!(listed.iter().map(|listed| (&*listed.name, listed.is_bad)).collect::<Vec<_>>(), [(NAME, false)]);
        storage.mark_bad(NAME, &Difference { expected: content, found, copy: BadCopy::Left }).await.unwrap();
        assert_eq!(storage.remove(NAME).await.unwrap(), Removal::Removed);
        let left = client.list_objects_v2().bucket(BUCKET).prefix("bad/").send().await.unwrap();
        assert_eq!(left.contents().len(), 0);
    }
}

#[tokio::test]
async fn only_forgotten_uploads_of_archives_of_exactly_the_folder_are_aborted() {
    let archive = |backup: &str| format!("{backup}-8ea4e695-6c77-43ec-9323-d6191e5ef67b-2026-11-22T13-05-22Z.tar.gz");
    let (a, b) = (archive("a"), archive("b"));
    let keys = ["forgotten/", "forgotten/c/", "forgotten-2/"].map(|folder| format!("{folder}{a}"));
    // The last is another program's.
    let others = [format!("forgotten/{b}"), "forgotten/a.tar.gz".to_owned()];
    for s3 in makes().await {
        let client = s3.client().unwrap();
        for key in keys.iter().chain(&others) {
            client.create_multipart_upload().bucket(BUCKET).key(key).send().await.unwrap();
        }
        let storage = open(s3, &place(s3, "forgotten")).await;
        let now = child::later();
        assert_eq!(storage.abort_forgotten(Duration::from_hours(1), now).await.unwrap(), 0);
        assert_eq!(storage.abort_forgotten(Duration::ZERO, now).await.unwrap(), 2);
        for (key, left) in keys.iter().chain(&others).zip([0, 1, 1, 0, 1]) {
            assert_eq!(unfinished(s3, key).await, left, "{key}");
        }
        for folder in ["forgotten/c", "forgotten-2"] {
            let storage = open(s3, &place(s3, folder)).await;
            assert_eq!(storage.abort_forgotten(Duration::ZERO, now).await.unwrap(), 1);
        }
    }
}

#[tokio::test]
async fn a_bucket_with_versions_gets_one_delete_marker() {
    for s3 in makes().await {
        make_bucket_with_versions(s3, "versions", None).await;
        let location = S3Location { bucket_name: "versions".to_owned(), ..place(s3, "daily") };
        let storage = open(s3, &location).await;
        store(&storage, NAME, 7).await;
        assert_eq!(storage.remove(NAME).await.unwrap(), Removal::Marked);
        assert_eq!(storage.remove(NAME).await.unwrap(), Removal::Gone);
        assert_eq!(names(&storage).await, Vec::<String>::new());
        assert_eq!(versions(s3, "versions").await, (1, 1), "{}", s3.url);
        // What the gateway (1.8.0, with its metadata in files) stores over a delete marker stays hidden.
        if s3.url == testbed().await.s3().unwrap().url {
            store(&storage, NAME, 7).await;
            assert_eq!(names(&storage).await, [NAME]);
        }
    }
}

#[tokio::test]
async fn locked_archives_are_stored_hidden_and_kept() {
    let s3 = testbed().await.s3().unwrap();
    for (bucket, mode) in
        [("governed", ObjectLockRetentionMode::Governance), ("compliant", ObjectLockRetentionMode::Compliance)]
    {
        make_bucket_with_versions(s3, bucket, Some(mode.clone())).await;
        let location = S3Location { bucket_name: bucket.to_owned(), ..place(s3, "daily") };
        let storage = open(s3, &location).await;
        for (name, length) in [(NAME, 1000), ("b.tar.gz", 6 << 20), ("held.tar.gz", 7)] {
            store(&storage, name, length).await;
        }
        // Whoever may not delete is told what keeps the archive, and until when.
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]},
            {"Effect": "Deny", "Action": ["s3:DeleteObject"], "Resource": ["arn:aws:s3:::*"]},
        ]});
        let hold = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::On).build();
        let held =
            s3.client().unwrap().put_object_legal_hold().bucket(bucket).key("daily/held.tar.gz").legal_hold(hold);
        held.send().await.unwrap();
        let steps = [json!(["remove", NAME]), json!(["remove", "held.tar.gz"]), json!(["remove", "none.tar.gz"])];
        let done = super::rights::run_with(s3, &location, &policy.to_string(), &steps).await;
        let said: Vec<_> = done.outcomes.iter().map(|outcome| (outcome.code, outcome.text.as_str())).collect();
        assert!(said[0].1.starts_with("retained until 2") && said[0].1.contains(mode.as_str()), "{said:?}");
        assert_eq!(said[1], (0, "retained: a legal hold is on the object"));
        assert_eq!(said[2], (0, "was not there"));
        // Whoever may gets a delete marker, and the bytes stay.
        assert_eq!(storage.remove(NAME).await.unwrap(), Removal::Marked);
        assert_eq!(names(&storage).await, ["b.tar.gz", "held.tar.gz"]);
        assert_eq!(versions(s3, bucket).await, (3, 1));
    }
}

#[tokio::test]
async fn the_service_encrypts_what_it_stores_where_that_is_said() {
    let s3 = testbed().await.s3().unwrap();
    let client = s3.client().unwrap();
    let table = [
        (ServerSideAlgorithm::Aes256, None, "AES256"),
        (ServerSideAlgorithm::Kms, Some("testbed"), "aws:kms"),
        (ServerSideAlgorithm::Kms, None, "aws:kms"),
    ];
    for (algorithm, key, expected) in table {
        let encryption = ServerSideEncryption { algorithm, kms_key_id: key.map(str::to_owned) };
        let location = settings(&place(s3, "encrypted"), &s3.access_key, &s3.secret_key).encrypted(Some(encryption));
        let storage = Storage::open_with(location, PARTS).await.unwrap();
        for length in [1000, 6 << 20] {
            let content = store(&storage, NAME, length).await;
            assert_eq!(storage.verify(NAME, content).await.unwrap(), Verification::Verified);
            let head = client.head_object().bucket(BUCKET).key("encrypted/a.tar.gz").send().await.unwrap();
            let said = head.server_side_encryption().map(|said| said.as_str().to_owned());
            assert_eq!(said.as_deref(), Some(expected), "{length} {key:?}");
            storage.remove(NAME).await.unwrap();
        }
    }
}
