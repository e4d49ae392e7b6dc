//! The bucket policy that the guide to backups of Rancher recommends: nobody may delete. Twenty rounds, a message each.

use drover::events::Kind;
use drover::queue;
use drover::resources::{Backup, BackupSpec, S3Location, StorageLocation};
use drover::runs::event;
use drover_testbed::Session;
use drover_tests::{Finished, Job, Site};
use serde_json::json;

use super::chain::waiting;
use super::rounds::Rounds;

const ROUNDS: i64 = 20;

/// How many archives the Backup keeps.
const COUNT: i64 = 3;

/// How many deletions in a row may be refused after one new archive.
const TRIES: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_may_delete_archives_are_retained_and_no_backup_fails() {
    let site = Site::start().await;
    let rounds = backup(&site).await;
    let denied = session(&site, &["s3:DeleteObject", "s3:DeleteObjectVersion"], "*").await;
    let url = site.testbed.nats_url().unwrap();
    let connection = queue::connect(&crate::nats::options(&["--nats-url", url]), "test").await.unwrap();
    for number in 1..=ROUNDS {
        let run = rounds.round(number, 700).await;
        connection.publish(&event(Kind::BackupUploaded, "upload", &run)).await.unwrap();
        let finished = as_of(&site, &denied).arguments(["--drain-only"]).succeed().await;
        assert!(refused(&finished) <= TRIES, "{}", finished.log);
        assert_eq!(waiting(&site).await, (0, 0), "nothing is tried again before the next archive");
        rounds.is_ready().await;
    }
    assert_eq!(rounds.lying().await, (1..=ROUNDS).collect::<Vec<_>>());
    let expired = ROUNDS - COUNT;
    let words = format!("deleted 0, kept {COUNT}, retained {expired} (the bucket's policy does not let");
    let (is_done, said) = rounds.pruned().await;
    assert!(is_done && said.starts_with(&words), "{said}");

    // The schedule's look tries each of them once.
    let finished = as_of(&site, &denied).succeed().await;
    assert_eq!(i64::try_from(refused(&finished)).unwrap(), expired, "{}", finished.log);
    rounds.is_ready().await;

    let allowed = session(&site, &[], "*").await;
    as_of(&site, &allowed).succeed().await;
    assert_eq!(rounds.lying().await, ((ROUNDS - COUNT + 1)..=ROUNDS).collect::<Vec<_>>());
    rounds.has_deleted(expired, COUNT).await;
    site.testbed.shutdown().await;
}

/// A Backup that names no Secret: the job's credentials are those of its pod.
async fn backup(site: &Site) -> Rounds<'_> {
    let with_keys = site.bucket("denied").s3.unwrap();
    let without = S3Location { credential_secret_name: None, credential_secret_namespace: None, ..with_keys.clone() };
    let spec = |s3: S3Location| BackupSpec {
        resource_set_name: "small".to_owned(),
        schedule: Some("@daily".to_owned()),
        retention_count: Some(COUNT),
        storage_location: Some(StorageLocation { s3: Some(s3) }),
        ..BackupSpec::default()
    };
    site.make_backup("denied", spec(without)).await;
    Rounds::reaching(site, &Backup::new("denied", spec(with_keys))).await
}

/// Somebody else's file of which drover may not read what is recorded beside it: it stays, and all else goes on.
#[tokio::test(flavor = "multi_thread")]
async fn one_file_that_drover_may_not_read_holds_up_no_other() {
    let site = Site::start().await;
    let rounds = backup(&site).await;
    for number in 1..=5 {
        rounds.round(number, 700).await;
    }
    let closed = rounds.archive(6);
    rounds.put(&closed, "closed").await;
    let session = session(&site, &["s3:GetObject"], &format!("*{closed}")).await;
    let finished = as_of(&site, &session).succeed().await;
    assert!(finished.log.contains("it stays, as what is recorded beside it cannot be read"), "{}", finished.log);
    assert_eq!(rounds.lying().await, [3, 4, 5, 6]);
    let (is_done, said) = rounds.pruned().await;
    assert!(is_done && said.starts_with("deleted 2, kept 4;") && said.contains(&closed), "{said}");
    site.testbed.shutdown().await;
}

/// Credentials that may do all but this with these objects. MinIO gives them their policy by themselves: its buckets' policies are for
/// strangers alone.
async fn session(site: &Site, denied: &[&str], objects: &str) -> Session {
    let mut statements = vec![json!({"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]})];
    if !denied.is_empty() {
        let resource = format!("arn:aws:s3:::{objects}");
        statements.push(json!({"Effect": "Deny", "Action": denied, "Resource": [resource]}));
    }
    let policy = json!({"Version": "2012-10-17", "Statement": statements});
    site.testbed.s3().unwrap().session(&policy.to_string()).await.unwrap()
}

fn as_of(site: &Site, session: &Session) -> Job {
    site.job("retention-prune")
        .environment("AWS_ACCESS_KEY_ID", &session.access_key)
        .environment("AWS_SECRET_ACCESS_KEY", &session.secret_key)
        .environment("AWS_SESSION_TOKEN", &session.token)
}

/// How many deletions were refused.
fn refused(finished: &Finished) -> usize {
    finished.log.lines().filter(|line| line.contains(" retained: ")).count()
}
