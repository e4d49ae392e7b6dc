//! What is written is read back, by this reader and by others.

use std::io::Write;
use std::process::Command;

use flate2::read::GzDecoder;
use jiff::Timestamp;
use proptest::prelude::*;

use super::fixture::{CLUSTER_ROLE, CONFIG_MAP, Entries, object, read};
use crate::archive::{Key, TypeName, WriteError, Writer};

fn time() -> Timestamp {
    "2026-11-22T13:05:22Z".parse().unwrap()
}

fn key(path: &str) -> Key {
    Key::from_path(path).unwrap()
}

/// An archive of the objects that belong to these paths.
fn written(paths: &[&str]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), time());
    for path in paths {
        writer.append(&key(path), &object(path)).unwrap();
    }
    writer.finish().unwrap().0
}

/// Paths that need every way to store a name: in 100 bytes, split at a slash, too long to be split.
fn awkward() -> Vec<String> {
    let dots = |length: usize| format!("clusterroles.rbac.authorization.k8s.io#v1/{}..b.json", "a".repeat(length));
    vec![
        CONFIG_MAP.to_owned(),
        CLUSTER_ROLE.to_owned(),
        "configmaps.#v1/ns/traffic-filters.json".to_owned(),
        "clusterroles.rbac.authorization.k8s.io#v1/mit Leerzeichen und ü.json".to_owned(),
        format!("configmaps.#v1/{}/{}.json", "n".repeat(63), "a".repeat(20)),
        format!("configmaps.#v1/{}/{}.json", "n".repeat(63), "a".repeat(95)),
        format!("configmaps.#v1/{}/{}.json", "n".repeat(63), "a".repeat(96)),
        format!("configmaps.#v1/{}/{}.json", "n".repeat(63), "a".repeat(253)),
        // The 100th byte falls within the dots, or between them and the rest of the name.
        dots(54),
        dots(55),
        dots(56),
        dots(57),
        format!("clusterroles.rbac.authorization.k8s.io#v1/..{}.json", "a".repeat(253)),
        format!("{}.{}#v1/ns/{}.json", "p".repeat(63), ["g".repeat(63), "h".repeat(63)].join("."), "a".repeat(253)),
    ]
}

#[test]
fn directories_come_once_and_before_what_is_in_them() {
    let paths =
        ["configmaps.#v1/b/x.json", "secrets.#v1/b/x.json", "configmaps.#v1/a/x.json", "configmaps.#v1/b/y.json"];
    let archive = written(&paths);
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&*archive));
    let entries: Vec<(String, u32)> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap())
        })
        .collect();
    let expected = [
        ("configmaps.#v1", 0o700),
        ("configmaps.#v1/b", 0o700),
        ("configmaps.#v1/b/x.json", 0o600),
        ("secrets.#v1", 0o700),
        ("secrets.#v1/b", 0o700),
        ("secrets.#v1/b/x.json", 0o600),
        ("configmaps.#v1/a", 0o700),
        ("configmaps.#v1/a/x.json", 0o600),
        ("configmaps.#v1/b/y.json", 0o600),
    ];
    assert_eq!(entries, expected.map(|(path, mode)| (path.to_owned(), mode)));
}

#[test]
fn the_same_objects_give_the_same_bytes() {
    assert_eq!(written(&[CONFIG_MAP, CLUSTER_ROLE]), written(&[CONFIG_MAP, CLUSTER_ROLE]));
}

