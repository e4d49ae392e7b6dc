//! Upkeep of a folder; that of buckets is tested on real servers.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use futures::TryStreamExt;
use tempfile::{NamedTempFile, TempDir};

use super::*;
use crate::digest::{Content, Sha256};
use crate::exit::{Exit, Fault};
use crate::storage::{BadCopy, Found, Listed, Location, Parcel, Verification};

const NAME: &str = "a.tar.gz";

struct Scene {
    folder: TempDir,
    spool: NamedTempFile,
    content: Content,
    storage: Storage,
}

impl Scene {
    async fn of(bytes: &[u8]) -> Self {
        let spool = NamedTempFile::new().unwrap();
        std::fs::write(&spool, bytes).unwrap();
        let content = Content { bytes: bytes.len() as u64, sha256: Sha256::of(bytes) };
        let folder = TempDir::new().unwrap();
        let storage = Storage::open(Location::Folder(folder.path().to_owned())).await.unwrap();
        Self { folder, spool, content, storage }
    }

    async fn store(&self, name: &str) -> bool {
        let parcel = Parcel { mac: Some([5; 32].into()), objects: Some(700), ..self.content.into() };
        self.storage.store(name, self.spool.path(), parcel, |_| ()).await.unwrap().already_there
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn entries(&self) -> Vec<String> {
        names_in(self.folder.path())
    }

    async fn label(&self) -> Label {
        self.storage.label(NAME).await.unwrap().unwrap()
    }

    async fn mark(&self) {
        let difference = Difference { expected: self.content, found: Found::OtherSize(3), copy: BadCopy::Left };
        self.storage.mark_bad(NAME, &difference).await.unwrap();
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn sha256sum_proves_an_archive_by_its_label() {
    let scene = Scene::of(b"archive").await;
    scene.store(NAME).await;
    let run = |file: &str| {
        let arguments = ["--check", "--strict", "--status", file];
        Command::new("sha256sum").args(arguments).current_dir(scene.folder.path()).status().unwrap().success()
    };
    assert!(run("a.tar.gz.sha256"));
    std::fs::write(scene.path(NAME), b"Archive").unwrap();
    assert!(!run("a.tar.gz.sha256"));
}

#[tokio::test]
async fn a_label_that_a_kill_prevented_is_made_up() {
    let scene = Scene::of(b"archive").await;
    assert!(!scene.store(NAME).await);
    let expected = Label {
        bytes: 7,
        sha256: Some(scene.content.sha256),
        objects: Some(700),
        lacks_types: false,
        mac: Some([5; 32].into()),
        is_bad: false,
    };
    assert_eq!(scene.label().await, expected);
    for damage in [|path| std::fs::remove_file(path), |path: std::path::PathBuf| std::fs::write(path, "x")] {
        damage(scene.path("a.tar.gz.sha256")).unwrap();
        assert_eq!(scene.label().await, Label { sha256: None, objects: None, mac: None, ..expected });
        assert!(scene.store(NAME).await);
        assert_eq!(scene.label().await, expected);
    }
    assert_eq!(scene.storage.label("b.tar.gz").await.unwrap(), None);
}

#[tokio::test]
async fn hostile_labels_say_nothing_and_hold_nobody_up() {
    let scene = Scene::of(b"archive").await;
    scene.store(NAME).await;
    let path = scene.path("a.tar.gz.sha256");
    let good = std::fs::read_to_string(&path).unwrap();
    let pipe = |path: &Path| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    let link = |path: &Path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
    let folder = |path: &Path| std::fs::create_dir(path).unwrap();
    let long = |path: &Path| std::fs::write(path, "#".repeat(1 << 20) + "\n" + &good).unwrap();
    let binary = |path: &Path| std::fs::write(path, [0xff; 64]).unwrap();
    let plants: [&dyn Fn(&Path); 5] = [&long, &binary, &pipe, &link, &folder];
    for plant in plants {
        std::fs::remove_file(&path).unwrap();
        plant(&path);
        let label = scene.label().await;
        assert_eq!((label.sha256, label.objects), (None, None));
    }
}

#[tokio::test]
async fn only_archives_are_listed_and_bad_ones_are_told() {
    let scene = Scene::of(b"archive").await;
    for name in [NAME, "b.tar.gz"] {
        scene.store(name).await;
    }
    scene.mark().await;
    assert_eq!(scene.entries(), ["a.tar.gz", "a.tar.gz.bad", "a.tar.gz.sha256", "b.tar.gz", "b.tar.gz.sha256"]);
    let mut listed: Vec<Listed> = scene.storage.list().try_collect().await.unwrap();
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    let listed: Vec<_> = listed.iter().map(|listed| (listed.name.as_str(), listed.is_bad)).collect();
    assert_eq!(listed, [(NAME, true), ("b.tar.gz", false)]);
}

#[tokio::test]
async fn a_bad_copy_is_not_read_before_a_good_one_is_stored() {
    let scene = Scene::of(b"archive").await;
    scene.store(NAME).await;
    std::fs::write(scene.path(NAME), b"bad").unwrap();
    scene.mark().await;
    assert!(scene.label().await.is_bad);
    let error = scene.storage.open_archive(NAME).await.map(|opened| opened.size()).unwrap_err();
    assert_eq!(error.exit(), Exit::DataRefused);
    assert!(error.to_string().contains("\"a.tar.gz.bad\"") && !error.is_missing(), "{error}");
    let found = scene.storage.verify(NAME, scene.content).await.unwrap();
    assert_eq!(found, Verification::Differs(Found::OtherSize(3)));
    assert!(!scene.store(NAME).await);
    assert!(!scene.label().await.is_bad);
    scene.storage.open_archive(NAME).await.unwrap();
    assert_eq!(scene.entries(), ["a.tar.gz", "a.tar.gz.sha256"]);
}

#[tokio::test]
async fn an_archive_is_removed_with_what_lies_beside_it() {
    let scene = Scene::of(b"archive").await;
    for name in [NAME, "a.tar.gz.enc"] {
        scene.store(name).await;
    }
    scene.mark().await;
    assert_eq!(scene.storage.remove(NAME).await.unwrap(), Removal::Removed);
    assert_eq!(scene.entries(), ["a.tar.gz.enc", "a.tar.gz.enc.sha256"]);
    assert_eq!(scene.storage.remove(NAME).await.unwrap(), Removal::Gone);
    std::fs::create_dir(scene.path("c.tar.gz")).unwrap();
    let refused = scene.storage.remove("c.tar.gz").await.unwrap_err();
    assert!(matches!(refused, Error::Remove { .. }), "{refused:?}");
    assert!(matches!(scene.storage.remove("../a").await, Err(Error::UseName { .. })));
    assert!(matches!(scene.storage.remove("a.tar.gz.sha256").await, Err(Error::UseName { .. })));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error_and_no_missing_archive() {
    let scene = Scene::of(b"archive").await;
    let missing = Storage::open(Location::Folder(scene.path("missing"))).await.unwrap();
    let removed = missing.remove(NAME).await.unwrap_err();
    let labelled = missing.label(NAME).await.unwrap_err();
    let tidied = missing.abort_forgotten(Duration::ZERO, Timestamp::now()).await.unwrap_err();
    for error in [removed, labelled, tidied] {
        let text = crate::exit::Chain::of(&error).to_string();
        assert!(text.contains("mount the volume"), "{text}");
    }
}

#[tokio::test]
async fn only_old_unfinished_files_are_removed() {
    let scene = Scene::of(b"archive").await;
    scene.store(NAME).await;
    let now = Timestamp::now();
    let hour = Duration::from_hours(1);
    for (name, age) in [(".drover-b.abcd1234.partial", 2), (".drover-c.abcd1234.partial", 0), (".other.partial", 2)] {
        std::fs::write(scene.path(name), b"half").unwrap();
        let file = std::fs::File::options().write(true).open(scene.path(name)).unwrap();
        file.set_modified(SystemTime::now() - hour * age).unwrap();
    }
    assert_eq!(scene.storage.abort_forgotten(hour, now).await.unwrap(), 1);
    assert_eq!(scene.entries(), [".drover-c.abcd1234.partial", ".other.partial", "a.tar.gz", "a.tar.gz.sha256"]);
    assert_eq!(scene.storage.abort_forgotten(Duration::MAX, now).await.unwrap(), 0);
}

#[tokio::test]
async fn a_missing_archive_is_told_with_the_nearest_names() {
    let scene = Scene::of(b"archive").await;
    for name in ["daily-1.tar.gz", "daily-2.tar.gz", "unlike-any-other-name.tar.gz"] {
        scene.store(name).await;
    }
    let error = scene.storage.open_archive("daily-3.tar.gz").await.map(|opened| opened.size()).unwrap_err();
    assert!(error.is_missing());
    assert!(error.to_string().ends_with("; the nearest there: \"daily-1.tar.gz\", \"daily-2.tar.gz\""), "{error}");
}
