//! Archives that the Rancher backup operator made, where they lie beside the checkout.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::fixture::read;
use crate::archive::{Limits, ReadError, Spool, Unsealing};
use crate::encryption;

/// Where they lie. `DROVER_OPERATOR_ARCHIVES` names another folder.
fn folder() -> PathBuf {
    std::env::var_os("DROVER_OPERATOR_ARCHIVES")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/bro-archives")), PathBuf::from)
}

/// The archive whose name begins so, and its list of entries; none, and a word about it, where they are not at hand.
fn archive(kind: &str) -> Option<(File, BTreeSet<String>)> {
    let folder = folder();
    let Ok(files) = fs::read_dir(&folder) else {
        eprintln!("skipped: the operator's archives are not in {}", folder.display());
        return None;
    };
    let path = files
        .map(|file| file.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with(&format!("bro-{kind}-")))
        .unwrap();
    let list = fs::read_to_string(folder.join(format!("{kind}.list"))).unwrap();
    let files = list.lines().filter(|line| line.contains(".json")).map(str::to_owned).collect();
    Some((File::open(path).unwrap(), files))
}

#[test]
fn the_operators_plain_archive_reads_to_exactly_its_files() {
    let Some((file, expected)) = archive("plain") else { return };
    let read = read(file).unwrap();
    let paths: BTreeSet<String> = read
        .iter()
        .map(|(path, _)| if path.is_empty() { "filters/filters.json".to_owned() } else { path.clone() })
        .collect();
    assert_eq!(paths, expected);
    assert_eq!(read.len(), expected.len());
}

#[test]
fn the_operators_plain_archive_spools() {
    let Some((file, expected)) = archive("plain") else { return };
    let bytes = file.metadata().unwrap().len();
    let spool = Spool::read(file, &Limits::default(), &mut |_| {}).unwrap();
    assert_eq!(spool.archive_bytes(), bytes);
    assert!(spool.resource_set().is_some());
    let loaded: BTreeSet<String> = spool.ids().map(|id| spool.load(id).unwrap().key.path()).collect();
    assert_eq!(loaded.len() + 1, expected.len());
    assert!(loaded.is_subset(&expected));
}

#[test]
fn the_operators_encrypted_archives_are_refused_without_their_configurations() {
    for kind in ["aescbc", "secretbox"] {
        let Some((file, _)) = archive(kind) else { return };
        let error = read(file).unwrap_err();
        assert!(matches!(error, ReadError::Encrypted { .. }), "{error:?}");
    }
}

/// Each object by its path, and how many of them are encrypted.
fn objects(file: File, unsealing: Unsealing) -> (BTreeMap<String, Vec<u8>>, usize) {
    let spool = Spool::read_in(Path::new("/tmp"), file, &Limits::default(), unsealing, &mut |_| {}).unwrap();
    let load = |id| spool.load(id).map(|loaded| (loaded.key.path(), loaded.object)).unwrap();
    (spool.ids().map(load).collect(), spool.ids().filter(|id| spool.seal_of(*id).is_some()).count())
}

#[test]
fn the_operators_encrypted_archives_hold_what_its_plain_one_holds() {
    for (kind, encrypts) in [("aescbc", "secrets.#v1/"), ("secretbox", "")] {
        let (Some((plain, expected)), Some((file, listed))) = (archive("plain"), archive(kind)) else { return };
        let configuration = encryption::from_file(&folder().join(format!("{kind}.yaml"))).unwrap();
        let (decrypted, encrypted) = objects(file, Unsealing::Decrypt(configuration));
        let (plain, _) = objects(plain, Unsealing::Refuse);
        assert_eq!(listed, expected);
        assert_eq!(encrypted, plain.keys().filter(|path| path.starts_with(encrypts)).count());
        let differing: Vec<_> = plain.iter().filter(|(path, object)| decrypted.get(*path) != Some(object)).collect();
        assert!(differing.is_empty() && decrypted.len() == plain.len(), "{kind}: {differing:?}");
    }
}
