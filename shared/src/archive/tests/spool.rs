//! An archive read into a temporary file.

use super::fixture::{CLUSTER_ROLE, CONFIG_MAP, Tar, object};
use crate::archive::{Limits, Progress, ReadError, Spool, Unsealing};
use crate::digest::Sha256;

const SET: &[u8] = br#"{"apiVersion":"resources.cattle.io/v1","kind":"ResourceSet","metadata":{"name":"a"}}"#;

fn spool(archive: &[u8]) -> Result<Spool, ReadError> {
    Spool::read_in(&std::env::temp_dir(), archive, &Limits::default(), Unsealing::Refuse, &mut |_| {})
}

#[test]
fn objects_are_loaded_by_many_threads_in_any_order() {
    let paths: Vec<String> =
        (0..200).map(|number| format!("configmaps.#v1/ns-{}/a-{number}.json", number % 7)).collect();
    let archive = paths.iter().fold(Tar::default(), |tar, path| tar.object(path)).archive();
    let spool = spool(&archive).unwrap();
    assert_eq!(spool.len(), 200);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let ids: Vec<_> = spool.ids().collect();
                for (id, path) in ids.into_iter().zip(&paths).rev() {
                    let loaded = spool.load(id).unwrap();
                    assert_eq!(loaded.key.path(), *path);
                    assert_eq!(loaded.object, object(path));
                }
            });
        }
    });
}

#[test]
fn an_archive_is_summed_up() {
    let other = "configmaps.#v1/default/b.json";
    let tar = Tar::default().object(CONFIG_MAP).object(CLUSTER_ROLE).file("filters/filters.json", SET).object(other);
    let archive = tar.archive();
    let mut seen = Vec::new();
    let spool =
        Spool::read_in(&std::env::temp_dir(), &*archive, &Limits::default(), Unsealing::Refuse, &mut |progress| {
            seen.push(progress);
        })
        .unwrap();
    assert_eq!(spool.sha256(), Sha256::of(&archive));
    assert_eq!(spool.archive_bytes(), archive.len() as u64);
    assert_eq!(spool.resource_set(), Some(SET));
    let types: Vec<_> = spool.types().iter().map(|of| (of.name.to_string(), of.namespaced, of.objects)).collect();
    let expected = [("configmaps.#v1", true, 2), ("clusterroles.rbac.authorization.k8s.io#v1", false, 1)];
    assert_eq!(types, expected.map(|(name, namespaced, objects)| (name.to_owned(), namespaced, objects)));
    assert_eq!(spool.ids().map(|id| spool.type_of(id)).collect::<Vec<_>>(), [0, 1, 0]);
    let bytes = [CONFIG_MAP, CLUSTER_ROLE, other].map(|path| object(path).len() as u64);
    assert_eq!(spool.types()[0].bytes, bytes[0] + bytes[2]);
    assert_eq!(seen.len(), 3);
    assert_eq!(seen.last(), Some(&Progress { objects: 3, bytes: bytes.iter().sum() }));
}

#[test]
fn the_digest_counts_all_members_and_padding() {
    let archive = [&*Tar::default().object(CONFIG_MAP).archive(), &vec![0; 100_000]].concat();
    let spool = spool(&archive).unwrap();
    assert_eq!(spool.sha256(), Sha256::of(&archive));
    assert_eq!(spool.archive_bytes(), archive.len() as u64);
    assert_eq!(spool.resource_set(), None);
    assert!(!spool.is_empty());
}

#[test]
fn a_type_with_objects_in_and_outside_of_namespaces_is_refused() {
    for paths in [["secrets.#v1/ns/a.json", "secrets.#v1/a.json"], ["secrets.#v1/a.json", "secrets.#v1/ns/a.json"]] {
        let archive = Tar::default().object(paths[0]).object(paths[1]).archive();
        let error = spool(&archive).err().unwrap();
        assert!(matches!(&error, ReadError::MixedScope { entry, .. } if entry == paths[1]), "{error:?}");
    }
}

#[test]
fn more_types_than_any_cluster_serves_are_refused() {
    let archive = (0..=16 << 10).fold(Tar::default(), |tar, number| tar.object(&format!("t{number}.#v1/a.json")));
    let error = spool(&archive.archive()).err().unwrap();
    assert!(matches!(error, ReadError::TooManyTypes { .. }), "{error:?}");
}

#[test]
fn an_archive_that_is_not_whole_is_no_spool() {
    assert!(spool(&Tar::default().object(CONFIG_MAP).gzip()).is_err());
}

#[test]
fn a_folder_that_cannot_be_written_is_no_fault_of_the_archive() {
    let archive = Tar::default().object(CONFIG_MAP).archive();
    let folder = std::path::Path::new("/nonexistent");
    let error = Spool::read_in(folder, &*archive, &Limits::default(), Unsealing::Refuse, &mut |_| {}).err().unwrap();
    assert_eq!(crate::exit::Fault::exit(&error), crate::exit::Exit::Failure);
}
