//! Secrets that are encrypted on their way through NATS into the bucket and back, and what is said where they are not.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover::archive::{Limits, Spool, Unsealing};
use drover::encryption::{self, CONFIGURATION_KEY};
use drover::resources::{BackupSpec, Condition, ConditionStatus, DEFAULT_NAMESPACE, Restore, RestoreSpec};
use drover_testbed::{Options, Service};
use drover_tests::inputs::{Inputs, Kind};
use drover_tests::{Finished, Site, message};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use serde_json::{Value, json};

use crate::rancher::KEPT;

const SETS: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: sealed}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^(secrets|configmaps)$, namespaces: [default], resourceNameRegexp: ^sealed-}
---
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: with-keys}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^(secrets|configmaps)$, namespaces: [default], resourceNameRegexp: ^sealed-}
- {apiVersion: v1, kindsRegexp: ^secrets$, namespaces: [cattle-resources-system]}
";

/// What the Secret holds, and the archive must not show.
const PASSWORD: &str = "correct horse battery staple";

const NAME: &str = "sealed-thing";

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_encrypted_on_the_way_and_come_back_by_their_configuration_alone() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats, Service::Minio])).await;
    for set in SETS.split("---") {
        site.resource_set(set).await;
    }
    make_objects(&site).await;
    let filename = backup(&site).await;
    the_archive_shows_no_secret(&site, &filename).await;
    restores_without_the_key_change_nothing(&site, &filename).await;
    restores_with_the_key_bring_all_back(&site, &filename).await;
    what_is_not_encrypted_is_said(&site).await;
    on_a_kubeconfig_alone(&site).await;
    keys_in_clear_are_named(&site).await;
    for inputs in Inputs::all() {
        archives_of_the_operator_plan_the_same(&site, &inputs).await;
    }
    site.testbed.shutdown().await;
}

/// A configuration that encrypts `resources` with the first of these keys of a provider; other seeds, other keys.
fn configuration(resources: &str, provider: &str, keys: &[(&str, u8)]) -> String {
    let keys: Vec<_> =
        keys.iter().map(|(name, seed)| json!({"name": name, "secret": STANDARD.encode([*seed; 32])})).collect();
    let rule = json!({"resources": [resources], "providers": [{provider: {"keys": keys}}, {"identity": {}}]});
    let kind = "EncryptionConfiguration";
    json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": kind, "resources": [rule]}).to_string()
}

fn secrets(site: &Site) -> Api<Secret> {
    Api::namespaced(site.client.clone(), "default")
}

fn config_maps(site: &Site) -> Api<ConfigMap> {
    Api::namespaced(site.client.clone(), "default")
}

async fn make_objects(site: &Site) {
    let metadata = || ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
    let data = [("password".to_owned(), PASSWORD.to_owned())].into();
    let secret = Secret { metadata: metadata(), string_data: Some(data), ..Secret::default() };
    secrets(site).create(&PostParams::default(), &secret).await.unwrap();
    let map = ConfigMap { metadata: metadata(), ..ConfigMap::default() };
    config_maps(site).create(&PostParams::default(), &map).await.unwrap();
}

async fn delete_objects(site: &Site) {
    secrets(site).delete(NAME, &DeleteParams::default()).await.unwrap();
    config_maps(site).delete(NAME, &DeleteParams::default()).await.unwrap();
}

/// How many of the two objects there are; the Secret must hold what it held.
async fn count_objects(site: &Site) -> usize {
    let secret = secrets(site).get_opt(NAME).await.unwrap();
    if let Some(secret) = &secret {
        assert_eq!(secret.data.as_ref().unwrap()["password"].0, PASSWORD.as_bytes());
    }
    usize::from(secret.is_some()) + usize::from(config_maps(site).get_opt(NAME).await.unwrap().is_some())
}

async fn snapshot(site: &Site, name: &str, resource_set: &str, secret: Option<&str>, code: i32) -> Finished {
    let spec = BackupSpec {
        resource_set_name: resource_set.to_owned(),
        storage_location: Some(site.bucket(name)),
        encryption_config_secret_name: secret.map(str::to_owned),
        ..BackupSpec::default()
    };
    site.make_backup(name, spec).await;
    site.job("snapshot").arguments(["--backup", name]).end_with(code).await
}

async fn encrypted(site: &Site, backup: &str) -> Condition {
    site.backup_status(backup).await.conditions.unwrap().get("Encrypted").unwrap().clone()
}

