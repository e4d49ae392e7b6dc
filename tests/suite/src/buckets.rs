use aws_sdk_s3::types::{
    BucketVersioningStatus, DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode,
    ObjectLockRule, VersioningConfiguration,
};
use drover_testbed::S3;

/// Makes a bucket that keeps versions, and by a mode of its own locks each for a day.
///
/// # Panics
/// When the server refuses.
pub async fn make_bucket_with_versions(s3: &S3, name: &str, lock: Option<ObjectLockRetentionMode>) {
    let client = s3.client().unwrap();
    client.create_bucket().bucket(name).object_lock_enabled_for_bucket(lock.is_some()).send().await.unwrap();
    let Some(mode) = lock else {
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        client.put_bucket_versioning().bucket(name).versioning_configuration(enabled).send().await.unwrap();
        return;
    };
    let retention = DefaultRetention::builder().mode(mode).days(1).build();
    let lock = ObjectLockConfiguration::builder()
        .object_lock_enabled(ObjectLockEnabled::Enabled)
        .rule(ObjectLockRule::builder().default_retention(retention).build());
    client.put_object_lock_configuration().bucket(name).object_lock_configuration(lock.build()).send().await.unwrap();
}
