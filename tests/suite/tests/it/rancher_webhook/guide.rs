//! The complete recovery into another cluster: in the guide's order, Rancher first, and in the order that Rancher documents,
//! the restore first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use drover::resources::Restore;
use drover_tests::{BUCKET, CREDENTIALS, Finished, Site, api_of, message, object, objects};
use kube::ResourceExt;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::scene::{ARCHIVE, LIVE, RESTORER, Scene, asked};
use super::world;
use crate::kill::dice::Dice;

const ANNOTATION: &str = "drover.dev/exempt-webhooks";

/// The archive without Projects.
const SMALLER: &str = "without-projects.tar.gz";

/// What a Rancher refuses of an archive that was valid when it was made: the object, the webhook, and the words. That a
/// cluster of the archive is there its webhook may know too late.
const REFUSED: [(&str, &str, &str); 4] = [
    ("users.management.cattle.io#v3/u-ada", "rancher.cattle.io.users.management.cattle.io", "username already exists"),
    (
        "projectroletemplatebindings.management.cattle.io#v3/local-p-tower/prtb-p-tower-project-owner",
        OF_PROJECTS,
        "specified project p-tower not found in local",
    ),
    (
        "projectroletemplatebindings.management.cattle.io#v3/local-p-tower/prtb-p-tower-read-only",
        OF_PROJECTS,
        "specified project p-tower not found in local",
    ),
    (
        "projectroletemplatebindings.management.cattle.io#v3/c-m-harbour-p-quay/prtb-p-quay-read-only",
        OF_PROJECTS,
        "not found",
    ),
];

const OF_PROJECTS: &str = "rancher.cattle.io.projectroletemplatebindings.management.cattle.io";

/// Archives of a cluster that is no more.
struct Lost {
    folder: TempDir,
}

impl Lost {
    async fn cluster() -> Self {
        let scene = Scene::with_rancher().await;
        let smaller = scene.back_up(&world::without_projects(), SMALLER).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(scene.site.folder().join(ARCHIVE), folder.path().join(ARCHIVE)).unwrap();
        std::fs::copy(smaller, folder.path().join(SMALLER)).unwrap();
        scene.site.testbed.shutdown().await;
        Self { folder }
    }

