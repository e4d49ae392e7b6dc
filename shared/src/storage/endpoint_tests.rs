use super::*;

#[track_caller]
fn parsed(text: &str) -> Endpoint {
    Endpoint::parse(Some(text)).unwrap_or_else(|problem| panic!("{text:?}: {problem}"))
}

#[track_caller]
fn check_url(text: &str, expected: &str) {
    match parsed(text) {
        Endpoint::Url(url) => assert_eq!(url.to_string(), expected, "{text:?}"),
        Endpoint::Amazon { .. } => panic!("{text:?} is not Amazon"),
    }
}

#[track_caller]
fn check_amazon(text: Option<&str>, region: Option<&str>) {
    let expected = Endpoint::Amazon { region: region.map(str::to_owned) };
    assert_eq!(Endpoint::parse(text).unwrap(), expected, "{text:?}");
}

#[test]
fn an_endpoint_is_https_unless_it_says_http() {
    check_url("minio.example.com", "https://minio.example.com");
    check_url(" minio.example.com:9000 ", "https://minio.example.com:9000");
    check_url("http://10.0.0.1:9000", "http://10.0.0.1:9000");
    check_url("HTTP://minio:9000/", "http://minio:9000");
    check_url("https://[fd00::1]:9000", "https://[fd00::1]:9000");
    check_url("[fd00::1]", "https://[fd00::1]");
}

#[test]
fn a_host_is_spelled_as_the_client_sends_it() {
    check_url("http://MinIO.Example.COM:9000", "http://minio.example.com:9000");
    check_url("HTTPS://MinIO:443", "https://minio");
    check_url("http://minio:80//", "http://minio");
    check_url("https://minio:80", "https://minio:80");
    check_url("http://minio:09000", "http://minio:9000");
    check_url("minio:", "https://minio");
    check_url("http://127.1:9000", "http://127.0.0.1:9000");
    check_url("http://0x7f.1:9000", "http://127.0.0.1:9000");
    check_url("http://2130706433:9000", "http://127.0.0.1:9000");
    check_url("[FD00:0:0:0:0:0:0:1]:9000", "https://[fd00::1]:9000");
    check_url("[::ffff:10.0.0.1]", "https://[::ffff:a00:1]");
    check_url("min%69o:9000", "https://minio:9000");
    check_url("Sicherung.Müller.example", "https://sicherung.xn--mller-kva.example");
    check_url("my_minio:9000", "https://my_minio:9000");
}

#[test]
fn amazon_is_meant_by_nothing_and_by_its_standard_hosts() {
    check_amazon(None, None);
    check_amazon(Some(""), None);
    check_amazon(Some(" "), None);
    check_amazon(Some("s3.amazonaws.com"), None);
    check_amazon(Some("https://s3.eu-central-1.amazonaws.com:443"), Some("eu-central-1"));
    check_amazon(Some("S3-us-west-2.amazonaws.com"), Some("us-west-2"));
    check_amazon(Some("S3.Amazonaws.COM:0443/"), None);
    check_amazon(Some("s3.dualstack.eu-west-1.amazonaws.com"), Some("eu-west-1"));
    check_amazon(Some("s3.cn-north-1.amazonaws.com.cn"), Some("cn-north-1"));
}

#[test]
fn special_hosts_of_amazon_stay_as_written_and_tell_their_region() {
    let table = [
        ("s3-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
        ("s3-fips.dualstack.us-east-1.amazonaws.com", Some("us-east-1")),
        ("bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com", Some("us-east-1")),
        ("s3-accelerate.amazonaws.com", None),
        ("s3-external-1.amazonaws.com", None),
        ("http://s3.eu-west-1.amazonaws.com", Some("eu-west-1")),
        ("minio.example.com", None),
        ("evil-s3.amazonaws.com.example.com", None),
        ("elb.amazonaws.com", None),
    ];
    for (text, region) in table {
        assert!(matches!(parsed(text), Endpoint::Url(_)), "{text:?}");
        assert_eq!(parsed(text).region().as_deref(), region, "{text:?}");
    }
}

#[track_caller]
fn check_refused(text: &str, part: &str) {
    let problem = Endpoint::parse(Some(text)).expect_err(text).to_string();
    assert!(problem.contains(part), "{text:?}: {problem}");
}

#[test]
fn more_than_host_and_port_is_refused_with_the_place_where_it_belongs() {
    check_refused("minio.example.com/bucket", "`bucketName`");
    check_refused("https://minio.example.com/a/b", "a path");
    check_refused("https://minio.example.com?region=eu", "a query");
    check_refused("minio#x", "a fragment");
    check_refused("ftp://minio", "\"ftp\" is not spoken");
    check_refused("minio:99999", "1 to 65535");
    check_refused("minio:0", "1 to 65535");
    check_refused("minio:-1", "1 to 65535");
    check_refused("10.0.0.256:9000", "host name");
    check_refused("[fd00::1:9000", "host name");
    check_refused("[fe80::1%25eth0]:9000", "host name");
    check_refused(":9000", "host name");
    check_refused("mi nio", "host name");
    check_refused("mi\nnio", "host name");
    check_refused("https://", "host name");
}

#[test]
fn a_password_in_an_endpoint_is_refused_and_not_printed() {
    let problem = Endpoint::parse(Some("https://key:geheim@minio:9000")).unwrap_err();
    assert!(problem.to_string().contains("credentialSecretName"), "{problem}");
    assert!(!format!("{problem:?}{problem}").contains("geheim"));
}

#[track_caller]
fn check_style(text: &str, bucket: &str, lookup: BucketLookup, path_style: bool) {
    assert_eq!(parsed(text).path_style(bucket, lookup), path_style, "{text:?} {bucket:?} {lookup:?}");
}

#[test]
fn buckets_are_in_the_host_name_where_minio_go_puts_them() {
    use BucketLookup::{Auto, Dns, Path};
    check_style("", "backups", Auto, false);
    check_style("", "my.backups", Auto, true);
    check_style("s3.eu-west-1.amazonaws.com", "backups", Auto, false);
    check_style("http://s3.eu-west-1.amazonaws.com", "my.backups", Auto, false);
    check_style("s3-fips.us-gov-west-1.amazonaws.com", "backups", Auto, false);
    check_style("storage.googleapis.com", "backups", Auto, false);
    check_style("storage.googleapis.com", "my.backups", Auto, true);
    check_style("oss-cn-beijing.aliyuncs.com", "my.backups", Auto, false);
    check_style("minio.example.com", "backups", Auto, true);
    check_style("minio.example.com", "backups", Dns, false);
    check_style("", "backups", Path, true);
}

#[test]
fn digests_of_amazon_are_kept_from_services_with_their_own() {
    for (text, expected) in
        [("", true), ("minio:9000", true), ("storage.googleapis.com", false), ("oss-cn-beijing.aliyuncs.com", false)]
    {
        assert_eq!(parsed(text).takes_amazon_digests(), expected, "{text:?}");
    }
}
