//! Objects, of a type, at which selectors could differ: made of what the selectors themselves name.

use std::collections::{BTreeMap, BTreeSet};

use drover::resources::ResourceSelector;
use drover::selection::{Facts, ResourceType};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::regexps::samples;

/// A name, a namespace or a value that no selector names.
const OTHER: &str = "other";

/// Labels by key.
type Labels = BTreeMap<String, String>;

/// What selectors look at in an object.
#[derive(Debug)]
pub(super) struct Probe {
    name: String,
    namespace: Option<String>,
    labels: Labels,
}

impl Facts for Probe {
    fn name(&self) -> &str {
        &self.name
    }

    fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    fn label(&self, key: &str) -> Option<String> {
        self.labels.get(key).cloned()
    }

    fn field(&self, _: &str) -> Option<String> {
        None
    }
}

/// Objects of a type. Of the selectors that take the type come all names with all namespaces and labels, those beside what
/// they name too; of other selectors only what each of them names, for they may come to take the type.
pub(super) fn probes(
    resource: &ResourceType,
    taking: &[&ResourceSelector],
    others: &[&ResourceSelector],
) -> Vec<Probe> {
    let around = |texts: BTreeSet<String>| texts.iter().flat_map(|text| neighbours(text)).collect();
    let of_all = |named: fn(&ResourceSelector) -> BTreeSet<String>| taking.iter().flat_map(|one| named(one)).collect();
    let labels = taking.iter().flat_map(|selector| labels(selector)).collect();
    let mut probes = product(resource, around(of_all(names)), around(of_all(namespaces)), labels);
    for selector in others {
        probes.extend(product(resource, names(selector), namespaces(selector), self::labels(selector)));
    }
    probes
}

fn product(
    resource: &ResourceType,
    mut names: BTreeSet<String>,
    mut namespaces: BTreeSet<String>,
    mut labels: BTreeSet<Labels>,
) -> Vec<Probe> {
    names.insert(OTHER.to_owned());
    namespaces.insert(OTHER.to_owned());
    labels.insert(Labels::new());
    let namespaces: Vec<Option<String>> =
        if resource.namespaced { namespaces.into_iter().map(Some).collect() } else { vec![None] };
    let mut probes = Vec::with_capacity(names.len() * namespaces.len() * labels.len());
    for name in &names {
        for namespace in &namespaces {
            let probe =
                |labels: &Labels| Probe { name: name.clone(), namespace: namespace.clone(), labels: labels.clone() };
            probes.extend(labels.iter().map(probe));
        }
    }
    probes
}

/// The text, and what an anchor, a character more or a character less in a regexp would tell from it.
fn neighbours(text: &str) -> Vec<String> {
    let mut shorter = text.chars();
    let (first, last) = (shorter.next(), shorter.next_back());
    let mut found = vec![text.to_owned(), format!("x{text}"), format!("{text}x")];
    if let (Some(first), Some(last)) = (first, last) {
        found.push(format!("{}{last}", shorter.as_str()));
        found.push(format!("{first}{}", shorter.as_str()));
    }
    found
}

fn names(selector: &ResourceSelector) -> BTreeSet<String> {
    let regexps = [&selector.resource_name_regexp, &selector.exclude_resource_name_regexp];
    selector.resource_names.iter().cloned().chain(regexps.into_iter().flat_map(|regexp| samples(regexp))).collect()
}

fn namespaces(selector: &ResourceSelector) -> BTreeSet<String> {
    selector.namespaces.iter().cloned().chain(samples(&selector.namespace_regexp)).collect()
}

/// Every combination of the values that a selector names, of another value, and of none.
fn labels(selector: &ResourceSelector) -> BTreeSet<Labels> {
    let mut found = BTreeSet::from([Labels::new()]);
    for (key, values) in selector.label_selectors.iter().flat_map(label_values) {
        let with = |value: &String| {
            let labelled = |labels: &Labels| {
                let mut labels = labels.clone();
                labels.insert(key.clone(), value.clone());
                labels
            };
            found.iter().map(labelled).collect::<Vec<_>>()
        };
        let labelled: Vec<Labels> = values.iter().flat_map(with).collect();
        found.extend(labelled);
    }
    found
}

fn label_values(selector: &LabelSelector) -> Vec<(String, Vec<String>)> {
    let equal = selector.match_labels.iter().flatten().map(|(key, value)| (key.clone(), vec![value.clone()]));
    let required = selector.match_expressions.iter().flatten();
    let required = required.map(|required| (required.key.clone(), required.values.clone().unwrap_or_default()));
    equal.chain(required).map(|(key, values)| (key, [values, vec![OTHER.to_owned()]].concat())).collect()
}
