//! The image, as far as its files tell.

use super::built::{OVERLAYS, build, overlay, pod_template, root, text};

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

#[tokio::test]
async fn every_program_that_a_manifest_starts_is_in_the_image() {
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
            }
        }
    }
}
