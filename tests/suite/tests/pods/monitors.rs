//! Heartbeat monitors: told of a success when the archive is there, and of every kind of failure, also where nothing of
//! drover runs any more.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use drover::annotations::HEARTBEAT_ANNOTATION;
use drover::resources::{Backup, BackupSpec};
use drover_tests::monitor_server::{Behaviour, CHECK, Server, TOKEN};
use kube::ResourceExt;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::guide;
use crate::place::{IN_THE_END, Place, SERVER, bucket, of_populated};

/// The Secret with the keys of the archives.
const KEYS: &str = "watched-keys";

/// The Backups and Restores that are watched.
const WATCHED: [&str; 5] = ["watched", "watched-too", "watched-away", "watched-memory", "watched-clock"];

/// A server that stands for healthchecks.io, and is told of what is watched.
struct Monitor {
    server: Server,
}

pub(crate) async fn are_told(place: &Place) {
    let server = Server::start_at((Ipv4Addr::UNSPECIFIED, 0).into(), Behaviour::Documented).await;
    let monitor = Monitor { server };
    monitor.is_installed(place).await;
    keys(place, b'a').await;
    // First, and nothing else meanwhile: what its Jobs hand to an upload is stored before the storage goes away, for it would be
    // tried then in place of what is looked at.
    let large = begin_without_memory(place).await;
    monitor.of_a_lack_of_memory(place).await;
    place.kubectl(&["delete", "-f", &large]).await;
    monitor.of_a_success(place).await;
    monitor.of_a_restore(place).await;
    monitor.of_a_storage_that_is_away(place).await;
    a_secret_that_is_missing_is_said(place).await;
    monitor.of_the_documents_backup(place).await;
    monitor.of_a_dead_chain_and_a_lost_key(place).await;
    no_secret_is_readable(place).await;
}

/// Nothing that people and programs of the cluster read tells a URL: logs, Events, statuses, and what is remembered.
async fn no_secret_is_readable(place: &Place) {
    let logs = ["logs", "--selector=app.kubernetes.io/part-of=drover", "--all-containers", "--tail=-1"];
    let told = ["get", "configmap", "heartbeat-told", "--output=yaml"];
    let of_drover = "backups.resources.cattle.io,restores.resources.cattle.io,backupruns";
    let all = [
        place.kubectl_here(&[&logs[..], &["--max-log-requests=999", "--ignore-errors"]].concat()).await,
        place.kubectl_here(&told).await,
        place.kubectl(&["get", "events", "--all-namespaces", "--output=yaml"]).await,
        place.kubectl(&["get", of_drover, "--output=yaml"]).await,
    ];
    for (text, expected) in all.iter().zip(["told: ", "backup.", "HeartbeatMisconfigured", "Fresh"]) {
        assert!(text.contains(expected), "nothing is looked through that says {expected:?}");
        assert!(!text.contains(CHECK) && !text.contains(TOKEN), "{text}");
    }
}

/// Makes the Secret of keys, with a key of this letter.
async fn keys(place: &Place, letter: u8) {
    use base64::Engine;
    let key = base64::engine::general_purpose::STANDARD.encode([letter; 32]);
    let configuration = format!(
        "apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [configmaps, secrets]
  providers:
  - aescbc: {{keys: [{{name: k, secret: {key}}}]}}
"
    );
    let file = place.write("encryption-provider-config.yaml", &configuration);
    let secret =
        ["create", "secret", "generic", KEYS, &format!("--from-file={file}"), "--dry-run=client", "-o", "yaml"];
    let manifest = place.kubectl_here(&secret).await;
    place.kubectl_here(&["apply", "-f", &place.write("keys.yaml", &manifest)]).await;
}

/// Applies a Backup whose Jobs have too little memory, until the overlay is applied again, and try once: Kubernetes pauses longer
/// from try to try. The Job of drover's own CronJob does not come meanwhile. Gives the file of what it backs up.
async fn begin_without_memory(place: &Place) -> String {
    let memory = r#"[{"op": "replace", "path": "/spec/schedule", "value": "0 0 1 1 *"},
        {"op": "replace", "path": "/spec/jobTemplate/spec/backoffLimit", "value": 0},
        {"op": "replace", "path": "/spec/jobTemplate/spec/template/spec/containers/0/resources",
        "value": {"limits": {"memory": "16Mi"}}}]"#;
    place.kubectl_here(&["patch", "cronjob", "snapshot", "--type=json", "--patch", memory]).await;
    let large = place.write("large.json", &large_objects().to_string());
    place.kubectl(&["create", "-f", &large]).await;
    let spec = BackupSpec {
        resource_set_name: "large".to_owned(),
        storage_location: Some(bucket("large")),
        ..BackupSpec::default()
    };
    place.backups().create(&PostParams::default(), &Backup::new("watched-memory", spec)).await.unwrap();
    large
}

