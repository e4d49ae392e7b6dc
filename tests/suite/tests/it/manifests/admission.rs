//! What dispatch may start: nothing but the jobs of drover, as kustomize wrote them.

use drover::resources::DEFAULT_NAMESPACE;
use drover_testbed::{Options, Service};
use drover_tests::Site;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use super::built::{build, overlay, own_overlay, text};
use super::rights;
use crate::kubectl;
use crate::nats::until;

const STAGES: [&str; 6] = ["snapshot", "upload", "retention-prune", "restore", "setup", "heartbeat"];

/// Changes to a pod's spec that dispatch may make, of the stage that is named.
const ALLOWED: [(&str, &str, &str); 10] = [
    ("snapshot", "/restartPolicy", r#""Never""#),
    ("upload", "/restartPolicy", r#""Never""#),
    ("restore", "/restartPolicy", r#""Never""#),
    ("setup", "/restartPolicy", r#""Never""#),
    ("snapshot", "/containers/0/args", r#"["--backup=rancher-daily-backup"]"#),
    ("snapshot", "/containers/0/args", "[]"),
    ("upload", "/containers/0/args", r#"["--drain-only"]"#),
    ("retention-prune", "/containers/0/args", r#"["--drain-only"]"#),
    ("upload", "/terminationGracePeriodSeconds", "5"),
    ("heartbeat", "/containers/0/args", r#"["--drain-only"]"#),
];

/// Changes that would let it do more than start the job, and what each is refused with.
const REFUSED: [(&str, &str, &str, &str); 30] = [
    ("restore", "/containers/0/args", r#"["--drain-only"]"#, "arguments --drain-only"),
    ("upload", "/containers/0/args", r#"["--backup=a"]"#, "arguments --backup=a"),
    ("retention-prune", "/containers/0/args", r#"["--backup=a"]"#, "arguments --backup=a"),
    ("snapshot", "/containers/0/args", r#"["--output=/spool/a"]"#, "arguments --output=/spool/a"),
    ("setup", "/containers/0/args", r#"["--replicas=3"]"#, "arguments --replicas=3"),
    ("heartbeat", "/containers/0/args", r#"["--monitors=/a"]"#, "arguments --monitors=/a"),
    ("heartbeat", "/containers/0/image", r#""evil""#, "in image"),
    ("restore", "/containers/0/image", r#""evil""#, "in image"),
    ("restore", "/containers/0/command", r#"["/bin/sh"]"#, "in command"),
    ("restore", "/containers/0/command", r#"["/dispatch"]"#, "in command"),
    ("restore", "/containers/0/env", r#"[{"name": "KUBERNETES_SERVICE_HOST", "value": "192.0.2.1"}]"#, "in env"),
    ("restore", "/containers/0/envFrom", r#"[{"configMapRef": {"name": "other"}}]"#, "in envFrom"),
    ("restore", "/containers/0/lifecycle", r#"{"preStop": {"exec": {"command": ["/evil"]}}}"#, "in lifecycle"),
    ("restore", "/containers/0/livenessProbe", r#"{"exec": {"command": ["/evil"]}}"#, "in livenessProbe"),
    ("restore", "/containers/0/securityContext", r#"{"privileged": true}"#, "in securityContext"),
    ("restore", "/containers/0/volumeMounts", r#"[{"name": "spool", "mountPath": "/"}]"#, "in volumeMounts"),
    ("restore", "/containers/0/workingDir", r#""/spool""#, "in workingDir"),
    ("restore", "/containers/1", r#"{"name": "evil", "image": "evil"}"#, "one container"),
    ("restore", "/initContainers", r#"[{"name": "evil", "image": "evil"}]"#, "in initContainers"),
    ("restore", "/volumes/0", r#"{"name": "nats", "secret": {"secretName": "nats-server"}}"#, "in volumes"),
    ("restore", "/volumes/1", r#"{"name": "spool", "hostPath": {"path": "/"}}"#, "in volumes"),
    ("restore", "/hostNetwork", "true", "in hostNetwork"),
    ("restore", "/hostPID", "true", "in hostPID"),
    ("restore", "/hostAliases", r#"[{"ip": "192.0.2.1", "hostnames": ["s3.amazonaws.com"]}]"#, "in hostAliases"),
    ("restore", "/dnsConfig", r#"{"nameservers": ["192.0.2.1"]}"#, "in dnsConfig"),
    ("restore", "/nodeName", r#""evil""#, "in nodeName"),
    ("restore", "/securityContext", "{}", "in securityContext"),
    ("upload", "/serviceAccountName", r#""drover-restore""#, "differs from that of the CronJob restore"),
    ("restore", "/serviceAccountName", r#""default""#, "nothing but drover's own jobs"),
    ("restore", "/serviceAccountName", r#""drover-nats""#, "nothing but drover's own jobs"),
];

#[tokio::test(flavor = "multi_thread")]
async fn dispatch_starts_the_jobs_of_drover_and_nothing_else() {
    let site = Site::start_with(Options::only([Service::Controllers])).await;
    let with_monitors = own_overlay(&["heartbeat", "network-policies"], "");
    let folder = with_monitors.path().display().to_string();
    for folder in [&overlay("production/foundation"), &folder] {
        kubectl::on(&site, &["apply", "-k", folder]).await;
    }
    let dispatch = client_of(&site, "drover-dispatch").await;
    let templates = templates(&folder).await;
    policies_are_at_work(&dispatch, &templates).await;
    for (stage, path, value) in ALLOWED {
        for kind in ["Job", "CronJob"] {
            let tried = try_to_start(&dispatch, kind, &changed(&templates, stage, path, value)).await;
            tried.unwrap_or_else(|said| panic!("{kind} {stage} {path} {value}: {said}"));
        }
    }
    for (stage, path, value, reason) in REFUSED {
        for kind in ["Job", "CronJob"] {
            let tried = try_to_start(&dispatch, kind, &changed(&templates, stage, path, value)).await;
            let said = tried.expect_err(&format!("{kind} {stage} {path} {value}"));
            assert!(said.contains(reason), "{kind} {stage} {path} {value}: {said}");
        }
    }
    stages_are_not_changed(&dispatch, &templates[3].1).await;
    cron_jobs_of_others_are_not_touched(&site, &dispatch, &templates[0].1).await;
    snapshot_opens_no_shell(&site).await;
    rights::are_as_few_as_work(&site).await;
    site.testbed.shutdown().await;
}

/// A client that is one of drover's ServiceAccounts.
async fn client_of(site: &Site, account: &str) -> Client {
    let mut kubeconfig = Kubeconfig::read_from(site.testbed.kubeconfig().unwrap()).unwrap();
    let user = kubeconfig.auth_infos[0].auth_info.as_mut().unwrap();
    user.impersonate = Some(format!("system:serviceaccount:{DEFAULT_NAMESPACE}:{account}"));
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// The stages' Job templates, as kustomize wrote them.
async fn templates(folder: &str) -> Vec<(&'static str, Value)> {
    let objects = build(folder).await;
    let of = |stage| {
        let is_stage = |object: &&Value| object["kind"] == "CronJob" && text(object, "/metadata/name") == stage;
        (stage, objects.iter().find(is_stage).unwrap()["spec"]["jobTemplate"].clone())
    };
    STAGES.map(of).into()
}

/// A stage's Job template with another value at a path of its pod's spec.
fn changed(templates: &[(&str, Value)], stage: &str, path: &str, value: &str) -> Value {
    let mut template = templates.iter().find(|(name, _)| *name == stage).unwrap().1.clone();
    let (parent, member) = path.rsplit_once('/').unwrap();
    let parent = template.pointer_mut(&format!("/spec/template/spec{parent}")).unwrap();
    let value: Value = serde_json::from_str(value).unwrap();
    match (parent, member.parse::<usize>()) {
        (Value::Array(items), Ok(index)) if index < items.len() => items[index] = value,
        (Value::Array(items), _) => items.push(value),
        (parent, _) => parent[member] = value,
    }
    template
}

/// Asks for a Job or CronJob of a template, without making it. What it is refused with is text.
async fn try_to_start(dispatch: &Client, kind: &str, template: &Value) -> Result<(), String> {
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    let metadata = json!({"name": "tried"});
    let tried = if kind == "Job" {
        let job = json!({"metadata": metadata, "spec": template["spec"]});
        let jobs: Api<Job> = Api::namespaced(dispatch.clone(), DEFAULT_NAMESPACE);
        jobs.create(&parameters, &serde_json::from_value(job).unwrap()).await.map(drop)
    } else {
        let cron_job = json!({"metadata": metadata, "spec": {"schedule": "@daily", "jobTemplate": template}});
        let cron_jobs: Api<CronJob> = Api::namespaced(dispatch.clone(), DEFAULT_NAMESPACE);
        cron_jobs.create(&parameters, &serde_json::from_value(cron_job).unwrap()).await.map(drop)
    };
    tried.map_err(|error| error.to_string())
}

/// The API server takes a new policy up a moment after it was made.
async fn policies_are_at_work(dispatch: &Client, templates: &[(&str, Value)]) {
    for stage in STAGES {
        let refused = changed(templates, stage, "/containers/0/image", r#""evil""#);
        until("the policies", async || try_to_start(dispatch, "Job", &refused).await.is_err()).await;
        let allowed = changed(templates, stage, "/restartPolicy", r#""Never""#);
        until("their parameters", async || try_to_start(dispatch, "Job", &allowed).await.is_ok()).await;
    }
}

/// dispatch notes on a stage's CronJob when it tries again; what the stage is, it cannot change.
async fn stages_are_not_changed(dispatch: &Client, template: &Value) {
    let cron_jobs: Api<CronJob> = Api::namespaced(dispatch.clone(), DEFAULT_NAMESPACE);
    let patch =
        async |patch: Value| cron_jobs.patch("upload", &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop);
    patch(json!({"metadata": {"annotations": {"drover.dev/attempts": "3"}}})).await.unwrap();
    for spec in
        [json!({"schedule": "@daily"}), json!({"suspend": true}), json!({"jobTemplate": {"spec": {"backoffLimit": 9}}})]
    {
        let refused = patch(json!({"spec": spec})).await.unwrap_err().to_string();
        assert!(refused.contains("change nothing else of it"), "{refused}");
    }
    let another = json!({"metadata": {"name": "setup"}, "spec": {"schedule": "@daily", "jobTemplate": template}});
    let made = cron_jobs.create(&PostParams::default(), &serde_json::from_value(another).unwrap()).await;
    let refused = made.unwrap_err().to_string();
    assert!(refused.contains("change nothing else of it"), "{refused}");
}

async fn cron_jobs_of_others_are_not_touched(site: &Site, dispatch: &Client, template: &Value) {
    for (name, labels) in [("of-a-user", json!({})), ("of-a-backup", json!({"drover.dev/backup-uid": "1"}))] {
        let cron_job = json!({"metadata": {"name": name, "labels": labels},
            "spec": {"schedule": "@daily", "jobTemplate": template}});
        let all: Api<CronJob> = Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE);
        all.create(&PostParams::default(), &serde_json::from_value(cron_job).unwrap()).await.unwrap();
    }
    let refused = suspend(dispatch, "of-a-user").await.unwrap_err().to_string();
    assert!(refused.contains("only the CronJobs of Backups"), "{refused}");
    suspend(dispatch, "of-a-backup").await.unwrap();
}

async fn suspend(client: &Client, name: &str) -> Result<(), kube::Error> {
    let cron_jobs: Api<CronJob> = Api::namespaced(client.clone(), DEFAULT_NAMESPACE);
    let patch = Patch::Merge(json!({"spec": {"suspend": true}}));
    cron_jobs.patch(name, &PatchParams::default(), &patch).await.map(drop)
}

/// Who may get everything could, without more, open a web socket to a shell.
async fn snapshot_opens_no_shell(site: &Site) {
    let snapshot = client_of(site, "drover-snapshot").await;
    for path in ["pods/any/exec?command=sh", "pods/any/attach", "pods/any/proxy/", "services/nats/proxy/"] {
        let path = format!("/api/v1/namespaces/{DEFAULT_NAMESPACE}/{path}");
        let request = http::Request::get(&path).body(Vec::new()).unwrap();
        let refused = snapshot.request_text(request).await.unwrap_err().to_string();
        assert!(refused.contains("connects to no pod, service or node"), "{path}: {refused}");
    }
}
