//! What hands requests over to other servers, or judges them: configurations of admission webhooks, APIServices and bindings
//! of admission policies. They are written last, when everything else is there and the controllers have their counts again,
//! for each of them may refuse what comes after it: an object of the archive, or the very pods that would serve it.
//!
//! Each waits until its Services have ready endpoints, all together for a stated time. One whose Service has none by then is
//! written all the same: the archive holds it, and it says who may write what. It is named, in the log and in its result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use form_urlencoded::Serializer;
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::archive::Archive;
use crate::facts::Position;
use crate::outcome::{Outcome, Result as ObjectResult, Results};
use crate::request::{RequestError, Server};

/// How long the servers behind them may take to be ready: pods of controllers that were scaled down start in that time.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// Between two looks at them.
const PAUSE: Duration = Duration::from_millis(500);

/// The types: group and plural name.
const TYPES: [(&str, &str); 5] = [
    ("apiregistration.k8s.io", "apiservices"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    // The API server judges by a policy itself, but one whose parameter is not there yet refuses everything.
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"),
];

/// Whether objects of a type hand requests over to other servers, or judge them.
pub(crate) fn is_registration(group: &str, plural: &str) -> bool {
    TYPES.contains(&(group, plural))
}

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

/// Registrations whose Service has no ready endpoint, each with its name.
#[derive(Debug, Default)]
pub(crate) struct Unserved(BTreeMap<Position, String>);

impl Unserved {
    /// Waits until what serves these objects of the archive is ready; gives those of which it is not when the time is over.
    pub(crate) async fn wait(
        server: &Server,
        archive: &Arc<Archive>,
        written: Vec<Position>,
        shutdown: &CancellationToken,
    ) -> Self {
        let archive = Arc::clone(archive);
        let needed = tokio::task::spawn_blocking(move || needed(&archive, &written)).await.unwrap_or_default();
        let mut left = unready(server, needed).await;
        if !left.is_empty() {
            let names: Vec<String> = left.keys().map(name_of).collect();
            let seconds = READY_WITHIN.as_secs();
            tracing::info!("waiting up to {seconds} s for what serves webhooks and APIs: {}", names.join(", "));
        }
        let deadline = Instant::now() + READY_WITHIN;
        while !left.is_empty() && Instant::now() < deadline && !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
            left = unready(server, left).await;
        }
        let unserved = left
            .iter()
            .flat_map(|(service, positions)| positions.iter().map(move |position| (*position, name_of(service))));
        Self(unserved.collect())
    }

    /// Says it, in the log and in the results of those that were written.
    pub(crate) fn tell(&self, results: &mut Results) {
        for (position, service) in &self.0 {
            let outcome = results.outcome(*position);
            if !matches!(outcome, Outcome::Created | Outcome::Updated) {
                continue;
            }
            let note = format!(
                "its {service} had no ready endpoint after {} s, and it was written all the same: until its server \
                 answers, the API server refuses what it is asked about",
                READY_WITHIN.as_secs()
            );
            tracing::warn!("a webhook configuration or APIService is in force without its server: {note}");
            let result = ObjectResult::noted(outcome, [note.as_str(), results.reason(*position)]);
            results.set(*position, result);
        }
    }
}

fn name_of(service: &Service) -> String {
    let Service { namespace, name } = service;
    format!("Service \"{namespace}/{name}\"")
}

/// The Services that objects need, each with these; blocks. What cannot be read fails when it is written.
fn needed(archive: &Archive, written: &[Position]) -> BTreeMap<Service, Vec<Position>> {
    let mut needed: BTreeMap<Service, Vec<Position>> = BTreeMap::new();
    for position in written {
        let Ok(loaded) = archive.load(*position) else { continue };
        for service in services(&loaded.object) {
            needed.entry(service).or_default().push(*position);
        }
    }
    needed
}

/// Those of the Services that have no ready endpoint.
async fn unready(server: &Server, services: BTreeMap<Service, Vec<Position>>) -> BTreeMap<Service, Vec<Position>> {
    let mut left = BTreeMap::new();
    for (service, positions) in services {
        let is_ready = look(server, &service).await.unwrap_or_else(|error| {
            tracing::debug!("failed to see whether the {} is ready: {error}", name_of(&service));
            false
        });
        if !is_ready {
            left.insert(service, positions);
        }
    }
    left
}

async fn look(server: &Server, service: &Service) -> Result<bool, RequestError> {
    let Service { namespace, name } = service;
    let label = format!("kubernetes.io/service-name={name}");
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
    fn a_service_is_ready_with_one_endpoint_that_is() {
        let is_ready = |endpoints: Value| is_ready(&serde_json::from_value(json!({"items": [endpoints]})).unwrap());
        assert!(is_ready(json!({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]})));
        assert!(is_ready(json!({"endpoints": [{"addresses": ["10.0.0.1"]}]})));
        assert!(!is_ready(json!({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}]})));
        assert!(!is_ready(json!({"endpoints": [{"addresses": []}]})));
        assert!(!is_ready(json!({"endpoints": null})));
    }
}
