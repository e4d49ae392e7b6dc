//! Archives that no backup program wrote: `restore apply` refuses each whole, before it asks the cluster for anything.

use std::io::Write;
use std::path::{Path, PathBuf};

use drover_testbed::{Options, Service};
use drover_tests::Site;
use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use tar::{EntryType, Header};

const GOOD: &str = "configmaps.#v1/default/good.json";

/// An archive that begins well and goes wrong, what is wrong with it, and what the refusal must name.
struct Broken {
    what: &'static str,
    bytes: Vec<u8>,
    named: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_archives_are_refused_and_nothing_is_applied() {
    let site = Site::start_with(Options::only([Service::ControlPlane])).await;
    for Broken { what, bytes, named } in broken() {
        let path = file(&site, &bytes);
        for command in ["plan", "apply"] {
            let finished = restore(&site, command, &path).await;
            assert_eq!(finished.code, 65, "{what}: {}", finished.log);
            assert!(finished.log.contains(named), "{what}: {}", finished.log);
        }
        assert_eq!(config_maps(&site).await, 0, "{what}");
    }
    // The same archive without its fault is taken, so it was the fault that was refused.
    let path = file(&site, &archive(|_| {}));
    assert_eq!(restore(&site, "apply", &path).await.code, 0);
    assert_eq!(config_maps(&site).await, 1);
    site.testbed.shutdown().await;
}

fn broken() -> Vec<Broken> {
    let bad = "configmaps.#v1/default/bad.json";
    let cut = archive(|_| {});
    let of = |what, named, add: &dyn Fn(&mut Tar)| Broken { what, bytes: archive(add), named };
    vec![
        Broken { what: "cut off", bytes: cut[..cut.len() - 12].to_vec(), named: "cut off" },
        Broken { what: "no archive", bytes: [b'a'; 4096].to_vec(), named: "gzip" },
        of("a symlink", bad, &|tar| entry(tar, EntryType::Symlink, bad, b"")),
        of("a hard link", bad, &|tar| entry(tar, EntryType::Link, bad, b"")),
        of("a device", bad, &|tar| entry(tar, EntryType::Char, bad, b"")),
        of("a path that leaves the root", "../evil.json", &|tar| regular(tar, "configmaps.#v1/../evil.json", b"{}")),
        of("an absolute path", "/etc/passwd", &|tar| regular(tar, "/etc/passwd", b"{}")),
        of("a doubled entry", GOOD, &|tar| regular(tar, GOOD, &config_map("good"))),
        of("no JSON", bad, &|tar| regular(tar, bad, b"{\"apiVersion\": ")),
        of("endlessly nested JSON", bad, &|tar| regular(tar, bad, &[b'['; 100_000])),
        of("another name inside", bad, &|tar| regular(tar, bad, &config_map("other"))),
        of("a bomb", "unpacked", &|tar| regular(tar, bad, &vec![b' '; 4 << 20])),
    ]
}

type Tar = tar::Builder<GzEncoder<Vec<u8>>>;

/// An archive with one good object and what is added to it.
fn archive(add: impl Fn(&mut Tar)) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    regular(&mut tar, GOOD, &config_map("good"));
    add(&mut tar);
    tar.into_inner().unwrap().finish().unwrap()
}

fn regular(tar: &mut Tar, path: &str, content: &[u8]) {
    entry(tar, EntryType::Regular, path, content);
}

/// An entry with a path that is not checked, as the crate's own interface would.
fn entry(tar: &mut Tar, entry_type: EntryType, path: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(entry_type);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    if entry_type != EntryType::Regular {
        header.set_link_name("elsewhere").unwrap();
    }
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

fn config_map(name: &str) -> Vec<u8> {
    let metadata = json!({"name": name, "namespace": "default"});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}).to_string().into_bytes()
}

fn file(site: &Site, bytes: &[u8]) -> PathBuf {
    let path = site.folder().join("archive.tar.gz");
    std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    path
}

async fn restore(site: &Site, command: &str, archive: &Path) -> drover_tests::Finished {
    let job = site.job("restore").environment("DROVER_UNPACKED_LIMIT", "1000000");
    job.arguments([Path::new(command), archive]).run().await
}

/// ConfigMaps in the namespace `default`, where no controller makes any here.
async fn config_maps(site: &Site) -> usize {
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "default");
    maps.list(&ListParams::default()).await.unwrap().items.len()
}
