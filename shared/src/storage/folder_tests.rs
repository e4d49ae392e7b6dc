use std::sync::Arc;

use futures::TryStreamExt;
use tempfile::TempDir;

use super::*;
use crate::digest::{Content, Sha256};
use crate::exit::{Exit, Fault};
use crate::storage::error::{BadCopy, FolderRefusalKind, Found};
use crate::storage::tries::STORES;

struct Scene {
    folder: TempDir,
    spool: tempfile::NamedTempFile,
    content: Content,
}

impl Scene {
    fn of(bytes: &[u8]) -> Self {
        let spool = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&spool, bytes).unwrap();
        let content = Content { bytes: bytes.len() as u64, sha256: Sha256::of(bytes) };
        Self { folder: TempDir::new().unwrap(), spool, content }
    }

    fn folder(&self) -> Folder {
        Folder::new(self.folder.path().to_owned())
    }

    async fn store(&self, name: &str) -> Result<(), Error> {
        self.folder().store(name, self.spool.path(), self.content.into(), Arc::default()).await
    }

    fn entries(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
    }
}

#[track_caller]
fn kind_of(error: &Error) -> FolderRefusalKind {
    match error {
        Error::Store { source: Reason::Folder { source }, .. }
        | Error::Read { source: Reason::Folder { source }, .. }
        | Error::List { source: Reason::Folder { source }, .. } => source.kind(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_archive_is_stored_readable_by_its_owner_alone_and_nothing_else_is_left() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::of(&vec![7; 1_000_000]);
    scene.store("a.tar.gz").await.unwrap();
    assert_eq!(scene.entries(), ["a.tar.gz", "a.tar.gz.sha256"]);
    let metadata = std::fs::metadata(scene.folder.path().join("a.tar.gz")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let opened = scene.folder().open("a.tar.gz").await.unwrap();
    assert_eq!(opened.content(|_| ()).await.unwrap(), scene.content);
}

#[tokio::test]
async fn a_file_that_is_not_what_was_announced_is_not_stored() {
    let mut scene = Scene::of(b"archive");
    scene.content.sha256 = Sha256::of("another");
    let error = scene.store("a.tar.gz").await.unwrap_err();
    assert!(
        matches!(&error, Error::Verify { difference, .. }
        if difference.copy == BadCopy::Removed && matches!(difference.found, Found::Content(_))),
        "{error:?}"
    );
    assert_eq!(error.exit(), Exit::DataRefused);
    assert_eq!(scene.entries(), Vec::<String>::new());
}

/// Turns over the first byte of each unfinished file, so many of them, while it is still being written.
fn damage(folder: &std::path::Path, files: usize) -> std::thread::JoinHandle<usize> {
    use std::os::unix::fs::FileExt;
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        let mut damaged = std::collections::BTreeSet::new();
        while damaged.len() < files && folder.exists() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let has_bytes = entry.metadata().is_ok_and(|metadata| metadata.len() > 0);
                if !entry.file_name().to_string_lossy().ends_with(".partial") || !has_bytes {
                    continue;
                }
                let file = std::fs::OpenOptions::new().write(true).open(entry.path());
                if file.is_ok_and(|file| file.write_all_at(&[8], 0).is_ok()) {
                    damaged.insert(entry.file_name());
                }
            }
        }
        damaged.len()
    })
}

#[tokio::test]
async fn a_copy_with_a_wrong_byte_is_written_again() {
    let scene = Scene::of(&vec![7; 32 << 20]);
    let damaging = damage(scene.folder.path(), 1);
    scene.store("a.tar.gz").await.unwrap();
    assert_eq!(damaging.join().unwrap(), 1);
    let opened = scene.folder().open("a.tar.gz").await.unwrap();
    assert_eq!(opened.content(|_| ()).await.unwrap(), scene.content);
    assert_eq!(scene.entries(), ["a.tar.gz", "a.tar.gz.sha256"]);
}

#[tokio::test]
async fn a_folder_that_damages_every_copy_gets_no_archive() {
    let scene = Scene::of(&vec![7; 32 << 20]);
    let damaging = damage(scene.folder.path(), STORES as usize);
    let error = scene.store("a.tar.gz").await.unwrap_err();
    assert!(matches!(&error, Error::Verify { .. }), "{error:?}");
    assert_eq!(damaging.join().unwrap(), STORES as usize);
    assert_eq!(scene.entries(), Vec::<String>::new());
}

#[tokio::test]
async fn leftovers_of_the_same_archive_are_removed_and_others_stay() {
    let scene = Scene::of(b"archive");
    scene.put(".drover-a.tar.gz.abcd1234.partial", b"half");
    scene.put(".drover-b.tar.gz.abcd1234.partial", b"half");
    scene.put("notes.txt", b"");
    scene.store("a.tar.gz").await.unwrap();
    assert_eq!(scene.entries(), [".drover-b.tar.gz.abcd1234.partial", "a.tar.gz", "a.tar.gz.sha256", "notes.txt"]);
}

