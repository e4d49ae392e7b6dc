//! Leases against a real API server.

use std::time::{Duration, Instant};

use drover::lease::{Acquired, Candidate, Holder, Lease, Settings, Wait};
use drover_testbed::{Options, Part, Service, Testbed};
use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::nats::until;

const NAMESPACE: &str = "default";
const SETTINGS: Settings = Settings { duration: Duration::from_secs(3) };

/// One control plane for all tests of this file: each has a Lease of its own.
static TESTBED: OnceCell<Testbed> = OnceCell::const_new();

async fn client() -> Client {
    let start = async || Testbed::start(Options::only([Service::ControlPlane])).await.unwrap();
    TESTBED.get_or_init(start).await.client().await.unwrap()
}

async fn acquire(client: &Client, name: &str, identity: &str, wait: Wait) -> Acquired {
    Holder::new(client.clone(), NAMESPACE, identity, SETTINGS).acquire(name, wait).await.unwrap()
}

async fn held(client: &Client, name: &str, identity: &str) -> Lease {
    match acquire(client, name, identity, Wait::No).await {
        Acquired::Held(lease) => lease,
        Acquired::Busy { holder } => panic!("held by {holder}"),
    }
}

async fn spec(client: &Client, name: &str) -> LeaseSpec {
    let leases: Api<LeaseObject> = Api::namespaced(client.clone(), NAMESPACE);
    leases.get(name).await.unwrap().spec.unwrap()
}

async fn patch(client: &Client, name: &str, patch: Value) {
    let leases: Api<LeaseObject> = Api::namespaced(client.clone(), NAMESPACE);
    leases.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

#[tokio::test]
async fn a_holder_that_lives_is_named_and_what_it_gives_back_is_free_at_once() {
    let client = client().await;
    let first = held(&client, "released", "one").await;
    let Acquired::Busy { holder } = acquire(&client, "released", "two", Wait::No).await else { panic!("taken") };
    assert_eq!(holder, "one");

    first.release().await.unwrap();
    let begun = Instant::now();
    let second = held(&client, "released", "two").await;
    assert!(begun.elapsed() < SETTINGS.duration);
    assert_eq!(second.taken_over_from(), None);
    let spec = spec(&client, "released").await;
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("two"), Some(1)));
    assert_eq!(spec.lease_duration_seconds, Some(3));
}

/// Who does not wait in line sees a holder's death all the same, from one try to the next, and no death of one that lives.
#[tokio::test]
async fn a_candidate_that_comes_back_knows_who_died_meanwhile() {
    let client = client().await;
    let first = held(&client, "visited", "one").await;
    let mut candidate = Candidate::new(&Holder::new(client.clone(), NAMESPACE, "two", SETTINGS), "visited");
    for _ in 0..2 {
        let begun = Instant::now();
        let Acquired::Busy { holder } = candidate.try_once().await.unwrap() else {
            panic!("taken from one that lives")
        };
        assert!(holder == "one" && begun.elapsed() < SETTINGS.duration / 2, "{:?}", begun.elapsed());
        tokio::time::sleep(SETTINGS.duration).await;
    }
    drop(first);
    assert!(matches!(candidate.try_once().await.unwrap(), Acquired::Busy { .. }), "it may live");
    tokio::time::sleep(SETTINGS.duration).await;
    let Acquired::Held(lease) = candidate.try_once().await.unwrap() else { panic!("it was silent for its duration") };
    assert_eq!(lease.taken_over_from(), Some("one"));
}

#[tokio::test]
async fn a_lease_is_held_for_as_long_as_it_is_wanted() {
    let client = client().await;
    let lease = held(&client, "renewed", "one").await;
    let first = spec(&client, "renewed").await;
    for _ in 0..2 {
        let Acquired::Busy { .. } = acquire(&client, "renewed", "two", Wait::Until(SETTINGS.duration * 2)).await else {
            panic!("taken from a holder that lives");
        };
    }
    assert!(!lease.lost().is_cancelled());
    let last = spec(&client, "renewed").await;
    assert_eq!(last.acquire_time, first.acquire_time);
    assert!(last.renew_time.unwrap().0 > first.renew_time.unwrap().0);
}