/// Backs up by a Secret's configuration, and gives the archive's name.
async fn backup(site: &Site) -> String {
    let missing = snapshot(site, "early", "sealed", Some("keys"), 64).await;
    for words in ["the Secret \"keys\"", DEFAULT_NAMESPACE, "spec.encryptionConfigSecretName"] {
        assert!(missing.log.contains(words), "{}", missing.log);
    }
    site.secret("keys", &[(CONFIGURATION_KEY, &configuration("secrets", "aescbc", &[("old", 1)]))]).await;
    snapshot(site, "daily", "sealed", Some("keys"), 0).await;
    site.job("upload").succeed().await;
    let status = site.backup_status("daily").await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");
    let condition = encrypted(site, "daily").await;
    assert_eq!(condition.status, ConditionStatus::True);
    assert_eq!(condition.message.as_deref(), Some("1 of 2 objects are encrypted"));
    let run = site.runs("daily").await[0].status.clone().unwrap().snapshot.unwrap();
    assert_eq!((run.objects, run.encrypted, run.keys_in_clear), (2, 1, vec![]));
    let filename = status.filename.unwrap();
    assert!(filename.ends_with("Z.tar.gz.enc"), "{filename}");
    filename
}

fn archive(site: &Site) -> PathBuf {
    site.folder().join("downloaded.tar.gz.enc")
}

async fn the_archive_shows_no_secret(site: &Site, filename: &str) {
    let path = archive(site);
    site.download(&format!("daily/{filename}"), &path).await;
    let mut unpacked = Vec::new();
    let mut file = flate2::read::GzDecoder::new(std::fs::File::open(&path).unwrap());
    std::io::Read::read_to_end(&mut file, &mut unpacked).unwrap();
    let holds = |text: &str| unpacked.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(NAME) && !holds(PASSWORD) && !holds(&STANDARD.encode(PASSWORD)) && !holds("password"));
    let spool = |unsealing| {
        let file = std::fs::File::open(&path).unwrap();
        Spool::read_in(&site.folder(), file, &Limits::default(), unsealing, &mut |_| {}).unwrap()
    };
    let keys = site.folder().join("keys.yaml");
    std::fs::write(&keys, configuration("secrets", "aescbc", &[("old", 1)])).unwrap();
    let spool = spool(Unsealing::Decrypt(encryption::from_file(&keys).unwrap()));
    assert_eq!(spool.ids().filter(|id| spool.seal_of(*id).is_some()).count(), 1);
}

/// Makes a Restore that names this Secret, and runs it to its end, which must be this.
async fn restore(site: &Site, name: &str, filename: &str, secret: Option<&str>, code: i32) -> String {
    let spec = RestoreSpec {
        backup_filename: filename.to_owned(),
        storage_location: Some(site.bucket("daily")),
        prune: Some(false),
        encryption_config_secret_name: secret.map(str::to_owned),
        ..RestoreSpec::default()
    };
    site.restores().create(&PostParams::default(), &Restore::new(name, spec)).await.unwrap();
    site.job("restore").end_with(code).await;
    let status = site.restore_status(name).await;
    assert!(status.restore_completion_ts.is_some(), "it has ended: {status:?}");
    message(status.conditions.as_ref(), "Ready")
}

async fn restores_without_the_key_change_nothing(site: &Site, filename: &str) {
    delete_objects(site).await;
    site.secret("other", &[(CONFIGURATION_KEY, &configuration("secrets", "aescbc", &[("old", 9)]))]).await;
    site.secret("newer", &[(CONFIGURATION_KEY, &configuration("secrets", "aescbc", &[("new", 2)]))]).await;
    site.secret("broken", &[(CONFIGURATION_KEY, "kind: EncryptionConfiguration")]).await;
    site.secret("empty", &[("config.yaml", "{}")]).await;
    for (name, secret, code, words) in [
        ("no-config", None, 65, "key \"old\" of aescbc"),
        ("wrong-key", Some("other"), 65, "another key"),
        ("no-key", Some("newer"), 65, "no key \"old\" of aescbc"),
        ("no-secret", Some("absent"), 64, "the Secret \"absent\""),
        ("no-data", Some("empty"), 64, CONFIGURATION_KEY),
        ("no-configuration", Some("broken"), 64, "apiVersion"),
    ] {
        let ready = restore(site, name, filename, secret, code).await;
        assert!(ready.starts_with("Failed: ") && ready.contains(words), "{name}: {ready}");
        assert_eq!(count_objects(site).await, 0, "{name}");
    }
}

