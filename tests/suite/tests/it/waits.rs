//! What waits says so, for what and until when; and what waited too long is not done any more.

mod others;

use drover::lease::{Acquired, Holder, Lease, RESTORES, Settings, Wait};
use drover::resources::{DEFAULT_NAMESPACE, Restore, RestoreSpec, rfc3339};
use drover::restores::TRIED_FOR;
use drover_testbed::proxy::Proxy;
use drover_testbed::{Options, Part, Service};
use drover_tests::{SMALL_SET, Site, message};
use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::items::{archive, held_by, is_there, item, let_go, make, of, restore};
use crate::nats::until;

const FILE: &str = "items.tar.gz";

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_says_so_until_it_is_done_or_given_up() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    site.resource_set(SMALL_SET).await;
    archive(&site, FILE, &[item("item-kept")]);
    what_was_not_done_in_an_hour_is_given_up(&site).await;
    one_that_is_edited_says_nothing_of_what_it_was(&site).await;
    those_behind_another_name_it(&site).await;
    a_finalizer_that_is_waited_for_is_named(&site).await;
    others::a_webhook_that_does_not_answer_is_named(&site).await;
    others::a_service_that_is_not_ready_is_named(&site).await;
    others::a_definition_that_is_not_established_is_named(&site).await;
    what_needs_nats_says_that_it_is_away(&site).await;
    site.testbed.shutdown().await;
}

async fn ready(site: &Site, restore: &str) -> String {
    message(site.restore_status(restore).await.conditions.as_ref(), "Ready")
}

/// As an API server says it in its answers.
fn date(time: Timestamp) -> HeaderValue {
    HeaderValue::from_str(&time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).unwrap()
}

/// One that was tried and one that nobody tried: both would find their archive by then, and change what was done since.
async fn what_was_not_done_in_an_hour_is_given_up(site: &Site) {
    let later = || RestoreSpec { prune: Some(false), ..of("later.tar.gz") };
    let (_, status) = restore(site, "waits", later(), 64).await;
    let conditions = status.conditions.unwrap();
    let tried = site.restores().get("waits").await.unwrap();
    let until = rfc3339(tried.creation_timestamp().unwrap().0 + TRIED_FOR);
    assert!(conditions.waits() && status.restore_completion_ts.is_none(), "{conditions:?}");
    let said = message(Some(&conditions), "Ready");
    assert!(
        said.starts_with("InProgress: ") && said.ends_with(&format!("; it is tried again until {until}")),
        "{said}"
    );
    let tries = message(Some(&conditions), "Reconciling");
    assert!(tries.starts_with("first tried at ") && tries.ends_with(&format!("; given up at {until}")), "{tries}");

    let untried = site.make_restore(&Restore::new("untried", later())).await.creation_timestamp().unwrap().0;
    archive(site, "later.tar.gz", &[item("item-late")]);
    let proxy = Proxy::start(&site.testbed).await.unwrap();
    proxy.say_it_is(date(untried + TRIED_FOR + SignedDuration::from_secs(1)));
    let kubeconfig = proxy.kubeconfig();
    site.job("restore").environment("KUBECONFIG", kubeconfig.to_str().unwrap()).succeed().await;
    for (name, why) in [("waits", "\"later.tar.gz\""), ("untried", "nobody carried it out in that time")] {
        let status = site.restore_status(name).await;
        let said = message(status.conditions.as_ref(), "Ready");
        assert!(said.starts_with("Failed: it was applied at ") && said.contains(why), "{said}");
        assert!(said.ends_with("delete this Restore and apply it again"), "{said}");
        assert!(status.restore_completion_ts.is_some(), "{status:?}");
    }
    site.job("restore").succeed().await;
    assert!(!is_there(site, &item("item-late")).await, "it is over for good");

    site.restores().delete("waits", &DeleteParams::default()).await.unwrap();
    restore(site, "waits", later(), 0).await;
    assert!(is_there(site, &item("item-late")).await);
}

async fn one_that_is_edited_says_nothing_of_what_it_was(site: &Site) {
    let spec = RestoreSpec { prune: Some(false), ..of("old.tar.gz") };
    restore(site, "edited", spec, 64).await;
    assert!(ready(site, "edited").await.contains("\"old.tar.gz\""));
    let edit = |file: &str| Patch::Merge(json!({"spec": {"backupFilename": file}}));
    site.restores().patch("edited", &PatchParams::default(), &edit("new.tar.gz")).await.unwrap();
    site.job("restore").end_with(64).await;
    let status = site.restore_status("edited").await;
    let said = message(status.conditions.as_ref(), "Ready");
    assert!(said.contains("\"new.tar.gz\"") && !said.contains("\"old.tar.gz\""), "{said}");
    assert_eq!(status.observed_generation, Some(2));
    site.restores().patch("edited", &PatchParams::default(), &edit(FILE)).await.unwrap();
    site.job("restore").succeed().await;
    assert_eq!(ready(site, "edited").await, "Completed");
}

