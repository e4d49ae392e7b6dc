//! What comes on top of ResourceSets, such as the selectors of the component `kubewarden`: the content of files whose
//! annotation names the sets that it is added to. Pure.

use drover::annotations::ADDED_TO_ANNOTATION;
use drover::resources::ResourceSet;
use kube::ResourceExt;
use snafu::OptionExt;

use super::error::{Error, NoSuchSetSnafu};

/// The ResourceSets of these files, with what others of the files add to them.
pub(super) fn whole(files: Vec<ResourceSet>) -> Result<Vec<ResourceSet>, Error> {
    let is_added = |file: &ResourceSet| file.annotations().contains_key(ADDED_TO_ANNOTATION);
    let (parts, mut sets): (Vec<_>, Vec<_>) = files.into_iter().partition(is_added);
    for part in &parts {
        for name in added_to(part) {
            let set = sets.iter_mut().find(|set| set.name_any() == name);
            add(part, set.context(NoSuchSetSnafu { part: part.name_any(), name })?);
        }
    }
    Ok(sets)
}

fn added_to(part: &ResourceSet) -> impl Iterator<Item = &str> {
    let names = part.annotations().get(ADDED_TO_ANNOTATION).map_or("", String::as_str);
    names.split(',').map(str::trim).filter(|name| !name.is_empty())
}

fn add(part: &ResourceSet, set: &mut ResourceSet) {
    set.spec.resource_selectors.extend(part.spec.resource_selectors.iter().cloned());
    for reference in &part.spec.controller_references {
        if !set.spec.controller_references.contains(reference) {
            set.spec.controller_references.push(reference.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use drover::exit::{Exit, Fault};
    use serde_json::json;

    use super::*;

    fn file(name: &str, added_to: Option<&str>, api_versions: &[&str]) -> ResourceSet {
        let selectors: Vec<_> = api_versions.iter().map(|version| json!({"apiVersion": version})).collect();
        let annotations = added_to.map_or_else(|| json!({}), |names| json!({ADDED_TO_ANNOTATION: names}));
        let controller = json!({"apiVersion": "apps/v1", "resource": "deployments", "namespace": "a", "name": "b"});
        let set = json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet",
            "metadata": {"name": name, "annotations": annotations},
            "resourceSelectors": selectors, "controllerReferences": [controller]});
        serde_json::from_value(set).expect("a ResourceSet")
    }

    fn api_versions(set: &ResourceSet) -> Vec<&str> {
        set.spec.resource_selectors.iter().map(|selector| selector.api_version.as_str()).collect()
    }

    #[test]
    fn what_is_added_goes_to_the_sets_that_are_named_and_is_none_itself() {
        let files = vec![
            file("basic", None, &["v1"]),
            file("full", None, &["v1", "apps/v1"]),
            file("more", Some("basic, full,"), &["batch/v1"]),
            file("secrets", Some("full"), &["policy/v1"]),
        ];
        let sets = whole(files).expect("whole");
        let names: Vec<_> = sets.iter().map(ResourceExt::name_any).collect();
        assert_eq!(names, ["basic", "full"]);
        assert_eq!(api_versions(&sets[0]), ["v1", "batch/v1"]);
        assert_eq!(api_versions(&sets[1]), ["v1", "apps/v1", "batch/v1", "policy/v1"]);
        assert_eq!(sets[1].spec.controller_references.len(), 1, "the same controller is scaled once");
    }

    #[test]
    fn a_set_that_is_not_there_is_named() {
        let error = whole(vec![file("more", Some("full"), &["v1"])]).expect_err("refused");
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().contains("\"more\" to the ResourceSet \"full\""), "{error}");
    }
}
