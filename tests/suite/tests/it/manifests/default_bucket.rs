//! What the component `default-s3` asks of the jobs: the bucket of the operator's Secret, for whoever names none.

use drover_testbed::{Options, Service};
use drover_tests::{BUCKET, CREDENTIALS, Site, message};

const SET: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: default-bucket}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^namespaces$, resourceNameRegexp: ^kube-}
";

const SECRET: (&str, &str) = ("DROVER_DEFAULT_S3_SECRET", "rancher-backup-s3");

#[tokio::test(flavor = "multi_thread")]
async fn backups_and_restores_without_a_bucket_use_that_of_the_operators_secret() {
    let services = [Service::ControlPlane, Service::Nats, Service::Minio];
    let site = Site::start_with(Options::only(services)).await;
    site.resource_set(SET).await;
    site.backup("unplaced", "default-bucket", None).await;
    site.job("snapshot").arguments(["--backup=unplaced"]).succeed().await;

    site.job("upload").environment(SECRET.0, SECRET.1).end_with(64).await;
    let ready = message(site.backup_status("unplaced").await.conditions.as_ref(), "Ready");
    assert!(ready.contains("rancher-backup-s3") && ready.contains("default location"), "{ready}");

    let url = site.testbed.s3().unwrap().url.clone();
    let keys = [("bucketName", BUCKET), ("folder", "chart"), ("endpoint", &url), ("credentialSecretName", CREDENTIALS)];
    site.secret(SECRET.1, &keys).await;
    site.job("upload").environment(SECRET.0, SECRET.1).succeed().await;
    let status = site.backup_status("unplaced").await;
    let filename = status.filename.unwrap();
    assert_eq!(status.storage_location.as_deref(), Some("S3"));
    let archive = tempfile::NamedTempFile::new().unwrap();
    site.download(&format!("chart/{filename}"), archive.path()).await;
    assert!(!site.folder().join(&filename).exists(), "it lies in one place");

    site.restore("unplaced", &filename, None).await;
    site.job("restore").environment(SECRET.0, SECRET.1).succeed().await;
    let status = site.restore_status("unplaced").await;
    assert_eq!(status.backup_source.as_deref(), Some("S3"));
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");
    site.testbed.shutdown().await;
}
