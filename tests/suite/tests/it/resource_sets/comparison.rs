//! Whether two lists of selectors select the same.

use std::collections::{BTreeMap, BTreeSet};

use drover::resources::{ResourceSelector, ResourceSet};
use drover::selection::{Discovery, Plan, ResourceType, TypePlan, plan};
use serde_json::json;

use super::changes::changes;
use super::probes::{Probe, probes};

/// A name that no probe has.
const NOBODY: &str = "nobody-has-this-name";

/// The types of a cluster, and objects of each at which selectors could differ.
pub(super) struct Comparison {
    discovery: Discovery,
    cases: Vec<(ResourceType, Vec<Probe>)>,
}

/// How the types that a list of selectors takes are selected, by API version and plural name.
pub(super) struct Selection(BTreeMap<(String, String), TypePlan>);

impl Comparison {
    /// With objects made of what the selectors of these lists name.
    pub(super) fn new(discovery: Discovery, lists: &[&[ResourceSelector]]) -> Self {
        let selectors: Vec<_> = lists.iter().copied().flatten().map(|one| (one, types_of(one, &discovery))).collect();
        let case = |resource: &ResourceType| {
            let (mut taking, mut others) = (Vec::new(), Vec::new());
            for (selector, types) in selectors.iter().filter(|(one, _)| one.api_version == resource.api_version()) {
                if types.contains(&resource.plural) { taking.push(*selector) } else { others.push(*selector) }
            }
            (resource.clone(), probes(resource, &taking, &others))
        };
        let cases = discovery.all().map(case).collect();
        Self { discovery, cases }
    }

    /// The first object that one list selects and the other does not.
    pub(super) fn difference(&self, one: &[ResourceSelector], other: &[ResourceSelector]) -> Option<String> {
        let [one, other] = [one, other].map(|selectors| Selection::new(selectors, &self.discovery));
        self.cases.iter().find_map(|(resource, probes)| {
            let [one, other] = [one.of(resource), other.of(resource)];
            let differing = probes.iter().find(|probe| one(probe) != other(probe))?;
            Some(format!("{} {differing:?}", resource.type_name()))
        })
    }

    /// The changes of a list's selectors that a comparison of the list with another one, which selects the same, would not
    /// show.
    pub(super) fn unseen(&self, list: &[ResourceSelector], other: &[ResourceSelector]) -> Vec<String> {
        let other = Selection::new(other, &self.discovery);
        let each: Vec<_> = list.chunks(1).map(|selector| Selection::new(selector, &self.discovery)).collect();
        let mut unseen = Vec::new();
        for (index, selector) in list.iter().enumerate() {
            for changed in changes(selector) {
                let changed_to = Selection::new(changed.as_slice(), &self.discovery);
                if !self.shows(&each, index, &changed_to, &other) {
                    unseen.push(format!("{} changed to {}", json!(selector), json!(changed)));
                }
            }
        }
        unseen
    }

    /// Whether an object that a change lets in or out is one at which a list, of which each selector is given, then differs
    /// from another one.
    fn shows(&self, each: &[Selection], index: usize, changed: &Selection, other: &Selection) -> bool {
        self.cases.iter().any(|(resource, probes)| {
            let [before, after, other] = [&each[index], changed, other].map(|selection| selection.of(resource));
            let rest = each.iter().enumerate().filter(|(place, _)| *place != index);
            let rest: Vec<_> = rest.map(|(_, selection)| selection.of(resource)).collect();
            let with = |probe: &Probe| after(probe) || rest.iter().any(|selected| selected(probe));
            let differs = |probe: &Probe| before(probe) != after(probe) && with(probe) != other(probe);
            probes.iter().any(differs)
        })
    }
}

impl Selection {
    /// Another selector stands beside those of each type, so that nothing they say alike is left to a server, which is not
    /// there.
    pub(super) fn new(selectors: &[ResourceSelector], discovery: &Discovery) -> Self {
        let api_versions: BTreeSet<&String> = selectors.iter().map(|selector| &selector.api_version).collect();
        let beside = |api_version: &String| ResourceSelector {
            api_version: api_version.clone(),
            resource_names: vec![NOBODY.to_owned()],
            ..ResourceSelector::default()
        };
        let selectors = selectors.iter().cloned().chain(api_versions.into_iter().map(beside)).collect();
        let plan = planned(selectors, discovery);
        Self(plan.types.into_iter().map(|of| ((of.resource.api_version(), of.resource.plural.clone()), of)).collect())
    }

    /// Whether an object of a type is selected.
    pub(super) fn of(&self, resource: &ResourceType) -> impl Fn(&Probe) -> bool {
        let of = self.0.get(&(resource.api_version(), resource.plural.clone()));
        move |probe| of.is_some_and(|of| of.selects(probe))
    }
}

/// The plural names of the types that a selector takes.
fn types_of(selector: &ResourceSelector, discovery: &Discovery) -> BTreeSet<String> {
    planned(vec![selector.clone()], discovery).types.into_iter().map(|of| of.resource.plural).collect()
}

fn planned(selectors: Vec<ResourceSelector>, discovery: &Discovery) -> Plan {
    let mut set: ResourceSet = serde_json::from_value(json!({ "metadata": { "name": "set" } })).unwrap();
    set.spec.resource_selectors = selectors;
    plan(&set, discovery).unwrap()
}
