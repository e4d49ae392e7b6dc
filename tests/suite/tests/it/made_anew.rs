//! The job, killed between the deletion of an object and its being created again, which is refused from then on: the next
//! job puts back what was there, also where no Restore waits any more.

use drover::labels::COPY_LABEL;
use drover::lease::RESTORES;
use drover::resources::DEFAULT_NAMESPACE;
use drover_testbed::proxy::Proxy;
use drover_testbed::{Options, Service, rancher};
use drover_tests::{Job, Site, message, object, write_archive};
use http::Method;
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

use crate::nats::until;

const ARCHIVE: &str = "fixed.tar.gz";
const MAP: &str = "/api/v1/namespaces/default/configmaps/fixed";

struct Scene {
    site: Site,
    proxy: Proxy,
}

/// What cannot be changed from one state into another.
fn fixed(state: &str) -> Value {
    let content = json!({"metadata": {"labels": {"state": state}}, "data": {"key": state}, "immutable": true});
    object("v1", "ConfigMap", "default/fixed", content)
}

impl Scene {
    async fn start() -> Self {
        let site = Site::start_with(Options::only([Service::Controllers, Service::Nats])).await;
        let set = json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "set"},
            "resourceSelectors": []});
        write_archive(&site.folder().join(ARCHIVE), &[fixed("refused")], &set);
        rancher::make(&site.client, &fixed("live")).await.unwrap();
        let scene = Self { proxy: Proxy::start(&site.testbed).await.unwrap(), site };
        scene.refuse_but_not_on_trial().await;
        scene
    }

    async fn refuse_but_not_on_trial(&self) {
        let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
            "resources": ["configmaps"]}]);
        let expression =
            "(has(request.dryRun) && request.dryRun) || object.metadata.?labels.?state.orValue('') != 'refused'";
        let policy = json!({"metadata": {"name": "test"}, "spec": {"matchConstraints": {"resourceRules": rules},
            "validations": [{"message": "refused in earnest", "expression": expression}]}});
        let binding =
            json!({"metadata": {"name": "test"}, "spec": {"policyName": "test", "validationActions": ["Deny"]}});
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(self.site.client.clone());
        let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(self.site.client.clone());
        policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
        bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
        let mut probe: ConfigMap = serde_json::from_value(fixed("refused")).unwrap();
        (probe.metadata.name, probe.metadata.generate_name) = (None, Some("probe-".to_owned()));
        let maps = self.maps();
        until("the policy is in force", async || maps.create(&PostParams::default(), &probe).await.is_err()).await;
    }

    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.site.client.clone(), "default")
    }

    fn job(&self) -> Job {
        self.site.job("restore").environment("DROVER_CONCURRENCY", "1").environment("DROVER_LEASE_SECONDS", "15")
    }

    /// The holder of the Lease is dead: what waiting for that costs is tested elsewhere.
    async fn bury(&self) {
        let leases: Api<Lease> = Api::namespaced(self.site.client.clone(), DEFAULT_NAMESPACE);
        drop(leases.delete(RESTORES, &DeleteParams::default()).await);
    }

    /// Kills the job right after each of its writes, until that was the deletion; then the object is gone.
    async fn kill_after_the_deletion(&self) {
        for writes in 1.. {
            let held = self.proxy.hold_after(writes);
            let job = self.job().environment("KUBECONFIG", self.proxy.kubeconfig().to_str().unwrap());
            let killed = job.start().kill_when(held.reached()).await;
            assert_eq!(killed.code, -1, "it ended before its write {writes}: {}", killed.log);
            self.bury().await;
            let answered = self.proxy.answered();
            if answered.iter().any(|one| one.method == Method::DELETE && one.path == MAP) {
                break;
            }
        }
        let maps = self.maps();
        until("it is gone", async || maps.get_opt("fixed").await.unwrap().is_none()).await;
        assert_eq!(self.copies().await, 1);
    }

    async fn copies(&self) -> usize {
        let secrets: Api<Secret> = Api::namespaced(self.site.client.clone(), DEFAULT_NAMESPACE);
        secrets.list(&ListParams::default().labels(COPY_LABEL)).await.unwrap().items.len()
    }

    async fn is_as_it_was(&self) {
        let live = self.maps().get("fixed").await.unwrap();
        assert_eq!((live.data.unwrap()["key"].as_str(), live.immutable), ("live", Some(true)));
        assert_eq!(live.metadata.labels.unwrap()["state"], "live");
        assert_eq!(self.copies().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_job_deleted_to_create_it_again_is_put_back_by_the_next_one() {
    let scene = Scene::start().await;
    scene.site.restore("refused", ARCHIVE, None).await;
    scene.kill_after_the_deletion().await;
    scene.job().end_with(1).await;
    let status = scene.site.restore_status("refused").await;
    let told = message(status.conditions.as_ref(), "Ready");
    assert!(told.contains("what was there before was put back"), "{told}");
    scene.is_as_it_was().await;

    scene.site.restore("deleted", ARCHIVE, None).await;
    scene.kill_after_the_deletion().await;
    scene.site.restores().delete("deleted", &DeleteParams::default()).await.unwrap();
    let next = scene.job().succeed().await;
    assert!(next.log.contains(MAP) && next.log.contains("it was put back"), "{}", next.log);
    scene.is_as_it_was().await;
    scene.site.testbed.shutdown().await;
}
