//! What cannot be done is said, on the object that asked for it and by the exit code, and nothing is half done.

use std::path::PathBuf;
use std::time::Duration;

use drover::archive::{Key, Writer};
use drover::lease::{self, Acquired, Holder, Lease, Settings, Wait};
use drover::resources::{BackupSpec, DEFAULT_NAMESPACE, Restore, RestoreSpec, StorageLocation};
use drover_testbed::{Options, Service};
use drover_tests::{Finished, Site, message};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::Kubeconfig;
use kube::{Api, ResourceExt};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Long enough that a busy machine takes the Lease from nobody who holds it: it is renewed in time, so nobody waits for its end.
const SETTINGS: Settings = Settings { duration: Duration::from_secs(5) };

/// A ResourceSet of the ConfigMaps `item-…` in the namespace `default`.
fn set(name: &str, name_regexp: &str) -> String {
    format!(
        "apiVersion: resources.cattle.io/v1\nkind: ResourceSet\nmetadata: {{name: {name}}}\nresourceSelectors:\n\
         - {{apiVersion: v1, kindsRegexp: ^configmaps$, namespaces: [default], resourceNameRegexp: '{name_regexp}'}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_and_nothing_is_half_done() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    site.resource_set(&set("items", "^item-")).await;
    config_maps(&site, 4).await;
    backups_that_cannot_run(&site).await;
    schedules_that_cannot_be_read(&site).await;
    restores_that_cannot_run(&site).await;
    missing_archive(&site).await;
    archive_that_was_changed(&site).await;
    suspiciously_empty(&site).await;
    held_leases(&site).await;
    type_that_may_not_be_listed(&site).await;
    site.testbed.shutdown().await;
}

async fn config_maps(site: &Site, count: usize) {
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "default");
    for index in 0..count {
        let name = Some(format!("item-{index}"));
        let map = ConfigMap { metadata: ObjectMeta { name, ..ObjectMeta::default() }, ..ConfigMap::default() };
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
}

/// What `Ready` says of a Backup.
async fn backup_ready(site: &Site, name: &str) -> String {
    message(site.backup_status(name).await.conditions.as_ref(), "Ready")
}

async fn backups_that_cannot_run(site: &Site) {
    site.resource_set(&set("unread", "item-[")).await;
    let spec = |resource_set: &str, secret: Option<&str>| BackupSpec {
        resource_set_name: resource_set.to_owned(),
        encryption_config_secret_name: secret.map(str::to_owned),
        ..BackupSpec::default()
    };
    let cases = [
        ("bad-regexp", spec("unread", None), ["resourceNameRegexp", "\"item-[\" of resourceSelectors[0]"]),
        ("no-set", spec("absent", None), ["ResourceSet \"absent\"", "spec.resourceSetName"]),
        ("encrypted", spec("items", Some("keys")), ["Secret \"keys\"", "spec.encryptionConfigSecretName"]),
    ];
    for (name, spec, words) in cases {
        site.make_backup(name, spec).await;
        let finished = site.job("snapshot").arguments(["--backup", name]).end_with(64).await;
        let ready = backup_ready(site, name).await;
        assert!(ready.starts_with("Failed: "), "{ready}");
        for word in words {
            assert!(ready.contains(word) && finished.log.contains(word), "{word}: {ready}\n{}", finished.log);
        }
        assert!(site.artifacts().await.names.is_empty());
        site.backups().delete(name, &DeleteParams::default()).await.unwrap();
    }
    annotation_that_nobody_knows(site).await;
    let finished = site.job("snapshot").arguments(["--backup", "absent"]).end_with(64).await;
    assert!(finished.log.contains("Backup \"absent\""), "{}", finished.log);
}

/// Until it is correct, or gone; asked for by name or because it is due.
async fn annotation_that_nobody_knows(site: &Site) {
    site.backup("typo", "items", None).await;
    let patch = |value| Patch::Merge(json!({"metadata": {"annotations": {"drover.dev/alow": value}}}));
    site.backups().patch("typo", &PatchParams::default(), &patch(json!("missing-types"))).await.unwrap();
    for arguments in [&[] as &[&str], &["--backup", "typo"]] {
        site.job("snapshot").arguments(arguments).end_with(64).await;
        let ready = backup_ready(site, "typo").await;
        assert!(ready.starts_with("Failed: ") && ready.contains("the nearest there: \"drover.dev/allow\""), "{ready}");
        assert!(site.runs("typo").await.is_empty() && site.artifacts().await.names.is_empty());
    }
    site.backups().patch("typo", &PatchParams::default(), &patch(json!(null))).await.unwrap();
    snapshot(site, "typo", 0).await;
    site.backups().delete("typo", &DeleteParams::default()).await.unwrap();
    site.job("upload").run().await;
}

/// Each says so on itself, and the Backup beside them runs all the same.
async fn schedules_that_cannot_be_read(site: &Site) {
    let cases = [("late", "61 * * * *", "minute"), ("often", "@every 10s", "more often than every minute")];
    let spec = |schedule: &str| BackupSpec {
        resource_set_name: "items".to_owned(),
        schedule: Some(schedule.to_owned()),
        ..BackupSpec::default()
    };
    for (name, schedule, _) in cases {
        site.make_backup(name, spec(schedule)).await;
    }
    site.make_backup("sound", spec("@yearly")).await;
    site.job("snapshot").run().await;
    site.job("upload").succeed().await;
    assert_eq!(backup_ready(site, "sound").await, "Completed");
    for (name, schedule, word) in cases {
        let ready = backup_ready(site, name).await;
        assert!(ready.starts_with("Failed: ") && ready.contains(schedule) && ready.contains(word), "{ready}");
        assert!(site.runs(name).await.is_empty());
        site.backups().delete(name, &DeleteParams::default()).await.unwrap();
    }
}

/// An archive in the local folder whose one object is not in the cluster.
fn archive(site: &Site, name: &str) -> PathBuf {
    let path = site.folder().join(name);
    let mut writer = Writer::new(std::fs::File::create(&path).unwrap(), jiff::Timestamp::UNIX_EPOCH);
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "brought", "namespace": "default"}});
    let key = Key::from_path("configmaps.#v1/default/brought.json").unwrap();
    writer.append(&key, object.to_string().as_bytes()).unwrap();
    writer.finish().unwrap();
    path
}

