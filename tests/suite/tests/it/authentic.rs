//! What somebody puts into an archive who may write to its bucket: the archive's MAC tells and, where that is taken away too,
//! it is said, or refused where somebody asks for that.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover::digest::Sha256;
use drover::encryption::{CONFIGURATION_KEY, Configuration};
use drover::resources::{
    BackupPolicy, BackupPolicySpec, BackupSpec, FurtherLocation, LocalLocation, Restore, RestoreSpec,
};
use drover_testbed::{Options, Service};
use drover_tests::{BUCKET, Finished, Site, message};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tar::{EntryType, Header};

const SET: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: proved}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^secrets$, namespaces: [default], resourceNameRegexp: ^proved-}
";

/// The metadata of an object in the bucket.
const DIGEST: &str = "drover-sha256";
const MAC: &str = "drover-hmac-sha256";

/// Who puts it into an archive becomes administrator with the next restore.
const BINDING: &str = "clusterrolebindings.rbac.authorization.k8s.io#v1/evil.json";
const IN_CLEAR: &str = "secrets.#v1/default/evil.json";

struct Scene {
    site: Site,
    filename: String,
    archive: Vec<u8>,
    mac: String,
}

/// Secrets are encrypted with the first of these keys, and none in clear are read.
fn configuration(keys: &[(&str, u8)]) -> String {
    let keys: Vec<_> =
        keys.iter().map(|(name, seed)| json!({"name": name, "secret": STANDARD.encode([*seed; 32])})).collect();
    let rule = json!({"resources": ["secrets"], "providers": [{"aescbc": {"keys": keys}}]});
    let kind = "EncryptionConfiguration";
    json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": kind, "resources": [rule]}).to_string()
}

fn binding() -> Value {
    let of = |kind: &str, name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "evil"},
        "roleRef": of("ClusterRole", "cluster-admin"), "subjects": [of("User", "evil")],
    })
}

fn secret_in_clear() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "evil", "namespace": "default"}})
}

/// The archive with one object more.
fn with(archive: &[u8], path: &str, object: &Value) -> Vec<u8> {
    let mut changed = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for entry in tar::Archive::new(GzDecoder::new(archive)).entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        changed.append(&header, &mut entry).unwrap();
    }
    let content = object.to_string().into_bytes();
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(content.len() as u64);
    changed.append_data(&mut header, path, &content[..]).unwrap();
    changed.into_inner().unwrap().finish().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::of(bytes).to_string()
}

/// The MAC that this configuration makes.
fn mac(keys: &[(&str, u8)], bytes: &[u8]) -> String {
    let configuration = Configuration::parse(&configuration(keys)).unwrap();
    configuration.mac(Sha256::of(bytes)).unwrap().to_string()
}