async fn restores_with_the_key_bring_all_back(site: &Site, filename: &str) {
    assert_eq!(restore(site, "same", filename, Some("keys"), 0).await, "Completed");
    assert_eq!(count_objects(site).await, 2);
    delete_objects(site).await;
    // Rotated, and moved to another rule.
    let rotated = configuration("configmaps", "aescbc", &[("new", 2), ("old", 1)]);
    site.secret("keys", &[(CONFIGURATION_KEY, &rotated)]).await;
    assert_eq!(restore(site, "rotated", filename, Some("keys"), 0).await, "Completed");
    assert_eq!(count_objects(site).await, 2);
}

async fn what_is_not_encrypted_is_said(site: &Site) {
    site.secret("pods", &[(CONFIGURATION_KEY, &configuration("pods", "secretbox", &[("a", 3)]))]).await;
    own_secret(site).await;
    let keys = "cattle-resources-system/broken, cattle-resources-system/keys, cattle-resources-system/newer, \
                cattle-resources-system/other, cattle-resources-system/pods";
    for (name, set, secret, reason, words) in [
        ("plain", "sealed", None, "NoConfiguration", "no encryption configuration is named"),
        ("nothing", "sealed", Some("pods"), "NothingEncrypted", "none of 2 objects is encrypted"),
        ("in-clear", "with-keys", None, "KeysInClear", keys),
        ("in-clear-too", "with-keys", Some("pods"), "KeysInClear", keys),
    ] {
        let finished = snapshot(site, name, set, secret, 0).await;
        let condition = encrypted(site, name).await;
        assert_eq!(condition.status, ConditionStatus::False, "{name}");
        assert_eq!(condition.reason.as_deref(), Some(reason), "{name}");
        assert!(condition.message.as_ref().unwrap().contains(words), "{name}: {condition:?}");
        let warns = reason != "NoConfiguration";
        assert_eq!((finished.log.contains(words), warnings(site, name, reason).await > 0), (warns, warns), "{name}");
        let run = site.runs(name).await[0].status.clone().unwrap().snapshot.unwrap();
        assert_eq!((run.encrypted, run.keys_in_clear.is_empty()), (0, reason != "KeysInClear"), "{name}");
        assert_eq!(finished.log.contains("left out"), set == "with-keys", "{}", finished.log);
    }
    // The configuration for all keeps the keys out of sight: nothing is to be said.
    site.secret("pods", &[(CONFIGURATION_KEY, &configuration("*.", "secretbox", &[("a", 3)]))]).await;
    snapshot(site, "all", "with-keys", Some("pods"), 0).await;
    assert_eq!(encrypted(site, "all").await.status, ConditionStatus::True);
    assert_eq!(warnings(site, "all", "AmbiguousEncryption").await, 0);
    site.secret("pods", &[(CONFIGURATION_KEY, &configuration("*.", "secretbox", &[("a", 3), ("a", 4)]))]).await;
    snapshot(site, "ambiguous", "with-keys", Some("pods"), 0).await;
    assert_eq!(warnings(site, "ambiguous", "AmbiguousEncryption").await, 1);
}