async fn is_brought(site: &Site) -> bool {
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "default");
    maps.get_opt("brought").await.unwrap().is_some()
}

async fn restores_that_cannot_run(site: &Site) {
    archive(site, "whole.tar.gz");
    let spec = |secret: Option<&str>| RestoreSpec {
        backup_filename: "whole.tar.gz".to_owned(),
        encryption_config_secret_name: secret.map(str::to_owned),
        ..RestoreSpec::default()
    };
    let cases = [
        ("prunes", spec(None), [("drover.dev/prune", "some")].as_slice(), "\"drover.dev/prune\": it is \"some\""),
        ("recreates", spec(None), &[("drover.dev/recreate", "web")], "\"drover.dev/recreate\": it is \"web\""),
        (
            "switches",
            spec(None),
            &[("drover.dev/exempt-webhooks", "false")],
            "\"drover.dev/exempt-webhooks\": it is \"false\"",
        ),
        ("narrows", spec(None), &[("drover.dev/prunes", "none")], "the nearest there: \"drover.dev/prune\""),
        ("decrypts", spec(Some("keys")), &[], "Secret \"keys\""),
    ];
    for (name, spec, annotations, word) in cases {
        let mut restore = Restore::new(name, spec);
        let annotations = annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        restore.annotations_mut().extend(annotations);
        site.restores().create(&PostParams::default(), &restore).await.unwrap();
        site.job("restore").end_with(64).await;
        let status = site.restore_status(name).await;
        let ready = message(status.conditions.as_ref(), "Ready");
        assert!(ready.starts_with("Failed: ") && ready.contains(word), "{ready}");
        assert!(ready.contains("nothing was changed"), "{ready}");
        assert!(ready.ends_with("apply it again"), "{ready}");
        assert!(status.restore_completion_ts.is_some(), "what cannot be done is not tried for ever");
        assert!(!is_brought(site).await);
    }
}

