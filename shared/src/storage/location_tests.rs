use super::*;
use crate::resources::{AwsConfig, ClientConfig};

fn secret(pairs: &[(&str, &[u8])]) -> BTreeMap<String, ByteString> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect()
}

fn location() -> S3Location {
    S3Location { bucket_name: "backups".to_owned(), ..S3Location::default() }
}

#[track_caller]
fn settings(location: &S3Location) -> S3Settings {
    S3Settings::resolve(location, None).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn credentials_are_trimmed_and_never_printed() {
    let data = secret(&[("accessKey", b" key\n"), ("secretKey", b"geheim\r\n")]);
    let credentials = Credentials::from_secret("s3", &data).unwrap();
    assert_eq!(credentials, Credentials::new("key", "geheim"));
    assert_eq!(format!("{credentials:?}"), "Credentials");
}

#[track_caller]
fn check_secret(pairs: &[(&str, &[u8])], expected: &str) {
    let error = Credentials::from_secret("s3-creds", &secret(pairs)).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains(expected) && text.contains("s3-creds"), "{text}");
    assert!(!text.contains("geheim"), "{text}");
}

#[test]
fn an_unusable_secret_is_named_with_the_key_and_without_the_value() {
    check_secret(&[("secretKey", b"geheim")], "`accessKey`");
    check_secret(&[("accessKey", b"geheim")], "`secretKey`");
    check_secret(&[("accessKey", b" \n"), ("secretKey", b"geheim")], "failed to find `accessKey`");
    check_secret(&[("accessKey", b"key"), ("secretKey", b"\xffgeheim")], "failed to read `secretKey`");
    check_secret(&[("accessKey", b"key\nX-Header: geheim"), ("secretKey", b"x")], "failed to read `accessKey`");
}

#[test]
fn without_s3_the_default_folder_is_meant() {
    let folder = Path::new("/var/lib/backups");
    for location in [None, Some(&StorageLocation::default())] {
        let location = Location::resolve(location, folder, None).unwrap();
        assert!(matches!(&location, Location::Folder(path) if path == folder));
        assert_eq!((location.kind(), location.to_string().as_str()), ("PV", "/var/lib/backups"));
    }
}

#[test]
fn a_location_is_shown_without_anything_secret() {
    let s3 =
        S3Location { credential_secret_name: Some("creds".to_owned()), folder: Some("/a/".to_owned()), ..location() };
    let data = secret(&[("accessKey", b"schluessel"), ("secretKey", b"geheim")]);
    let location = Location::resolve(Some(&StorageLocation { s3: Some(s3) }), Path::new("/x"), Some(&data)).unwrap();
    assert_eq!((location.kind(), location.to_string().as_str()), ("S3", "s3://backups/a/"));
    let text = format!("{location:?}");
    assert!(!text.contains("geheim") && !text.contains("schluessel"), "{text}");
}

#[test]
fn a_folder_in_a_place_stays_in_it() {
    let bucket = |folder: &str| Location::S3(settings(&S3Location { folder: Some(folder.to_owned()), ..location() }));
    let volume = || Location::Folder(PathBuf::from("/backups"));
    for (place, folder, expected) in [
        (bucket(""), "", "s3://backups/"),
        (bucket(""), "/a//./b/", "s3://backups/a/b/"),
        (bucket("rancher/"), "", "s3://backups/rancher/"),
        (bucket("/rancher"), "old", "s3://backups/rancher/old/"),
        (volume(), "/", "/backups"),
        (volume(), "/old/./a", "/backups/old/a"),
    ] {
        assert_eq!(place.within(folder).unwrap().to_string(), expected, "{folder:?}");
    }
    for place in [bucket("rancher"), volume()] {
        let error = place.within("a/../..").unwrap_err();
        assert!(error.to_string().contains("\"a/../..\" of `backupFilename`"), "{error}");
    }
    assert!(bucket(&"a".repeat(700)).within(&"b".repeat(100)).is_err());
}

#[test]
fn keys_lie_exactly_in_the_folder() {
    assert_eq!(settings(&location()).prefix(), "");
    assert_eq!(settings(&S3Location { folder: Some("foo".to_owned()), ..location() }).prefix(), "foo/");
}

