//! Past the webhooks of Rancher: whoever restores is exempt from them while it writes, nobody else is, and what was left
//! behind ends with the next job. That no kill leaves anything is tested beside the stand-in for rancher-webhook.
//!
//! A webhook of the test stands for Rancher's. It refuses ConfigMaps that carry its label, and the write on trial by which
//! a restore sees whether it is exempt.

mod left_before;

use std::path::PathBuf;

use drover::archive::{Key, Writer};
use drover::lease::{Acquired, Holder, RESTORES, Settings, Wait};
use drover::resources::{DEFAULT_NAMESPACE, Restore, RestoreSpec};
use drover_testbed::proxy::{Answered, Proxy};
use drover_testbed::webhook::Webhook;
use drover_testbed::{Options, Service, rancher};
use drover_tests::{Job, Site, message};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::nats::until;

/// Rancher's name for its configurations.
const RANCHER: &str = "rancher.cattle.io";
const OTHERS: &str = "policy.example.io";
/// The mark of an exemption.
const CONDITION: &str = "drover-restore";
const ANNOTATION: &str = "drover.dev/exempt-webhooks";

const ARCHIVE: &str = "refused.tar.gz";
const MAPS: usize = 5;
const WORDS: &str = "the role is nowhere";
/// Whom the job runs as in a cluster.
const ROBOT: &str = "system:serviceaccount:cattle-resources-system:drover-restore";

struct Scene {
    site: Site,
    proxy: Proxy,
    webhook: Webhook,
}

impl Scene {
    async fn start() -> Self {
        let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
        let webhook = Webhook::start(|path, request| {
            let is_refused = path == "/maps" || request["name"] == "drover-restore-trial";
            is_refused.then(|| WORDS.to_owned())
        });
        let proxy = Proxy::start(&site.testbed).await.unwrap();
        let scene = Self { webhook: webhook.await.unwrap(), site, proxy };
        scene.write_archive();
        scene.bind_robot().await;
        scene.register(RANCHER).await;
        scene
    }

    fn write_archive(&self) {
        let file = std::fs::File::create(self.site.folder().join(ARCHIVE)).unwrap();
        let mut writer = Writer::new(file, jiff::Timestamp::UNIX_EPOCH);
        for index in 0..MAPS {
            let object = config_map(&format!("map-{index}"));
            let key = Key::from_path(&format!("configmaps.#v1/default/map-{index}.json")).unwrap();
            writer.append(&key, object.to_string().as_bytes()).unwrap();
        }
        writer.finish().unwrap();
    }

