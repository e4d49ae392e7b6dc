//! Which types are listed, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::labels::Labels;
use super::matcher::{Matcher, has_field};
use super::{Discovery, Facts, PlanError, ResourceType};
use crate::resources::ResourceSet;

/// What is read for a ResourceSet.
#[derive(Debug, Default)]
pub struct Plan {
    /// The types, each once: definitions of types first, then cluster-scoped types, then namespaced ones, each by name.
    pub types: Vec<TypePlan>,
    /// API versions that selectors name and that the cluster does not serve.
    pub not_served: Vec<String>,
    /// Types that selectors take, that can only be read by name, and of which no selector gives names (for a namespaced
    /// type, names and namespaces): `<plural>.<group>`.
    pub without_names: Vec<String>,
}

/// How one type is read, and which of its objects belong to the set.
#[derive(Clone, Debug)]
pub struct TypePlan {
    /// The type.
    pub resource: ResourceType,
    /// What is asked of the server.
    pub request: Request,
    matchers: Vec<Arc<Matcher>>,
    labels_asked: bool,
    fields_asked: BTreeMap<String, String>,
}

/// What is asked of the server for a type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// A list, page by page.
    List {
        /// The one namespace that matters, where it is one.
        namespace: Option<String>,
        /// The one name that matters, where it is one. It goes to the server as a field selector, but not every server of
        /// an aggregated API takes that one, so it may be left out: [`TypePlan::selects`] looks at names in any case.
        name: Option<String>,
        /// The label selector.
        label_selector: Option<String>,
        /// The field selector, without the name.
        field_selector: Option<String>,
    },
    /// These objects (namespace and name), one by one. One that is not there is skipped.
    Get {
        /// Namespace and name of each.
        objects: Vec<(Option<String>, String)>,
    },
}

/// Decides what is read for a ResourceSet.
///
/// # Errors
/// When a selector cannot be read.
pub fn plan(set: &ResourceSet, discovery: &Discovery) -> Result<Plan, PlanError> {
    let mut not_served = BTreeSet::new();
    let mut selected: BTreeMap<_, (&ResourceType, Vec<Arc<Matcher>>)> = BTreeMap::new();
    for (index, selector) in set.spec.resource_selectors.iter().enumerate() {
        let matcher = Arc::new(Matcher::new(index, selector)?);
        let Some(types) = discovery.types(&selector.api_version) else {
            not_served.insert(selector.api_version.clone());
            continue;
        };
        for resource in types.iter().filter(|resource| is_readable(resource) && matcher.takes_type(resource)) {
            selected.entry(rank(resource)).or_insert((resource, Vec::new())).1.push(Arc::clone(&matcher));
        }
    }
    let mut plan = Plan { not_served: not_served.into_iter().collect(), ..Plan::default() };
    for (resource, matchers) in selected.into_values() {
        let type_plan = TypePlan::new(resource.clone(), matchers);
        if matches!(&type_plan.request, Request::Get { objects } if objects.is_empty()) {
            plan.without_names.push(resource.type_name());
        } else {
            plan.types.push(type_plan);
        }
    }
    Ok(plan)
}

/// Subresources are no types of their own, and some types, such as reviews of access, can only be created.
fn is_readable(resource: &ResourceType) -> bool {
    (resource.can_list || resource.can_get) && !resource.plural.contains('/')
}

fn rank(resource: &ResourceType) -> (u8, String, String) {
    let is_definition = resource.group == "apiextensions.k8s.io" && resource.plural == "customresourcedefinitions";
    let class = match (is_definition, resource.namespaced) {
        (true, _) => 0,
        (false, false) => 1,
        (false, true) => 2,
    };
    (class, resource.type_name(), resource.version.clone())
}

impl TypePlan {
    fn new(resource: ResourceType, matchers: Vec<Arc<Matcher>>) -> Self {
        if !resource.can_list {
            let objects: BTreeSet<_> =
                matchers.iter().flat_map(|matcher| matcher.named_objects(resource.namespaced)).collect();
            let request = Request::Get { objects: objects.into_iter().collect() };
            return Self { resource, request, matchers, labels_asked: false, fields_asked: BTreeMap::new() };
        }
        let labels = common(&matchers, |matcher| Some(&matcher.labels)).filter(|labels| !labels.is_empty());
        let fields_asked = common_fields(&matchers);
        let namespace = common(&matchers, Matcher::only_namespace).filter(|_| resource.namespaced);
        let request = Request::List {
            namespace: namespace.map(str::to_owned),
            name: common(&matchers, Matcher::only_name).map(str::to_owned),
            label_selector: labels.map(Labels::to_query),
            field_selector: (!fields_asked.is_empty()).then(|| to_query(&fields_asked)),
        };
        let labels_asked = labels.is_some();
        Self { resource, request, matchers, labels_asked, fields_asked }
    }

    /// Whether an object that came belongs to the set: whether any selector takes it.
    ///
    /// Names and namespaces are always looked at, labels and fields only where the server was not asked for them.
    pub fn selects(&self, object: &impl Facts) -> bool {
        self.matchers.iter().any(|matcher| {
            matcher.takes_object(&self.resource, object)
                && (self.labels_asked || matcher.labels.hold_for(object))
                && matcher
                    .fields
                    .iter()
                    .filter(|(path, _)| !self.fields_asked.contains_key(*path))
                    .all(|(path, value)| has_field(object, path, value))
        })
    }

    /// Whether an object belongs to the set that came from a list without any condition: everything is looked at here.
    pub fn selects_unasked(&self, object: &impl Facts) -> bool {
        self.matchers.iter().any(|matcher| {
            matcher.takes_object(&self.resource, object)
                && matcher.labels.hold_for(object)
                && matcher.fields.iter().all(|(path, value)| has_field(object, path, value))
        })
    }
}

/// What all selectors of a type say alike.
fn common<'a, T: ?Sized + PartialEq>(
    matchers: &'a [Arc<Matcher>],
    part: impl Fn(&'a Matcher) -> Option<&'a T>,
) -> Option<&'a T> {
    let mut parts = matchers.iter().map(|matcher| part(matcher));
    let first = parts.next()??;
    parts.all(|other| other == Some(first)).then_some(first)
}

fn common_fields(matchers: &[Arc<Matcher>]) -> BTreeMap<String, String> {
    let Some((first, others)) = matchers.split_first() else {
        return BTreeMap::new();
    };
    let in_all = |path: &String, value: &String| others.iter().all(|other| other.fields.get(path) == Some(value));
    first.fields.clone().into_iter().filter(|(path, value)| in_all(path, value)).collect()
}

/// A field selector as a request carries it: a backslash goes before the characters that separate conditions.
fn to_query(fields: &BTreeMap<String, String>) -> String {
    let conditions: Vec<String> = fields.iter().map(|(path, value)| field_condition(path, value)).collect();
    conditions.join(",")
}

/// One condition of a field selector.
pub(crate) fn field_condition(path: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
    format!("{path}={value}")
}
