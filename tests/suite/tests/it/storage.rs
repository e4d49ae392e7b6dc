//! Places for archives on real S3 servers of two makes, over http and https.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "these are tests, helpers included")]

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover::digest::{Content, Sha256};
use drover::exit::{Chain, Exit, Fault};
use drover::resources::S3Location;
use drover::storage::{
    Error, Found, Listed, Location, OpenError, Reason, RefusalKind, S3Settings, Storage, UploadSizes, Verification,
};
use drover_testbed::{Options, S3, Service, Testbed};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::ByteString;
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt;
use tokio::sync::OnceCell;

#[path = "storage/broken.rs"]
mod broken;
#[path = "storage/child.rs"]
mod child;
#[path = "storage/cuts.rs"]
mod cuts;
#[path = "storage/damaged.rs"]
mod damaged;
#[path = "storage/memory.rs"]
mod memory;
#[path = "storage/proxy.rs"]
mod proxy;
#[path = "storage/rights.rs"]
mod rights;
#[path = "storage/spellings.rs"]
mod spellings;
#[path = "storage/upkeep.rs"]
mod upkeep;

/// The bucket of all these tests; each keeps to a folder of its own.
const BUCKET: &str = "archives";

/// The least part that services take, so that tests of parts need few bytes.
const PARTS: UploadSizes = UploadSizes { single: 5 << 20, part: 5 << 20 };

static TESTBED: OnceCell<Testbed> = OnceCell::const_new();

async fn testbed() -> &'static Testbed {
    let start = async {
        let testbed =
            Testbed::start(Options::only([Service::Minio, Service::MinioTls, Service::Versitygw])).await.unwrap();
        testbed.create_bucket(BUCKET).await.unwrap();
        testbed
    };
    TESTBED.get_or_init(|| Box::pin(start)).await
}

/// S3 servers of two makes, over http: what holds, holds at both.
async fn makes() -> [&'static S3; 2] {
    let testbed = testbed().await;
    [testbed.s3().unwrap(), testbed.s3_other().unwrap()]
}

/// A folder of the bucket at a server, as a Backup would name it.
fn place(s3: &S3, folder: &str) -> S3Location {
    S3Location {
        bucket_name: BUCKET.to_owned(),
        endpoint: Some(s3.url.clone()),
        endpoint_ca: s3.ca_pem.as_ref().map(|pem| STANDARD.encode(pem)),
        credential_secret_name: Some("credentials".to_owned()),
        folder: Some(folder.to_owned()),
        ..S3Location::default()
    }
}

fn settings(location: &S3Location, access_key: &str, secret_key: &str) -> Location {
    let secret = [("accessKey", access_key), ("secretKey", secret_key)];
    let secret: BTreeMap<_, _> =
        secret.map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec()))).into();
    Location::S3(S3Settings::resolve(location, Some(&secret)).unwrap())
}

async fn try_open(s3: &S3, location: &S3Location) -> Result<Storage, OpenError> {
    Storage::open_with(settings(location, &s3.access_key, &s3.secret_key), PARTS).await
}

async fn open(s3: &S3, location: &S3Location) -> Storage {
    try_open(s3, location).await.unwrap_or_else(|error| panic!("{}", Chain::of(&error)))
}

/// A local file of bytes that do not repeat within it.
fn spool(length: usize) -> (NamedTempFile, Content) {
    let mut bytes = vec![0; length];
    for (index, chunk) in bytes.chunks_mut(32).enumerate() {
        let digest = Sha256::of(index.to_le_bytes());
        chunk.copy_from_slice(&digest.as_bytes()[..chunk.len()]);
    }
    let file = NamedTempFile::new().unwrap();
    std::fs::write(&file, &bytes).unwrap();
    (file, Content { bytes: length as u64, sha256: Sha256::of(&bytes) })
}

async fn store(storage: &Storage, name: &str, length: usize) -> Content {
    let (file, content) = spool(length);
    let storing = storage.store(name, file.path(), content, |_| ());
    // The jobs spawn it.
    let storing: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(storing);
    let stored = storing.await;
    let stored = stored.unwrap_or_else(|error| panic!("{}", Chain::of(&error)));
    assert!(!stored.already_there);
    content
}

async fn names(storage: &Storage) -> Vec<String> {
    let mut names: Vec<String> = storage.list().map_ok(|listed: Listed| listed.name).try_collect().await.unwrap();
    names.sort();
    names
}

