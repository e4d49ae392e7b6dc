//! What an archive says of its own making.

use jiff::Timestamp;
use serde_json::json;
use tar::EntryType;

use super::fixture::{CONFIG_MAP, Tar, object, paths, read};
use crate::archive::{
    Contents, Key, LeftOut, Limits, ListedType, ReadError, Reason, Spool, Unsealing, WriteError, Writer,
};

const PATH: &str = "filters/drover.json";

fn contents() -> Contents {
    let named = vec!["v1beta2".to_owned()];
    let clusters =
        ListedType { name: "clusters.a.io".into(), version: "v1beta1".into(), named, ..ListedType::default() };
    let maps = ListedType {
        name: "configmaps".into(),
        version: "v1".into(),
        objects: 1,
        of_drover: 2,
        ..ListedType::default()
    };
    let down = LeftOut { name: "down.io/v1".into(), reason: Reason::NotListed, message: "503".into() };
    let gone = LeftOut { name: "gone.io/v1".into(), reason: Reason::NotServed, message: String::new() };
    Contents { types: vec![clusters, maps], left_out: vec![down, gone], ..Contents::default() }
}

fn spooled(archive: &[u8]) -> Spool {
    Spool::read_in(&std::env::temp_dir(), archive, &Limits::default(), Unsealing::Refuse, &mut |_| {}).unwrap()
}

#[test]
fn what_was_listed_and_left_out_stands_at_the_end_and_is_read_again() {
    let mut writer = Writer::new(Vec::new(), Timestamp::UNIX_EPOCH);
    writer.resource_set(br#"{"kind":"ResourceSet","metadata":{"name":"set"}}"#).unwrap();
    writer.append(&Key::from_path(CONFIG_MAP).unwrap(), &object(CONFIG_MAP)).unwrap();
    writer.contents(&contents()).unwrap();
    let (archive, totals) = writer.finish().unwrap();
    assert_eq!((totals.objects, paths(&archive).last().unwrap().as_str()), (1, PATH));
    let spool = spooled(&archive);
    assert_eq!(spool.len(), 1);
    let read = spool.contents().unwrap().unwrap();
    assert_eq!(read, contents());
    assert_eq!(read.missing().map(|left_out| left_out.name.as_str()).collect::<Vec<_>>(), ["down.io/v1"]);
    assert_eq!(read.listed(), ["clusters.a.io", "configmaps"].into());
}

#[test]
fn it_may_stand_anywhere_or_nowhere_and_say_more_than_is_known() {
    let more = json!({"kind": "ArchiveContents", "apiVersion": "drover.dev/v1", "metadata": {"name": "a"}, "types": [], "future": {"a": 1},
        "leftOut": [{"name": "a.io/v1", "reason": "OfTheFuture"}]});
    let tar = || Tar::default().entry(EntryType::Regular, PATH.as_bytes(), more.to_string().as_bytes());
    let first = tar().entry(EntryType::Regular, CONFIG_MAP.as_bytes(), &object(CONFIG_MAP)).archive();
    let spool = spooled(&first);
    assert_eq!((spool.len(), spool.contents().unwrap().unwrap().left_out[0].reason), (1, Reason::Other));
    let without = Tar::default().entry(EntryType::Regular, CONFIG_MAP.as_bytes(), &object(CONFIG_MAP)).archive();
    assert_eq!(spooled(&without).contents().unwrap(), None);
}

#[test]
fn what_no_reader_would_take_is_not_written() {
    let mut large = contents();
    large.left_out[0].message = "a".repeat(5 << 20);
    let mut writer = Writer::new(Vec::new(), Timestamp::UNIX_EPOCH);
    assert!(matches!(writer.contents(&large), Err(WriteError::TooLarge { .. })));
    writer.contents(&contents()).unwrap();
}

#[test]
fn hostile_ones_are_refused() {
    let of = |json: &[u8]| Tar::default().entry(EntryType::Regular, PATH.as_bytes(), json);
    let good = br#"{"kind":"a","metadata":{"name":"a"}}"#;
    let doubled = of(good).entry(EntryType::Regular, PATH.as_bytes(), good).archive();
    assert!(matches!(read(&*doubled), Err(ReadError::Doubled { .. })));
    let large = format!("{{\"kind\":\"{}\"}}", "a".repeat(5 << 20));
    assert!(matches!(read(&*of(large.as_bytes()).archive()), Err(ReadError::EntryTooLarge { limit: 4_194_304, .. })));
    for bad in ["", "[]", "\"sealed\"", "{\"kind\":", &"[".repeat(100_000)] {
        assert!(matches!(read(&*of(bad.as_bytes()).archive()), Err(ReadError::Content { .. })), "{bad:.20}");
    }
    let other = of(br#"{"kind":"a","metadata":{"name":"a"},"types":7}"#).archive();
    assert!(spooled(&other).contents().is_err());
}
