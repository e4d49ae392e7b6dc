//! Whoever asks for a backup by name gets one that began after they asked, or hears that there is none.

use drover_testbed::{Options, Service};
use drover_tests::{Job, SMALL_SET, Site};

/// A site with a Backup of this name.
async fn start(backup: &str) -> Site {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    site.resource_set(SMALL_SET).await;
    site.backup(backup, "small", None).await;
    site
}

/// The snapshot of a Backup in a pod of this Job; the manifests of 0.1 tell no UID.
fn of_job(site: &Site, backup: &str, name: &str, uid: Option<&str>) -> Job {
    let job = site.job("snapshot").arguments(["--backup", backup]).environment("DROVER_JOB_NAME", name);
    match uid {
        Some(uid) => job.environment("DROVER_JOB_UID", uid),
        None => job,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_makes_one_backup_and_another_job_of_its_name_another() {
    let site = start("daily").await;
    let runs = async || site.runs("daily").await.len();
    let again = |uid| of_job(&site, "daily", "again", uid);
    // A Job that an upgrade finds at work has no UID to tell, and neither has its next pod.
    again(None).succeed().await;
    again(None).succeed().await;
    assert_eq!(runs().await, 1);
    for (uid, expected) in [("first", 2), ("second", 3)] {
        for _ in 0..2 {
            again(Some(uid)).succeed().await;
            assert_eq!(runs().await, expected, "after the Job {uid:?}");
        }
    }
    let trigger = &site.runs("daily").await[2].spec.trigger;
    assert_eq!((trigger.by.as_str(), trigger.job_uid.as_deref()), ("again", Some("second")));
    site.testbed.shutdown().await;
}