async fn unfinished(s3: &S3, key: &str) -> usize {
    let uploads = s3.client().unwrap().list_multipart_uploads().bucket(BUCKET).prefix(key).send().await.unwrap();
    uploads.uploads().len()
}

/// How many parts of unfinished uploads of this key are stored.
async fn parts(s3: &S3, key: &str) -> usize {
    let client = s3.client().unwrap();
    let uploads = client.list_multipart_uploads().bucket(BUCKET).prefix(key).send().await.unwrap();
    let mut count = 0;
    for upload in uploads.uploads() {
        let id = upload.upload_id().unwrap();
        let parts = client.list_parts().bucket(BUCKET).key(key).upload_id(id).send().await.unwrap();
        count += parts.parts().len();
    }
    count
}

#[track_caller]
fn check(error: &(impl Fault + std::fmt::Debug), kind: Option<&RefusalKind>, expected: &RefusalKind, exit: Exit) {
    let text = Chain::of(error).to_string();
    assert_eq!((kind, error.exit()), (Some(expected), exit), "{text}");
    println!("{text}");
}

fn kind(error: &Error) -> Option<&RefusalKind> {
    match error {
        Error::Store { source: Reason::Service { source }, .. }
        | Error::Read { source: Reason::Service { source }, .. }
        | Error::Find { source: Reason::Service { source }, .. }
        | Error::List { source: Reason::Service { source }, .. } => Some(source.kind()),
        _ => None,
    }
}

fn kind_of_open(error: &OpenError) -> Option<&RefusalKind> {
    match error {
        OpenError::Reach { source: Reason::Service { source }, .. } => Some(source.kind()),
        _ => None,
    }
}

/// Stores, verifies, lists, fetches and reads one archive.
async fn round_trip(s3: &S3, location: &S3Location, length: usize) {
    let storage = open(s3, location).await;
    let content = store(&storage, "a.tar.gz", length).await;
    assert_eq!(storage.verify("a.tar.gz", content).await.unwrap(), Verification::Verified);
    assert_eq!(names(&storage).await, ["a.tar.gz"]);
    let mut fetched = tokio::fs::File::from_std(tempfile::tempfile().unwrap());
    assert_eq!(storage.fetch_to("a.tar.gz", &mut fetched).await.unwrap(), content);
    let mut reader = storage.open_archive("a.tar.gz").await.unwrap().into_reader();
    let (mut read, mut expected) = (Vec::new(), Vec::new());
    reader.read_to_end(&mut read).await.unwrap();
    fetched.read_to_end(&mut expected).await.unwrap();
    assert!(read == expected && read.len() == length);
    let (file, content) = spool(length);
    let again = storage.store("a.tar.gz", file.path(), content, |_| ()).await.unwrap();
    assert!(again.already_there);
    assert_eq!(again.location, format!("{}a.tar.gz", storage.location()));
}

#[tokio::test]
async fn archives_go_round_over_http() {
    for s3 in makes().await {
        round_trip(s3, &place(s3, "http"), 1_000_003).await;
    }
}

#[tokio::test]
async fn archives_go_round_over_https_with_an_added_certificate() {
    let s3 = testbed().await.s3_tls().unwrap();
    round_trip(s3, &place(s3, "https"), 1_000_003).await;
    let plain_pem = S3Location { endpoint_ca: s3.ca_pem.clone(), ..place(s3, "https-plain-pem") };
    round_trip(s3, &plain_pem, 7).await;
    let without_scheme = S3Location { endpoint: Some(s3.endpoint.clone()), ..place(s3, "https-without-scheme") };
    round_trip(s3, &without_scheme, 7).await;
}

#[tokio::test]
async fn large_archives_go_round_in_parts() {
    let testbed = testbed().await;
    for s3 in [testbed.s3().unwrap(), testbed.s3_tls().unwrap(), testbed.s3_other().unwrap()] {
        round_trip(s3, &place(s3, "parts"), (16 << 20) + 1).await;
        assert_eq!(unfinished(s3, "parts/a.tar.gz").await, 0);
    }
}

#[tokio::test]
async fn verification_is_skipped_for_one_location_alone() {
    let s3 = testbed().await.s3_tls().unwrap();
    let trusting = S3Location { insecure_tls_skip_verify: Some(true), endpoint_ca: None, ..place(s3, "skip") };
    let storage = open(s3, &trusting).await;
    let error = try_open(s3, &S3Location { endpoint_ca: None, ..place(s3, "skip") }).await.unwrap_err();
    check(&error, kind_of_open(&error), &RefusalKind::Untrusted, Exit::Usage);
    assert!(Chain::of(&error).to_string().contains("`endpointCA`"));
    store(&storage, "a.tar.gz", 7).await;
}