impl Scene {
    /// A Backup whose encrypted archive lies in the bucket.
    async fn start() -> Self {
        let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats, Service::Minio])).await;
        site.resource_set(SET).await;
        site.secret("keys", &[(CONFIGURATION_KEY, &configuration(&[("one", 1)]))]).await;
        let metadata = ObjectMeta { name: Some("proved-secret".to_owned()), ..ObjectMeta::default() };
        let secret = Secret { metadata, ..Secret::default() };
        let secrets: Api<Secret> = Api::namespaced(site.client.clone(), "default");
        secrets.create(&PostParams::default(), &secret).await.unwrap();
        let spec = BackupSpec {
            resource_set_name: "proved".to_owned(),
            storage_location: Some(site.bucket("daily")),
            encryption_config_secret_name: Some("keys".to_owned()),
            ..BackupSpec::default()
        };
        site.make_backup("daily", spec).await;
        let copy = FurtherLocation { name: "copy".to_owned(), s3: None, local: Some(LocalLocation::default()) };
        let spec = BackupPolicySpec { additional_storage_locations: Some(vec![copy]), ..BackupPolicySpec::default() };
        let policies: Api<BackupPolicy> = Api::all(site.client.clone());
        policies.create(&PostParams::default(), &BackupPolicy::new("copies", spec)).await.unwrap();
        site.job("snapshot").arguments(["--backup", "daily"]).succeed().await;
        site.job("upload").succeed().await;
        let run = site.runs("daily").await.pop().unwrap();
        let snapshot = run.status.unwrap().snapshot.unwrap();
        let (filename, downloaded) = (run.spec.filename, site.folder().join("downloaded"));
        site.download(&format!("daily/{filename}"), &downloaded).await;
        let archive = std::fs::read(downloaded).unwrap();
        let mac = mac(&[("one", 1)], &archive);
        assert_eq!(snapshot.mac.as_ref(), Some(&mac), "the run has it");
        let scene = Self { site, filename, archive, mac };
        assert_eq!(scene.recorded(&scene.filename).await.as_ref(), Some(&scene.mac), "and so has the object");
        let label = std::fs::read_to_string(scene.site.folder().join(format!("{}.sha256", scene.filename))).unwrap();
        assert!(label.contains(&format!("# hmac-sha256: {}\n", scene.mac)), "and so has the folder: {label}");
        scene
    }

    fn s3(&self) -> aws_sdk_s3::Client {
        self.site.testbed.s3().unwrap().client().unwrap()
    }

    /// The MAC beside an object.
    async fn recorded(&self, name: &str) -> Option<String> {
        let head = self.s3().head_object().bucket(BUCKET).key(format!("daily/{name}")).send().await.unwrap();
        head.metadata().and_then(|metadata| metadata.get(MAC)).cloned()
    }

    /// Puts an archive there with its own digest, as who may write to the bucket can.
    async fn put(&self, name: &str, bytes: &[u8], mac: Option<&str>) {
        let request = self.s3().put_object().bucket(BUCKET).key(format!("daily/{name}"));
        let request = request.metadata(DIGEST, digest(bytes)).body(bytes.to_vec().into());
        let request = match mac {
            Some(mac) => request.metadata(MAC, mac),
            None => request,
        };
        request.send().await.unwrap();
    }

    /// Runs a Restore of this file to its end.
    async fn restore(&self, name: &str, file: &str, annotations: &[(&str, &str)], code: i32) -> (String, Finished) {
        let spec = RestoreSpec {
            backup_filename: file.to_owned(),
            storage_location: Some(self.site.bucket("daily")),
            prune: Some(false),
            encryption_config_secret_name: Some("keys".to_owned()),
            ..RestoreSpec::default()
        };
        let mut restore = Restore::new(name, spec);
        let annotations = annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        restore.annotations_mut().extend(annotations);
        self.site.make_restore(&restore).await;
        let finished = self.site.job("restore").end_with(code).await;
        let status = self.site.restore_status(name).await;
        assert!(status.restore_completion_ts.is_some(), "{name} has ended: {status:?}");
        (message(status.conditions.as_ref(), "Ready"), finished)
    }

    fn bindings(&self) -> Api<ClusterRoleBinding> {
        Api::all(self.site.client.clone())
    }

    async fn is_taken_over(&self) -> bool {
        self.bindings().get_opt("evil").await.unwrap().is_some()
    }

    async fn says(&self, restore: &str, reason: &str) -> bool {
        let events: Api<Event> = Api::namespaced(self.site.client.clone(), "default");
        events.list(&ListParams::default()).await.unwrap().items.iter().any(|event| {
            let about = event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref());
            about == Some(restore) && event.reason.as_deref() == Some(reason)
        })
    }
}

/// What asks for an authentic archive.
const REQUIRE: &[(&str, &str)] = &[("drover.dev/require", "authentic")];

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_to_the_bucket_puts_nothing_into_an_archive_unnoticed() {
    let scene = Scene::start().await;
    its_mac_proves_an_archive_also_where_the_cluster_does_not_know_it(&scene).await;
    a_changed_archive_is_refused_by_its_mac(&scene).await;
    without_its_mac_it_is_restored_and_said(&scene).await;
    without_its_mac_it_is_refused_where_somebody_asks(&scene).await;
    a_secret_in_clear_is_refused(&scene).await;
    what_the_cluster_recorded_is_proof_enough(&scene).await;
    on_the_command_line(&scene).await;
    scene.site.testbed.shutdown().await;
}

