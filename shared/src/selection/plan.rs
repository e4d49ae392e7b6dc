//! Which types are listed, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::discovery::group_of;
use super::labels::Labels;
use super::matcher::{Matcher, has_field};
use super::{Discovery, Facts, PlanError, ResourceType, Unavailable};
use crate::resources::ResourceSet;

/// What is read for a ResourceSet.
#[derive(Debug, Default)]
pub struct Plan {
    /// The types, each once: definitions of types first, then cluster-scoped types, then namespaced ones, each by name.
    pub types: Vec<TypePlan>,
    /// API versions that selectors name, that the cluster does not serve, and of whose types it serves none that they take
    /// in another version.
    pub not_served: Vec<String>,
    /// Kinds that selectors list exactly, in whose group there are types of other names alone: `<name>.<group>`, where the
    /// name is the Kind or the plural that the selector gives.
    pub kinds_not_served: Vec<String>,
    /// API versions that selectors name and of which the cluster cannot say which types they have.
    pub unknown: Vec<Unknown>,
    /// Types that selectors take, that can only be read by name, and of which no selector gives names (for a namespaced
    /// type, names and namespaces): `<plural>.<group>`.
    pub without_names: Vec<String>,
}

/// An API version that a selector names, and of which it is not known what belongs to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unknown {
    /// The API version.
    pub api_version: String,
    /// Why it is not known.
    pub why: Unavailable,
}

/// How one type is read, and which of its objects belong to the set.
#[derive(Clone, Debug)]
pub struct TypePlan {
    /// The type, in the version that is read.
    pub resource: ResourceType,
    /// The versions that selectors name and that do not serve it; empty where one of those named is read.
    pub named: Vec<String>,
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

/// Decides what is read for a ResourceSet: the one place of this rule, for snapshots and for prunes alike.
///
/// A type is read in a version that a selector names, of several in the one that the cluster prefers. Where it is served in
/// none of these, it is read in the preferred one of those that serve it.
///
/// # Errors
/// When a selector cannot be read.
pub fn plan(set: &ResourceSet, discovery: &Discovery) -> Result<Plan, PlanError> {
    let mut selection = Selection::default();
    for (index, selector) in set.spec.resource_selectors.iter().enumerate() {
        let matcher = Arc::new(Matcher::new(index, selector)?);
        selection.add(discovery, &selector.api_version, &matcher);
    }
    Ok(selection.plan())
}

/// What the selectors take, and what they name that is not there.
#[derive(Default)]
struct Selection<'a> {
    types: BTreeMap<(String, String), Taken<'a>>,
    not_served: BTreeSet<String>,
    kinds_not_served: BTreeSet<String>,
    unknown: BTreeMap<String, Unavailable>,
}

impl<'a> Selection<'a> {
    fn add(&mut self, discovery: &'a Discovery, api_version: &str, matcher: &Arc<Matcher>) {
        if let Some(why) = why_unknown(discovery, api_version) {
            self.unknown.insert(api_version.to_owned(), why.clone());
            return;
        }
        let group = group_of(api_version);
        let mut unmatched: BTreeSet<&str> = matcher.exact_kinds().collect();
        let mut takes_any = false;
        for offers in discovery.offers(group).into_values() {
            for offer in &offers {
                unmatched.remove(offer.kind.as_str());
                unmatched.remove(offer.plural.as_str());
            }
            takes_any |= self.take(offers, api_version, matcher);
        }
        if !takes_any && discovery.types(api_version).is_none() {
            self.not_served.insert(api_version.to_owned());
        } else {
            // A subresource is no type, and no selector takes one.
            let kinds = unmatched.into_iter().filter(|kind| !kind.contains('/'));
            self.kinds_not_served.extend(kinds.map(|kind| in_group(kind, group)));
        }
    }

    /// Takes a type where the selector means it; the offers are its versions.
    fn take(&mut self, mut offers: Vec<&'a ResourceType>, api_version: &str, matcher: &Arc<Matcher>) -> bool {
        offers.retain(|offer| is_readable(offer));
        let named = offers.iter().find(|offer| offer.api_version() == api_version);
        let Some(resource) = named.or(offers.first()).filter(|resource| matcher.takes_type(resource)) else {
            return false;
        };
        let key = (resource.group.clone(), resource.plural.clone());
        let taken = self.types.entry(key).or_insert_with(|| Taken::new(offers));
        taken.add(api_version, Arc::clone(matcher));
        true
    }

