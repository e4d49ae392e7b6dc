//! The component `kubewarden`: it selects what the optional part of the operator's chart selects.

use drover::resources::ResourceSelector;
use drover::selection::Discovery;
use drover_tests::inputs::Inputs;

use super::comparison::Comparison;
use super::{BASIC, FULL, GUIDE, TURTLES, component, read, types};

/// The component's two files, and the sets that each is added to.
const PARTS: [(&str, &[&str]); 2] =
    [("kubewarden", &[GUIDE, BASIC, FULL, TURTLES]), ("kubewarden-secrets", &[GUIDE, FULL, TURTLES])];

fn parts() -> [Vec<ResourceSelector>; 2] {
    PARTS.map(|(name, _)| read(&component(name)).spec.resource_selectors)
}

/// The types of Kubernetes, and where selectors name all namespaced ones of a version, one that none names.
fn discovery(lists: &[&[ResourceSelector]]) -> Discovery {
    let nobodys = ["policy/v1", "rbac.authorization.k8s.io/v1"]
        .map(|version| types::resource_type(version, "Widget", "widgets", true));
    types::of(Vec::new(), lists).all().cloned().chain(nobodys).collect()
}

#[test]
fn each_part_is_added_to_the_sets_that_the_chart_adds_it_to() {
    for (name, sets) in PARTS {
        let part = read(&component(name));
        let added_to = part.metadata.annotations.unwrap_or_default()["drover.dev/added-to"].clone();
        assert_eq!(added_to.split(',').collect::<Vec<_>>(), sets, "{name}");
        assert!(part.spec.controller_references.is_empty());
    }
    let [_, secrets] = parts();
    assert!(secrets.iter().all(|selector| selector.kinds == ["Secret"]), "{secrets:?}");
}

#[test]
fn the_component_selects_what_the_chart_selects_and_no_part_of_it_can_be_missed() {
    for inputs in Inputs::all() {
        for (ours, theirs) in parts().into_iter().zip(inputs.kubewarden()) {
            let comparison = Comparison::new(discovery(&[&ours, &theirs]), &[&ours, &theirs]);
            assert_eq!(comparison.difference(&ours, &theirs), None);
            assert_eq!(comparison.unseen(&ours, &theirs), Vec::<String>::new());
        }
    }
}
