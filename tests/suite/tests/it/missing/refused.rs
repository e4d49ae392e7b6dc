use std::time::Instant;

use drover::archive::Reason;
use drover::resources::{BackupSpec, BackupStatus, ConditionStatus, Restore, RestoreSpec};
use drover_testbed::{Options, Service, seconds_pass};
use drover_tests::message;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::ResourceExt;
use kube::api::DeleteParams;

use super::*;

/// How long a type that cannot be had may hold up a snapshot on a busy machine; the tries themselves take eight seconds.
const SECONDS: Duration = Duration::from_secs(25);

const CONVERTED: &str = "converted.example.io";

const DOWN: &str = "down.example.io";

const BACKUP: &str = "daily";

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_cannot_be_had_fails_in_seconds_and_the_rest_is_stored_for_who_asks_for_it() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    api_that_is_down(&site).await;
    type_that_cannot_be_converted(&site).await;
    let converted = all_of(&format!("{CONVERTED}/v2"));
    let down = all_of(&format!("{DOWN}/v1"));
    in_a_file(&site, &converted, &format!("things.{CONVERTED}"), &["failed to list", "conversion webhook"]).await;
    let named = format!("the APIService \"v1.{DOWN}\" (Service \"default/nobody\") is not available: ServiceNotFound");
    in_a_file(&site, &down, &format!("{DOWN}/v1"), &["503", "kubectl get apiservices", &named]).await;
    of_a_backup(&site, &[converted, down]).await;
    names_that_make_no_path(&site).await;
    site.testbed.shutdown().await;
}

/// An aggregated API whose server is nowhere.
async fn api_that_is_down(site: &Site) {
    let service = json!({"name": "nobody", "namespace": "default", "port": 443});
    let spec = json!({"group": DOWN, "version": "v1", "service": service, "insecureSkipTLSVerify": true,
        "groupPriorityMinimum": 1000, "versionPriority": 15});
    let api = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": format!("v1.{DOWN}")}, "spec": spec});
    make(site, &api).await;
    let groups = async || site.client.list_api_groups().await.unwrap().groups;
    until("its group is named", async || groups().await.iter().any(|group| group.name == DOWN)).await;
    let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/v1.{DOWN}");
    let request = || http::Request::get(&path).body(Vec::new()).unwrap();
    let said = async || site.client.request::<Value>(request()).await.unwrap()["status"].to_string();
    until("it is known to be down", async || said().await.contains("ServiceNotFound")).await;
}

/// A type whose second version only a webhook that is nowhere could give.
async fn type_that_cannot_be_converted(site: &Site) {
    let mut definition = definition(CONVERTED, &[("v1", true)]);
    define(site, &definition).await;
    make_things(site, &format!("{CONVERTED}/v1"), 3).await;
    let second = definition["spec"]["versions"][0].clone();
    definition["spec"]["versions"].as_array_mut().unwrap().push(second);
    definition["spec"]["versions"][1]["name"] = json!("v2");
    definition["spec"]["versions"][1]["storage"] = json!(false);
    definition["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:1/convert"}}});
    let definitions: Api<Definition> = Api::all(site.client.clone());
    let name = format!("things.{CONVERTED}");
    definitions.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&definition)).await.unwrap();
    // A page, as drover asks for it: the whole list would wait for the server's cache, which never fills.
    let list = format!("/apis/{CONVERTED}/v2/things?limit=1");
    let request = || http::Request::get(&list).body(Vec::new()).unwrap();
    let code = async || match site.client.request::<Value>(request()).await {
        Err(kube::Error::Api(status)) => status.code,
        _ => 0,
    };
    until("its second version fails", async || code().await == 500).await;
}