#[tokio::test]
async fn a_dead_holder_is_taken_over_by_one_and_named() {
    let client = client().await;
    let dead = held(&client, "dead", "dead").await;
    drop(dead);
    let begun = Instant::now();
    let candidates = ["one", "two", "three"].map(|identity| acquire(&client, "dead", identity, Wait::No));
    let mut winners = Vec::new();
    let mut holders = Vec::new();
    for acquired in futures::future::join_all(candidates).await {
        match acquired {
            Acquired::Held(lease) => winners.push(lease),
            Acquired::Busy { holder } => holders.push(holder),
        }
    }
    assert!(begun.elapsed() >= SETTINGS.duration, "a candidate watches for the whole duration");
    let [winner] = winners.as_slice() else { panic!("{} winners", winners.len()) };
    assert_eq!(winner.taken_over_from(), Some("dead"));
    let now = spec(&client, "dead").await.holder_identity.unwrap();
    assert_eq!(holders, [now.clone(), now]);
}

#[tokio::test]
async fn two_processes_of_one_identity_do_not_share_a_lease() {
    let client = client().await;
    let lease = held(&client, "identity", "same").await;
    assert!(matches!(acquire(&client, "identity", "same", Wait::No).await, Acquired::Busy { .. }));
    drop(lease);
    assert_eq!(held(&client, "identity", "same").await.taken_over_from(), Some("same"));
}

#[tokio::test]
async fn who_waits_gets_it_when_it_is_given_back() {
    let client = client().await;
    let first = held(&client, "waited", "one").await;
    let waiting = acquire(&client, "waited", "two", Wait::Until(Duration::from_mins(1)));
    let (acquired, released) = tokio::join!(waiting, first.release());
    released.unwrap();
    assert!(matches!(acquired, Acquired::Held(_)));
}

#[tokio::test]
async fn a_lease_that_somebody_took_is_lost_and_left_alone() {
    let client = client().await;
    let lease = held(&client, "taken", "one").await;
    patch(&client, "taken", json!({"spec": {"holderIdentity": "thief"}})).await;
    lease.lost().cancelled().await;
    lease.release().await.unwrap();
    assert_eq!(spec(&client, "taken").await.holder_identity.as_deref(), Some("thief"));
}

#[tokio::test]
async fn work_under_a_lease_gives_it_back_when_it_is_done_and_ends_when_it_is_lost() {
    let client = client().await;
    assert_eq!(held(&client, "worked", "one").await.during(async { 7 }).await, Some(7));
    assert_eq!(spec(&client, "worked").await.holder_identity.as_deref(), Some(""));
    let lease = held(&client, "worked", "two").await;
    patch(&client, "worked", json!({"spec": {"holderIdentity": "thief"}})).await;
    assert_eq!(lease.during(std::future::pending::<()>()).await, None);
    assert_eq!(spec(&client, "worked").await.holder_identity.as_deref(), Some("thief"));
}

#[tokio::test]
async fn a_lease_that_was_deleted_is_lost() {
    let client = client().await;
    let lease = held(&client, "deleted", "one").await;
    let leases: Api<LeaseObject> = Api::namespaced(client.clone(), NAMESPACE);
    leases.delete("deleted", &DeleteParams::default()).await.unwrap();
    lease.lost().cancelled().await;
    lease.release().await.unwrap();
    assert!(leases.get_opt("deleted").await.unwrap().is_none());
}

#[tokio::test]
async fn a_note_on_a_lease_does_not_lose_it() {
    let client = client().await;
    let lease = held(&client, "noted", "one").await;
    patch(&client, "noted", json!({"metadata": {"annotations": {"note": "who is this?"}}})).await;
    let first = spec(&client, "noted").await.renew_time.unwrap();
    until("it is renewed", async || spec(&client, "noted").await.renew_time.unwrap().0 > first.0).await;
    assert!(!lease.lost().is_cancelled());
    lease.release().await.unwrap();
    assert_eq!(spec(&client, "noted").await.holder_identity.as_deref(), Some(""));
}

#[tokio::test]
async fn a_lease_that_cannot_be_renewed_is_lost_before_anybody_may_take_it() {
    let testbed = Testbed::start(Options::only([Service::ControlPlane])).await.unwrap();
    let client = testbed.client().await.unwrap();
    let lease = held(&client, "unreachable", "one").await;
    let begun = Instant::now();
    testbed.kill(Part::ApiServer).await.unwrap();
    lease.lost().cancelled().await;
    assert!(begun.elapsed() < SETTINGS.duration, "{:?}", begun.elapsed());
    lease.release().await.unwrap();
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_wrong_usage() {
    use drover::exit::{Exit, Fault};
    let acquired = Holder::new(client().await, "nowhere", "one", SETTINGS).acquire("any", Wait::No).await;
    assert_eq!(acquired.unwrap_err().exit(), Exit::Usage);
}