/// The key has been rotated since; a name that no run has is one of another cluster.
async fn its_mac_proves_an_archive_also_where_the_cluster_does_not_know_it(scene: &Scene) {
    scene.put("copied.tar.gz.enc", &scene.archive, Some(&scene.mac)).await;
    let rotated = configuration(&[("two", 2), ("one", 1)]);
    scene.site.secret("keys", &[(CONFIGURATION_KEY, &rotated)]).await;
    let (ready, finished) = scene.restore("copied", "copied.tar.gz.enc", REQUIRE, 0).await;
    assert_eq!(ready, "Completed");
    assert!(finished.log.contains("the archive's MAC was made with key \"one\" of aescbc"), "{}", finished.log);
    assert!(!scene.says("copied", "Unauthenticated").await);
}

async fn a_changed_archive_is_refused_by_its_mac(scene: &Scene) {
    let changed = with(&scene.archive, BINDING, &binding());
    let other = mac(&[("theirs", 9)], &changed);
    for (name, mac) in [("changed", &scene.mac), ("signed-by-others", &other)] {
        let file = format!("{name}.tar.gz.enc");
        scene.put(&file, &changed, Some(mac)).await;
        let (ready, _) = scene.restore(name, &file, &[], 65).await;
        assert!(ready.starts_with("Failed: ") && ready.contains("no key of the encryption configuration"), "{ready}");
        assert!(!scene.is_taken_over().await, "{name}");
    }
}