/// Somebody may still put the archive there: the Restore says what is missing, waits, and then runs.
async fn missing_archive(site: &Site) {
    site.restore("early", "later.tar.gz", None).await;
    let finished = site.job("restore").run().await;
    let status = site.restore_status("early").await;
    let ready = message(status.conditions.as_ref(), "Ready");
    assert!(ready.starts_with("InProgress: ") && ready.contains("\"later.tar.gz\""), "{ready}");
    assert!(status.conditions.as_ref().unwrap().waits(), "{status:?}");
    assert_eq!((finished.code, status.restore_completion_ts), (64, None), "{}", finished.log);
    archive(site, "later.tar.gz");
    site.job("restore").succeed().await;
    let status = site.restore_status("early").await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");
    assert!(is_brought(site).await);
}

/// The run knows the digest of what was stored; a file that is another one by now is not restored.
async fn archive_that_was_changed(site: &Site) {
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "default");
    maps.delete("brought", &DeleteParams::default()).await.unwrap();
    site.backup("changed", "items", None).await;
    snapshot(site, "changed", 0).await;
    site.job("upload").succeed().await;
    let run = site.runs("changed").await.pop().unwrap();
    let (filename, recorded) = (run.spec.filename, run.status.unwrap().snapshot.unwrap().sha256.unwrap());
    let stored = std::fs::read(site.folder().join(&filename)).unwrap();
    archive(site, &filename);
    site.restore("distrusts", &filename, None).await;
    site.job("restore").end_with(65).await;
    let status = site.restore_status("distrusts").await;
    let ready = message(status.conditions.as_ref(), "Ready");
    let found = hex::encode(Sha256::digest(std::fs::read(site.folder().join(&filename)).unwrap()));
    assert!(ready.contains(&recorded) && ready.contains(&found), "{ready}");
    assert!(status.restore_completion_ts.is_some() && !is_brought(site).await, "{status:?}");

    std::fs::write(site.folder().join(&filename), stored).unwrap();
    site.restore("trusts", &filename, None).await;
    let finished = site.job("restore").succeed().await;
    assert!(finished.log.contains("the digest is the one"), "{}", finished.log);
}

async fn suspiciously_empty(site: &Site) {
    site.backup("shrinks", "items", Some(StorageLocation::default())).await;
    snapshot(site, "shrinks", 0).await;
    site.job("upload").succeed().await;
    let good = site.backup_status("shrinks").await.filename.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "default");
    for name in ["item-1", "item-2", "item-3"] {
        maps.delete(name, &DeleteParams::default()).await.unwrap();
    }
    snapshot(site, "shrinks", 65).await;
    let ready = backup_ready(site, "shrinks").await;
    assert!(ready.starts_with("Failed: ") && ready.contains("1 now, 4 in the last verified archive"), "{ready}");
    let command = "kubectl annotate backups.resources.cattle.io shrinks --overwrite drover.dev/allow=fewer-objects";
    assert!(ready.ends_with(command), "{ready}");
    the_good_one_stays(site, &good).await;

    let allowed = Patch::Merge(json!({"metadata": {"annotations": {"drover.dev/allow": "fewer-objects, small ones"}}}));
    site.backups().patch("shrinks", &PatchParams::default(), &allowed).await.unwrap();
    snapshot(site, "shrinks", 0).await;
    site.job("upload").succeed().await;
    let small = site.backup_status("shrinks").await.filename.unwrap();
    assert!(small != good && backup_ready(site, "shrinks").await == "Completed");
    let columns = "custom-columns=REASON:.reason,NOTE:.message";
    let events = crate::kubectl::on(site, &["get", "events", "--all-namespaces", "--output", columns]).await;
    assert!(
        events.contains("UnknownWord") && events.contains("\"small ones\": no word of drover.dev/allow"),
        "{events}"
    );

    // Nothing allows an empty one.
    maps.delete("item-0", &DeleteParams::default()).await.unwrap();
    snapshot(site, "shrinks", 65).await;
    let ready = backup_ready(site, "shrinks").await;
    assert!(ready.contains("failed to find any object") && ready.contains("\"items\""), "{ready}");
    the_good_one_stays(site, &small).await;
}

