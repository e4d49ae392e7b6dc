//! Encrypted objects in an archive.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::fixture::{CONFIG_MAP, Tar, object, read};
use crate::archive::{EntryId, Key, Limits, ReadError, Spool, Totals, Unsealing, WriteError, Writer};
use crate::encryption::Configuration;
use crate::exit::{Chain, Exit, Fault};

const SECRET: &str = "secrets.#v1/cattle-system/tls.json";
const OTHER: &str = "secrets.#v1/cattle-system/other.json";
const CLUSTER_SECRET: &str = "sealedthings.x.io#v1/u-4h2k4:view.json";

/// A rule for Secrets and one for a group, of one provider; other seeds, other keys.
fn configuration(provider: &str, seed: u8) -> Arc<Configuration> {
    configuration_and(provider, seed, "")
}

/// The same with further providers of the rule for Secrets.
fn configuration_and(provider: &str, seed: u8, further: &str) -> Arc<Configuration> {
    use base64::Engine;
    let key = |seed: u8| base64::engine::general_purpose::STANDARD.encode([seed; 32]);
    let yaml = format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  \
         providers: [{{{provider}: {{keys: [{{name: one, secret: {}}}]}}}}{further}]\n- resources: ['*.x.io']\n  providers: \
         [{{{provider}: {{keys: [{{name: two, secret: {}}}]}}}}]\n",
        key(seed),
        key(seed + 1)
    );
    Arc::new(Configuration::parse(&yaml).unwrap())
}

fn written(configuration: Option<&Arc<Configuration>>, objects: &[(&str, Vec<u8>)]) -> (Vec<u8>, Totals) {
    let mut writer = Writer::new(Vec::new(), Timestamp::UNIX_EPOCH).encrypting(configuration.cloned());
    for (path, object) in objects {
        writer.append(&Key::from_path(path).unwrap(), object).unwrap();
    }
    writer.finish().unwrap()
}

fn some_objects() -> Vec<(&'static str, Vec<u8>)> {
    [CONFIG_MAP, SECRET, CLUSTER_SECRET].into_iter().map(|path| (path, object(path))).collect()
}

fn spool(archive: &[u8], unsealing: Unsealing) -> Result<Spool, ReadError> {
    Spool::read_in(&std::env::temp_dir(), archive, &Limits::default(), unsealing, &mut |_| {})
}

fn decrypted(archive: &[u8], configuration: &Arc<Configuration>) -> Result<Spool, ReadError> {
    spool(archive, Unsealing::Decrypt(Arc::clone(configuration)))
}

/// An object of about so many bytes.
fn large(path: &str, bytes: usize) -> Vec<u8> {
    let text = String::from_utf8(object(path)).unwrap();
    let padding: String = (0..bytes).map(|index| char::from(b'a' + u8::try_from(index % 23).unwrap())).collect();
    format!("{},\"data\":{{\"x\":\"{padding}\"}}}}", text.strip_suffix('}').unwrap()).into_bytes()
}

fn seals(spool: &Spool) -> Vec<Option<String>> {
    spool.ids().map(|id| spool.seal_of(id).map(ToString::to_string)).collect()
}

#[test]
fn what_a_configuration_names_is_encrypted_and_reads_back() {
    for provider in ["aescbc", "aesgcm", "secretbox"] {
        let configuration = configuration(provider, 1);
        let objects = some_objects();
        let (archive, totals) = written(Some(&configuration), &objects);
        assert_eq!((totals.objects, totals.encrypted), (3, 2));
        let spool = decrypted(&archive, &configuration).unwrap();
        for (id, (path, object)) in spool.ids().zip(&objects) {
            let loaded = spool.load(id).unwrap();
            assert_eq!((&*loaded.key.path(), &loaded.object), (*path, object));
            assert_eq!(spool.bytes_of(id), object.len() as u64);
            assert!(!spool.is_still_sealed(id));
        }
        let expected = [None, Some(format!("key \"one\" of {provider}")), Some(format!("key \"two\" of {provider}"))];
        assert_eq!(seals(&spool), expected);
        assert!(spool.is_encrypted());
    }
}

/// Whatever this process has open in a folder; files without a name are reached by their descriptors alone.
fn open_files_in(folder: &Path) -> Vec<Vec<u8>> {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().map(|link| link.unwrap().path());
    // Other tests close theirs meanwhile.
    let of_folder = links.filter(|link| std::fs::read_link(link).is_ok_and(|file| file.starts_with(folder)));
    of_folder.map(|link| std::fs::read(link).unwrap()).collect()
}

#[test]
fn nothing_that_was_decrypted_lies_on_the_disk_in_clear() {
    let configuration = configuration("aesgcm", 1);
    // More than is held back in memory.
    let objects = [(SECRET, large(SECRET, 1 << 20)), (CONFIG_MAP, object(CONFIG_MAP))];
    let (archive, _) = written(Some(&configuration), &objects);
    let folder = tempfile::tempdir().unwrap();
    let unsealing = Unsealing::Decrypt(Arc::clone(&configuration));
    let spool = Spool::read_in(folder.path(), &*archive, &Limits::default(), unsealing, &mut |_| {}).unwrap();
    let files = open_files_in(folder.path());
    assert!(files.len() == 1 && files[0].len() > 1 << 20, "{}", files.len());
    for words in ["abcdefghijkl", "apiVersion", "cattle-system"] {
        assert!(!files[0].windows(words.len()).any(|window| window == words.as_bytes()), "{words}");
        let loaded = spool.load(spool.ids().next().unwrap()).unwrap().object;
        assert!(String::from_utf8(loaded).unwrap().contains(words), "{words}");
    }
}

