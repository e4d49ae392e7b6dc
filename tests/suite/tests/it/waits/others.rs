//! A restore that waits for what others have to do names it on the Restore, and goes on as soon as it is done.

use drover::resources::{Restore, RestoreSpec};
use drover_tests::{Site, api_of, key_of};
use kube::api::{DeleteParams, DynamicObject, PostParams};
use serde_json::{Value, json};

use super::ready;
use crate::items::{archive, is_there, item, make, of};
use crate::nats::until;

const GROUP: &str = "waits.example.io";

/// Starts a restore of these objects, waits until its Restore says these words, has what it waits for done, and waits for its
/// end.
async fn says_until_it_is_done(
    site: &Site,
    name: &str,
    objects: &[Value],
    words: &str,
    done: impl Future<Output = ()>,
) {
    let file = format!("{name}.tar.gz");
    archive(site, &file, objects);
    let spec = RestoreSpec { prune: Some(false), ..of(&file) };
    site.make_restore(&Restore::new(name, spec)).await;
    let running = site.job("restore").start();
    until("it says for what it waits", async || ready(site, name).await.contains(words)).await;
    done.await;
    let finished = running.wait().await;
    assert_eq!((finished.code, ready(site, name).await.as_str()), (0, "Completed"), "{}", finished.log);
}

async fn delete(site: &Site, object: &Value) {
    api_of(&site.client, object).delete(&key_of(object).name, &DeleteParams::default()).await.unwrap();
}

/// A configuration with one webhook, which is to be asked about objects of this type with the label `waits`.
fn configuration(name: &str, client_config: &Value, group: &str, plural: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{
            "name": format!("{name}.{GROUP}"), "clientConfig": client_config, "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "failurePolicy": "Fail", "timeoutSeconds": 5,
            "objectSelector": {"matchExpressions": [{"key": "waits", "operator": "Exists"}]},
            "rules": [{"apiGroups": [group], "apiVersions": ["v1"], "resources": [plural], "operations": ["CREATE"]}],
        }],
    })
}

pub(super) async fn a_webhook_that_does_not_answer_is_named(site: &Site) {
    let nowhere = configuration("nowhere", &json!({"url": "https://127.0.0.1:1/"}), "", "configmaps");
    make(site, &nowhere).await;
    let mut guarded = item("item-guarded");
    guarded["metadata"]["labels"] = json!({"waits": "yes"});
    let on_trial = PostParams { dry_run: true, ..PostParams::default() };
    until("the webhook is asked", async || {
        let probe: DynamicObject = serde_json::from_value(guarded.clone()).unwrap();
        api_of(&site.client, &guarded).create(&on_trial, &probe).await.is_err()
    })
    .await;
    let words = "waits for the webhook \"nowhere.waits.example.io\" of the ValidatingWebhookConfiguration \"nowhere\" \
                 (https://127.0.0.1:1/) to answer (1 objects wait for it); see that its server runs";
    says_until_it_is_done(site, "answers", std::slice::from_ref(&guarded), words, delete(site, &nowhere)).await;
    assert!(is_there(site, &guarded).await);
}

/// Of a configuration that the archive holds nobody serves the webhook yet.
pub(super) async fn a_service_that_is_not_ready_is_named(site: &Site) {
    let service = json!({"service": {"namespace": "default", "name": "nobody"}});
    let registration = configuration("served", &service, GROUP, "nothings");
    let endpoints = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "default", "name": "nobody", "labels": {"kubernetes.io/service-name": "nobody"}},
        "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 443}]});
    let words = "waits for Service \"default/nobody\" to have a ready endpoint; see that its pods run: \
                 kubectl -n default get pods";
    let served = make(site, &endpoints);
    says_until_it_is_done(site, "served", std::slice::from_ref(&registration), words, served).await;
    assert!(is_there(site, &registration).await);
}

/// A definition of things, by this plural name.
fn definition(plural: &str) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{GROUP}")},
        "spec": {"group": GROUP, "scope": "Cluster",
            "names": {"plural": plural, "singular": plural, "kind": "Thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]},
    })
}

/// Another definition has the kind of the archive's.
pub(super) async fn a_definition_that_is_not_established_is_named(site: &Site) {
    let (live, archived) = (definition("things"), definition("others"));
    make(site, &live).await;
    until("its names are taken", async || {
        let found = api_of(&site.client, &live).get(&key_of(&live).name).await.unwrap();
        found.data["status"]["acceptedNames"]["kind"] == "Thing"
    })
    .await;
    let words = "waits for the API server to serve others.waits.example.io (NamesAccepted: ";
    says_until_it_is_done(site, "defined", std::slice::from_ref(&archived), words, delete(site, &live)).await;
    assert!(is_there(site, &archived).await);
}
