use drover_testbed::{Options, Service, seconds_pass};
use drover_tests::{objects, write_archive};

use super::*;

const GROUP: &str = "cluster.versions.example.io";

#[tokio::test(flavor = "multi_thread")]
async fn a_type_is_archived_in_the_version_that_is_served_and_a_prune_after_an_upgrade_deletes_nothing() {
    let site = Site::start_with(Options::only([Service::ControlPlane])).await;
    let (old, new) = (format!("{GROUP}/v1beta1"), format!("{GROUP}/v1beta2"));
    define(&site, &definition(GROUP, &[("v1beta1", true)])).await;
    make_things(&site, &old, 5).await;

    let gone = json!({"apiVersion": old, "kinds": ["Gone"]});
    let (finished, archive) =
        to_file(&site, &set("new", &[all_of(&new), all_of("nothing.example.io/v1"), gone]), &[], 0).await;
    let held: Vec<_> = objects(&archive).into_keys().filter(|path| path.starts_with("things.")).collect();
    let expected: Vec<_> = (0..5).map(|index| format!("things.{GROUP}#v1beta1/thing-{index}.json")).collect();
    assert_eq!(held, expected);
    for words in ["WARN", "v1beta1", "v1beta2", &format!("things.{GROUP}")] {
        assert!(finished.log.contains(words), "{words}: {}", finished.log);
    }
    let contents = contents(&archive);
    let things = contents.types.iter().find(|listed| listed.name == format!("things.{GROUP}")).unwrap();
    assert_eq!(
        (things.version.as_str(), things.objects, things.named.as_slice()),
        ("v1beta1", 5, &["v1beta2".to_owned()][..])
    );
    assert_eq!(contents.left_out[0].name, "nothing.example.io/v1");
    assert_eq!(contents.left_out[1].name, format!("Gone.{GROUP}"));
    inspected(&site, &archive).await;

    // The other way round, and both versions named by one set.
    define(&site, &definition(GROUP, &[("v1beta2", true), ("v1beta1", false)])).await;
    let (_, after) = to_file(&site, &set("both", &[all_of(&old), all_of(&new)]), &[], 0).await;
    assert_eq!(objects(&after).keys().filter(|path| path.starts_with(&format!("things.{GROUP}#v1beta2/"))).count(), 5);

    // Also where both are served: each object is there once.
    define(&site, &definition(GROUP, &[("v1beta2", true), ("v1beta1", true)])).await;
    let (_, twice) = to_file(&site, &set("both", &[all_of(&old), all_of(&new)]), &[], 0).await;
    assert_eq!(objects(&twice).keys().filter(|path| path.starts_with("things.")).count(), 5);

    for archive in [&archive, &after] {
        prune_leaves_all(&site, archive).await;
    }
    // An archive of before, from which they were left out.
    let lacking = site.testbed.folder().join("before.tar.gz");
    write_archive(&lacking, &[], &set("new", &[all_of(&new)]));
    let log = prune_leaves_all(&site, &lacking).await;
    assert!(log.contains("nothing of these types is pruned") && log.contains(&format!("things.{GROUP}")), "{log}");

    // What the archive does account for is pruned as before, in whatever version it is.
    make(&site, &thing(&new, "more")).await;
    seconds_pass(2).await;
    site.job("restore").arguments(["apply", archive.to_str().unwrap(), "--prune"]).succeed().await;
    assert_eq!(things_left(&site).await, 5);
    site.testbed.shutdown().await;
}

async fn inspected(site: &Site, archive: &Path) {
    let path = archive.to_str().unwrap();
    let text = site.job("restore").arguments(["inspect", path]).succeed().await.output;
    let version = format!("things.{GROUP} in v1beta1; v1beta2, which the ResourceSet names, was not served");
    for words in ["drover ", "Kubernetes v1.", version.as_str(), "nothing.example.io/v1: the cluster did not serve it"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let json = site.job("restore").arguments(["inspect", path, "--output", "json"]).succeed().await.output;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["contents"]["leftOut"][0]["reason"], "NotServed", "{json}");
}

async fn prune_leaves_all(site: &Site, archive: &Path) -> String {
    let finished = site.job("restore").arguments(["apply", archive.to_str().unwrap(), "--prune"]).succeed().await;
    assert_eq!(things_left(site).await, 5, "{}", finished.output);
    finished.log
}

async fn things_left(site: &Site) -> usize {
    let things = drover_tests::api_of(&site.client, &thing(&format!("{GROUP}/v1beta2"), "any"));
    things.list(&ListParams::default()).await.unwrap().items.len()
}