async fn hold_restores(site: &Site) -> Lease {
    let (client, settings) = (site.client.clone(), Settings::default());
    match Holder::new(client, DEFAULT_NAMESPACE, "somebody", settings).acquire(RESTORES, Wait::No).await.unwrap() {
        Acquired::Held(lease) => lease,
        Acquired::Busy { holder } => panic!("held by {holder}"),
    }
}

async fn those_behind_another_name_it(site: &Site) {
    let held = hold_restores(site).await;
    for name in ["behind-1", "behind-2"] {
        let spec = RestoreSpec { prune: Some(false), ..of(FILE) };
        site.make_restore(&Restore::new(name, spec)).await;
    }
    site.job("restore").arguments(["--pending", "--wait=0"]).end_with(69).await;
    let said = ready(site, "behind-1").await;
    assert_eq!(said, "Pending: waits for another restore of this cluster, which is at work");
    let said = ready(site, "behind-2").await;
    assert_eq!(said, "Pending: waits for the Restore \"behind-1\", which is carried out first");
    held.release().await.unwrap();
    site.job("restore").succeed().await;
    for name in ["behind-1", "behind-2"] {
        assert_eq!(ready(site, name).await, "Completed");
    }
}

/// Whoever looks after it is not there, and nobody has to look for the object.
async fn a_finalizer_that_is_waited_for_is_named(site: &Site) {
    let held = held_by("example.io/slow", "item-held");
    make(site, &held).await;
    let spec = RestoreSpec { delete_timeout_seconds: Some(10), ..of(FILE) };
    site.make_restore(&Restore::new("prunes", spec)).await;
    let running = site.job("restore").start();
    let words = "waits for configmaps/default/item-held to go: it is being deleted and waits for its finalizers \
                 example.io/slow; ";
    until("it says for what it waits", async || ready(site, "prunes").await.contains(words)).await;
    let_go(site, &held).await;
    let finished = running.wait().await;
    assert_eq!((finished.code, ready(site, "prunes").await.as_str()), (0, "Completed"), "{}", finished.log);
}

/// While NATS is away each that needs it says so, at each try in the same words.
async fn what_needs_nats_says_that_it_is_away(site: &Site) {
    for name in ["uploads", "snapshots"] {
        site.backup(name, "small", None).await;
    }
    site.job("snapshot").arguments(["--backup", "uploads"]).succeed().await;
    site.make_restore(&Restore::new("restores", RestoreSpec { prune: Some(false), ..of(FILE) })).await;
    site.testbed.stop(Part::Nats).await.unwrap();
    let mut said = Vec::new();
    for _ in 0..2 {
        let job = |name: &str| site.job(name).environment("NATS_CONNECT_SECONDS", "2");
        job("restore").end_with(69).await;
        job("snapshot").end_with(69).await;
        job("upload").end_with(69).await;
        let backups = [site.backup_status("snapshots").await, site.backup_status("uploads").await];
        let [snapshots, uploads] = backups.map(|status| message(status.conditions.as_ref(), "Ready"));
        said.push([ready(site, "restores").await, snapshots, uploads]);
    }
    assert_eq!(said[0], said[1]);
    let words = "does not answer; check that it runs, and that NATS_URL is right";
    assert!(said[0].iter().all(|said| said.starts_with("InProgress: NATS at ") && said.contains(words)), "{said:?}");

    // It is said as soon as it is known, and not when the job ends.
    site.restores().delete("restores", &DeleteParams::default()).await.unwrap();
    site.make_restore(&Restore::new("at-once", RestoreSpec { prune: Some(false), ..of(FILE) })).await;
    let running = site.job("restore").environment("NATS_CONNECT_SECONDS", "60").start();
    until("it says so at once", async || ready(site, "at-once").await.starts_with("InProgress: NATS at ")).await;
    drop(running.kill().await);

    site.testbed.start_again(Part::Nats).await.unwrap();
    bury(site).await;
    for name in ["restore", "snapshot", "upload"] {
        site.job(name).succeed().await;
    }
    assert_eq!(ready(site, "at-once").await, "Completed");
    for name in ["uploads", "snapshots"] {
        let status = site.backup_status(name).await;
        assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed", "{name}");
    }
}

/// The holder of the Lease was killed: waiting for that is tested elsewhere.
async fn bury(site: &Site) {
    use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
    let leases: kube::Api<LeaseObject> = kube::Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE);
    drop(leases.delete(RESTORES, &DeleteParams::default()).await);
}