async fn without_its_mac_it_is_restored_and_said(scene: &Scene) {
    let changed = with(&scene.archive, BINDING, &binding());
    scene.put("bare.tar.gz.enc", &changed, None).await;
    let (ready, finished) = scene.restore("bare", "bare.tar.gz.enc", &[], 0).await;
    assert_eq!(ready, "Completed");
    assert!(scene.is_taken_over().await && scene.says("bare", "Unauthenticated").await, "{}", finished.log);
    let report = scene.site.job("restore").arguments(["report", "bare", "--output", "json"]).succeed().await;
    let report: Value = serde_json::from_str(&report.output).unwrap();
    let notes: Vec<&str> = report["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
    let path = BINDING.trim_end_matches(".json");
    for words in ["nothing proves who made this archive: it has no MAC", "1 of 2 objects", path] {
        assert!(notes.iter().any(|note| note.contains(words)), "{words}: {notes:?}");
        assert!(finished.log.contains(words), "{words}: {}", finished.log);
    }
    scene.bindings().delete("evil", &DeleteParams::default()).await.unwrap();
}

async fn without_its_mac_it_is_refused_where_somebody_asks(scene: &Scene) {
    let (ready, _) = scene.restore("demanding", "bare.tar.gz.enc", REQUIRE, 65).await;
    assert!(ready.starts_with("Failed: ") && ready.contains("the annotation drover.dev/require asks"), "{ready}");
    assert!(!scene.is_taken_over().await);

    let policies: Api<BackupPolicy> = Api::all(scene.site.client.clone());
    let spec = BackupPolicySpec { require_authentic: Some(true), ..BackupPolicySpec::default() };
    policies.create(&PostParams::default(), &BackupPolicy::new("strict", spec)).await.unwrap();
    let (ready, _) = scene.restore("under-policy", "bare.tar.gz.enc", &[], 65).await;
    assert!(ready.contains("the BackupPolicy \"strict\" asks for an authentic one"), "{ready}");
    assert!(!scene.is_taken_over().await);
    assert_eq!(scene.restore("proved-under-policy", "copied.tar.gz.enc", &[], 0).await.0, "Completed");
    policies.delete("strict", &DeleteParams::default()).await.unwrap();
}

async fn a_secret_in_clear_is_refused(scene: &Scene) {
    scene.put("clear.tar.gz.enc", &with(&scene.archive, IN_CLEAR, &secret_in_clear()), None).await;
    let (ready, _) = scene.restore("clear", "clear.tar.gz.enc", &[], 65).await;
    assert!(ready.contains(IN_CLEAR) && ready.contains("in clear"), "{ready}");
    let secrets: Api<Secret> = Api::namespaced(scene.site.client.clone(), "default");
    assert!(secrets.get_opt("evil").await.unwrap().is_none());
}

/// The MAC of the archive that is known here is taken away, and then a wrong one put in its place.
async fn what_the_cluster_recorded_is_proof_enough(scene: &Scene) {
    for (name, mac) in [("without-mac", None), ("wrong-mac", Some("00".repeat(32)))] {
        scene.put(&scene.filename, &scene.archive, mac.as_deref()).await;
        assert_eq!(scene.restore(name, &scene.filename, REQUIRE, 0).await.0, "Completed", "{name}");
        assert!(!scene.says(name, "Unauthenticated").await, "{name}");
    }
}

/// The same with files: the MAC lies beside the archive, in the file that `sha256sum -c` reads.
async fn on_the_command_line(scene: &Scene) {
    let site = &scene.site;
    let [set, keys, output, label] =
        ["set.yaml", "keys.yaml", "local.tar.gz.enc", "local.tar.gz.enc.sha256"].map(|name| site.folder().join(name));
    std::fs::write(&set, SET).unwrap();
    std::fs::write(&keys, configuration(&[("one", 1)])).unwrap();
    let [set, keys, archive] = [&set, &keys, &output].map(|path: &PathBuf| path.to_str().unwrap());
    let made = ["--resource-set", set, "--output", archive, "--encryption-config", keys];
    site.job("snapshot").arguments(made).succeed().await;
    let original = std::fs::read(&output).unwrap();
    let beside = std::fs::read_to_string(&label).unwrap();
    assert!(beside.contains(&format!("# hmac-sha256: {}\n", mac(&[("one", 1)], &original))), "{beside}");
    assert!(beside.ends_with(&format!("{}  local.tar.gz.enc\n", digest(&original))), "{beside}");

    let run = async |command: &str, further: &[&str], code| {
        let arguments = [&[command, archive, "--encryption-config", keys][..], further].concat();
        site.job("restore").arguments(arguments).end_with(code).await
    };
    let mac_of = async || {
        let shown = run("inspect", &["--output", "json"], 0).await.output;
        serde_json::from_str::<Value>(&shown).unwrap()["mac"].clone()
    };
    run("apply", &["--require", "authentic"], 0).await;
    assert_eq!(mac_of().await, "authentic");
    std::fs::write(&output, with(&original, BINDING, &binding())).unwrap();
    for command in ["plan", "apply"] {
        let refused = run(command, &[], 65).await;
        assert!(refused.log.contains("no key of the encryption configuration made the MAC"), "{}", refused.log);
    }
    assert_eq!(mac_of().await, "wrong");
    std::fs::remove_file(&label).unwrap();
    let refused = run("apply", &["--require", "authentic"], 65).await;
    for words in ["--require asks for an authentic one", "nothing proves who made this archive"] {
        assert!(refused.log.contains(words), "{words}: {}", refused.log);
    }
    assert!(!scene.is_taken_over().await);
    assert_eq!(mac_of().await, "missing");
    let planned = run("plan", &[], 0).await;
    for words in
        ["nothing proves who made this archive: it has no MAC", "1 of 2 objects of the archive came from elsewhere"]
    {
        assert!(planned.output.contains(words), "{words}: {}", planned.output);
    }
    assert!(!planned.log.contains("nothing proves who made this archive"), "{}", planned.log);
}