#[test]
fn totals_say_what_was_written() {
    let mut writer = Writer::new(Vec::new(), time());
    writer.append(&key(CONFIG_MAP), &object(CONFIG_MAP)).unwrap();
    writer
        .resource_set(br#"{"apiVersion":"resources.cattle.io/v1","kind":"ResourceSet","metadata":{"name":"a"}}"#)
        .unwrap();
    let (archive, totals) = writer.finish().unwrap();
    assert_eq!(totals.objects, 1);
    assert_eq!(read(&*archive).unwrap().len(), 2);
}

#[test]
fn a_writer_that_was_given_up_leaves_no_archive() {
    for objects in 0..3 {
        let mut output = Vec::new();
        let mut writer = Writer::new(&mut output, time());
        for path in [CONFIG_MAP, CLUSTER_ROLE].iter().take(objects) {
            writer.append(&key(path), &object(path)).unwrap();
        }
        drop(writer);
        assert!(read(&*output).is_err(), "after {objects} objects");
    }
}

#[test]
fn an_output_that_failed_once_is_left_alone() {
    /// Fails once it holds so many bytes, and would take more afterwards.
    struct Full<'a>(&'a mut Vec<u8>, usize);
    impl Write for Full<'_> {
        fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
            if self.0.len() >= self.1 {
                self.1 = usize::MAX;
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            self.0.write(buffer)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let whole = written(&[CONFIG_MAP, CLUSTER_ROLE]).len();
    for limit in 0..whole {
        let mut output = Vec::new();
        let mut writer = Writer::new(Full(&mut output, limit), time());
        let appended = [CONFIG_MAP, CLUSTER_ROLE].iter().all(|path| writer.append(&key(path), &object(path)).is_ok());
        let finished = writer.finish().is_ok();
        // A write that fits is taken whole, so the last limits may let all of it pass.
        assert_eq!(appended && finished, read(&*output).is_ok(), "failed after {limit} bytes");
    }
}

#[test]
fn what_no_reader_takes_is_refused_and_the_archive_goes_on() {
    let mut writer = Writer::new(Vec::new(), time());
    let named = |name: &str| Key { name: name.to_owned(), ..key(CONFIG_MAP) };
    for name in ["", ".", "..", "a/b", "a\nb", "a%b"] {
        assert!(matches!(writer.append(&named(name), b"{}"), Err(WriteError::Path { .. })), "{name:?}");
    }
    let type_name = TypeName { group: "x#y".to_owned(), ..key(CONFIG_MAP).type_name };
    let typed = Key { type_name, ..key(CONFIG_MAP) };
    assert!(matches!(writer.append(&typed, b"{}"), Err(WriteError::Path { .. })));
    let deep = [vec![b'['; 301], vec![b']'; 301]].concat();
    assert!(matches!(writer.append(&named("b"), &deep), Err(WriteError::Content { .. })));
    for other in [CLUSTER_ROLE, "configmaps.#v1/kube-system/b.json", "configmaps.#v1/default/a.json"] {
        let content = object(other);
        assert!(matches!(writer.append(&key(CONFIG_MAP), &content), Err(WriteError::Content { .. })), "{other}");
    }
    assert!(matches!(writer.resource_set(b"{\"kind\":\"ResourceSet\"}"), Err(WriteError::Content { .. })));
    let large = vec![b' '; (8 << 20) + 1];
    assert!(matches!(writer.append(&named("b"), &large), Err(WriteError::TooLarge { .. })));
    writer.append(&key(CONFIG_MAP), &object(CONFIG_MAP)).unwrap();
    assert!(matches!(writer.append(&key(CONFIG_MAP), &object(CONFIG_MAP)), Err(WriteError::Doubled { .. })));
    let archive = writer.finish().unwrap().0;
    assert_eq!(read(&*archive).unwrap(), [(CONFIG_MAP.to_owned(), object(CONFIG_MAP))]);
}

#[test]
fn awkward_names_are_read_back() {
    let paths = awkward();
    let archive = written(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let expected: Entries = paths.iter().map(|path| (path.clone(), object(path))).collect();
    assert_eq!(read(&*archive).unwrap(), expected);
}

#[test]
fn awkward_names_are_read_by_other_readers_of_tar() {
    let paths = awkward();
    let archive = written(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let mut entries = tar::Archive::new(GzDecoder::new(&*archive));
    let names = entries.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
    assert_eq!(names.filter(|name| name.contains(".json")).collect::<Vec<_>>(), paths);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&archive).unwrap();
    let listed = Command::new("tar").args(["--quoting-style=literal", "-tzf"]).arg(file.path()).output();
    let listed = match listed {
        Ok(output) => output,
        Err(error) => return assert!(std::env::var_os("CI").is_none(), "tar is missing: {error}"),
    };
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    assert_eq!(listed.stderr, b"");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<&str> = listed.lines().filter(|line| line.contains(".json")).collect();
    assert_eq!(files, paths);
}

fn keys() -> impl Strategy<Value = Key> {
    let label = "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?";
    let group = prop_oneof![Just(String::new()), "[a-z]{1,9}(\\.[a-z0-9]{1,30}){0,6}"];
    let name = prop_oneof!["[a-zäß0-9 :._-]{1,40}", "[a-z.]{90,253}"];
    (label, group, "v[1-9]((alpha|beta)[1-9])?", prop::option::of(label), name)
        .prop_filter("a name", |(.., name)| !matches!(&**name, "." | ".."))
        .prop_map(|(plural, group, version, namespace, name)| Key {
            type_name: TypeName { plural, group, version },
            namespace,
            name,
        })
}

proptest! {
    #[test]
    fn any_objects_are_read_back_in_order(keys in prop::collection::hash_set(keys(), 0..20)) {
        let mut writer = Writer::new(Vec::new(), time());
        let mut expected = Vec::new();
        for key in keys {
            let object = object(&key.path());
            writer.append(&key, &object).unwrap();
            expected.push((key.path(), object));
        }
        let (archive, totals) = writer.finish().unwrap();
        prop_assert_eq!(totals.objects, expected.len() as u64);
        prop_assert_eq!(read(&*archive).unwrap(), expected);
    }
}