/// Gives its Jobs their memory.
async fn give_memory(place: &Place) {
    place.apply(&place.overlay(&IN_THE_END)).await;
    let limit = "jsonpath={.spec.jobTemplate.spec.template.spec.containers[0].resources.limits.memory}";
    place
        .until("its CronJob has its memory again", async || {
            place.kubectl_here(&["get", "cronjob", "watched-memory", "--output", limit]).await != "16Mi"
        })
        .await;
}

/// Objects of 24 MiB, and a ResourceSet of them: their first page takes more memory than the pod is to have.
fn large_objects() -> Value {
    let text = "x".repeat(800 << 10);
    let maps = (0..30).map(|number| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("large-{number}"),
            "namespace": "default"}, "data": {"text": text}})
    });
    let set = json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "large"},
        "resourceSelectors": [{"apiVersion": "v1", "kindsRegexp": "^configmaps$", "resourceNameRegexp": "^large-"}]});
    json!({"apiVersion": "v1", "kind": "List", "items": maps.chain([set]).collect::<Vec<_>>()})
}

impl Monitor {
    /// Writes the Secret with the monitor and adds the component, as a user does to what runs already.
    async fn is_installed(&self, place: &Place) {
        let url = self.url(place, &format!("/ping/{CHECK}"));
        // One for each: a check that they share would be told of no success as long as one of them is failing.
        let monitor = |name: &&str| {
            format!(
                "- {{name: {name}, kind: healthchecks, url: '{url}', backups: {{names: [{name}]}}, restores: {{names: [{name}]}}, \
                 freshness: {{grace: 15s}}}}\n"
            )
        };
        let monitors = format!("monitors:\n{}", WATCHED.iter().map(monitor).collect::<String>());
        let file = place.write("monitors.yaml", &monitors);
        place
            .kubectl_here(&["create", "secret", "generic", "heartbeat-monitors", &format!("--from-file={file}")])
            .await;
        place.apply(&place.overlay(&IN_THE_END)).await;
    }

    /// A URL of the server, as pods reach it.
    fn url(&self, place: &Place, path: &str) -> String {
        let machine = place.testbed.machine_address().unwrap();
        format!("http://{machine}:{}{path}", self.server.address.port())
    }

    /// What was told of something, `Backup "daily"` say, in order: the signal and the text.
    fn told(&self, of: &str) -> Vec<(String, String)> {
        let pings = self.server.received().into_iter().filter(|ping| ping.body.starts_with(&format!("{of}:")));
        let signal = |target: &str| {
            let path = target.split('?').next().unwrap();
            match path.rsplit('/').next() {
                Some(word @ ("start" | "fail")) => word.to_owned(),
                _ => "success".to_owned(),
            }
        };
        pings.map(|ping| (signal(&ping.target), ping.body)).collect()
    }

    fn signals(&self, of: &str) -> Vec<String> {
        self.told(of).into_iter().map(|(signal, _)| signal).collect()
    }

    /// Waits until it is told something that holds this, and gives it.
    async fn until_told(&self, place: &Place, of: &str, signal: &str, words: &str) -> String {
        let found = || self.told(of).into_iter().find(|(told, text)| told == signal && text.contains(words));
        place.until(&format!("{of}: {signal} with {words:?}"), async || found().is_some()).await;
        found().unwrap().1
    }

    async fn of_a_success(&self, place: &Place) {
        let spec = BackupSpec {
            storage_location: Some(bucket("watched")),
            encryption_config_secret_name: Some(KEYS.to_owned()),
            ..of_populated()
        };
        place.backups().create(&PostParams::default(), &Backup::new("watched", spec)).await.unwrap();
        let of = "Backup \"watched\"";
        let text = self.until_told(place, of, "success", "objects").await;
        assert!(text.contains("place: s3://") && !text.contains("error"), "{text}");
        place.kubectl(&["wait", "--for=condition=Ready", "backups.resources.cattle.io/watched", "--timeout=60s"]).await;
        // It is told by what the run says then, which says it when the archive is verified.
        let run = place.runs("watched").await.pop().unwrap();
        assert!(drover::runs::status_of(&run).ended_at.is_some(), "{run:?}");
        assert_eq!(self.signals(of), ["start", "success"]);
        let runs = self.server.received().into_iter().filter(|ping| ping.body.starts_with(of));
        assert!(runs.into_iter().all(|ping| ping.target.ends_with(&format!("?rid={}", run.spec.id))));
    }

    async fn of_a_restore(&self, place: &Place) {
        place.backup("watched-too", None).await;
        place.until_completed("watched-too").await;
        place.restore("watched", "watched-too").await;
        self.until_told(place, "Restore \"watched\"", "success", "").await;
    }

    async fn of_a_storage_that_is_away(&self, place: &Place) {
        let of = "Backup \"watched-away\"";
        place.stop(SERVER).await;
        place.backup("watched-away", None).await;
        let text = self.until_told(place, of, "fail", "failed to reach s3://").await;
        eprintln!("told while the S3 server is away: {}", text.lines().next().unwrap());
        place.kubectl_here(&["scale", &format!("statefulset/{SERVER}"), "--replicas=1"]).await;
        self.until_told(place, of, "success", "objects").await;
        let signals = self.signals(of);
        assert_eq!((signals.first(), signals.last()), (Some(&"start".to_owned()), Some(&"success".to_owned())));
        place.until_completed("watched-away").await;
    }