async fn in_a_file(site: &Site, selector: &Value, what: &str, words: &[&str]) {
    let set = set("refused", std::slice::from_ref(selector));
    let begun = Instant::now();
    let (finished, archive) = to_file(site, &set, &[], 69).await;
    eprintln!("{what} failed a snapshot after {:?}", begun.elapsed());
    assert!(begun.elapsed() < SECONDS, "{:?}: {}", begun.elapsed(), finished.log);
    for words in words.iter().chain(&["--allow missing-types", what]) {
        assert!(finished.log.contains(words), "{words}: {}", finished.log);
    }
    assert!(!archive.exists());

    let (finished, archive) = to_file(site, &set, &["--allow", "missing-types"], 0).await;
    assert!(finished.log.contains("no whole backup"), "{}", finished.log);
    let contents = contents(&archive);
    assert_eq!(contents.missing().map(|left_out| left_out.name.as_str()).collect::<Vec<_>>(), [what]);
    assert!(!contents.listed().contains(what) && contents.listed().contains("namespaces"), "{contents:?}");
    let text = site.job("restore").arguments(["inspect", archive.to_str().unwrap()]).succeed().await.output;
    assert!(text.contains(&format!("{what}: MISSING, it could not be read: ")), "{text}");
}

async fn of_a_backup(site: &Site, selectors: &[Value]) {
    site.resource_set(&set("set", &[]).to_string()).await;
    let spec = BackupSpec {
        resource_set_name: "set".to_owned(),
        schedule: Some("@yearly".to_owned()),
        retention_count: Some(1),
        ..BackupSpec::default()
    };
    site.make_backup(BACKUP, spec).await;
    site.job("snapshot").arguments(["--backup", BACKUP]).succeed().await;
    site.job("upload").succeed().await;
    let before = site.backup_status(BACKUP).await;
    let good = before.filename.clone().unwrap();

    site.resource_set(&set("set", selectors).to_string()).await;
    site.job("snapshot").arguments(["--backup", BACKUP]).end_with(69).await;
    let ready = message(site.backup_status(BACKUP).await.conditions.as_ref(), "Ready");
    let command = format!(
        "run \"kubectl annotate backups.resources.cattle.io {BACKUP} --overwrite drover.dev/allow=missing-types\""
    );
    assert!(ready.starts_with("Failed: ") && ready.contains(&command), "{ready}");

    let patch = Patch::Merge(json!({"metadata": {"annotations": {"drover.dev/allow": "missing-types"}}}));
    site.backups().patch(BACKUP, &PatchParams::default(), &patch).await.unwrap();
    site.job("snapshot").arguments(["--backup", BACKUP]).succeed().await;
    site.job("upload").succeed().await;
    let after = site.backup_status(BACKUP).await;
    assert_eq!((after.filename, after.last_snapshot_ts), (before.filename, before.last_snapshot_ts));
    let conditions = after.conditions.unwrap();
    assert!(conditions.is_true("Uploaded"), "{conditions:?}");
    assert_eq!(conditions.get("Whole").unwrap().status, ConditionStatus::False);
    for type_ in ["Whole", "Ready"] {
        let words = message(Some(&conditions), type_);
        let is_named = words.contains(&format!("things.{CONVERTED}")) && words.contains(&format!("{DOWN}/v1"));
        assert!(is_named, "{type_}: {words}");
    }
    let run = site.runs(BACKUP).await.pop().unwrap();
    let lacking = run.spec.filename;
    assert!(site.folder().join(&lacking).exists(), "the rest is stored");

    let listed = site.job("restore").arguments(["list", "--backup", BACKUP]).succeed().await.output;
    let line = listed.lines().find(|line| line.contains(&lacking)).unwrap();
    assert!(line.contains("lacks types"), "{listed}");
    // It pushes nothing out, and is not the latest.
    site.job("retention-prune").succeed().await;
    assert!(site.folder().join(&good).exists() && site.folder().join(&lacking).exists());
    assert_eq!(latest(site).await, good);
}

