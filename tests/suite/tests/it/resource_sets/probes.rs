//! Objects, of a type, at which selectors could differ: made of what the selectors themselves name.

use std::collections::{BTreeMap, BTreeSet};

use drover::resources::ResourceSelector;
use drover::selection::{Facts, ResourceType};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::regexps::samples;

/// A name, a namespace or a value that no selector names.
const OTHER: &str = "other";

/// Labels by key, or fields by path.
type Texts = BTreeMap<String, String>;

/// What selectors look at in an object.
#[derive(Clone, Debug, Default)]
pub(super) struct Probe {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) labels: Texts,
    pub(super) fields: Texts,
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

    fn field(&self, path: &str) -> Option<String> {
        self.fields.get(path).cloned()
    }
}

/// What objects are made of: each value with each of the others.
#[derive(Clone, Default)]
struct Parts {
    names: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    labels: BTreeSet<Texts>,
    fields: BTreeSet<Texts>,
}

/// Objects of a type. Of the selectors that take the type come all names with all namespaces and labels, those beside what
/// they name too; of other selectors only what each of them names, for they may come to take the type. Fields go with the
/// names of the selectors that name fields.
pub(super) fn probes(
    resource: &ResourceType,
    taking: &[&ResourceSelector],
    others: &[&ResourceSelector],
) -> Vec<Probe> {
    let all = Parts::of(taking);
    let with_fields: Vec<_> = taking.iter().copied().filter(|one| !one.field_selectors.is_empty()).collect();
    let of_fields = Parts { names: Parts::of(&with_fields).names, ..all.clone() };
    let mut probes = product(resource, Parts { fields: BTreeSet::new(), ..all }.with_neighbours());
    if !with_fields.is_empty() {
        probes.extend(product(resource, of_fields.with_neighbours()));
    }
    for selector in others {
        probes.extend(product(resource, Parts::of(&[*selector])));
    }
    probes
}

impl Parts {
    fn of(selectors: &[&ResourceSelector]) -> Self {
        Self {
            names: selectors.iter().flat_map(|selector| names(selector)).collect(),
            namespaces: selectors.iter().flat_map(|selector| namespaces(selector)).collect(),
            labels: selectors.iter().flat_map(|selector| labels(selector)).collect(),
            fields: selectors.iter().map(|selector| selector.field_selectors.clone()).collect(),
        }
    }

    fn with_neighbours(self) -> Self {
        let around = |texts: BTreeSet<String>| texts.iter().flat_map(|text| neighbours(text)).collect();
        Self { names: around(self.names), namespaces: around(self.namespaces), ..self }
    }
}

fn product(resource: &ResourceType, mut parts: Parts) -> Vec<Probe> {
    parts.names.insert(OTHER.to_owned());
    parts.namespaces.insert(OTHER.to_owned());
    parts.labels.insert(Texts::new());
    parts.fields.insert(Texts::new());
    let namespaces: Vec<Option<String>> =
        if resource.namespaced { parts.namespaces.into_iter().map(Some).collect() } else { vec![None] };
    let mut probes = Vec::with_capacity(parts.names.len() * namespaces.len() * parts.labels.len());
    for name in &parts.names {
        for namespace in &namespaces {
            for labels in &parts.labels {
                let probe = |fields: &Texts| Probe {
                    name: name.clone(),
                    namespace: namespace.clone(),
                    labels: labels.clone(),
                    fields: fields.clone(),
                };
                probes.extend(parts.fields.iter().map(probe));
            }
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
fn labels(selector: &ResourceSelector) -> BTreeSet<Texts> {
    let mut found = BTreeSet::from([Texts::new()]);
    for (key, values) in selector.label_selectors.iter().flat_map(label_values) {
        let with = |value: &String| {
            let labelled = |labels: &Texts| {
                let mut labels = labels.clone();
                labels.insert(key.clone(), value.clone());
                labels
            };
            found.iter().map(labelled).collect::<Vec<_>>()
        };
        let labelled: Vec<Texts> = values.iter().flat_map(with).collect();
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