#[test]
fn without_a_configuration_an_encrypted_archive_is_refused_and_says_what_to_name() {
    let (archive, _) = written(Some(&configuration("aesgcm", 1)), &some_objects());
    let error = spool(&archive, Unsealing::Refuse).err().unwrap();
    let shown = error.to_string();
    for words in ["secrets.#v1/cattle-system/tls", "key \"one\" of aesgcm", "spec.encryptionConfigSecretName"] {
        assert!(shown.contains(words), "{shown}");
    }
    assert_eq!(error.exit(), Exit::DataRefused);
}

#[test]
fn objects_in_clear_are_refused_where_the_configuration_encrypts_their_type() {
    let own = configuration("secretbox", 1);
    for path in [SECRET, CLUSTER_SECRET] {
        // Beside what is encrypted, and alone.
        let (sealed, _) = written(Some(&own), &[(OTHER, object(OTHER))]);
        let beside = Tar::default().file(OTHER, &entry_of(&sealed, OTHER)).object(path).archive();
        for archive in [beside, written(None, &[(path, object(path))]).0] {
            let error = decrypted(&archive, &own).err().unwrap();
            assert!(matches!(&error, ReadError::InClear { entry } if entry == path), "{error:?}");
            assert!(error.to_string().contains("in clear") && error.to_string().contains("`identity: {}`"), "{error}");
            assert_eq!(error.exit(), Exit::DataRefused);
        }
    }
    let (archive, totals) = written(None, &[(CONFIG_MAP, object(CONFIG_MAP))]);
    assert_eq!(totals.encrypted, 0);
    assert_eq!(seals(&decrypted(&archive, &own).unwrap()), [None]);
}

#[test]
fn identity_among_the_providers_of_a_rule_reads_objects_in_clear_of_that_rule_alone() {
    let reads = configuration_and("secretbox", 1, ", {identity: {}}");
    let (archive, _) = written(None, &[(SECRET, object(SECRET))]);
    assert_eq!(seals(&decrypted(&archive, &reads).unwrap()), [None]);
    let (archive, _) = written(None, &some_objects());
    let error = decrypted(&archive, &reads).err().unwrap();
    assert!(matches!(&error, ReadError::InClear { entry } if entry == CLUSTER_SECRET), "{error:?}");
}

#[test]
fn without_a_configuration_objects_in_clear_are_read_and_kept_as_they_are() {
    let (archive, _) = written(None, &some_objects());
    for unsealing in [Unsealing::Refuse, Unsealing::Keep] {
        let spool = spool(&archive, unsealing).unwrap();
        assert_eq!((spool.len(), spool.is_encrypted()), (3, false));
    }
}