    /// The Job that died without a word, and the one that has memory; nothing of them is at work afterwards.
    async fn of_a_lack_of_memory(&self, place: &Place) {
        let of = "Backup \"watched-memory\"";
        let text = self.until_told(place, of, "fail", "OOMKilled").await;
        eprintln!("told of a pod that lacked memory: {}", text.lines().next().unwrap());
        give_memory(place).await;
        place.kubectl_here(&["create", "job", "--from=cronjob/watched-memory", "watched-memory-again"]).await;
        self.until_told(place, of, "success", "objects").await;
        // That may have been told of dispatch's own next Job.
        let is_done = ["wait", "--for=condition=Complete", "--timeout=240s", "job/watched-memory-again"];
        place.kubectl_here(&is_done).await;
        let active = r#"--output=jsonpath={range .items[*]}{.metadata.name} {.status.active}{"\n"}{end}"#;
        place
            .until("no Job of it is at work", async || {
                let jobs = place.kubectl_here(&["get", "jobs", active]).await;
                !jobs.lines().any(|job| job.starts_with("watched-memory") && job.ends_with(" 1"))
            })
            .await;
        place.until_completed("watched-memory").await;
    }

    /// A Backup with a heartbeat, as the documentation has it, and its one line changed.
    async fn of_the_documents_backup(&self, place: &Place) {
        let name = "rancher-monitored-backup";
        let url = json!([{"op": "replace", "path": "/stringData/url", "value": self.url(place, &format!("/heartbeat/{TOKEN}"))}]);
        let documentation = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let patches = [("Backup", guide::endpoint()), ("Secret", url)];
        guide::apply(place, &documentation, "backup-with-heartbeat.yaml", &patches).await;
        place.until_completed(name).await;
        place.kubectl_here(&["create", "job", &format!("--from=cronjob/{name}"), "monitored-again"]).await;
        let is_told = || {
            let pings = self.server.received();
            pings.iter().any(|ping| ping.target == format!("/heartbeat/{TOKEN}") && ping.body.contains(name))
        };
        place.until("OneUptime is told of the Backup", async || is_told()).await;
    }

    /// Neither dispatch nor NATS is there, and the keys are others: the audit tells both, on its own schedule.
    async fn of_a_dead_chain_and_a_lost_key(&self, place: &Place) {
        let (clock, keyed) = ("Backup \"watched-clock\"", "Backup \"watched\"");
        place.backup("watched-clock", Some("@every 1m")).await;
        self.until_told(place, clock, "success", "objects").await;
        let begun = Instant::now();
        place.kubectl_here(&["scale", "deployment/dispatch", "--replicas=0"]).await;
        place.stop("nats").await;
        keys(place, b'b').await;
        let every_minute = r#"{"spec": {"schedule": "* * * * *"}}"#;
        place.kubectl_here(&["patch", "cronjob", "heartbeat", "--patch", every_minute]).await;
        let of_the_key = self.until_told(place, keyed, "fail", KEYS).await;
        let of_the_chain = self.until_told(place, clock, "fail", "not fresh").await;
        for text in [of_the_key, of_the_chain] {
            eprintln!(
                "{:.0} s after the end of the chain: {}",
                begun.elapsed().as_secs_f64(),
                text.lines().next().unwrap()
            );
        }
        for (name, word) in [("watched-too", "true"), ("watched", "false")] {
            let condition = format!("--for=condition=Fresh={word}");
            place.kubectl(&["wait", &condition, &format!("backups.resources.cattle.io/{name}"), "--timeout=60s"]).await;
        }
        place.backups().delete("watched-clock", &kube::api::DeleteParams::default()).await.unwrap();
        place.apply(&place.overlay(&IN_THE_END)).await;
        for what in ["statefulset/nats", "deployment/dispatch"] {
            place.kubectl_here(&["rollout", "status", "--timeout=240s", what]).await;
        }
    }
}

/// A Backup that names a monitor's Secret which is not there is made all the same, and says so.
async fn a_secret_that_is_missing_is_said(place: &Place) {
    let spec = BackupSpec { storage_location: Some(bucket("misconfigured")), ..of_populated() };
    let mut backup = Backup::new("misconfigured", spec);
    backup.annotations_mut().insert(HEARTBEAT_ANNOTATION.to_owned(), "nobody-made-this".to_owned());
    place.backups().create(&PostParams::default(), &backup).await.unwrap();
    let of = "reason=HeartbeatMisconfigured";
    place
        .until("an Event says so", async || {
            let events = place.kubectl(&["get", "events", "--namespace=default", "--field-selector", of]).await;
            events.contains("nobody-made-this")
        })
        .await;
    place.until_completed("misconfigured").await;
}
