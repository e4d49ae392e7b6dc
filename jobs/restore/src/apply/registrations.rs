//! What hands requests over to other servers, or judges them: configurations of admission webhooks, APIServices and bindings
//! of admission policies. They are written last, when everything else is there and the controllers have their counts again,
//! for each of them may refuse what comes after it: an object of the archive, or the very pods that would serve it.
//!
//! Each waits until its Services have ready endpoints, all together for a stated time. One whose Service has none by then is
//! written all the same: the archive holds it, and it says who may write what. It is named, in the log and in its result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use drover::api::RequestError;
use drover::labels::SERVICE_NAME_LABEL;
use drover::task;
use form_urlencoded::Serializer;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::api::request::Server;
use crate::report::outcome::{Outcome, Result as ObjectResult, Results};
use crate::report::progress::Gauge;
use crate::survey::archive::facts::Position;
use crate::survey::archive::part::Archive;

/// How long the servers behind them may take to be ready: pods of controllers that were scaled down start in that time.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// Between two looks at them.
const PAUSE: Duration = Duration::from_millis(500);

/// A Service, by namespace and name.
#[derive(Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(default)]
struct Service {
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Registration {
    webhooks: Vec<Hook>,
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Hook {
    client_config: Spec,
    failure_policy: Option<String>,
}

/// Where the Service stands: the `clientConfig` of a webhook, or the `spec` of an APIService.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    service: Option<Service>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Slices {
    items: Vec<Slice>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Slice {
    endpoints: Option<Vec<Endpoint>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    addresses: Vec<String>,
    conditions: Conditions,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
}

/// The Services without which requests fail once the object is written. A webhook whose failure is ignored needs none.
fn services(object: &[u8]) -> BTreeSet<Service> {
    let Registration { webhooks, spec } = serde_json::from_slice(object).unwrap_or_default();
    let needed = webhooks.into_iter().filter(|hook| hook.failure_policy.as_deref() != Some("Ignore"));
    let needed = needed.filter_map(|hook| hook.client_config.service);
    needed.chain(spec.service).collect()
}

/// Whether one of the slices of a Service has an endpoint that is ready; one that does not say so is.
fn is_ready(slices: &Slices) -> bool {
    let mut endpoints = slices.items.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    endpoints.any(|endpoint| !endpoint.addresses.is_empty() && endpoint.conditions.ready != Some(false))
}

/// Those that wait for Services, by Service.
type Waiting = BTreeMap<Service, Waiters>;

/// Those that wait for one Service.
#[derive(Debug)]
struct Waiters {
    positions: Vec<Position>,
    /// Why it is not seen whether the Service is ready, where it is not.
    unseen: Option<String>,
}

impl Default for Waiters {
    /// None, and nothing was seen yet.
    fn default() -> Self {
        Self { positions: Vec::new(), unseen: Some("the API server did not answer in that time".to_owned()) }
    }
}

/// Registrations whose Service was not seen to have a ready endpoint, each with what is to be said of that.
#[derive(Debug, Default)]
pub(crate) struct Unserved(BTreeMap<Position, String>);

impl Unserved {
    /// Waits until what serves these objects of the archive is ready; gives those of which it is not when the time is over.
    pub(crate) async fn wait(
        server: &Server,
        archive: &Arc<Archive>,
        written: Vec<Position>,
        gauge: &Arc<Gauge>,
        shutdown: &CancellationToken,
    ) -> Self {
        let archive = Arc::clone(archive);
        let needed = task::spawn_blocking(move || needed(&archive, &written)).await;
        let (mut left, server) = (needed.unwrap_or_default(), server.impatient());
        tokio::select! {
            () = shutdown.cancelled() => {}
            // What only reads may be dropped half-way; those that were seen by then are no longer among the left.
            _ = timeout_at(Instant::now() + READY_WITHIN, until_ready(&server, &mut left, gauge)) => {}
        }
        Self::of(&left)
    }

    fn of(left: &Waiting) -> Self {
        let told = left.iter().flat_map(|(service, waiters)| {
            let words = trouble(service, waiters.unseen.as_deref());
            waiters.positions.iter().map(move |position| (*position, words.clone()))
        });
        Self(told.collect())
    }

    /// Says it, in the log and in the results of those that were written.
    pub(crate) fn tell(&self, results: &mut Results) {
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for (position, trouble) in &self.0 {
            let outcome = results.outcome(*position);
            if !matches!(outcome, Outcome::Created | Outcome::Updated) {
                continue;
            }
            let note = format!(
                "{trouble}, and it was written all the same: until its server answers, the API server refuses what it is \
                 asked about"
            );
            let result = ObjectResult::noted(outcome, [note.as_str(), results.reason(*position)]);
            results.set(*position, result);
            *told.entry(note).or_default() += 1;
        }
        for (note, count) in told {
            tracing::warn!(
                "{count} webhook configurations or APIServices may each be in force without its server: {note}"
            );
        }
    }
}

fn name_of(service: &Service) -> String {
    let Service { namespace, name } = service;
    format!("Service \"{namespace}/{name}\"")
}

/// What is said of a Service that was not seen to be ready.
fn trouble(service: &Service, unseen: Option<&str>) -> String {
    let (name, seconds) = (name_of(service), READY_WITHIN.as_secs());
    match unseen {
        None => format!("its {name} had no ready endpoint after {seconds} s"),
        Some(why) => format!("whether its {name} has a ready endpoint was not seen within {seconds} s ({why})"),
    }
}

/// The Services that objects need, each with these; blocks. What cannot be read fails when it is written.
fn needed(archive: &Archive, written: &[Position]) -> Waiting {
    let mut needed = Waiting::new();
    for position in written {
        let Ok(loaded) = archive.load(*position) else { continue };
        for service in services(&loaded.object) {
            needed.entry(service).or_default().positions.push(*position);
        }
    }
    needed
}

/// Looks until all of the Services have ready endpoints; takes those out that have.
async fn until_ready(server: &Server, left: &mut Waiting, gauge: &Arc<Gauge>) {
    take_ready(server, left).await;
    if !left.is_empty() {
        let names: Vec<String> = left.keys().map(name_of).collect();
        let seconds = READY_WITHIN.as_secs();
        tracing::info!("waiting up to {seconds} s for what serves webhooks and APIs: {}", names.join(", "));
    }
    while let Some(words) = waited_for(left) {
        let _wait = gauge.wait(words);
        tokio::time::sleep(PAUSE).await;
        take_ready(server, left).await;
    }
}

/// What is said while Services are waited for; none where none is.
fn waited_for(left: &Waiting) -> Option<String> {
    let (service, waiters) = left.first_key_value()?;
    let others = left.len() - 1;
    let others = if others == 0 { String::new() } else { format!(", and {others} more") };
    let unseen = waiters.unseen.as_ref().map(|why| format!(" (it is not seen whether it has: {why})"));
    Some(format!(
        "{} to have a ready endpoint{}{others}; see that its pods run: kubectl -n {} get pods",
        name_of(service),
        unseen.unwrap_or_default(),
        service.namespace
    ))
}

/// Looks once at each of the Services, all at once: one that is not answered about holds up no other.
async fn take_ready(server: &Server, left: &mut Waiting) {
    let mut looks = FuturesUnordered::new();
    for service in left.keys() {
        looks.push(seen(server, service.clone()));
    }
    while let Some((service, seen)) = looks.next().await {
        note(left, &service, seen);
    }
}

async fn seen(server: &Server, service: Service) -> (Service, Result<bool, RequestError>) {
    let seen = look(server, &service).await;
    (service, seen)
}

/// Notes what a look at a Service came to. What was not seen is not taken for what is not there.
fn note(left: &mut Waiting, service: &Service, seen: Result<bool, RequestError>) {
    let unseen = match seen {
        Ok(true) => {
            left.remove(service);
            return;
        }
        Ok(false) => None,
        Err(error) => Some(error.to_string()),
    };
    if let Some(waiters) = left.get_mut(service) {
        waiters.unseen = unseen;
    }
}

async fn look(server: &Server, service: &Service) -> Result<bool, RequestError> {
    let Service { namespace, name } = service;
    let label = format!("{SERVICE_NAME_LABEL}={name}");
    let query = Serializer::new(String::new()).append_pair("labelSelector", &label).finish();
    let path = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?{query}");
    let slices = server.get(&path).await?;
    Ok(serde_json::from_slice(&slices).is_ok_and(|slices: Slices| is_ready(&slices)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(object: &Value, expected: &[(&str, &str)]) {
        let found = services(object.to_string().as_bytes());
        let found: Vec<_> = found.iter().map(|found| (found.namespace.as_str(), found.name.as_str())).collect();
        assert_eq!(found, expected, "{object}");
    }

    #[test]
    fn the_services_that_requests_would_fail_without() {
        let service = |name: &str| json!({"service": {"namespace": "a", "name": name, "port": 443}});
        let hook = |name: &str, policy: Option<&str>| json!({"clientConfig": service(name), "failurePolicy": policy});
        let webhooks = [hook("two", Some("Fail")), hook("one", None), hook("three", Some("Ignore"))];
        check(&json!({"webhooks": webhooks}), &[("a", "one"), ("a", "two")]);
        check(&json!({"webhooks": [{"clientConfig": {"url": "https://x"}}]}), &[]);
        check(&json!({"spec": {"group": "a.io", "service": {"namespace": "a", "name": "api"}}}), &[("a", "api")]);
        check(&json!({"spec": {"group": "apps", "service": null}}), &[]);
        check(&json!({"spec": {"policyName": "x"}}), &[]);
        check(&json!([7]), &[]);
    }

    #[test]
    fn what_may_not_be_looked_at_is_not_told_as_without_a_server() {
        let service = |name: &str| Service { namespace: "a".to_owned(), name: name.to_owned() };
        let waiters = |position| Waiters { positions: vec![position], unseen: Some("no answer".to_owned()) };
        let mut left =
            Waiting::from([(service("up"), waiters(0)), (service("down"), waiters(1)), (service("x"), waiters(2))]);
        let (reason, message) = ("Forbidden".to_owned(), "not you".to_owned());
        let forbidden = RequestError::Refused { code: 403, reason, message, retry_after: None, continue_token: None };
        note(&mut left, &service("up"), Ok(true));
        note(&mut left, &service("down"), Ok(false));
        note(&mut left, &service("x"), Err(forbidden));
        let waited = waited_for(&left).unwrap();
        let expected = "Service \"a/down\" to have a ready endpoint, and 1 more; see that its pods run: kubectl -n a ";
        assert!(waited.starts_with(expected), "{waited}");
        let told: Vec<(Position, String)> = Unserved::of(&left).0.into_iter().collect();
        let expected = [
            (1, "its Service \"a/down\" had no ready endpoint after 60 s"),
            (2, "whether its Service \"a/x\" has a ready endpoint was not seen within 60 s (not you)"),
        ];
        assert_eq!(told, expected.map(|(position, words)| (position, words.to_owned())));
    }

    #[test]
    fn a_service_is_ready_with_one_endpoint_that_is() {
        let is_ready = |endpoints: Value| is_ready(&serde_json::from_value(json!({"items": [endpoints]})).unwrap());
        assert!(is_ready(json!({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]})));
        assert!(is_ready(json!({"endpoints": [{"addresses": ["10.0.0.1"]}]})));
        assert!(!is_ready(json!({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}]})));
        assert!(!is_ready(json!({"endpoints": [{"addresses": []}]})));
        assert!(!is_ready(json!({"endpoints": null})));
    }
}
