//! A Restore runs once, and one at a time: whatever happens to its job, and whatever is edited afterwards.

use drover::lease::RESTORES;
use drover::resources::{DEFAULT_NAMESPACE, Restore, RestoreSpec};
use drover_testbed::{Options, Service};
use drover_tests::{Site, api_of, key_of, message};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::items::{archive, held_by, is_going, is_there, item, let_go, make, of, refused, restore};
use crate::nats::until;

const FILE: &str = "items.tar.gz";

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_runs_once_and_one_at_a_time() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    archive(&site, FILE, &[item("item-kept")]);
    one_at_a_time_and_the_next_takes_over_from_the_dead(&site).await;
    what_has_ended_never_runs_again(&site).await;
    what_is_applied_again_runs_at_once(&site).await;
    what_failed_has_ended_too(&site).await;
    site.testbed.shutdown().await;
}

/// A restore that lasts: it waits for a finalizer, as long as nobody takes it away.
async fn one_at_a_time_and_the_next_takes_over_from_the_dead(site: &Site) {
    let held = held_by("example.io/slow", "item-held");
    for object in [&held, &item("item-added"), &item("item-added-too")] {
        make(site, object).await;
    }
    let spec = RestoreSpec { delete_timeout_seconds: Some(10), ..of(FILE) };
    site.make_restore(&Restore::new("once", spec)).await;
    let first = site.job("restore").start();
    is_going(site, &held).await;
    let second = site.job("restore").arguments(["--pending", "--wait=0"]).end_with(69).await;
    assert!(second.log.contains("restores this cluster, and what waits is left to the next job"), "{}", second.log);
    let waiting = site.job("restore").start();
    progress_is_seen(site).await;

    let dead = first.kill().await;
    assert!(dead.status.code().is_none(), "it was to be killed at work: {}", dead.log);
    let of_the_dead = lease(site).await.holder_identity.unwrap();
    assert!(!of_the_dead.is_empty(), "nobody gave the Lease back");
    let_go(site, &held).await;
    let waiting = waiting.wait().await;
    let took_over = format!("took over from a job that died dead={of_the_dead:?}");
    assert!(waiting.code == 0 && waiting.log.contains(&took_over), "{}", waiting.log);
    let status = site.restore_status("once").await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");
    assert!(!is_there(site, &held).await);
    let now = lease(site).await;
    assert_eq!((now.holder_identity.as_deref(), now.lease_transitions), (Some(""), Some(1)), "taken over, given back");
}

/// Of three objects two are gone and one waits, and the status says so meanwhile.
async fn progress_is_seen(site: &Site) {
    until("the status says how far it is", async || {
        let status = site.restore_status("once").await;
        let ready = message(status.conditions.as_ref(), "Ready");
        assert!(status.restore_completion_ts.is_none() && ready.starts_with("InProgress: "), "{status:?}");
        ready.contains("2 of 3")
    })
    .await;
}

async fn lease(site: &Site) -> LeaseSpec {
    let leases: Api<Lease> = Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE);
    leases.get(RESTORES).await.unwrap().spec.unwrap()
}

/// Not when the cluster differs again, the spec is edited, and the job started.
async fn what_has_ended_never_runs_again(site: &Site) {
    let kept = item("item-kept");
    api_of(&site.client, &kept).delete(&key_of(&kept).name, &DeleteParams::default()).await.unwrap();
    let ended = site.restore_status("once").await;
    let edited = Patch::Merge(json!({"spec": {"prune": false, "ignoreErrors": true, "deleteTimeoutSeconds": 1}}));
    site.restores().patch("once", &PatchParams::default(), &edited).await.unwrap();
    let finished = site.job("restore").succeed().await;
    assert!(finished.log.contains("nothing to do: no Restore waits"), "{}", finished.log);
    assert_eq!(site.restore_status("once").await, ended);
    assert!(!is_there(site, &kept).await);
}

async fn what_is_applied_again_runs_at_once(site: &Site) {
    let restores = site.restores();
    restores.delete("once", &DeleteParams::default()).await.unwrap();
    until("it is gone", async || restores.get_opt("once").await.unwrap().is_none()).await;
    let (_, status) = restore(site, "once", of(FILE), 0).await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");
    assert!(is_there(site, &item("item-kept")).await);
}

/// Not even when what was wrong is mended.
async fn what_failed_has_ended_too(site: &Site) {
    archive(site, "refused.tar.gz", &[refused("item-new")]);
    let (_, failed) = restore(site, "failed", of("refused.tar.gz"), 1).await;
    assert!(failed.restore_completion_ts.is_some(), "{failed:?}");
    archive(site, "refused.tar.gz", &[item("item-new")]);
    let finished = site.job("restore").succeed().await;
    assert!(finished.log.contains("nothing to do: no Restore waits"), "{}", finished.log);
    assert_eq!(site.restore_status("failed").await, failed);
    assert!(!is_there(site, &item("item-new")).await);
}