#[test]
fn a_region_comes_from_the_location_then_from_the_host() {
    let at = |region: Option<&str>, endpoint: Option<&str>| {
        let endpoint = endpoint.map(str::to_owned);
        settings(&S3Location { region: region.map(str::to_owned), endpoint, ..location() }).region
    };
    assert_eq!(at(None, None), None);
    assert_eq!(at(Some(""), Some("minio:9000")), None);
    assert_eq!(at(None, Some("s3.eu-west-1.amazonaws.com")).as_deref(), Some("eu-west-1"));
    assert_eq!(at(Some("eu-north-1"), Some("s3.eu-west-1.amazonaws.com")).as_deref(), Some("eu-north-1"));
}

#[test]
fn both_address_families_are_used_unless_told_not_to() {
    let with = |aws: Option<AwsConfig>| {
        settings(&S3Location { client_config: Some(ClientConfig { aws, bucket_lookup: None }), ..location() })
            .dual_stack
    };
    assert!(settings(&location()).dual_stack);
    assert!(with(None));
    assert!(with(Some(AwsConfig { dual_stack: true })));
    assert!(!with(Some(AwsConfig { dual_stack: false })));
}

#[test]
fn trust_is_what_the_location_says_and_nobody_without_encryption() {
    let with = |endpoint: &str, skip: Option<bool>| {
        settings(&S3Location { endpoint: Some(endpoint.to_owned()), insecure_tls_skip_verify: skip, ..location() })
            .trust
    };
    assert_eq!(with("", None), Trust::System);
    assert_eq!(with("minio", Some(false)), Trust::System);
    assert_eq!(with("minio", Some(true)), Trust::Anyone);
    assert_eq!(with("http://minio", Some(true)), Trust::Nobody);
}

#[track_caller]
fn check_refused(location: &S3Location, expected: &str) {
    let error = S3Settings::resolve(location, None).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(error.exit(), Exit::Usage);
}

#[test]
fn what_would_mean_another_place_is_refused() {
    for bucket in ["", "ab", "a/b", "a..b", "bücher", "a b c", "x?y", "arn:aws:s3:::b"] {
        check_refused(&S3Location { bucket_name: bucket.to_owned(), ..location() }, "`bucketName`");
    }
    for region in ["eu west", "evil.example.com/", "x@y"] {
        check_refused(&S3Location { region: Some(region.to_owned()), ..location() }, "`region`");
    }
    check_refused(&S3Location { folder: Some("a/../b".to_owned()), ..location() }, "`folder`");
    check_refused(&S3Location { endpoint: Some("a/b".to_owned()), ..location() }, "`endpoint`");
    check_refused(&S3Location { credential_secret_name: Some("creds".to_owned()), ..location() }, "\"creds\"");
    let damaged = S3Location {
        endpoint: Some("http://minio".to_owned()),
        endpoint_ca: Some("nonsense!".to_owned()),
        ..location()
    };
    check_refused(&damaged, "`endpointCA`");
}

fn further(s3: Option<S3Location>, local: Option<LocalLocation>) -> Result<Location, LocationError> {
    let further = FurtherLocation { name: "offsite".to_owned(), s3, local };
    Location::resolve_further(&further, Path::new("/default"), Path::new("/volumes"), None)
}

fn volume(name: &str) -> LocalLocation {
    LocalLocation { volume: Some(name.to_owned()) }
}

#[test]
fn a_further_place_is_a_bucket_a_volume_or_the_default_volume() {
    assert_eq!(further(Some(location()), None).unwrap().to_string(), "s3://backups/");
    assert_eq!(further(None, Some(LocalLocation { volume: None })).unwrap().to_string(), "/default");
    assert_eq!(further(None, Some(volume("nas-2"))).unwrap().to_string(), "/volumes/nas-2");
}

#[test]
fn a_further_place_that_is_not_one_says_so() {
    let long = "a".repeat(64);
    for (found, said) in [
        (further(None, None), "neither `s3` nor `local`"),
        (further(Some(location()), Some(volume("nas"))), "both `s3` and `local`"),
        (further(None, Some(volume(""))), "\"\" as `local.volume`"),
        (further(None, Some(volume(".."))), "\"..\" as `local.volume`"),
        (further(None, Some(volume("a/b"))), "\"a/b\""),
        (further(None, Some(volume("-a"))), "\"-a\""),
        (further(None, Some(volume("A"))), "\"A\""),
        (further(None, Some(volume(&long))), "as `local.volume`"),
    ] {
        let error = found.map(|location| location.to_string()).unwrap_err();
        assert!(error.to_string().contains(said) && error.to_string().contains("\"offsite\""), "{error}");
        assert_eq!(error.exit(), Exit::Usage);
    }
}