    async fn bind_robot(&self) {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "robot"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": ROBOT}],
        });
        rancher::make(&self.site.client, &binding).await.unwrap();
    }

    /// The webhooks of a configuration of that name.
    fn webhooks(&self, of: &str) -> Value {
        let one = |name: &str, path: &str, resource: &str| {
            json!({
                "name": name, "clientConfig": self.webhook.client_config(path), "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": [resource],
                    "operations": ["CREATE", "UPDATE"]}],
            })
        };
        let mut maps = one(&format!("maps.{of}"), "/maps", "configmaps");
        maps["objectSelector"] = json!({"matchLabels": {"asks": "webhook"}});
        maps["matchConditions"] = json!([{"name": "theirs", "expression": "request.name != 'nobody'"}]);
        json!([maps, one(&format!("secrets.{of}"), "/secrets", "secrets")])
    }

    /// Registers the webhooks as Rancher does when it starts, whatever was there before, and waits until they are asked.
    async fn register(&self, name: &str) {
        let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration", "metadata": {"name": name}, "webhooks": self.webhooks(name)});
        drop(self.configurations().delete(name, &DeleteParams::default()).await);
        rancher::make(&self.site.client, &configuration).await.unwrap();
        until("the webhook is asked", async || self.is_refused().await).await;
    }

    fn configurations(&self) -> Api<ValidatingWebhookConfiguration> {
        Api::all(self.site.client.clone())
    }

    /// Whether the test's own user, who is nobody's exemption here, is refused.
    async fn is_refused(&self) -> bool {
        let on_trial = PostParams { dry_run: true, ..PostParams::default() };
        let map = serde_json::from_value(config_map("another")).unwrap();
        self.maps().create(&on_trial, &map).await.is_err_and(|error| error.to_string().contains(WORDS))
    }

    /// The expression of the exemption in each webhook of a configuration that has it.
    async fn conditions(&self, name: &str) -> Vec<String> {
        let live = self.configurations().get(name).await.unwrap();
        let webhooks = live.webhooks.unwrap_or_default().into_iter();
        let conditions = webhooks.flat_map(|webhook| webhook.match_conditions.unwrap_or_default());
        conditions.filter(|one| one.name == CONDITION).map(|one| one.expression).collect()
    }

    /// The webhooks are as Rancher registered them.
    async fn nothing_is_left(&self) {
        let live = serde_json::to_value(self.configurations().get(RANCHER).await.unwrap()).unwrap();
        let conditions = |webhooks: &Value| {
            let each = webhooks.as_array().unwrap().iter().map(|webhook| webhook["matchConditions"].clone());
            each.collect::<Vec<_>>()
        };
        assert_eq!(conditions(&live["webhooks"]), conditions(&self.webhooks(RANCHER)));
    }

    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.site.client.clone(), "default")
    }

    async fn damage(&self) {
        damage(&self.maps()).await;
    }

    /// How many objects of the archive are there.
    async fn restored(&self) -> usize {
        let labelled = ListParams::default().labels("asks=webhook");
        self.maps().list_metadata(&labelled).await.unwrap().items.len()
    }

    async fn restore(&self, name: &str, exempt: Option<&str>) {
        let spec = RestoreSpec { backup_filename: ARCHIVE.to_owned(), prune: Some(false), ..RestoreSpec::default() };
        let mut restore = Restore::new(name, spec);
        restore.annotations_mut().extend(exempt.map(|exempt| (ANNOTATION.to_owned(), exempt.to_owned())));
        self.site.make_restore(&restore).await;
    }

    async fn ready(&self, name: &str) -> String {
        message(self.site.restore_status(name).await.conditions.as_ref(), "Ready")
    }

    /// The job as the ServiceAccount that it has in a cluster.
    fn as_robot(&self) -> Job {
        let kubeconfig = std::fs::read_to_string(self.site.testbed.kubeconfig().unwrap()).unwrap();
        let mut kubeconfig: Value = serde_saphyr::from_str(&kubeconfig).unwrap();
        kubeconfig["users"][0]["user"]["as"] = json!(ROBOT);
        let path: PathBuf = self.site.testbed.folder().join("robot.kubeconfig");
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
        self.site.job("restore").environment("KUBECONFIG", path.to_str().unwrap())
    }

    /// The job as an administrator, one request after the other, through the proxy.
    fn through_proxy(&self) -> Job {
        let kubeconfig = self.proxy.kubeconfig();
        let job = self.site.job("restore").environment("KUBECONFIG", kubeconfig.to_str().unwrap());
        job.environment("DROVER_CONCURRENCY", "1").environment("DROVER_LEASE_SECONDS", "15")
    }

    /// Puts the condition into all webhooks of a configuration, as a restore that died leaves it.
    async fn leave(&self, name: &str) {
        let mut webhooks = self.webhooks(name);
        for webhook in webhooks.as_array_mut().unwrap() {
            webhook["matchConditions"] = json!([{"name": CONDITION, "expression": "request.userInfo.username != 'a'"}]);
        }
        let patch = Patch::Merge(json!({"webhooks": webhooks}));
        self.configurations().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn has_event(&self, name: &str, reason: &str) -> bool {
        let events: Api<Event> = Api::namespaced(self.site.client.clone(), "default");
        events.list(&ListParams::default()).await.unwrap().items.iter().any(|event| {
            let about = event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref());
            about == Some(name) && event.reason.as_deref() == Some(reason)
        })
    }
}

/// Deletes what the archive holds.
async fn damage(maps: &Api<ConfigMap>) {
    let labelled = ListParams::default().labels("asks=webhook");
    maps.delete_collection(&DeleteParams::default(), &labelled).await.unwrap();
}

