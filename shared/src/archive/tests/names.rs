//! Paths, keys and the forms of an archive that are accepted.

use super::fixture::{CLUSTER_ROLE, CONFIG_MAP, Tar, gzip, object, paths, read, record};
use crate::archive::{Key, TypeName};

#[track_caller]
fn reads_back(path: &str, shown: &str, api_version: &str) {
    let key = Key::from_path(path).unwrap();
    assert_eq!(key.path(), path);
    assert_eq!(key.to_string(), shown);
    assert_eq!(key.type_name.api_version(), api_version);
    assert_eq!(key.type_name.to_string().parse::<TypeName>().unwrap(), key.type_name);
}

#[test]
fn keys_are_what_their_paths_say() {
    reads_back("secrets.#v1/cattle-system/tls.json", "secrets.#v1/cattle-system/tls", "v1");
    reads_back("namespaces.#v1/c-m-x.json", "namespaces.#v1/c-m-x", "v1");
    reads_back(
        "clusters.management.cattle.io#v3/local.json",
        "clusters.management.cattle.io#v3/local",
        "management.cattle.io/v3",
    );
    reads_back(CLUSTER_ROLE, "clusterroles.rbac.authorization.k8s.io#v1/u-4h2k4:view", "rbac.authorization.k8s.io/v1");
    reads_back("configmaps.#v1/ns/a.json.json", "configmaps.#v1/ns/a.json", "v1");
    reads_back("configmaps.#v1/ns/..a.json", "configmaps.#v1/ns/..a", "v1");
}

#[test]
fn only_the_whole_path_of_the_resource_set_is_special() {
    let names = ["configmaps.#v1/ns/traffic-filters.json", "configmaps.#v1/filters/filters.json"];
    let set = br#"{"apiVersion":"resources.cattle.io/v1","kind":"ResourceSet","metadata":{"name":"a"}}"#;
    let archive = Tar::default().object(names[0]).object(names[1]).file("filters/filters.json", set).archive();
    assert_eq!(paths(&archive), [names[0], names[1], ""]);
}

#[test]
fn an_archive_may_be_made_of_a_folder() {
    let dotted = format!("./{CONFIG_MAP}");
    let tar = Tar::default().directory("./").directory("./configmaps.#v1/").directory("./configmaps.#v1/kube-system/");
    assert_eq!(paths(&tar.file(&dotted, &object(CONFIG_MAP)).archive()), [CONFIG_MAP]);
}

#[test]
fn an_archive_may_have_several_members_and_padding() {
    let tar = Tar::default().object(CONFIG_MAP).object(CLUSTER_ROLE).zeros(2).0;
    for cut in [0, 1, 511, 700, tar.len() - 512, tar.len()] {
        let (first, second) = tar.split_at(cut);
        let archive = [gzip(first), gzip(b""), gzip(second)].concat();
        assert_eq!(paths(&archive), [CONFIG_MAP, CLUSTER_ROLE], "cut at {cut}");
    }
    let padded = Tar(tar).zeros(18).zeros(1000).gzip();
    assert_eq!(paths(&[&*padded, &[0; 5000]].concat()), [CONFIG_MAP, CLUSTER_ROLE]);
}

#[test]
fn long_names_of_either_kind_are_read() {
    let long = format!("configmaps.#v1/{}/{}.json", "n".repeat(63), "a".repeat(253));
    let gnu =
        Tar::default().long_name(&[long.as_bytes(), b"\0"].concat()).file("cut", &object(&long)).object(CONFIG_MAP);
    assert_eq!(paths(&gnu.archive()), [&*long, CONFIG_MAP]);
    let records = [record("mtime", "1.5"), record("path", &long), record("SCHILY.xattr.user.a", "b\nc")].concat();
    let pax = Tar::default().pax(&records).file("cut", &object(&long)).object(CONFIG_MAP);
    assert_eq!(paths(&pax.archive()), [&*long, CONFIG_MAP]);
}

#[test]
fn an_empty_archive_is_whole() {
    assert_eq!(read(&*Tar::default().archive()).unwrap(), []);
}
