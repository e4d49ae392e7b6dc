//! A cluster with the stand-in for rancher-webhook in it, drover with the rights that it has in a cluster, and somebody else
//! who may do everything too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use drover::lease::RESTORES;
use drover::resources::{DEFAULT_NAMESPACE, Restore, RestoreSpec};
use drover_testbed::proxy::Proxy;
use drover_testbed::rancher;
use drover_testbed::rancher_webhook::{NAME, RancherWebhook};
use drover_testbed::{Options, Service};
use drover_tests::{Job, Site, api_of, differing_members, message, object, objects};
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::world;
use crate::nats::until;
use crate::rancher::changed;

/// How late the stand-in knows of a change, at least.
const LAG: Duration = Duration::from_millis(400);

/// The condition that leaves one user out.
pub(super) const CONDITION: &str = "drover-restore";

/// How many webhooks rancher-webhook has.
pub(super) const WEBHOOKS: usize = 41;

/// Whom drover's job is in a cluster.
pub(super) const RESTORER: &str = "system:serviceaccount:cattle-resources-system:drover-restore";

/// Whom everything else here is that the tests do.
pub(super) const ADMINISTRATOR: &str = "drover-testbed-admin";

const ACCOUNT: &str = "drover-restore";

/// The archive of [`world::populate`] in the site's own folder.
pub(super) const ARCHIVE: &str = "rancher.tar.gz";

/// The archive of what is there at the moment.
pub(super) const LIVE: &str = "live.tar.gz";

pub(super) struct Scene {
    pub(super) site: Site,
    /// Somebody who may do everything, and for whom nobody asked for an exemption.
    pub(super) somebody: Client,
    /// Whom drover's job is in a cluster.
    pub(super) restorer: Client,
    kubeconfig: PathBuf,
}

impl Scene {
    /// An empty cluster.
    pub(super) async fn start() -> Self {
        let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats, Service::Minio])).await;
        let kubeconfig = site.testbed.folder().join("restorer.kubeconfig");
        let account = account(&site).await;
        std::fs::write(&kubeconfig, serde_json::to_string(&account).unwrap()).unwrap();
        let (somebody, restorer) = (impersonated(&site, "somebody").await, client(account).await);
        Self { site, somebody, restorer, kubeconfig }
    }

    /// One with a Rancher in it, and the archive of it.
    pub(super) async fn with_rancher() -> Self {
        let scene = Self::start().await;
        world::populate(&scene.site.client).await;
        scene.back_up(&world::resource_set(), ARCHIVE).await;
        scene
    }

    /// Starts the stand-in; it has registered nothing yet.
    pub(super) async fn webhook(&self) -> RancherWebhook {
        RancherWebhook::start(self.site.client.clone(), LAG).await.unwrap()
    }

    /// Registers its configurations, and waits until the API server goes by them.
    pub(super) async fn register(&self, webhook: &RancherWebhook) {
        webhook.register().await.unwrap();
        self.is_asked().await;
    }

    /// Waits until somebody's requests are judged.
    pub(super) async fn is_asked(&self) {
        until("the webhooks are asked", async || is_refused(&self.somebody).await).await;
    }

    /// Archives what a set selects.
    pub(super) async fn back_up(&self, set: &Value, filename: &str) -> PathBuf {
        let (file, output) = (self.site.testbed.folder().join("set.yaml"), self.site.folder().join(filename));
        std::fs::write(&file, set.to_string()).unwrap();
        let arguments = [Path::new("--resource-set"), &file, Path::new("--output"), &output];
        self.site.job("snapshot").arguments(arguments).succeed().await;
        output
    }

    /// The job as a cluster runs it: as a ServiceAccount of its own.
    pub(super) fn job(&self) -> Job {
        self.site.job("restore").environment("KUBECONFIG", self.kubeconfig.to_str().unwrap())
    }

    /// A proxy that asks as whom the job is in a cluster.
    pub(super) async fn proxy(&self) -> Proxy {
        Proxy::start_as(&self.kubeconfig).await.unwrap()
    }

    /// The job on its way through a proxy.
    pub(super) fn through(&self, proxy: &Proxy) -> Job {
        self.site.job("restore").environment("KUBECONFIG", proxy.kubeconfig().to_str().unwrap())
    }

    /// Makes a Restore that does not prune, with these annotations.
    pub(super) async fn restore(&self, name: &str, filename: &str, annotations: &[(&str, &str)]) {
        let spec = RestoreSpec { backup_filename: filename.to_owned(), prune: Some(false), ..RestoreSpec::default() };
        let mut restore = Restore::new(name, spec);
        let annotations = annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        restore.annotations_mut().extend(annotations);
        self.site.make_restore(&restore).await;
    }

    /// The Restore is Completed, nothing failed, and no exemption is left.
    pub(super) async fn is_completed(&self, name: &str) {
        let status = self.site.restore_status(name).await;
        assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed", "{status:?}");
        assert!(status.summary.as_deref().is_some_and(|summary| !summary.contains("failed")), "{status:?}");
        assert_eq!(self.exempting().await, 0, "an exemption is left of {name:?}");
    }

    /// How many webhooks of rancher-webhook leave drover out.
    pub(super) async fn exempting(&self) -> usize {
        self.conditions().await.iter().filter(|names| names.iter().any(|name| name == CONDITION)).count()
    }

    /// The names of the conditions of each webhook.
    pub(super) async fn conditions(&self) -> Vec<Vec<String>> {
        let validating: Api<ValidatingWebhookConfiguration> = Api::all(self.site.client.clone());
        let mutating: Api<MutatingWebhookConfiguration> = Api::all(self.site.client.clone());
        let validating = validating.get_opt(NAME).await.unwrap().and_then(|live| live.webhooks).unwrap_or_default();
        let mutating = mutating.get_opt(NAME).await.unwrap().and_then(|live| live.webhooks).unwrap_or_default();
        let conditions = validating.into_iter().map(|webhook| webhook.match_conditions);
        let conditions = conditions.chain(mutating.into_iter().map(|webhook| webhook.match_conditions));
        let names = conditions.map(|conditions| conditions.into_iter().flatten().map(|condition| condition.name));
        names.map(Iterator::collect).collect()
    }

    /// What is live is what the archive holds, but for these paths, and for what a restore changes on purpose.
    pub(super) async fn is_equal(&self, archive: &BTreeMap<String, Value>, but_for: &BTreeSet<String>) {
        // That of an earlier look, which a snapshot would not write over.
        std::fs::remove_file(self.site.folder().join(LIVE)).ok();
        let live = objects(&self.back_up(&world::resource_set(), LIVE).await);
        let mut wanted = archive.clone();
        wanted.retain(|path, _| !but_for.contains(path));
        let missing: Vec<_> = wanted.keys().filter(|path| !live.contains_key(*path)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let differing = differing_members(&wanted, &live);
        assert!(differing.is_subset(&changed()), "{differing:?}");
    }

    /// The holder of the Lease is dead: what waiting for that costs is tested elsewhere.
    pub(super) async fn bury(&self) {
        let leases: Api<Lease> = Api::namespaced(self.site.client.clone(), DEFAULT_NAMESPACE);
        drop(leases.delete(RESTORES, &DeleteParams::default()).await);
    }

    pub(super) async fn delete_restore(&self, name: &str) {
        self.site.restores().delete(name, &DeleteParams::default()).await.unwrap();
    }
}