/// A Secret of drover itself, which no archive holds.
async fn own_secret(site: &Site) {
    let labels = [("app.kubernetes.io/part-of".to_owned(), "drover".to_owned())].into();
    let metadata = ObjectMeta { name: Some("nats".to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    let secrets: Api<Secret> = Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE);
    secrets.create(&PostParams::default(), &Secret { metadata, ..Secret::default() }).await.unwrap();
}

/// Warning Events of this reason about a Backup.
async fn warnings(site: &Site, backup: &str, reason: &str) -> usize {
    let events: Api<Event> = Api::namespaced(site.client.clone(), "default");
    let listed = events.list(&ListParams::default()).await.unwrap().items;
    let is_of = |event: &&Event| {
        event.type_.as_deref() == Some("Warning")
            && event.reason.as_deref() == Some(reason)
            && event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(backup)
    };
    listed.iter().filter(is_of).count()
}

/// The same with a kubeconfig and files.
async fn on_a_kubeconfig_alone(site: &Site) {
    let [set, keys, output] = ["set.yaml", "keys.yaml", "local.tar.gz.enc"].map(|name| site.folder().join(name));
    std::fs::write(&set, SETS.split("---").nth(1).unwrap()).unwrap();
    let rotated = configuration("*.*", "aesgcm", &[("b", 5), ("a", 4)]);
    std::fs::write(&keys, configuration("*.*", "aesgcm", &[("a", 4)])).unwrap();
    let files = ["--resource-set", "--output", "--encryption-config"].into_iter().zip([&set, &output, &keys]);
    let arguments: Vec<_> = files.flat_map(|(name, file)| [Path::new(name), file]).collect();
    let finished = site.job("snapshot").arguments(arguments).succeed().await;
    assert!(finished.log.contains("objects are encrypted"), "{}", finished.log);
    std::fs::write(&keys, rotated).unwrap();

    let run = async |words: &[&str], code| {
        let arguments = words.iter().map(|word| if *word == "FILE" { output.as_path() } else { Path::new(word) });
        site.job("restore").arguments(arguments).end_with(code).await
    };
    let config = keys.to_str().unwrap();
    let refused = run(&["apply", "FILE"], 65).await;
    assert!(refused.log.contains("--encryption-config"), "{}", refused.log);
    for with in [&[][..], &["--encryption-config", config]] {
        let words = [&["inspect", "FILE", "--output", "json"][..], with].concat();
        let shown: Value = serde_json::from_str(&run(&words, 0).await.output).unwrap();
        inspected(&shown);
        let text = run(&[&["inspect", "FILE", "--entries"][..], with].concat(), 0).await.output;
        assert!(
            text.contains("key \"a\" of aesgcm") && text.contains("secrets.#v1/default/sealed-thing.json"),
            "{text}"
        );
    }
    delete_objects(site).await;
    run(&["apply", "FILE", "--encryption-config", config], 0).await;
    assert_eq!(count_objects(site).await, 2);
}

async fn inspect(site: &Site, archive: &Path) -> String {
    site.job("restore").arguments([Path::new("inspect"), archive]).succeed().await.output
}

async fn keys_in_clear_are_named(site: &Site) {
    let [set, output] = ["with-keys.yaml", "with-keys.tar.gz"].map(|name| site.folder().join(name));
    std::fs::write(&set, SETS.split("---").nth(1).unwrap()).unwrap();
    let arguments = [Path::new("--resource-set"), &set, Path::new("--output"), &output];
    let finished = site.job("snapshot").arguments(arguments).succeed().await;
    let text = inspect(site, &output).await;
    let named = text.lines().find(|line| line.starts_with("Keys in clear")).unwrap_or(&text);
    for name in ["cattle-resources-system/keys", "cattle-resources-system/pods"] {
        assert!(named.contains(name) && finished.log.contains(name), "{text}\n{}", finished.log);
    }
}

/// What an encrypted archive of the operator brings back is what its plain one does; and that one holds the keys.
async fn archives_of_the_operator_plan_the_same(site: &Site, inputs: &Inputs) {
    let plan = async |kind: Kind, with: &[&Path]| {
        let archive = inputs.archive(kind);
        let arguments = [&[Path::new("plan"), &archive, Path::new("--output"), Path::new("json")][..], with].concat();
        let shown = site.job("restore").arguments(arguments).succeed().await.output;
        serde_json::from_str::<Value>(&shown).unwrap()
    };
    let plain = plan(Kind::Plain, &[]).await;
    let missing = inputs.paths(Kind::Plain).len() - KEPT.len();
    assert!(plain["counts"]["created"].as_u64().unwrap() >= missing as u64, "{}", plain["counts"]);
    for kind in [Kind::AesCbc, Kind::Secretbox] {
        let configuration = inputs.configuration(kind);
        assert!(plan(kind, &[Path::new("--encryption-config"), &configuration]).await == plain, "{kind:?}");
        let text = inspect(site, &inputs.archive(kind)).await;
        assert!(text.contains(&format!("key {:?} of {}", kind.key(), kind.name())), "{text}");
    }
    let text = inspect(site, &inputs.archive(Kind::Plain)).await;
    assert!(text.contains("Keys in clear cattle-resources-system/enc-aescbc"), "{text}");
}

/// Every entry is encrypted by one key, whether that key is at hand or not.
fn inspected(shown: &Value) {
    let entries = shown["entries"].as_array().unwrap();
    assert_eq!(shown["objects"], entries.len());
    assert_eq!((&shown["encrypted"], &shown["encryptedObjects"]), (&json!(true), &json!(entries.len())));
    assert_eq!(shown["encryption"], json!([{"provider": "aesgcm", "key": "a", "objects": entries.len()}]));
    assert_eq!(shown["keysInClear"], json!([]));
    for entry in entries {
        assert_eq!(entry["encryption"], json!({"provider": "aesgcm", "key": "a"}), "{entry}");
    }
    assert!(entries.iter().any(|entry| entry["path"] == "secrets.#v1/default/sealed-thing.json"));
    assert!(!entries.iter().any(|entry| entry["path"].as_str().unwrap().contains("/nats.json")), "drover's own Secret");
}