    fn plan(self) -> Plan {
        let unknown = self.unknown.into_iter().map(|(api_version, why)| Unknown { api_version, why });
        let mut plan = Plan {
            not_served: self.not_served.into_iter().collect(),
            kinds_not_served: self.kinds_not_served.into_iter().collect(),
            unknown: unknown.collect(),
            ..Plan::default()
        };
        let mut types: Vec<_> = self.types.into_values().map(Taken::plan).collect();
        types.sort_by_cached_key(|type_plan| rank(&type_plan.resource));
        for type_plan in types {
            if matches!(&type_plan.request, Request::Get { objects } if objects.is_empty()) {
                plan.without_names.push(type_plan.resource.type_name());
            } else {
                plan.types.push(type_plan);
            }
        }
        plan
    }
}

/// A kind as kubectl takes it, by whichever of its names.
fn in_group(kind: &str, group: &str) -> String {
    if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") }
}

/// Why it is not known what belongs to an API version: the cluster cannot answer for it or, where it does not serve it, for
/// another of its group that may have the types.
fn why_unknown<'a>(discovery: &'a Discovery, api_version: &str) -> Option<&'a Unavailable> {
    if discovery.types(api_version).is_some() {
        return None;
    }
    let of_group = || discovery.unavailable_of(group_of(api_version)).map(|(_, why)| why);
    discovery.unavailable().get(api_version).or_else(of_group)
}

/// A type that selectors take.
struct Taken<'a> {
    /// The type in each version that serves it, the preferred one first.
    offers: Vec<&'a ResourceType>,
    /// The API versions that selectors name.
    named: BTreeSet<String>,
    matchers: Vec<Arc<Matcher>>,
}

impl<'a> Taken<'a> {
    const fn new(offers: Vec<&'a ResourceType>) -> Self {
        Self { offers, named: BTreeSet::new(), matchers: Vec::new() }
    }

    fn add(&mut self, api_version: &str, matcher: Arc<Matcher>) {
        self.named.insert(api_version.to_owned());
        self.matchers.push(matcher);
    }

    fn plan(self) -> TypePlan {
        let Self { offers, named, matchers } = self;
        let is_named = |offer: &&&ResourceType| named.contains(&offer.api_version());
        let as_named = offers.iter().find(is_named);
        let instead = as_named.is_none().then_some(&named).into_iter().flatten();
        let versions = instead.map(|name| name.rsplit('/').next().unwrap_or_default().to_owned()).collect();
        // A type is taken only where there is an offer.
        let resource = as_named.or(offers.first()).map(|offer| (*offer).clone()).unwrap_or_default();
        TypePlan { named: versions, ..TypePlan::new(resource, matchers) }
    }
}

/// Subresources are no types of their own, and some types, such as reviews of access, can only be created.
fn is_readable(resource: &ResourceType) -> bool {
    (resource.can_list || resource.can_get) && !resource.plural.contains('/')
}

fn rank(resource: &ResourceType) -> (u8, String) {
    let is_definition = resource.group == "apiextensions.k8s.io" && resource.plural == "customresourcedefinitions";
    let class = match (is_definition, resource.namespaced) {
        (true, _) => 0,
        (false, false) => 1,
        (false, true) => 2,
    };
    (class, resource.type_name())
}

impl TypePlan {
    fn new(resource: ResourceType, matchers: Vec<Arc<Matcher>>) -> Self {
        if !resource.can_list {
            let objects: BTreeSet<_> =
                matchers.iter().flat_map(|matcher| matcher.named_objects(resource.namespaced)).collect();
            let request = Request::Get { objects: objects.into_iter().collect() };
            let (named, fields_asked) = (Vec::new(), BTreeMap::new());
            return Self { resource, named, request, matchers, labels_asked: false, fields_asked };
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
        Self { resource, named: Vec::new(), request, matchers, labels_asked, fields_asked }
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