fn config_map(name: &str) -> Value {
    let metadata = json!({"name": name, "namespace": "default", "labels": {"asks": "webhook"}});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": name}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_exempt_from_the_webhooks_of_rancher_and_nobody_else_is() {
    let scene = Scene::start().await;
    its_own_user_is_exempt_and_others_are_not(&scene).await;
    with_none_the_refusals_are_named(&scene).await;
    a_user_that_others_are_too_is_exempt_where_somebody_says_so(&scene).await;
    a_list_that_means_nothing_ends_the_restore(&scene).await;
    webhooks_of_others_are_passed_where_they_are_named(&scene).await;
    configurations_that_are_written_anew_are_exempted_again(&scene).await;
    left_before::what_one_restore_leaves_lets_the_next_one_pass_nothing_unsaid(&scene).await;
    what_was_left_behind_ends_with_the_next_job(&scene).await;
    the_command_ends_what_was_left_behind(&scene).await;
    scene.site.testbed.shutdown().await;
}

async fn its_own_user_is_exempt_and_others_are_not(scene: &Scene) {
    scene.damage().await;
    scene.restore("own", None).await;
    let running = scene.as_robot().start();
    let expected = format!("request.userInfo.username != \"{ROBOT}\"");
    until("the exemption is there", async || scene.conditions(RANCHER).await == [expected.as_str(), expected.as_str()])
        .await;
    assert!(scene.is_refused().await);
    let finished = running.wait().await;
    assert_eq!((finished.code, scene.restored().await), (0, MAPS), "{}", finished.log);
    assert_eq!(scene.ready("own").await, "Completed");
    scene.nothing_is_left().await;
    let exempt = format!("exempt while this restore writes: {ROBOT}, and nobody else, from 2 webhooks of {RANCHER}");
    for words in [exempt.as_str(), "the exemption is in force", "nobody is exempt from webhooks any more"] {
        assert!(finished.log.contains(words), "{words}: {}", finished.log);
    }
    for reason in ["WebhooksExempted", "ExemptionEnded"] {
        until(reason, async || scene.has_event("own", reason).await).await;
    }
    let report = scene.site.job("restore").arguments(["report", "own"]).succeed().await;
    assert!(report.output.contains("exempt while this restore writes: "), "{}", report.output);
    assert!(report.output.contains("\nnobody is exempt from webhooks any more\n"), "{}", report.output);
}

async fn with_none_the_refusals_are_named(scene: &Scene) {
    scene.damage().await;
    scene.restore("none", Some("none")).await;
    let finished = scene.as_robot().end_with(1).await;
    let ready = scene.ready("none").await;
    let words = format!("admission webhook \"maps.rancher.cattle.io\" denied the request: {WORDS}");
    assert!(ready.starts_with(&format!("Failed: {MAPS} failed; ")) && ready.contains(&words), "{ready}");
    assert!(!finished.log.contains("exempt"), "{}", finished.log);
    scene.nothing_is_left().await;
}

/// The test's own user is an administrator.
async fn a_user_that_others_are_too_is_exempt_where_somebody_says_so(scene: &Scene) {
    scene.restore("shared", None).await;
    let finished = scene.site.job("restore").end_with(1).await;
    assert!(finished.log.contains("may be others too, so it is exempt only from"), "{}", finished.log);
    scene.nothing_is_left().await;
    scene.restore("named", Some(RANCHER)).await;
    let finished = scene.site.job("restore").succeed().await;
    assert_eq!(scene.restored().await, MAPS, "{}", finished.log);
    scene.nothing_is_left().await;
}

async fn a_list_that_means_nothing_ends_the_restore(scene: &Scene) {
    scene.restore("nonsense", Some("none,policy.example.io")).await;
    scene.as_robot().end_with(64).await;
    let status = scene.site.restore_status("nonsense").await;
    assert!(status.restore_completion_ts.is_some() && scene.ready("nonsense").await.contains(ANNOTATION), "{status:?}");
}

