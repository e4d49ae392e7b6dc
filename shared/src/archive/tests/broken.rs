//! Each way in which an archive can be broken, and the error that says so.

use tar::EntryType;

use super::fixture::{CLUSTER_ROLE, CONFIG_MAP, Tar, gzip, object, paths, read, read_within, record};
use crate::archive::{Limits, ReadError, Reader, Unsealing};
use crate::exit::{Chain, Exit, Fault};

/// An archive is refused with this variant, whose text names the entry or the place.
#[track_caller]
fn refused(archive: &[u8], variant: &str, text: &str) {
    refused_within(archive, Limits::default(), variant, text);
}

#[track_caller]
fn refused_within(archive: &[u8], limits: Limits, variant: &str, text: &str) {
    let error = read_within(archive, limits).expect_err("the archive was accepted");
    let debug = format!("{error:?}");
    assert_eq!(debug.split([' ', '(']).next(), Some(variant), "{debug}");
    let shown = Chain(&error).to_string();
    assert!(shown.contains(text), "{shown:?} does not name {text:?}");
    assert_eq!(error.exit(), Exit::DataRefused, "{shown}");
}

#[track_caller]
fn refused_path(path: &[u8], text: &str) {
    let archive = Tar::default().object(CLUSTER_ROLE).entry(EntryType::Regular, path, b"{}").archive();
    refused(&archive, "Path", text);
}

#[track_caller]
fn refused_object(content: &str, variant: &str, text: &str) {
    refused(&Tar::default().file(CONFIG_MAP, content.as_bytes()).archive(), variant, text);
    refused(&Tar::default().file(CONFIG_MAP, content.as_bytes()).archive(), variant, CONFIG_MAP);
}

#[test]
fn paths_that_leave_the_root_are_refused() {
    refused_path(b"/secrets.#v1/ns/a.json", "the path is absolute");
    refused_path(b"../secrets.#v1/ns/a.json", "leaves the archive's root");
    refused_path(b"secrets.#v1/../../a.json", "leaves the archive's root");
    refused_path(b"secrets.#v1/ns/..", "leaves the archive's root");
    refused_path(b"././secrets.#v1/ns/a.json", "empty segment");
    refused_path(b"secrets.#v1/./a.json", "empty segment");
    refused_path(b"secrets.#v1//a.json", "empty segment");
    refused_path(b".//etc/passwd", "the path is absolute");
}

#[test]
fn paths_with_strange_characters_are_refused() {
    refused_path(b"secrets.#v1/ns/a\n.json", "a control character");
    refused_path("secrets.#v1/ns/a\u{85}.json".as_bytes(), "a control character");
    refused_path(b"secrets.#v1/ns/\xff.json", "not UTF-8");
    let nul = record("path", "secrets.#v1/ns/a\0.json");
    refused(&Tar::default().pax(&nul).file("x", b"{}").archive(), "Path", "control character");
    let nul = Tar::default().long_name(b"secrets.#v1/ns/a\0.json\0").file("x", b"{}");
    refused(&nul.archive(), "Path", "control character");
}

#[test]
fn paths_of_another_format_are_refused() {
    refused_path(b"README.md", "is not <plural>");
    refused_path(b"secrets.#v1/ns/a.yaml", "is not <plural>");
    refused_path(b"secrets.#v1.json", "is not <plural>");
    refused_path(b"secrets.#v1/a.json/", "empty segment");
    refused_path(b"secrets.#v1/ns/deep/a.json", "cannot be the name of an object");
    refused_path(b"secrets.#v1/ns/.json", "cannot be the name of an object");
    refused_path(b"secrets.#v1/ns/%2e%2e.json", "cannot be the name of an object");
    refused_path(b"secrets.#v1/Upper/a.json", "cannot be the name of a namespace");
    refused_path(b"secrets#v1/ns/a.json", "is not a type");
    refused_path(b"Secrets.#v1/ns/a.json", "is not a type");
    refused_path(b"secrets.group_#v1/ns/a.json", "is not a type");
    refused_path(b"secrets.#v1#v2/ns/a.json", "is not a type");
    refused_path(b"filters/other.json", "is not a type");
    refused_path(b"filters/filters.json/x.json", "is not a type");
    let long = format!("secrets.#v1/ns/{}.json", "a".repeat(4096));
    refused(&Tar::default().long_name(long.as_bytes()).file("x", b"{}").archive(), "Path", "longer than 4096");
}

