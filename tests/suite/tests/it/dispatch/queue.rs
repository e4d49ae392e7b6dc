use kube::ResourceExt;

use super::{Cluster, arguments};
use crate::nats::until;

#[tokio::test]
async fn a_message_starts_one_job_and_a_new_one_ends_the_pause() {
    let cluster = Cluster::start().await;
    let _dispatch = cluster.dispatch().await;
    for name in ["a", "b", "c"] {
        cluster.snapshotted(name).await;
    }
    let job = cluster.nth_job("upload", 1).await;
    assert_eq!(arguments(&job), ["--drain-only"]);
    cluster.end_pod(&job, 69).await;
    let attempts = async || {
        let annotations = cluster.cron_job("upload").await.unwrap().metadata.annotations.unwrap();
        annotations.get("drover.dev/attempts").cloned().unwrap_or_default()
    };
    until("the try is counted", async || attempts().await == "1").await;
    // Within the pause, which is ten seconds from its end.
    cluster.snapshotted("d").await;
    let second = cluster.nth_job("upload", 2).await;
    assert_eq!(second.annotations()["drover.dev/attempted"], "4");
    cluster.end_pod(&second, 69).await;
    until("the try is counted", async || attempts().await == "2").await;
    let third = cluster.nth_job("upload", 3).await;
    let pause = third.creation_timestamp().unwrap().0.duration_since(second.creation_timestamp().unwrap().0);
    assert!(pause.as_secs() >= 20, "{pause:?}");
}

#[tokio::test]
async fn what_is_missing_in_nats_is_set_up() {
    let cluster = Cluster::start().await;
    let dispatch = cluster.dispatch().await;
    until("NATS is reached", async || dispatch.answer("/readyz").await.1.contains("queue: reached\n")).await;
    assert!(cluster.jobs_of("setup").await.is_empty());
    let jetstream = async_nats::jetstream::new(cluster.testbed.nats().await.unwrap());
    jetstream.delete_stream(drover::queue::STREAM).await.unwrap();
    // Whatever is published has the queue looked at, also where no stream takes it.
    cluster.testbed.nats().await.unwrap().publish("drover.backup.started.x", "".into()).await.unwrap();
    cluster.nth_job("setup", 1).await;
}