/// The job's ServiceAccount, which may do everything: rights are tested elsewhere.
async fn account(site: &Site) -> Kubeconfig {
    let group = "rbac.authorization.k8s.io";
    let subject = json!({"kind": "ServiceAccount", "name": ACCOUNT, "namespace": DEFAULT_NAMESPACE});
    let role = json!({"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"});
    let binding = json!({"roleRef": role, "subjects": [subject]});
    for object in [
        object("v1", "ServiceAccount", &format!("{DEFAULT_NAMESPACE}/{ACCOUNT}"), json!({})),
        object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", ACCOUNT, binding),
    ] {
        rancher::make(&site.client, &object).await.unwrap();
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE);
    let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
    let request = accounts.create_token_request(ACCOUNT, &PostParams::default(), &request).await.unwrap();
    let mut kubeconfig = Kubeconfig::read_from(site.testbed.kubeconfig().unwrap()).unwrap();
    let token = request.status.unwrap().token;
    kubeconfig.auth_infos[0].auth_info = Some(serde_json::from_value(json!({"token": token})).unwrap());
    kubeconfig
}

async fn impersonated(site: &Site, user: &str) -> Client {
    let mut kubeconfig = Kubeconfig::read_from(site.testbed.kubeconfig().unwrap()).unwrap();
    let own = kubeconfig.auth_infos[0].auth_info.as_mut().unwrap();
    own.impersonate = Some(user.to_owned());
    own.impersonate_groups = Some(vec!["system:masters".to_owned()]);
    client(kubeconfig).await
}

async fn client(kubeconfig: Kubeconfig) -> Client {
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.unwrap();
    // No proxy leads to an address of this machine alone.
    config.proxy_url = None;
    Client::try_from(config).unwrap()
}

/// A Namespace that rancher-webhook lets nobody make: its project has no cluster.
async fn is_refused(client: &Client) -> bool {
    let annotations = json!({"metadata": {"annotations": {"field.cattle.io/projectId": "of-no-cluster"}}});
    let refused = on_trial(client, &object("v1", "Namespace", "asked", annotations)).await;
    refused.is_err_and(|words| words.contains("failed calling webhook"))
}

/// A RoleTemplate that rancher-webhook lets nobody make.
pub(super) fn builtin_role() -> Value {
    object("management.cattle.io/v3", "RoleTemplate", "made-by-hand", json!({"builtin": true, "context": "project"}))
}

/// What the API server says to that.
pub(super) const BUILTIN_ROLE_REFUSED: &str = "admission webhook \"rancher.cattle.io.roletemplates.management.cattle.io\" denied the request: roletemplate: \
     Forbidden: creating new builtIn RoleTemplates is forbidden";

/// Creates an object without writing it; gives the words of a refusal.
pub(super) async fn on_trial(client: &Client, object: &Value) -> Result<(), String> {
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    let wanted = serde_json::from_value(object.clone()).unwrap();
    api_of(client, object).create(&parameters, &wanted).await.map(drop).map_err(|error| error.to_string())
}

/// What `restorer` asked the webhook that was to be written.
pub(super) fn asked(webhook: &RancherWebhook, restorer: &str) -> Vec<String> {
    let seen = webhook.seen().into_iter();
    let written = seen.filter(|seen| seen.user == restorer && !seen.is_trial);
    written.map(|seen| format!("{} {}: {:?}", seen.path, seen.name, seen.answer)).collect()
}