/// RBAC leaves its names to whoever may make a role. Those that no archive can hold are left out and said, and stay.
async fn names_that_make_no_path(site: &Site) {
    let long = format!("path-{}", "x".repeat(5000));
    for name in ["path-good", "path-\todd", &long] {
        make(site, &role(name)).await;
    }
    let selector = json!({"apiVersion": RBAC, "kinds": ["ClusterRole"], "resourceNameRegexp": "^path-"});
    let set = set("names", &[selector]);
    let (finished, archive) = to_file(site, &set, &[], 0).await;
    let of_archive = without_place(&archive);
    for said in [&finished.log, &of_archive] {
        assert!(said.contains("2 with names") && said.contains("path-\\todd") && said.contains("path-xxx"), "{said}");
    }
    let stay = ["path-\todd", "path-good", &long];

    make(site, &role("path-later")).await;
    // What was made in the second in which a command began may have been made after it.
    seconds_pass(2).await;
    let apply = ["apply".as_ref(), archive.as_os_str(), "--prune".as_ref()];
    site.job("restore").arguments(apply).succeed().await;
    assert_eq!(path_roles(site).await, stay);

    let filename = its_backup_says_them(site, &set, &of_archive).await;
    make(site, &role("path-later")).await;
    site.make_restore(&Restore::new("names", RestoreSpec { backup_filename: filename, ..RestoreSpec::default() }))
        .await;
    let finished = site.job("restore").succeed().await;
    assert_eq!(path_roles(site).await, stay, "{}", finished.log);
}

const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn role(name: &str) -> Value {
    json!({"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}})
}

/// The names of the roles that the ResourceSet selects.
async fn path_roles(site: &Site) -> Vec<String> {
    let roles: Api<ClusterRole> = Api::all(site.client.clone());
    let roles = roles.list(&ListParams::default()).await.unwrap().items;
    let mut names: Vec<_> = roles.iter().map(ResourceExt::name_any).filter(|name| name.starts_with("path-")).collect();
    names.sort();
    names
}

/// What an archive says of roles whose names it has no place for.
fn without_place(archive: &Path) -> String {
    let left_out = contents(archive).left_out.pop().unwrap();
    assert_eq!((left_out.name.as_str(), left_out.reason), ("clusterroles.rbac.authorization.k8s.io", Reason::NoPlace));
    left_out.message
}

/// The Backup says what the archive does, and is a good one all the same; gives its file.
async fn its_backup_says_them(site: &Site, set: &Value, words: &str) -> String {
    site.resource_set(&set.to_string()).await;
    site.backup("names", "names", None).await;
    site.job("snapshot").arguments(["--backup", "names"]).succeed().await;
    site.job("upload").succeed().await;
    let BackupStatus { filename, conditions, .. } = site.backup_status("names").await;
    let (filename, conditions) = (filename.unwrap(), conditions.unwrap());
    assert_eq!(message(Some(&conditions), "Ready"), "Completed");
    let said = message(Some(&conditions), "Whole");
    let expected = format!("; left out of clusterroles.rbac.authorization.k8s.io: {words}");
    assert!(conditions.is_true("Whole") && said.ends_with(&expected), "{said}");
    assert_eq!(without_place(&site.folder().join(&filename)), words);
    let events: Api<Event> = Api::namespaced(site.client.clone(), "default");
    let events = events.list(&ListParams::default()).await.unwrap().items;
    let told = events.iter().find(|event| event.reason.as_deref() == Some("LeftOut")).unwrap();
    let about = told.regarding.as_ref().and_then(|backup| backup.name.as_deref());
    assert_eq!((about, told.type_.as_deref()), (Some("names"), Some("Warning")));
    assert!(told.note.as_deref().is_some_and(|note| note.contains("path-\\todd")), "{told:?}");
    filename
}

/// The archive that a Restore of the latest one takes.
async fn latest(site: &Site) -> String {
    let spec = RestoreSpec { backup_filename: "latest".to_owned(), prune: Some(false), ..RestoreSpec::default() };
    let mut restore = Restore::new("back", spec);
    restore.annotations_mut().insert("drover.dev/latest-of".to_owned(), BACKUP.to_owned());
    site.make_restore(&restore).await;
    site.job("restore").succeed().await;
    let restore = site.restores().get("back").await.unwrap();
    site.restores().delete("back", &DeleteParams::default()).await.unwrap();
    restore.archive().unwrap().to_owned()
}
