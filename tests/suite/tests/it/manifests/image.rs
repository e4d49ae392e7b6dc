//! The image, as far as its files tell, and the list of all images.

use std::collections::BTreeSet;
use std::path::Path;

use super::built::{COMPONENTS, OVERLAYS, build, containers, overlay, own_overlay, pod_template, root, text};

fn file(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// What stands in a file between a text and the next character of `ends`.
fn after<'a>(file: &'a str, start: &str, ends: &[char]) -> &'a str {
    let rest = file.split_once(start).unwrap_or_else(|| panic!("no {start:?}")).1;
    rest.split(ends).next().unwrap()
}

#[test]
fn the_image_has_every_job() {
    let dockerfile = file("Dockerfile");
    let mut jobs: Vec<_> = std::fs::read_dir(root().join("jobs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    jobs.sort();
    let built = after(&dockerfile, "cargo build --release --locked", &[';']);
    let mut built: Vec<_> = built.split_whitespace().filter(|word| *word != "--package").collect();
    let mut copied: Vec<_> = after(&dockerfile, "for job in ", &[';']).split_whitespace().collect();
    built.sort_unstable();
    copied.sort_unstable();
    assert_eq!((built, copied), (jobs.iter().map(String::as_str).collect(), jobs.iter().map(String::as_str).collect()));
}

#[test]
fn the_image_is_built_with_the_projects_rust_and_named_by_its_version() {
    let dockerfile = file("Dockerfile");
    let rust = file("rust-toolchain.toml");
    assert_eq!(after(&dockerfile, "ARG RUST_VERSION=", &['\n']), after(&rust, "channel = \"", &['"']));
    let base = file("kustomize/base/kustomization.yaml");
    let heartbeat = file("kustomize/components/heartbeat/kustomization.yaml");
    let tags = [&base, &heartbeat].map(|file| after(file, "name: drover\n  newTag: ", &['\n']));
    for version in tags.into_iter().chain([after(&dockerfile, "ARG VERSION=", &['\n'])]) {
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn nats_in_a_cluster_is_the_one_that_is_tested() {
    let tested = file("tests/testbed/programs/nats/go.mod");
    let tested = after(&tested, "github.com/nats-io/nats-server/v2 v", &['\n', ' ']).to_owned();
    let base = file("kustomize/base/kustomization.yaml");
    assert_eq!(after(&base, "name: nats\n  newTag: ", &['\n']), tested);
}

#[test]
fn the_s3_server_in_a_cluster_is_the_one_that_is_tested() {
    let tested = file("tests/testbed/programs/versitygw/go.mod");
    let tested = after(&tested, "github.com/versity/versitygw ", &['\n', ' ']).to_owned();
    let component = file("kustomize/components/versitygw/kustomization.yaml");
    assert_eq!(after(&component, "name: versity/versitygw\n  newTag: ", &['\n']), tested);
}

#[tokio::test]
async fn the_list_has_every_image_that_a_manifest_names() {
    let list = file("docs/images.md");
    let rows: Vec<Vec<&str>> = list.lines().filter(|line| line.starts_with("| `")).map(cells).collect();
    for row in &rows {
        assert!(row.len() == 5 && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        assert!(row[3].parse::<jiff::civil::Date>().is_ok(), "{row:?}");
    }
    let listed: BTreeSet<String> =
        rows.iter().map(|row| format!("{}:{}", row[0].trim_matches('`'), row[1].trim_matches('`'))).collect();
    assert_eq!(listed.len(), rows.len(), "an image stands twice in docs/images.md");
    assert_eq!(listed, images_of_manifests().await);
}

/// The cells of a row of a table in Markdown.
fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

/// The images of all overlays, of every component and of the examples, with their tags.
async fn images_of_manifests() -> BTreeSet<String> {
    let with_nats: Vec<_> = COMPONENTS.into_iter().filter(|name| *name != "external-nats").collect();
    let every_component = own_overlay(&with_nats, "");
    let folders = OVERLAYS.map(overlay).into_iter().chain([every_component.path().display().to_string()]);
    let mut images = BTreeSet::new();
    for folder in folders {
        for object in build(&folder).await {
            let containers = pod_template(&object).into_iter().flat_map(containers);
            images.extend(containers.map(|container| text(container, "/image").to_owned()));
        }
    }
    let named = |path: &Path| images_of_text(&std::fs::read_to_string(path).unwrap());
    let examples = std::fs::read_dir(root().join("docs/examples")).unwrap();
    images.extend(examples.flat_map(|example| named(&example.unwrap().path())));
    let names = names_of_manifests();
    let built: BTreeSet<_> = images.iter().filter_map(|image| image.rsplit_once(':')).map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| built.contains(name.as_str())), "{names:?} are more than {built:?}");
    images
}

/// The images of the files in `manifests`, which no overlay may bring.
fn names_of_manifests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in std::fs::read_dir(root().join("manifests")).unwrap().map(|entry| entry.unwrap().path()) {
        // The text of a definition is no manifest of ours to run.
        if !folder.is_dir() || folder.ends_with("crds") {
            continue;
        }
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            names.extend(images_of_text(&std::fs::read_to_string(path).unwrap()));
        }
    }
    names
}

fn images_of_text(text: &str) -> BTreeSet<String> {
    let image = |line: &str| Some(line.trim().trim_start_matches("- ").strip_prefix("image: ")?.to_owned());
    text.lines().filter_map(image).collect()
}

#[tokio::test]
async fn every_program_that_a_manifest_starts_is_in_the_image_and_is_told_what_to_do() {
    let dockerfile = file("Dockerfile");
    let jobs = after(&dockerfile, "for job in ", &[';']).to_owned();
    for name in OVERLAYS {
        for object in build(&overlay(name)).await {
            let template = pod_template(&object).map(|template| template["spec"].clone()).unwrap_or_default();
            let of = |kind: &str| template[kind].as_array().cloned().unwrap_or_default();
            for container in of("initContainers").into_iter().chain(of("containers")) {
                let program = text(&container, "/command/0");
                let is_ours = text(&container, "/image").starts_with("drover:");
                assert_eq!(is_ours, !program.is_empty(), "others' images bring their own entry point");
                let known = jobs.split_whitespace().any(|job| program == format!("/{job}"));
                assert!(known || !is_ours, "{program}");
                let words = |member: &str| container[member].as_array().map_or(0, Vec::len);
                assert!(words("command") + words("args") > 1 || !is_ours, "{program} alone");
            }
        }
    }
}