#[test]
fn encrypted_objects_can_be_kept_as_they_are_and_tell_their_keys() {
    let (archive, _) = written(Some(&configuration("aescbc", 1)), &some_objects());
    let spool = spool(&archive, Unsealing::Keep).unwrap();
    let ids: Vec<EntryId> = spool.ids().collect();
    assert_eq!(
        ids.iter().map(|id| spool.key(*id).unwrap().path()).collect::<Vec<_>>(),
        [CONFIG_MAP, SECRET, CLUSTER_SECRET]
    );
    assert_eq!(ids.iter().map(|id| spool.is_still_sealed(*id)).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(seals(&spool)[1].as_deref(), Some("key \"one\" of aescbc"));
    assert_eq!(spool.load(ids[0]).unwrap().object, object(CONFIG_MAP));
    assert!(spool.load(ids[1]).is_err());
    // The bytes of the entry: more than those of the object.
    assert!(spool.bytes_of(ids[1]) > object(SECRET).len() as u64);
}

#[test]
fn a_wrong_key_is_refused_before_anything_is_loaded() {
    for provider in ["aescbc", "aesgcm", "secretbox"] {
        // A wrong key of aescbc shows by the padding or by what comes out: many objects show both.
        for number in 0..40 {
            let path = format!("secrets.#v1/ns/a-{number}.json");
            let (archive, _) = written(Some(&configuration(provider, 1)), &[(&path, object(&path))]);
            let error = decrypted(&archive, &configuration(provider, 9)).err().unwrap();
            let shown = Chain(&error).to_string();
            assert!(matches!(error, ReadError::Decrypt { .. } | ReadError::WrongKey { .. }), "{error:?}");
            assert!(shown.contains("another key") && shown.contains("damaged") && shown.contains(&path), "{shown}");
            assert_eq!(error.exit(), Exit::DataRefused);
        }
    }
}

#[test]
fn what_comes_out_of_an_object_is_checked_as_all_others() {
    let configuration = configuration("secretbox", 1);
    for (provider, is_proved) in [("aescbc", false), ("secretbox", true)] {
        let configuration = self::configuration(provider, 1);
        let (archive, _) = written(Some(&configuration), &[(SECRET, object(SECRET))]);
        let entry = entry_of(&archive, SECRET);
        let moved = Tar::default().file("secrets.#v1/default/tls.json", &entry).archive();
        let error = decrypted(&moved, &configuration).err().unwrap();
        let is_content = matches!(error, ReadError::Content { .. });
        assert_eq!(is_content, is_proved, "{error:?}");
        assert!(Chain(&error).to_string().contains("metadata.namespace"), "{error:?}");
    }
    let mut text = Vec::new();
    let mut sealer = crate::encryption::Sealer::new(Arc::clone(&configuration));
    for content in [&b""[..], b"[]", b"\"nested\"", b"{\"kind\":"] {
        assert!(sealer.seal(("secrets", ""), "cattle-system#tls", content, &mut text).unwrap());
        let error = decrypted(&Tar::default().file(SECRET, &text).archive(), &configuration).err().unwrap();
        assert!(matches!(error, ReadError::Content { .. }), "{error:?}");
    }
}

/// The content of one entry.
fn entry_of(archive: &[u8], path: &str) -> Vec<u8> {
    use std::io::Read;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let mut entries = archive.entries().unwrap().map(|entry| entry.unwrap());
    let mut entry = entries.find(|entry| entry.path().unwrap().to_str() == Some(path)).unwrap();
    let mut content = Vec::new();
    entry.read_to_end(&mut content).unwrap();
    content
}

#[test]
fn the_resource_set_is_never_encrypted() {
    let set = br#"{"apiVersion":"resources.cattle.io/v1","kind":"ResourceSet","metadata":{"name":"a"}}"#;
    let mut writer = Writer::new(Vec::new(), Timestamp::UNIX_EPOCH).encrypting(Some(configuration("aescbc", 1)));
    writer.resource_set(set).unwrap();
    let (archive, totals) = writer.finish().unwrap();
    assert_eq!(totals.encrypted, 0);
    assert_eq!(read(&*archive).unwrap(), [(String::new(), set.to_vec())]);
}

#[test]
fn objects_as_large_as_a_request_may_be_round_trip_encrypted() {
    for provider in ["aescbc", "aesgcm", "secretbox"] {
        let configuration = configuration(provider, 1);
        for bytes in [3 << 19, 3 << 20] {
            let object = large(SECRET, bytes);
            let (archive, _) = written(Some(&configuration), &[(SECRET, object.clone())]);
            let spool = decrypted(&archive, &configuration).unwrap();
            let loaded = spool.load(spool.ids().next().unwrap()).unwrap();
            assert!(loaded.object == object, "{provider}, {bytes}");
        }
    }
}

#[test]
fn an_object_that_no_reader_would_take_encrypted_is_refused_and_the_archive_goes_on() {
    let configuration = configuration("secretbox", 1);
    let mut writer = Writer::new(Vec::new(), Timestamp::UNIX_EPOCH).encrypting(Some(Arc::clone(&configuration)));
    let object = large(SECRET, 7 << 20);
    let error = writer.append(&Key::from_path(SECRET).unwrap(), &object).unwrap_err();
    assert!(matches!(error, WriteError::TooLarge { .. }), "{error:?}");
    writer.append(&Key::from_path(CONFIG_MAP).unwrap(), &self::object(CONFIG_MAP)).unwrap();
    let (archive, totals) = writer.finish().unwrap();
    assert_eq!((totals.objects, totals.encrypted), (1, 0));
    assert_eq!(decrypted(&archive, &configuration).unwrap().len(), 1);
}

#[test]
fn hostile_strings_are_refused_in_every_way_of_reading() {
    let giant = format!("\"{}\"", "A".repeat(7 << 20)).into_bytes();
    for text in [b"\"top secret\"".to_vec(), b"\"azhz\"".to_vec(), b"\"".to_vec(), giant] {
        let archive = Tar::default().file(SECRET, &text).archive();
        for unsealing in [Unsealing::Refuse, Unsealing::Keep, Unsealing::Decrypt(configuration("aescbc", 1))] {
            let error = spool(&archive, unsealing.clone()).err().unwrap();
            assert!(matches!(error, ReadError::Decrypt { .. }), "{unsealing:?}: {error:?}");
            assert!(!format!("{} {error:?}", Chain(&error)).contains("top secret"));
        }
    }
}

#[test]
fn more_keys_than_any_configuration_has_are_refused() {
    use base64::Engine;
    let archive = (0..5000).fold(Tar::default(), |tar, number| {
        let text = base64::engine::general_purpose::STANDARD.encode(format!("k8s:enc:aescbc:v1:key-{number}:"));
        tar.file(&format!("secrets.#v1/ns/a-{number}.json"), format!("\"{text}\"").as_bytes())
    });
    let error = spool(&archive.archive(), Unsealing::Keep).err().unwrap();
    assert!(matches!(error, ReadError::TooManyKeys { .. }), "{error:?}");
}