    fn archive(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn objects(&self) -> BTreeMap<String, Value> {
        objects(&self.archive(ARCHIVE))
    }
}

/// The Restore that users have, of this archive, in the site's bucket.
async fn users_restore(site: &Site, name: &str, archive: &Path) -> Restore {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/restore.yaml");
    let mut restore: Restore = serde_saphyr::from_str(&std::fs::read_to_string(example).unwrap()).unwrap();
    restore.metadata.name = Some(name.to_owned());
    assert_eq!(restore.spec.prune, Some(false));
    let filename = archive.file_name().unwrap().to_str().unwrap().to_owned();
    let s3 = restore.spec.storage_location.as_mut().unwrap().s3.as_mut().unwrap();
    BUCKET.clone_into(&mut s3.bucket_name);
    s3.endpoint = Some(site.testbed.s3().unwrap().url.clone());
    s3.credential_secret_name = Some(CREDENTIALS.to_owned());
    let key = format!("{}/{filename}", s3.folder.as_deref().unwrap());
    let bytes = std::fs::read(archive).unwrap();
    let client = site.testbed.s3().unwrap().client().unwrap();
    client.put_object().bucket(BUCKET).key(key).body(bytes.into()).send().await.unwrap();
    restore.spec.backup_filename = filename;
    restore
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_recovery_puts_everything_back_into_a_fresh_rancher() {
    let lost = Lost::cluster().await;
    let scene = Scene::start().await;
    world::populate_freshly(&scene.site.client).await;
    let webhook = scene.webhook().await;
    scene.register(&webhook).await;
    with_none_the_refusals_are_named(&scene, &lost).await;

    let before = asked(&webhook, RESTORER).len();
    let restore = users_restore(&scene.site, "guide", &lost.archive(ARCHIVE)).await;
    scene.site.make_restore(&restore).await;
    let finished = scene.job().succeed().await;
    scene.is_completed("guide").await;
    is_said(&finished);
    let after = asked(&webhook, RESTORER);
    assert!(after.len() == before, "asked while it was exempt: {:?}", &after[before..]);
    everything_is_there(&scene, &lost).await;
    scene.site.testbed.shutdown().await;
}

/// Who is exempt from what, in the log.
fn is_said(finished: &Finished) {
    let said = finished.log.lines().any(|line| line.contains("rancher.cattle.io") && line.contains(RESTORER));
    assert!(said, "{}", finished.log);
}

/// Without an exemption: what Rancher refuses fails, by name and in its words.
async fn with_none_the_refusals_are_named(scene: &Scene, lost: &Lost) {
    let mut restore = users_restore(&scene.site, "none", &lost.archive(SMALLER)).await;
    restore.annotations_mut().insert(ANNOTATION.to_owned(), "none".to_owned());
    scene.site.make_restore(&restore).await;
    let finished = scene.job().end_with(1).await;
    let status = scene.site.restore_status("none").await;
    let ready = message(status.conditions.as_ref(), "Ready");
    assert!(ready.starts_with("Failed") && status.restore_completion_ts.is_some(), "{status:?}");
    for (object, webhook, words) in REFUSED {
        assert!(finished.says(object, &["failed", webhook, words]), "{object}: {words}\n{}", finished.log);
    }
    assert_eq!(scene.exempting().await, 0);
}

/// Every object is as it was, but for built-in roles, which are those of the new Rancher; and it keeps its own
/// administrator.
async fn everything_is_there(scene: &Scene, lost: &Lost) {
    let archive = lost.objects();
    let builtin = archive.iter().filter(|(_, object)| object["builtin"] == true);
    let builtin: BTreeSet<String> = builtin.map(|(path, _)| path.clone()).collect();
    scene.is_equal(&archive, &builtin).await;
    let live = objects(&scene.site.folder().join(LIVE));
    for path in &builtin {
        let title = live[path]["displayName"].as_str().unwrap();
        assert!(title.ends_with(" of a newer Rancher"), "{path}: {title}");
    }
    let added: Vec<_> = live.keys().filter(|path| !archive.contains_key(*path)).map(String::as_str).collect();
    let fresh: BTreeSet<_> = world::FRESH.iter().map(|(path, _)| *path).collect();
    assert_eq!(added.into_iter().collect::<BTreeSet<_>>(), fresh);
    for (kind, (_, name)) in ["User", "GlobalRoleBinding"].into_iter().zip(world::FRESH) {
        let of_rancher = object("management.cattle.io/v3", kind, name, json!({}));
        assert!(api_of(&scene.site.client, &of_rancher).get_opt(name).await.unwrap().is_some(), "{name}");
    }
}

/// Rancher's documented order: the restore comes first, and Rancher, which brings its webhook, while it works.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_comes_in_the_middle_refuses_nothing() {
    let lost = Lost::cluster().await;
    let scene = Scene::start().await;
    let webhook = scene.webhook().await;
    let proxy = scene.proxy().await;
    // The definitions of the archive are there by then, and most of its objects are not.
    let writes = world::TYPES.len() + 9 + usize::try_from(Dice::of("rancher first").below(20)).unwrap();
    let restore = users_restore(&scene.site, "first", &lost.archive(ARCHIVE)).await;
    scene.site.make_restore(&restore).await;
    let held = proxy.hold_after(writes);
    let running = scene.through(&proxy).environment("DROVER_LEASE_SECONDS", "60").start();
    held.reached().await;
    scene.register(&webhook).await;
    held.go_on();
    let finished = running.wait().await;
    assert_eq!(finished.code, 0, "after {writes} writes: {}", finished.log);
    scene.is_completed("first").await;
    scene.is_equal(&lost.objects(), &BTreeSet::new()).await;
    scene.site.testbed.shutdown().await;
}