#[tokio::test]
async fn folders_beside_an_archive_are_nobodys_marks_and_keep_it_from_nothing() {
    let scene = Scene::of(b"archive");
    std::fs::create_dir(scene.folder.path().join("a.tar.gz.bad")).unwrap();
    scene.store("a.tar.gz").await.unwrap();
    assert!(!scene.folder().is_marked("a.tar.gz").await.unwrap());
    assert_eq!(scene.folder().remove("a.tar.gz").await.unwrap(), Removal::Removed);
    assert_eq!(scene.entries(), ["a.tar.gz.bad"]);
}

#[tokio::test]
async fn a_copy_that_nobody_waits_for_leaves_nothing() {
    let scene = Scene::of(&vec![7; 64 << 20]);
    let folder = scene.folder();
    let meter = Arc::new(Meter::default());
    let storing = folder.store("a.tar.gz", scene.spool.path(), scene.content.into(), meter.clone());
    let begun = async {
        while scene.entries().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        stored = storing => panic!("it was too quick to be cut off: {stored:?}"),
        () = begun => {}
    }
    while !scene.entries().is_empty() {
        tokio::task::yield_now().await;
    }
    // The thread that copies has let go of the meter, so it will write no more.
    while Arc::strong_count(&meter) > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.entries(), Vec::<String>::new());
}

#[tokio::test]
async fn a_missing_folder_is_an_error_that_says_what_to_mount_and_is_not_made() {
    let scene = Scene::of(b"archive");
    let inside = scene.folder.path().join("missing");
    let folder = Folder::new(inside.clone());
    let stored = folder.store("a.tar.gz", scene.spool.path(), scene.content.into(), Arc::default()).await.unwrap_err();
    let opened = folder.open("a.tar.gz").await.map(|opened| opened.size()).unwrap_err();
    let listed = folder.entries().try_collect::<Vec<_>>().await.unwrap_err();
    for error in [stored, opened, listed] {
        assert_eq!((kind_of(&error), error.exit()), (FolderRefusalKind::NoFolder, Exit::Usage));
        assert!(!error.is_missing());
        let text = crate::exit::Chain::of(&error).to_string();
        assert!(text.contains("mount the volume"), "{text}");
    }
    assert!(!inside.exists());
}

#[tokio::test]
async fn too_little_room_is_told_before_anything_is_written() {
    let mut scene = Scene::of(b"archive");
    scene.content.bytes = 1 << 60;
    let error = scene.store("a.tar.gz").await.unwrap_err();
    assert_eq!((kind_of(&error), error.exit()), (FolderRefusalKind::Full, Exit::Unavailable));
    let text = crate::exit::Chain::of(&error).to_string();
    assert!(text.contains("1152921504606846976 bytes are needed") && text.contains("are free"), "{text}");
    assert_eq!(scene.entries(), Vec::<String>::new());
}

#[tokio::test]
async fn a_missing_archive_is_told_from_a_missing_folder() {
    let scene = Scene::of(b"archive");
    let error = scene.folder().open("a.tar.gz").await.map(|opened| opened.size()).unwrap_err();
    assert_eq!(kind_of(&error), FolderRefusalKind::NoFile);
    assert!(error.is_missing());
}

#[tokio::test]
async fn links_pipes_and_folders_are_no_archives() {
    let scene = Scene::of(b"archive");
    let path = |name: &str| scene.folder.path().join(name);
    std::os::unix::fs::symlink("/etc/passwd", path("link.tar.gz")).unwrap();
    std::fs::create_dir(path("folder.tar.gz")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path("pipe.tar.gz"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for name in ["link.tar.gz", "folder.tar.gz", "pipe.tar.gz"] {
        let error = scene.folder().open(name).await.map(|opened| opened.size()).unwrap_err();
        assert_eq!(kind_of(&error), FolderRefusalKind::NotFile, "{name}");
    }
}

#[tokio::test]
async fn archives_and_what_lies_beside_them_are_found() {
    let scene = Scene::of(b"archive");
    scene.store("a.tar.gz").await.unwrap();
    scene.put(".drover-b.tar.gz.abcd1234.partial", b"half");
    std::fs::create_dir(scene.folder.path().join("lost+found")).unwrap();
    let listed: Vec<Listed> = scene.folder().entries().try_collect().await.unwrap();
    let archive = listed.iter().find(|listed| listed.name == "a.tar.gz").unwrap();
    assert_eq!((archive.bytes, archive.modified.is_some()), (7, true));
    assert_eq!((listed.len(), listed.iter().any(|listed| listed.name == "a.tar.gz.sha256")), (2, true));
}
