//! A bucket that is reached only through a proxy which asks for a password, by every job that uses it. NATS and the API server
//! are reached past it.

use drover::resources::{BackupSpec, S3Location, StorageLocation};
use drover_testbed::MINIO_DOMAIN;
use drover_testbed::forward::Forward;
use drover_tests::{BUCKET, CREDENTIALS, Finished, Job, Site, message};

const SET: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: small}
resourceSelectors:
- {apiVersion: rbac.authorization.k8s.io/v1, kindsRegexp: ^clusterroles$, resourceNameRegexp: '^system:'}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_behind_a_proxy_is_used_by_upload_prune_and_restore() {
    let site = Site::start().await;
    site.resource_set(SET).await;
    let spec = BackupSpec {
        resource_set_name: "small".to_owned(),
        schedule: Some("@yearly".to_owned()),
        retention_count: Some(1),
        storage_location: Some(behind(&site)),
        ..BackupSpec::default()
    };
    site.make_backup("behind", spec).await;

    let proxy = Forward::start().await.unwrap();
    let mut printed = Vec::new();
    let through = |name: &str| -> Job {
        site.job(name).environment("HTTP_PROXY", &proxy.url()).environment("HTTPS_PROXY", &proxy.url())
    };
    through("snapshot").arguments(["--backup", "behind"]).succeed().await;
    // Nothing but the proxy knows the host.
    let alone = site.job("upload").end_with(69).await;
    assert!(alone.log.contains("the host name is unknown"), "{}", alone.log);
    assert_eq!(proxy.passed(), 0, "snapshot needs the API server and NATS alone");

    printed.push(through("upload").succeed().await);
    let first = site.backup_status("behind").await.filename.unwrap();
    printed.push(through("snapshot").arguments(["--backup", "behind"]).succeed().await);
    printed.push(through("upload").succeed().await);
    let second = site.backup_status("behind").await.filename.unwrap();

    printed.push(through("retention-prune").succeed().await);
    let pruned = message(site.backup_status("behind").await.conditions.as_ref(), "Pruned");
    // The queue's message had it deleted, and the look at all Backups after it found nothing more.
    assert!(pruned.starts_with("deleted 0, kept 1; last deleted 1 at "), "{pruned}");
    let listed = through("restore").arguments(["list", "--backup", "behind"]).succeed().await;
    assert!(listed.output.contains(&second) && !listed.output.contains(&first), "{}", listed.output);
    printed.push(listed);

    site.restore("behind", &second, Some(behind(&site))).await;
    printed.push(through("restore").succeed().await);
    let ready = message(site.restore_status("behind").await.conditions.as_ref(), "Ready");
    assert!(ready.starts_with("Completed"), "{ready}");
    assert_eq!(proxy.refused(), 0);
    let leaks = |finished: &Finished| format!("{}{}", finished.output, finished.log).contains(proxy.password());
    assert!(!printed.iter().any(leaks), "the proxy's password was printed");
    site.testbed.shutdown().await;
}

/// The bucket under a host name that the proxy alone knows.
fn behind(site: &Site) -> StorageLocation {
    let port = site.testbed.s3().unwrap().endpoint.rsplit_once(':').unwrap().1;
    let s3 = S3Location {
        bucket_name: BUCKET.to_owned(),
        folder: Some("behind".to_owned()),
        endpoint: Some(format!("http://{MINIO_DOMAIN}:{port}")),
        credential_secret_name: Some(CREDENTIALS.to_owned()),
        ..S3Location::default()
    };
    StorageLocation { s3: Some(s3) }
}
