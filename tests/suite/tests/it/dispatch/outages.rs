use drover_testbed::Part;

use super::Cluster;
use crate::nats::until;

#[tokio::test]
async fn the_runner_survives_restarts_of_the_api_server_and_of_nats() {
    let cluster = Cluster::start().await;
    let dispatch = cluster.dispatch().await;
    cluster.make_backup("before", None).await;
    cluster.nth_job("before", 1).await;

    cluster.testbed.kill(Part::ApiServer).await.unwrap();
    cluster.testbed.start_again(Part::ApiServer).await.unwrap();
    cluster.make_backup("after", None).await;
    cluster.nth_job("after", 1).await;

    cluster.testbed.stop(Part::Nats).await.unwrap();
    let is_seen = async || dispatch.answer("/readyz").await.1.contains("queue: away: the connection is lost");
    until("it is seen that NATS is gone", is_seen).await;
    cluster.make_backup("without-nats", None).await;
    cluster.nth_job("without-nats", 1).await;
    cluster.testbed.start_again(Part::Nats).await.unwrap();
    cluster.snapshotted("before").await;
    cluster.nth_job("upload", 1).await;
    for name in ["before", "after", "without-nats"] {
        assert_eq!(cluster.jobs_of(name).await.len(), 1);
    }
    assert_eq!(dispatch.answer("/healthz").await.0, 200);
    assert!(dispatch.end().await.success(), "{}", "it ends when it is asked to");
}

#[tokio::test]
async fn without_nats_it_says_so_and_does_the_rest() {
    let cluster = Cluster::start().await;
    cluster.testbed.stop(Part::Nats).await.unwrap();
    let dispatch = cluster.dispatch().await;
    cluster.make_backup("once", None).await;
    cluster.nth_job("once", 1).await;
    let ready = async || dispatch.answer("/readyz").await;
    until("it says so", async || ready().await.1.contains("queue: away: failed to connect to NATS")).await;
    assert_eq!(ready().await.0, 200);
    assert_eq!(dispatch.answer("/elsewhere").await.0, 404);
}
