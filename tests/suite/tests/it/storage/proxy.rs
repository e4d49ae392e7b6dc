//! S3 that is reached only through a proxy which asks for a name and a password.

use drover::resources::{BucketLookup, ClientConfig, S3Location};
use drover_testbed::forward::Forward;
use drover_testbed::{MINIO_DOMAIN, S3};
use serde_json::{Value, json};

use super::{child, place, testbed};

fn steps() -> [Value; 5] {
    // Larger than a part, so both ways of uploading go through.
    let store = |name, length| json!(["store", name, length]);
    [store("a.tar.gz", 1000), store("b.tar.gz", 6 << 20), json!(["list"]), json!(["fetch", "b.tar.gz"]), remove()]
}

fn remove() -> Value {
    json!(["remove", "a.tar.gz"])
}

fn keys(s3: &S3) -> [&str; 2] {
    [&s3.access_key, &s3.secret_key]
}

/// The server under a name that only the proxy knows.
fn behind(s3: &S3, folder: &str, lookup: BucketLookup) -> S3Location {
    let port = s3.endpoint.rsplit_once(':').unwrap().1;
    S3Location {
        endpoint: Some(format!("http://{MINIO_DOMAIN}:{port}")),
        client_config: Some(ClientConfig { bucket_lookup: Some(lookup), ..ClientConfig::default() }),
        ..place(s3, folder)
    }
}

#[tokio::test]
async fn a_service_behind_a_proxy_is_reached_by_both_ways_of_naming_a_bucket() {
    let s3 = testbed().await.s3().unwrap();
    for (lookup, folder) in [(BucketLookup::Path, "proxy-path"), (BucketLookup::Dns, "proxy-dns")] {
        let proxy = Forward::start().await.unwrap();
        let location = behind(s3, folder, lookup);
        let done =
            child::run(&child::bucket(&location, Some(keys(s3))), &steps(), &[("HTTP_PROXY", &proxy.url())]).await;
        assert!(done.outcomes.iter().all(|outcome| outcome.code == 0), "{done:?}");
        assert_eq!(done.outcomes[2].text, "a.tar.gz,b.tar.gz");
        assert!(proxy.passed() >= steps().len() && proxy.refused() == 0, "{}", proxy.passed());
        // Nothing else knows the name.
        let done = child::run(&child::bucket(&location, Some(keys(s3))), &[remove()], &[]).await;
        assert_eq!(done.outcomes[0].code, 69, "{done:?}");
        assert!(done.outcomes[0].text.contains("the host name is unknown"), "{done:?}");
    }
}

#[tokio::test]
async fn tls_goes_through_the_proxy_and_past_it_where_that_is_said() {
    let s3 = testbed().await.s3_tls().unwrap();
    let handed = child::bucket(&place(s3, "proxy-tls"), Some(keys(s3)));
    let proxy = Forward::start().await.unwrap();
    let done = child::run(&handed, &steps(), &[("HTTPS_PROXY", &proxy.url())]).await;
    assert!(done.outcomes.iter().all(|outcome| outcome.code == 0), "{done:?}");
    let passed = proxy.passed();
    assert!(passed > 0);
    for named in ["10.0.0.0/8,127.0.0.1", &*format!("minio:1,{}", s3.endpoint)] {
        let past = [("HTTPS_PROXY", &*proxy.url()), ("NO_PROXY", named)];
        let done = child::run(&handed, &[json!(["list"])], &past).await;
        assert_eq!((done.outcomes[0].code, proxy.passed()), (0, passed), "{done:?}");
    }
    let another_port = [("HTTPS_PROXY", &*proxy.url()), ("NO_PROXY", "127.0.0.1:1")];
    let done = child::run(&handed, &[json!(["list"])], &another_port).await;
    assert_eq!(done.outcomes[0].code, 0, "{done:?}");
    assert!(proxy.passed() > passed);
}

#[tokio::test]
async fn a_password_that_the_proxy_refuses_is_told_and_not_printed() {
    let testbed = testbed().await;
    let proxy = Forward::start().await.unwrap();
    let (plain, tls) = (testbed.s3().unwrap(), testbed.s3_tls().unwrap());
    let wrong = proxy.url_with("geheim-falsch");
    let table = [
        (child::bucket(&behind(plain, "proxy-refused", BucketLookup::Path), Some(keys(plain))), "HTTP_PROXY"),
        (child::bucket(&place(tls, "proxy-refused"), Some(keys(tls))), "HTTPS_PROXY"),
    ];
    for (handed, variable) in table {
        let done = child::run(&handed, &[json!(["list"])], &[(variable, &wrong)]).await;
        assert_eq!(done.outcomes[0].code, 64, "{done:?}");
        assert!(done.outcomes[0].text.contains("the proxy wants a name and a password"), "{done:?}");
        assert!(!done.printed.contains("geheim") && !done.printed.contains(proxy.password()), "{done:?}");
        let done = child::run(&handed, &[json!(["fetch", "missing.tar.gz"])], &[(variable, &proxy.url())]).await;
        assert!(!done.printed.contains(proxy.password()), "{done:?}");
    }
    assert!(proxy.refused() >= 2);
}
