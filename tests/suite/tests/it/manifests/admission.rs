//! What dispatch may start: nothing but the jobs of drover, as kustomize wrote them.

use drover::resources::DEFAULT_NAMESPACE;
use drover_testbed::{Options, Service, Testbed};
use drover_tests::Site;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use super::built::{COMPONENTS, build, overlay, own_overlay, text};
use super::rights;
use crate::kubectl;
use crate::nats::until;

/// The image that the base has.
const DROVER: &str = concat!("\"drover:", env!("CARGO_PKG_VERSION"), "\"");

pub(super) const STAGES: [&str; 6] = ["snapshot", "upload", "retention-prune", "restore", "setup", "heartbeat"];

/// Changes to a pod's spec that dispatch may make, of the stage that is named.
const ALLOWED: [(&str, &str, &str); 20] = [
    ("snapshot", "/restartPolicy", r#""Never""#),
    ("upload", "/restartPolicy", r#""Never""#),
    ("restore", "/restartPolicy", r#""Never""#),
    ("setup", "/restartPolicy", r#""Never""#),
    ("snapshot", "/containers/0/args", r#"["--backup=rancher-daily-backup"]"#),
    // As the manifests of an earlier version have it.
    ("snapshot", "/containers/0/args", "[]"),
    ("restore", "/containers/0/args", "[]"),
    ("upload", "/containers/0/args", r#"["--drain-only"]"#),
    ("retention-prune", "/containers/0/args", r#"["--drain-only"]"#),
    ("upload", "/terminationGracePeriodSeconds", "5"),
    ("heartbeat", "/containers/0/args", r#"["--drain-only"]"#),
    ("upload", "/containers/0/resources", r#"{"limits": {"memory": "1Gi"}}"#),
    ("upload", "/containers/0/imagePullPolicy", r#""Always""#),
    ("upload", "/affinity", r#"{"nodeAffinity": {}}"#),
    ("upload", "/tolerations", r#"[{"operator": "Exists"}]"#),
    ("upload", "/nodeSelector", r#"{"disk": "fast"}"#),
    ("upload", "/priorityClassName", r#""system-cluster-critical""#),
    ("upload", "/imagePullSecrets", r#"[{"name": "registry"}]"#),
    ("upload", "/securityContext/runAsUser", "1000"),
    ("upload", "/volumes/1/emptyDir", r#"{"sizeLimit": "20Gi"}"#),
];

/// Changes that would let it do more than start the job, and what each is refused with.
const REFUSED: [(&str, &str, &str, &str); 49] = [
    ("restore", "/containers/0/args", r#"["--drain-only"]"#, "arguments --drain-only"),
    ("restore", "/containers/0/args", r#"["apply", "/spool/a"]"#, "arguments apply /spool/a"),
    ("upload", "/containers/0/args", r#"["--backup=a"]"#, "arguments --backup=a"),
    ("retention-prune", "/containers/0/args", r#"["--backup=a"]"#, "arguments --backup=a"),
    ("snapshot", "/containers/0/args", r#"["--output=/spool/a"]"#, "arguments --output=/spool/a"),
    ("setup", "/containers/0/args", r#"["--replicas=3"]"#, "arguments --replicas=3"),
    ("heartbeat", "/containers/0/args", r#"["--monitors=/a"]"#, "arguments --monitors=/a"),
    ("heartbeat", "/containers/0/image", r#""evil""#, "the image evil"),
    ("restore", "/containers/0/image", r#""evil""#, "the image evil"),
    (
        "restore",
        "/containers/0/image",
        concat!("\"drover:", env!("CARGO_PKG_VERSION"), "@sha256:0\""),
        concat!("the image drover:", env!("CARGO_PKG_VERSION"), "@sha256:0"),
    ),
    ("restore", "/containers/0/command", r#"["/bin/sh"]"#, "in command"),
    ("restore", "/containers/0/command", r#"["/dispatch"]"#, "in command"),
    ("restore", "/containers/0/command", "[]", "in command"),
    ("restore", "/containers/0/env", r#"[{"name": "KUBERNETES_SERVICE_HOST", "value": "192.0.2.1"}]"#, "in env"),
    ("restore", "/containers/0/env/0", r#"{"name": "DROVER_NAMESPACE", "value": "b"}"#, "in env (DROVER_NAMESPACE)"),
    ("restore", "/containers/0/env/5/value", r#""/var/lib/backups""#, "in env (DROVER_SPOOL)"),
    ("restore", "/containers/0/envFrom", r#"[{"configMapRef": {"name": "other"}}]"#, "in envFrom"),
    ("restore", "/containers/0/lifecycle", r#"{"preStop": {"exec": {"command": ["/evil"]}}}"#, "in lifecycle"),
    ("restore", "/containers/0/livenessProbe", r#"{"exec": {"command": ["/evil"]}}"#, "in livenessProbe"),
    ("restore", "/containers/0/ports", r#"[{"containerPort": 80, "hostPort": 80}]"#, "in ports"),
    ("restore", "/containers/0/securityContext", r#"{"privileged": true}"#, "in securityContext"),
    ("restore", "/containers/0/securityContext", "{}", "in securityContext"),
    ("restore", "/containers/0/securityContext/capabilities/add", r#"["NET_RAW"]"#, "in securityContext"),
    ("restore", "/containers/0/terminationMessagePath", r#""/spool/a""#, "in terminationMessagePath"),
    ("restore", "/containers/0/volumeMounts", r#"[{"name": "spool", "mountPath": "/"}]"#, "in volumeMounts"),
    ("restore", "/containers/0/volumeMounts/0/mountPath", r#""/spool/a""#, "in volumeMounts (/spool/a)"),
    ("restore", "/containers/0/workingDir", r#""/spool""#, "in workingDir"),
    ("restore", "/containers/1", r#"{"name": "evil", "image": "evil"}"#, "one container"),
    ("restore", "/initContainers", r#"[{"name": "evil", "image": "evil"}]"#, "in initContainers"),
    ("restore", "/volumes/0", r#"{"name": "nats", "secret": {"secretName": "nats-server"}}"#, "in volumes (nats)"),
    ("restore", "/volumes/0", r#"{"name": "nats", "secret": {"secretName": "nats-setup"}}"#, "in volumes (nats)"),
    ("restore", "/volumes/1", r#"{"name": "spool", "hostPath": {"path": "/"}}"#, "in volumes (spool)"),
    ("restore", "/volumes/2", r#"{"name": "a", "persistentVolumeClaim": {"claimName": "data-nats-0"}}"#, "volumes (a)"),
    ("upload", "/volumes/2", r#"{"name": "a", "persistentVolumeClaim": {"claimName": "data-minio-0"}}"#, "volumes (a)"),
    (
        "upload",
        "/volumes/2",
        r#"{"name": "a", "persistentVolumeClaim": {"claimName": "data-versitygw-0"}}"#,
        "volumes (a)",
    ),
    ("snapshot", "/volumes/1", r#"{"name": "a", "persistentVolumeClaim": {"claimName": "b"}}"#, "in volumes (a)"),
    ("upload", "/volumes/2", r#"{"name": "a", "secret": {"secretName": "b"}}"#, "in volumes (a)"),
    ("upload", "/volumes/2", r#"{"name": "ca-bundle", "configMap": {"name": "b"}}"#, "in volumes (ca-bundle)"),
    ("restore", "/hostNetwork", "true", "in hostNetwork"),
    ("restore", "/hostPID", "true", "in hostPID"),
    ("restore", "/hostAliases", r#"[{"ip": "192.0.2.1", "hostnames": ["s3.amazonaws.com"]}]"#, "in hostAliases"),
    ("restore", "/dnsConfig", r#"{"nameservers": ["192.0.2.1"]}"#, "in dnsConfig"),
    ("restore", "/nodeName", r#""evil""#, "in nodeName"),
    ("restore", "/securityContext", "{}", "in securityContext"),
    ("restore", "/securityContext/runAsUser", "0", "in securityContext"),
    ("restore", "/securityContext/seccompProfile", r#"{"type": "Unconfined"}"#, "in securityContext"),
    ("upload", "/serviceAccountName", r#""drover-restore""#, "what drover's manifests make of restore"),
    ("restore", "/serviceAccountName", r#""default""#, "nothing but drover's own jobs"),
    ("restore", "/serviceAccountName", r#""drover-nats""#, "nothing but drover's own jobs"),
];

/// What an overlay of a site's own may set besides, and its words for the policy.
const OF_THE_SITE: &str = r#"
images:
- {name: drover, newName: registry.example.com:5000/backup/drover, newTag: "1"}
patches:
- target: {kind: CronJob}
  patch: |-
    - {op: add, path: /spec/jobTemplate/spec/template/spec/hostAliases, value: [{ip: 192.0.2.1, hostnames: [s3.example.com]}]}
    - {op: add, path: /spec/jobTemplate/spec/template/spec/containers/0/env/-, value: {name: TZ, value: Europe/Berlin}}
- target: {kind: ValidatingAdmissionPolicy, name: drover-dispatch-templates}
  patch: |-
    - op: replace
      path: /spec/variables/0/expression
      value: >-
        dyn({"hostAliases": [{"ip": dyn("192.0.2.1"), "hostnames": dyn(["s3.example.com"])}],
        "env": [{"name": dyn("TZ"), "value": dyn("Europe/Berlin")}]})
"#;

/// The components that need definitions of others, open another namespace, or take away a part.
const LEFT_OUT: [&str; 3] = ["monitoring", "secret-namespace", "external-nats"];

#[tokio::test(flavor = "multi_thread")]
async fn dispatch_starts_the_jobs_of_drover_and_nothing_else() {
    let site = Site::start_with(Options::only([Service::Controllers])).await;
    let with_monitors = own_overlay(&["heartbeat", "network-policies"], "");
    let folder = with_monitors.path().display().to_string();
    for folder in [&overlay("production/foundation"), &folder] {
        kubectl::on(&site, &["apply", "-k", folder]).await;
    }
    let dispatch = client_of(&site.testbed, "drover-dispatch").await;
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
    every_component_and_an_overlays_own_image_are_allowed(&site, &dispatch, &templates).await;
    jobs_at_work_are_not_deleted(&site, &dispatch, &templates[1].1).await;
    rights::are_as_few_as_work(&site).await;
    snapshot_opens_no_connection(&site).await;
    site.testbed.shutdown().await;
}

async fn every_component_and_an_overlays_own_image_are_allowed(
    site: &Site,
    dispatch: &Client,
    before: &[(&'static str, Value)],
) {
    let components: Vec<_> = COMPONENTS.into_iter().filter(|name| !LEFT_OUT.contains(name)).collect();
    assert_eq!(components.len(), 14);
    let folder = own_overlay(&components, OF_THE_SITE);
    let folder = folder.path().display().to_string();
    let templates = templates(&folder).await;
    let refused = try_to_start(dispatch, "Job", &changed(&templates, "upload", "/containers/0/image", DROVER)).await;
    let said = refused.unwrap_err();
    assert!(said.contains("in hostAliases") && said.contains("ofTheSite"), "{said}");
    let refused = changed(before, "upload", "/containers/0/env/-", r#"{"name": "TZ", "value": "UTC"}"#);
    let said = try_to_start(dispatch, "Job", &refused).await.unwrap_err();
    assert!(said.contains("in env (TZ)") && said.contains("ConfigMap drover"), "{said}");
    kubectl::on(site, &["apply", "-k", &folder]).await;
    policies_are_at_work(dispatch, &templates).await;
    for (stage, template) in &templates {
        for kind in ["Job", "CronJob"] {
            let tried = try_to_start(dispatch, kind, template).await;
            tried.unwrap_or_else(|said| panic!("{kind} {stage}: {said}"));
        }
    }
    let former = changed(&templates, "upload", "/containers/0/image", DROVER);
    let said = try_to_start(dispatch, "Job", &former).await.unwrap_err();
    let image = concat!("the image drover:", env!("CARGO_PKG_VERSION"));
    assert!(said.contains(image) && said.contains("`images:`"), "{said}");
}

/// dispatch deletes what cannot start, and nothing that works, has ended, or was made by a person.
async fn jobs_at_work_are_not_deleted(site: &Site, dispatch: &Client, template: &Value) {
    let all: Api<Job> = Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE);
    let cron_jobs: Api<CronJob> = Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE);
    let uid = cron_jobs.get("upload").await.unwrap().metadata.uid;
    let owner =
        json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": "upload", "uid": uid, "controller": true}]);
    let by_hand = json!({"cronjob.kubernetes.io/instantiate": "manual"});
    for (name, owners, annotations, ready, reason) in [
        ("not-of-a-cron-job", json!([]), json!({}), 0, Some("only Jobs of drover's CronJobs")),
        ("by-hand", owner.clone(), by_hand, 0, Some("made by hand")),
        ("at-work", owner.clone(), json!({}), 1, Some("at work or has ended")),
        ("waits", owner, json!({}), 0, None),
    ] {
        let metadata = json!({"name": name, "ownerReferences": owners, "annotations": annotations});
        let mut job = json!({"metadata": metadata, "spec": template["spec"]});
        // No controller looks after it, so the status stays as it is written.
        job["spec"]["managedBy"] = json!("example.com/nobody");
        all.create(&PostParams::default(), &serde_json::from_value(job).unwrap()).await.unwrap();
        let status =
            Patch::Merge(json!({"status": {"active": 1, "ready": ready, "startTime": "2026-01-01T00:00:00Z"}}));
        all.patch_status(name, &PatchParams::default(), &status).await.unwrap();
        let jobs: Api<Job> = Api::namespaced(dispatch.clone(), DEFAULT_NAMESPACE);
        let deleted = jobs.delete(name, &DeleteParams::background()).await.map(drop).map_err(|error| error.to_string());
        match reason {
            Some(reason) => assert!(deleted.unwrap_err().contains(reason), "{name}"),
            None => deleted.unwrap(),
        }
    }
}

/// A client that is one of drover's ServiceAccounts.
pub(super) async fn client_of(testbed: &Testbed, account: &str) -> Client {
    let mut kubeconfig = Kubeconfig::read_from(testbed.kubeconfig().unwrap()).unwrap();
    let user = kubeconfig.auth_infos[0].auth_info.as_mut().unwrap();
    user.impersonate = Some(format!("system:serviceaccount:{DEFAULT_NAMESPACE}:{account}"));
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// The stages' Job templates, as kustomize wrote them.
pub(super) async fn templates(folder: &str) -> Vec<(&'static str, Value)> {
    let objects = build(folder).await;
    let of = |stage| {
        let is_stage = |object: &&Value| object["kind"] == "CronJob" && text(object, "/metadata/name") == stage;
        (stage, objects.iter().find(is_stage).unwrap()["spec"]["jobTemplate"].clone())
    };
    STAGES.map(of).into()
}

/// A stage's Job template with another value at a path of its pod's spec.
pub(super) fn changed(templates: &[(&str, Value)], stage: &str, path: &str, value: &str) -> Value {
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
pub(super) async fn try_to_start(dispatch: &Client, kind: &str, template: &Value) -> Result<(), String> {
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

/// Its rights lead nowhere, and where a site lets it get everything, the policy stands before a web socket to a shell.
async fn snapshot_opens_no_connection(site: &Site) {
    let snapshot = client_of(&site.testbed, "drover-snapshot").await;
    let here = |path: &str| format!("/api/v1/namespaces/{DEFAULT_NAMESPACE}/{path}");
    let ways = ["pods/any/exec?command=sh", "pods/any/attach", "pods/any/proxy/", "services/nats/proxy/"];
    let ways: Vec<_> = ways.into_iter().map(here).chain(["/api/v1/nodes/any/proxy/pods".to_owned()]).collect();
    for path in &ways {
        let status = refused(&snapshot, path).await;
        assert!(status.code == 403 && status.message.contains("cannot get resource"), "{path}: {status:?}");
    }
    // Without a name it is a `list`, which is allowed, and leads nowhere.
    for path in [here("pods//exec?command=sh"), here("services//proxy/"), "/api/v1/nodes//proxy/pods".to_owned()] {
        let status = refused(&snapshot, &path).await;
        assert!(matches!(status.code, 400 | 404 | 405), "{path}: {status:?}");
    }
    for object in everything_to_get() {
        drover_testbed::rancher::make(&site.client, &object).await.unwrap();
    }
    for path in &ways {
        until("the policy refuses", async || {
            refused(&snapshot, path).await.message.contains("connects to no pod, service or node")
        })
        .await;
    }
}

/// What the API server says of a GET that it refuses.
async fn refused(client: &Client, path: &str) -> Box<kube::core::Status> {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    match client.request_text(request).await {
        Err(kube::Error::Api(status)) => status,
        other => panic!("{path}: {other:?}"),
    }
}

/// A role of a site's own, which lets snapshot get everything.
fn everything_to_get() -> [Value; 2] {
    let (rbac, name) = ("rbac.authorization.k8s.io", "everything-to-get");
    let version = format!("{rbac}/v1");
    let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get"]}]);
    let subject = json!({"kind": "ServiceAccount", "name": "drover-snapshot", "namespace": DEFAULT_NAMESPACE});
    [
        json!({"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}),
        json!({"apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name}, "subjects": [subject]}),
    ]
}