#[test]
fn directories_are_checked() {
    let directory = |path: &str| Tar::default().directory(path).archive();
    refused(&directory("/"), "Path", "absolute");
    refused(&directory("//"), "Path", "absolute");
    refused(&directory(""), "Path", "empty segment");
    refused(&directory("../x.#v1/"), "Path", "leaves");
    refused(&directory("secrets.#v1/ns/deep/"), "Path", "cannot be the name of a namespace");
    refused(&directory("some"), "Path", "is not a type");
    // A directory named as an object's file is: no namespace has a dot.
    let clash = Tar::default().object("secrets.#v1/a.json").directory("secrets.#v1/a.json/");
    refused(&clash.archive(), "Path", "cannot be the name of a namespace");
    let content = Tar::default().entry(EntryType::Directory, b"secrets.#v1", b"hidden");
    refused(&content.archive(), "DirectoryContent", "secrets.#v1");
}

#[test]
fn what_is_no_file_is_refused() {
    for (entry_type, what) in [
        (EntryType::Symlink, "a symbolic link"),
        (EntryType::Link, "a hard link"),
        (EntryType::GNULongLink, "the target of a link"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a fifo"),
        (EntryType::GNUSparse, "a sparse file"),
        (EntryType::Continuous, "of a type that is not known"),
        (EntryType::new(b'V'), "of a type that is not known"),
    ] {
        let tar = Tar::default().header(entry_type, CONFIG_MAP.as_bytes(), 0, |header| {
            header.set_link_name("/etc/passwd").unwrap();
        });
        refused(&tar.clone().archive(), "EntryType", what);
        refused(&tar.archive(), "EntryType", CONFIG_MAP);
    }
}

#[test]
fn doubled_entries_are_refused() {
    let doubled = Tar::default().object(CONFIG_MAP).object(CLUSTER_ROLE).object(CONFIG_MAP);
    refused(&doubled.archive(), "Doubled", CONFIG_MAP);
    let dotted = Tar::default().object(CONFIG_MAP).file(&format!("./{CONFIG_MAP}"), &object(CONFIG_MAP));
    refused(&dotted.archive(), "Doubled", CONFIG_MAP);
    let set = "filters/filters.json";
    let kind = br#"{"apiVersion":"v1","kind":"ResourceSet","metadata":{"name":"a"}}"#;
    refused(&Tar::default().file(set, kind).file(set, kind).archive(), "Doubled", set);
}

#[test]
fn sizes_that_lie_are_refused() {
    let sized = |field: &[u8; 12]| {
        let field = *field;
        Tar::default()
            .header(EntryType::Regular, CONFIG_MAP.as_bytes(), 0, move |header| header.as_old_mut().size = field)
            .content(&object(CONFIG_MAP))
            .archive()
    };
    refused(&sized(b"77777777777\0"), "EntryTooLarge", CONFIG_MAP);
    refused(&sized(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), "EntryTooLarge", CONFIG_MAP);
    refused(&sized(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "Header", "size is not a number");
    refused(&sized(b"\x80\x01\0\0\0\0\0\0\0\0\0\x10"), "Header", "size is not a number");
    refused(&sized(b"-0000000010\0"), "Header", "size is not a number");
    refused(&sized(b"+0000000010\0"), "Header", "size is not a number");
    refused(&sized(b"0000000009\0\0"), "Header", "size is not a number");
    refused(&sized(&[0; 12]), "Header", "size is not a number");
    // Beyond the data that is there, and within the limits.
    refused(&sized(b"00000100000\0"), "CutOff", CONFIG_MAP);
    // Less than the data that is there: the rest is no header.
    let short = Tar::default().header(EntryType::Regular, CONFIG_MAP.as_bytes(), 2, |_| {}).content(b"{}");
    refused(&short.content(&[b'x'; 600]).archive(), "Content", CONFIG_MAP);
}

#[test]
fn names_and_pax_headers_are_bounded_and_plain() {
    let big = vec![b'a'; (64 << 10) + 1];
    refused(&Tar::default().long_name(&big).object(CONFIG_MAP).archive(), "Header", "too large");
    refused(&Tar::default().pax(&big).object(CONFIG_MAP).archive(), "Header", "too large");
    let huge = Tar::default().header(EntryType::XHeader, b"x", 1 << 40, |_| {});
    refused(&huge.archive(), "Header", "too large");
    for records in [
        record("size", "3"),
        record("linkpath", "/etc/passwd"),
        record("GNU.sparse.realsize", "9"),
        record("SCHILY.realsize", "9"),
    ] {
        refused(&Tar::default().pax(&records).object(CONFIG_MAP).archive(), "Header", "changes the size");
    }
    let hidden = [b"\n".as_slice(), &record("path", CLUSTER_ROLE)].concat();
    for records in [b"".as_slice(), b"9 path=a\nx", b"99 path=a\n", b"path=a\n", b"+9 path=a\n", b"8 patha\n", &hidden]
    {
        let archive = Tar::default().object(CLUSTER_ROLE).pax(records).object(CONFIG_MAP).archive();
        if records.is_empty() {
            assert_eq!(paths(&archive), [CLUSTER_ROLE, CONFIG_MAP]);
        } else {
            refused(&archive, "Header", "malformed");
        }
    }
    let path = record("path", CONFIG_MAP);
    let twice = path.repeat(2);
    refused(&Tar::default().pax(&twice).object(CONFIG_MAP).archive(), "Header", "two paths");
    let both = Tar::default().pax(&path).long_name(CLUSTER_ROLE.as_bytes()).object(CONFIG_MAP);
    refused(&both.archive(), "Header", "two extensions");
    refused(&Tar::default().pax(&path).archive(), "Header", "missing after its name");
    let global = Tar::default().entry(EntryType::XGlobalHeader, b"x", &path).object(CONFIG_MAP);
    refused(&global.archive(), "Header", "given to all entries");
}

#[test]
fn the_path_that_counts_is_checked() {
    let path = record("path", "/etc/cron.d/x.json");
    refused(&Tar::default().pax(&path).object(CONFIG_MAP).archive(), "Path", "absolute");
    refused(&Tar::default().long_name(b"../x.json\0").object(CONFIG_MAP).archive(), "Path", "leaves");
    refused(&Tar::default().pax(&record("path", "")).object(CONFIG_MAP).archive(), "Path", "empty segment");
}

#[test]
fn bombs_are_refused_at_the_limit() {
    let zeros = Tar::default().object(CONFIG_MAP).zeros(2 + (64 << 10)).gzip();
    assert!(zeros.len() < 512 << 10, "32 MiB that are small: {} bytes", zeros.len());
    let bytes = Limits { bytes: 1 << 20, ..Limits::default() };
    refused_within(&zeros, bytes, "ArchiveTooLarge", CONFIG_MAP);
    let blank = [b"{".as_slice(), &vec![b' '; 9 << 20], b"}"].concat();
    let large = Tar::default().file(CONFIG_MAP, &blank).archive();
    refused(&large, "EntryTooLarge", "limit of 8388608");
    let object_bytes = Limits { object_bytes: 16 << 20, bytes: 1 << 20, ..Limits::default() };
    refused_within(&large, object_bytes, "ArchiveTooLarge", CONFIG_MAP);
    let many = (0..10).fold(Tar::default(), |tar, _| tar.directory("secrets.#v1")).archive();
    assert_eq!(read(&*many).unwrap(), []);
    refused_within(&many, Limits { entries: 9, ..Limits::default() }, "TooManyEntries", "limit of 9");
    let headers = (0..10).fold(Tar::default(), |tar, _| tar.entry(EntryType::XGlobalHeader, b"x", b"")).archive();
    refused_within(&headers, Limits { entries: 9, ..Limits::default() }, "TooManyEntries", "limit of 9");
}

#[test]
fn an_archive_without_its_end_is_refused() {
    let tar = Tar::default().object(CONFIG_MAP);
    refused(&tar.clone().gzip(), "CutOff", CONFIG_MAP);
    refused(&tar.clone().zeros(1).gzip(), "CutOff", CONFIG_MAP);
    refused(&gzip(&tar.clone().zeros(2).0[..tar.0.len() + 1000]), "CutOff", CONFIG_MAP);
    refused(&gzip(b""), "CutOff", "the start");
    refused(b"", "CutOff", "the start");
    refused(b"\x1f\x8b", "CutOff", "the start");
    let lone = tar.clone().zeros(1).object(CLUSTER_ROLE).archive();
    refused(&lone, "DataAfterEnd", CONFIG_MAP);
}

#[test]
fn what_follows_the_end_is_refused() {
    let tar = Tar::default().object(CONFIG_MAP).zeros(2);
    refused(&tar.clone().object(CLUSTER_ROLE).archive(), "DataAfterEnd", CONFIG_MAP);
    let whole = tar.clone().gzip();
    refused(&[&*whole, b"garbage"].concat(), "TrailingGarbage", "follow its gzip data");
    refused(&[&*whole, b"\0\0\0x"].concat(), "TrailingGarbage", "follow its gzip data");
    refused(&[&*whole, b"\x1fgarbage...."].concat(), "Damaged", CONFIG_MAP);
    refused(&[&*whole, &*whole].concat(), "DataAfterEnd", CONFIG_MAP);
    refused(&[&*whole, &whole[..whole.len() - 1]].concat(), "DataAfterEnd", CONFIG_MAP);
    refused(&[&*whole, &gzip(b"")[..10]].concat(), "CutOff", CONFIG_MAP);
}

#[test]
fn what_is_damaged_is_refused() {
    refused(b"{\"not\": \"gzip\"}", "Damaged", "the start");
    let mut crc = Tar::default().object(CONFIG_MAP).archive();
    let at = crc.len() - 8;
    crc[at] ^= 1;
    refused(&crc, "Damaged", CONFIG_MAP);
    let mut length = Tar::default().object(CONFIG_MAP).archive();
    let at = length.len() - 1;
    length[at] ^= 1;
    refused(&length, "Damaged", CONFIG_MAP);
    let mut header = Tar::default().object(CONFIG_MAP).object(CLUSTER_ROLE);
    header.0[1024] ^= 1;
    refused(&header.archive(), "Header", "checksum is wrong");
}

#[test]
fn json_that_is_none_is_refused() {
    let deep = 100_000;
    refused_object("", "Content", "ends too early");
    refused_object("{", "Content", "ends too early");
    refused_object("{}{}", "Content", "not well-formed");
    refused_object("\u{feff}{}", "Content", "not well-formed");
    refused_object("[]", "Content", "another kind of JSON value");
    refused_object(&"[".repeat(deep), "Content", "ends too early");
    refused_object(&format!("{}{}", "[".repeat(deep), "]".repeat(deep)), "Content", "more than 300 levels");
    refused_object(&format!("{}1{}", "{\"a\":".repeat(deep), "}".repeat(deep)), "Content", "more than 300 levels");
    refused_object(r#"{"kind":"A","kind":"B","metadata":{"name":"a"}}"#, "Content", "holds twice");
    refused_object(r#"{"kind":"A","metadata":{"name":"a","n\u0061me":"b"}}"#, "Content", "holds twice");
    let utf8 = Tar::default().file(CONFIG_MAP, b"{\"a\":\"\xff\"}");
    refused(&utf8.archive(), "Content", CONFIG_MAP);
    refused(&Tar::default().file("filters/filters.json", b"[1]").archive(), "Content", "filters/filters.json");
}

#[test]
fn objects_that_are_not_those_of_their_paths_are_refused() {
    let object = |version: &str, namespace: &str, name: &str| {
        format!(r#"{{"apiVersion":"{version}","kind":"A","metadata":{{"namespace":"{namespace}","name":"{name}"}}}}"#)
    };
    refused_object(&object("v2", "kube-system", "a"), "Content", r#"apiVersion is "v2" where the path says "v1""#);
    refused_object(&object("apps/v1", "kube-system", "a"), "Content", "apiVersion");
    refused_object(&object("v1", "default", "a"), "Content", "metadata.namespace");
    refused_object(&object("v1", "", "a"), "Content", "metadata.namespace");
    refused_object(&object("v1", "kube-system", "b"), "Content", "metadata.name");
    refused_object(r#"{"kind":"A","metadata":{"namespace":"kube-system","name":"a"}}"#, "Content", "apiVersion");
    refused_object(
        r#"{"apiVersion":"v1","metadata":{"namespace":"kube-system","name":"a"}}"#,
        "Content",
        "has no \"kind\"",
    );
    refused_object(r#"{"apiVersion":"v1","kind":"A","metadata":{"namespace":"kube-system"}}"#, "Content", "name");
    refused_object(r#"{"apiVersion":"v1","kind":"A"}"#, "Content", "name");
    let scoped = object("rbac.authorization.k8s.io/v1", "default", "u-4h2k4:view");
    refused(&Tar::default().file(CLUSTER_ROLE, scoped.as_bytes()).archive(), "Content", "metadata.namespace");
}

#[test]
fn encrypted_objects_are_refused_by_name() {
    let archive = Tar::default().file(CONFIG_MAP, b" \"azhzOmVuYzphZXNjYmM6djE6a2V5MTo=\"").archive();
    refused(&archive, "Encrypted", "\"configmaps.#v1/kube-system/a\"");
    refused(&archive, "Encrypted", "key \"key1\" of aescbc");
    refused(&archive, "Encrypted", "spec.encryptionConfigSecretName");
    refused(&archive, "Encrypted", "--encryption-config");
}

#[test]
fn errors_show_names_escaped_and_shortened_and_no_content() {
    let name = format!("secrets.#v1/\u{1b}[31m{}", "x".repeat(3000));
    let archive = Tar::default().long_name(name.as_bytes()).file("x", b"{}").archive();
    let shown = Chain(&read(&*archive).unwrap_err()).to_string();
    assert!(shown.contains("\\u{1b}[31m") && !shown.contains('\u{1b}') && shown.len() < 500, "{shown}");
    for content in [r#""top secret""#, r#"["top secret"]"#, r#"{"kind":"A","metadata":"top secret"}"#, "{top secret}"] {
        let error = read(&*Tar::default().file(CONFIG_MAP, content.as_bytes()).archive()).unwrap_err();
        assert!(!format!("{} {error:?}", Chain(&error)).contains("top secret"), "{error:?}");
    }
}

#[test]
fn a_refused_archive_never_comes_to_an_end() {
    let archive = Tar::default().file(CONFIG_MAP, b"[]").archive();
    let mut reader = Reader::with_unsealing(&*archive, Limits::default(), Unsealing::Refuse);
    assert!(matches!(reader.next_entry(), Err(ReadError::Content { .. })));
    for _ in 0..3 {
        assert!(matches!(reader.next_entry(), Err(ReadError::Refused)));
    }
    assert_eq!(reader.fingerprint(), None);
}

#[test]
fn an_input_that_fails_is_not_taken_for_a_broken_archive() {
    struct Failing<'a>(&'a [u8]);
    impl std::io::Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { self.0.read(buffer) }
        }
    }
    let archive = Tar::default().object(CONFIG_MAP).archive();
    for length in 0..=archive.len() {
        let error = read(Failing(&archive[..length])).unwrap_err();
        assert!(matches!(error, ReadError::Input { .. }), "{length}: {error:?}");
        assert_eq!(error.exit(), Exit::Failure);
    }
}