#[tokio::test]
async fn a_foreign_certificate_does_not_make_a_server_trusted() {
    let other = rcgen_authority();
    let s3 = testbed().await.s3_tls().unwrap();
    let location = S3Location { endpoint_ca: Some(other), ..place(s3, "foreign") };
    let error = try_open(s3, &location).await.unwrap_err();
    check(&error, kind_of_open(&error), &RefusalKind::Untrusted, Exit::Usage);
}

fn rcgen_authority() -> String {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem()
}

#[tokio::test]
async fn a_wrong_scheme_is_told_from_a_service_that_is_away() {
    let testbed = testbed().await;
    let (s3, s3_tls) = (testbed.s3().unwrap(), testbed.s3_tls().unwrap());
    // With a region nothing is asked when it is opened.
    let at = |endpoint: String| S3Location {
        endpoint: Some(endpoint),
        region: Some("us-east-1".to_owned()),
        endpoint_ca: None,
        ..place(s3, "scheme")
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let table = [
        (format!("http://{}", s3_tls.endpoint), RefusalKind::PlainToTls, Exit::Usage),
        (format!("https://{}", s3.endpoint), RefusalKind::TlsToPlain, Exit::Usage),
        (format!("http://{free}"), RefusalKind::ConnectionRefused, Exit::Unavailable),
        ("http://nowhere.invalid".to_owned(), RefusalKind::UnknownHost, Exit::Unavailable),
    ];
    for (endpoint, expected, exit) in table {
        let storage = open(s3, &at(endpoint)).await;
        let (file, content) = spool(7);
        let error = storage.store("a.tar.gz", file.path(), content, |_| ()).await.unwrap_err();
        check(&error, kind(&error), &expected, exit);
    }
}

#[tokio::test]
async fn a_missing_bucket_and_wrong_keys_are_named() {
    for s3 in makes().await {
        let location = place(s3, "refused");
        let missing = S3Location { bucket_name: "nowhere".to_owned(), ..location.clone() };
        let table = [
            (settings(&missing, &s3.access_key, &s3.secret_key), RefusalKind::NoBucket),
            (settings(&location, "nobody", "geheimgeheim"), RefusalKind::AccessKey),
            (settings(&location, &s3.access_key, "geheimgeheim"), RefusalKind::SecretKey),
        ];
        for (location, expected) in table {
            let storage = Storage::open(location).await.unwrap();
            let (file, content) = spool(7);
            let stored = storage.store("a.tar.gz", file.path(), content, |_| ()).await.unwrap_err();
            check(&stored, kind(&stored), &expected, Exit::Usage);
            let listed = storage.list().try_collect::<Vec<_>>().await.unwrap_err();
            check(&listed, kind(&listed), &expected, Exit::Usage);
            let text = format!("{stored:?}{listed:?}{}", Chain::of(&stored));
            assert!(!text.contains("geheim") && !text.contains("Signature="), "{text}");
        }
    }
}

#[tokio::test]
async fn a_missing_archive_is_no_failure_of_the_service() {
    for s3 in makes().await {
        let storage = open(s3, &place(s3, "missing")).await;
        let error = storage.open_archive("a.tar.gz").await.map(|opened| opened.size()).unwrap_err();
        assert!(error.is_missing());
        check(&error, kind(&error), &RefusalKind::NoObject, Exit::Usage);
        let (_, content) = spool(7);
        assert_eq!(storage.verify("a.tar.gz", content).await.unwrap(), Verification::Missing);
        let error = storage.open_archive("../a.tar.gz").await.map(|opened| opened.size()).unwrap_err();
        assert!(matches!(error, Error::UseName { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_tampered_archive_is_found_out_and_replaced_by_the_next_try() {
    for s3 in makes().await {
        let storage = open(s3, &place(s3, "tampered")).await;
        let content = store(&storage, "a.tar.gz", 1000).await;
        let client = s3.client().unwrap();
        for tampered in [vec![0; 1000], vec![0; 999], Vec::new()] {
            let length = tampered.len() as u64;
            client.put_object().bucket(BUCKET).key("tampered/a.tar.gz").body(tampered.into()).send().await.unwrap();
            let found = storage.verify("a.tar.gz", content).await.unwrap();
            match found {
                Verification::Differs(Found::Content(found)) => assert_eq!((found.bytes, length), (1000, 1000)),
                Verification::Differs(Found::OtherSize(found)) => assert_eq!(found, length),
                other => panic!("{other:?}"),
            }
            store(&storage, "a.tar.gz", 1000).await;
            assert_eq!(storage.verify("a.tar.gz", content).await.unwrap(), Verification::Verified);
        }
    }
}

#[tokio::test]
async fn a_file_that_is_not_what_was_announced_leaves_nothing() {
    for s3 in makes().await {
        let storage = open(s3, &place(s3, "announced")).await;
        // One request: the service compares. Parts: it knows only the parts, so reading back finds out.
        for length in [1000, 12 << 20] {
            let (file, mut content) = spool(length);
            content.sha256 = Sha256::of("another");
            let error = storage.store("a.tar.gz", file.path(), content, |_| ()).await.unwrap_err();
            assert_eq!(error.exit(), Exit::DataRefused, "{}", Chain::of(&error));
            println!("{}", Chain::of(&error));
            assert_eq!(names(&storage).await, Vec::<String>::new());
            assert_eq!(unfinished(s3, "announced/").await, 0);
        }
    }
}

#[tokio::test]
async fn an_upload_that_nobody_waits_for_leaves_nothing() {
    for s3 in makes().await {
        let storage = open(s3, &place(s3, "dropped")).await;
        let (file, content) = spool(100 << 20);
        // A part tells that the upload has its id; the service knows of the upload itself a moment before.
        let begun = async { while parts(s3, "dropped/a.tar.gz").await == 0 {} };
        tokio::select! {
            stored = storage.store("a.tar.gz", file.path(), content, |_| ()) => {
                panic!("it was too quick to be cut off: {stored:?}")
            }
            () = begun => {}
        }
        storage.settle().await;
        assert_eq!(unfinished(s3, "dropped/").await, 0);
        assert_eq!(names(&storage).await, Vec::<String>::new());
        assert_eq!(store(&storage, "a.tar.gz", 6 << 20).await.bytes, 6 << 20);
    }
}

#[tokio::test]
async fn what_a_killed_upload_left_is_removed_by_the_next_of_the_same_name() {
    for s3 in makes().await {
        let client = s3.client().unwrap();
        for key in ["killed/a.tar.gz", "killed/b.tar.gz"] {
            client.create_multipart_upload().bucket(BUCKET).key(key).send().await.unwrap();
        }
        store(&open(s3, &place(s3, "killed")).await, "a.tar.gz", 6 << 20).await;
        assert_eq!(unfinished(s3, "killed/a.tar.gz").await, 0);
        assert_eq!(unfinished(s3, "killed/b.tar.gz").await, 1);
    }
}

#[tokio::test]
async fn a_folder_does_not_list_another_whose_name_begins_the_same() {
    for s3 in makes().await {
        let (foo, foobar) = (open(s3, &place(s3, "/foo/")).await, open(s3, &place(s3, "foobar")).await);
        store(&foo, "a.tar.gz", 7).await;
        store(&foobar, "b.tar.gz", 7).await;
        let inner = open(s3, &place(s3, "foo/inner")).await;
        store(&inner, "c.tar.gz", 7).await;
        assert_eq!(names(&foo).await, ["a.tar.gz"]);
        assert_eq!(names(&foobar).await, ["b.tar.gz"]);
        assert_eq!(names(&inner).await, ["c.tar.gz"]);
    }
}

#[tokio::test]
async fn a_folder_is_listed_to_its_last_page_whatever_its_names_hold() {
    for s3 in makes().await {
        let client = s3.client().unwrap();
        let mut expected: Vec<String> = (0..1100).map(|number| format!("{number:04} +%&ü.tar.gz")).collect();
        stream::iter(&expected)
            .for_each_concurrent(32, async |name| {
                let key = format!("many/{name}");
                client.put_object().bucket(BUCKET).key(key).body(b"x".to_vec().into()).send().await.unwrap();
            })
            .await;
        // A name that is none of an archive's is another's business.
        client.put_object().bucket(BUCKET).key("many/a\u{1}b").body(b"x".to_vec().into()).send().await.unwrap();
        expected.sort();
        assert_eq!(names(&open(s3, &place(s3, "many")).await).await, expected);
    }
}