async fn webhooks_of_others_are_passed_where_they_are_named(scene: &Scene) {
    scene.register(OTHERS).await;
    scene.damage().await;
    scene.restore("unnamed", None).await;
    scene.as_robot().end_with(1).await;
    assert!(scene.ready("unnamed").await.starts_with(&format!("Failed: {MAPS} failed; ")));
    scene.restore("others", Some(OTHERS)).await;
    let finished = scene.as_robot().succeed().await;
    assert_eq!((scene.restored().await, scene.conditions(OTHERS).await.len()), (MAPS, 0), "{}", finished.log);
    scene.nothing_is_left().await;
    scene.configurations().delete(OTHERS, &DeleteParams::default()).await.unwrap();
}

/// After so many writes of a restore its first object is written.
async fn writes_until_the_first_object(scene: &Scene) -> usize {
    scene.damage().await;
    scene.restore("measured", Some(RANCHER)).await;
    let held = scene.proxy.hold_after(usize::MAX);
    scene.through_proxy().succeed().await;
    let writes = scene.proxy.answered().into_iter().filter(Answered::is_write);
    let first = writes.collect::<Vec<_>>().iter().position(|write| write.path.ends_with("/default/configmaps"));
    held.go_on();
    first.unwrap() + 1
}

async fn configurations_that_are_written_anew_are_exempted_again(scene: &Scene) {
    let writes = writes_until_the_first_object(scene).await;
    scene.damage().await;
    scene.restore("anew", Some(RANCHER)).await;
    let held = scene.proxy.hold_after(writes);
    let running = scene.through_proxy().start();
    held.reached().await;
    assert_eq!(scene.conditions(RANCHER).await.len(), 2);
    let patch = Patch::Merge(json!({"webhooks": scene.webhooks(RANCHER)}));
    scene.configurations().patch(RANCHER, &PatchParams::default(), &patch).await.unwrap();
    until("the webhook is asked again", async || scene.is_refused().await).await;
    held.go_on();
    let finished = running.wait().await;
    assert_eq!((finished.code, scene.restored().await), (0, MAPS), "{}", finished.log);
    assert!(finished.log.contains("put in again, for rancher.cattle.io was written anew"), "{}", finished.log);
    scene.nothing_is_left().await;
}

async fn what_was_left_behind_ends_with_the_next_job(scene: &Scene) {
    scene.register(OTHERS).await;
    for name in [RANCHER, OTHERS] {
        scene.leave(name).await;
    }
    let settings = Settings::default();
    let client = scene.site.client.clone();
    let somebody = Holder::new(client, DEFAULT_NAMESPACE, "somebody", settings);
    let acquired = somebody.acquire(RESTORES, Wait::No).await;
    let Ok(Acquired::Held(held)) = acquired else { panic!("{acquired:?}") };
    let idle = scene.as_robot().succeed().await;
    assert!(idle.log.contains("\"somebody\" restores this cluster and is exempt"), "{}", idle.log);
    assert_eq!((scene.conditions(RANCHER).await.len(), scene.conditions(OTHERS).await.len()), (2, 2));
    let refused = scene.site.job("restore").arguments(["unexempt"]).end_with(69).await;
    for words in ["held by \"somebody\"; waiting up to 15 s", "--force"] {
        assert!(refused.log.contains(words), "{words}: {}", refused.log);
    }
    assert_eq!(scene.conditions(RANCHER).await.len(), 2);
    held.release().await.unwrap();
    let idle = scene.as_robot().succeed().await;
    assert!(idle.log.contains("nothing to do: no Restore waits"), "{}", idle.log);
    assert_eq!((scene.conditions(RANCHER).await.len(), scene.conditions(OTHERS).await.len()), (0, 0));
}

async fn the_command_ends_what_was_left_behind(scene: &Scene) {
    scene.leave(OTHERS).await;
    let ended = scene.site.job("restore").arguments(["unexempt"]).succeed().await;
    assert_eq!(ended.output, format!("ended in validatingwebhookconfigurations \"{OTHERS}\"\n"));
    assert!(scene.conditions(OTHERS).await.is_empty());
    let ended = scene.site.job("restore").arguments(["unexempt", "--force"]).succeed().await;
    assert_eq!(ended.output, "nobody is exempt from webhooks by a restore\n");
}
