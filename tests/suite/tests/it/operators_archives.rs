//! Archives that the Rancher backup operator made, or that are made as it makes them.

use std::collections::BTreeMap;
use std::fs::File;

use drover::archive::{Entry, Limits, ReadError, Reader, Spool, Unsealing};
use drover::encryption;
use drover_tests::inputs::{Inputs, Kind};

#[test]
fn the_plain_archive_reads_to_exactly_its_objects_and_its_resource_set() {
    for inputs in Inputs::all() {
        let mut reader = Reader::with_unsealing(
            File::open(inputs.archive(Kind::Plain)).unwrap(),
            Limits::default(),
            Unsealing::Refuse,
        );
        let (mut paths, mut sets) = (Vec::new(), 0);
        while let Some(entry) = reader.next_entry().unwrap() {
            match entry {
                Entry::Object { key, .. } => paths.push(key.path()),
                Entry::Sealed { key, .. } => panic!("{key} stayed encrypted"),
                Entry::ResourceSet(_) => sets += 1,
                Entry::Contents(_) => panic!("the operator writes no contents"),
            }
        }
        assert!(reader.fingerprint().is_some(), "an archive that was whole has a digest");
        let expected = inputs.paths(Kind::Plain);
        assert_eq!((paths.len(), sets), (expected.len(), 1));
        assert!(paths.iter().all(|path| expected.contains(path)), "{paths:?}");
    }
}

#[test]
fn the_plain_archive_spools() {
    for inputs in Inputs::all() {
        let file = File::open(inputs.archive(Kind::Plain)).unwrap();
        let bytes = file.metadata().unwrap().len();
        let spool =
            Spool::read_in(&std::env::temp_dir(), file, &Limits::default(), Unsealing::Refuse, &mut |_| {}).unwrap();
        assert_eq!(spool.archive_bytes(), bytes);
        assert!(spool.resource_set().is_some());
        let loaded = spool.ids().map(|id| spool.load(id).unwrap().key.path()).collect();
        assert_eq!(inputs.paths(Kind::Plain), loaded);
    }
}

#[test]
fn encrypted_archives_are_refused_without_their_configurations() {
    for inputs in Inputs::all() {
        for kind in [Kind::AesCbc, Kind::Secretbox] {
            let file = File::open(inputs.archive(kind)).unwrap();
            let mut reader = Reader::with_unsealing(file, Limits::default(), Unsealing::Refuse);
            let error = loop {
                match reader.next_entry() {
                    Ok(entry) => assert!(entry.is_some(), "{kind:?} was read to its end"),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, ReadError::Encrypted { .. }), "{error:?}");
        }
    }
}

/// Each object by its path, and how many of them are encrypted.
fn objects(inputs: &Inputs, kind: Kind, unsealing: Unsealing) -> (BTreeMap<String, Vec<u8>>, usize) {
    let file = File::open(inputs.archive(kind)).unwrap();
    let spool = Spool::read_in(&std::env::temp_dir(), file, &Limits::default(), unsealing, &mut |_| {}).unwrap();
    let load = |id| spool.load(id).map(|loaded| (loaded.key.path(), loaded.object)).unwrap();
    (spool.ids().map(load).collect(), spool.ids().filter(|id| spool.seal_of(*id).is_some()).count())
}

#[test]
fn encrypted_archives_hold_what_the_plain_one_holds() {
    for inputs in Inputs::all() {
        let (plain, _) = objects(&inputs, Kind::Plain, Unsealing::Refuse);
        for kind in [Kind::AesCbc, Kind::Secretbox] {
            let configuration = encryption::from_file(&inputs.configuration(kind)).unwrap();
            let (decrypted, encrypted) = objects(&inputs, kind, Unsealing::Decrypt(configuration));
            assert_eq!(inputs.paths(kind), inputs.paths(Kind::Plain));
            assert_eq!(encrypted, plain.keys().filter(|path| kind.encrypts(path)).count());
            let differing: Vec<_> =
                plain.iter().filter(|(path, object)| decrypted.get(*path) != Some(object)).collect();
            assert!(differing.is_empty() && decrypted.len() == plain.len(), "{kind:?}: {differing:?}");
        }
    }
}