async fn snapshot(site: &Site, backup: &str, code: i32) -> Finished {
    site.job("snapshot").arguments(["--backup", backup]).end_with(code).await
}

/// The Backup still names the archive, it is still there, and nothing waits to take its place.
async fn the_good_one_stays(site: &Site, filename: &str) {
    assert!(site.artifacts().await.chunks.is_empty());
    site.job("upload").succeed().await;
    assert_eq!(site.backup_status("shrinks").await.filename.as_deref(), Some(filename));
    assert!(site.folder().join(filename).exists());
}

async fn held_leases(site: &Site) {
    site.resource_set(&set("any", ".")).await;
    site.backup("waits", "any", None).await;
    let held = hold(site, lease::RESTORES).await;
    let snapshot = || site.job("snapshot").arguments(["--backup=waits", "--wait=0"]);
    let finished = snapshot().end_with(69).await;
    assert!(finished.log.contains("\"somebody\" restores this cluster"), "{}", finished.log);
    held.release().await.unwrap();

    let held = hold(site, &lease::of_backup("waits")).await;
    let finished = snapshot().end_with(69).await;
    assert!(finished.log.contains("\"somebody\" works on the Backup \"waits\""), "{}", finished.log);
    held.release().await.unwrap();
    assert!(site.runs("waits").await.is_empty());
}

async fn hold(site: &Site, name: &str) -> Lease {
    let client = site.client.clone();
    match Holder::new(client, DEFAULT_NAMESPACE, "somebody", SETTINGS).acquire(name, Wait::No).await.unwrap() {
        Acquired::Held(lease) => lease,
        Acquired::Busy { holder } => panic!("held by {holder}"),
    }
}

/// A ServiceAccount that may list everything but Secrets makes no archive without them.
async fn type_that_may_not_be_listed(site: &Site) {
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps", "namespaces"], "verbs": ["get", "list"]}]);
    let kubeconfig = limited_kubeconfig(site, &rules).await;
    let files = tempfile::tempdir().unwrap();
    let [config, resource_set, output] = ["config", "set.yaml", "out.tar.gz"].map(|name| files.path().join(name));
    std::fs::write(&config, serde_json::to_string(&kubeconfig).unwrap()).unwrap();
    let text = "{apiVersion: resources.cattle.io/v1, kind: ResourceSet, metadata: {name: all}, resourceSelectors: [\
                {apiVersion: v1, kindsRegexp: '^(configmaps|secrets|namespaces)$'}]}";
    std::fs::write(&resource_set, text).unwrap();
    let arguments = ["--resource-set".as_ref(), resource_set.as_os_str(), "--output".as_ref(), output.as_os_str()];
    let job = site.job("snapshot").environment("KUBECONFIG", config.to_str().unwrap()).arguments(arguments);
    let finished = job.end_with(64).await;
    let words = ["failed to list \"secrets\"", "resources: [\"secrets\"], verbs: [\"list\"]"];
    assert!(words.iter().all(|words| finished.log.contains(words)), "{}", finished.log);
    let left: Vec<_> = std::fs::read_dir(files.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// A kubeconfig of a ServiceAccount that may do this.
pub(crate) async fn limited_kubeconfig(site: &Site, rules: &serde_json::Value) -> Kubeconfig {
    let name = "limited";
    let accounts: Api<ServiceAccount> = Api::namespaced(site.client.clone(), "default");
    let role_ref = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
    let subjects = json!([{"kind": "ServiceAccount", "name": name, "namespace": "default"}]);
    let rbac = "rbac.authorization.k8s.io/v1";
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}}),
        json!({"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}),
        json!({"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": {"name": name}, "roleRef": role_ref,
            "subjects": subjects}),
    ] {
        drover_testbed::rancher::make(&site.client, &object).await.unwrap();
    }
    let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
    let request = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
    let mut kubeconfig = Kubeconfig::read_from(site.testbed.kubeconfig().unwrap()).unwrap();
    let token = request.status.unwrap().token;
    kubeconfig.auth_infos[0].auth_info = Some(serde_json::from_value(json!({ "token": token })).unwrap());
    kubeconfig
}
