//! One selector, compiled once.

use std::collections::{BTreeMap, BTreeSet};

use snafu::ensure;

use super::error::{PlanError, ReadApiVersionSnafu, ReadFieldSnafu, ReadLabelsSnafu, ReadNameSnafu, ReadPatternSnafu};
use super::labels::Labels;
use super::pattern::Pattern;
use super::resource_type::is_object_name;
use super::{Facts, ResourceType, excerpt};
use crate::resources::ResourceSelector;

/// A list and a regexp of one thing.
#[derive(Debug)]
struct Either {
    exact: BTreeSet<String>,
    pattern: Option<Pattern>,
}

impl Either {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.pattern.is_none()
    }

    fn matches(&self, text: &str) -> bool {
        self.exact.contains(text) || self.matches_pattern(text)
    }

    fn matches_pattern(&self, text: &str) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.matches(text))
    }

    /// The one text that it matches, where it is one.
    fn only(&self) -> Option<&str> {
        match (self.exact.first(), self.exact.len(), &self.pattern) {
            (Some(text), 1, None) => Some(text),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Matcher {
    kinds: Either,
    exclude_kinds: BTreeSet<String>,
    names: Either,
    exclude_names: Option<Pattern>,
    namespaces: Either,
    pub(super) labels: Labels,
    pub(super) fields: BTreeMap<String, String>,
}

impl Matcher {
    /// Compiles the selector that stands at `index`.
    pub(super) fn new(index: usize, selector: &ResourceSelector) -> Result<Self, PlanError> {
        let value = &selector.api_version;
        ensure!(is_api_version(value), ReadApiVersionSnafu { selector: index, value: excerpt(value) });
        check_names(index, "resourceNames", &selector.resource_names)?;
        check_names(index, "namespaces", &selector.namespaces)?;
        for path in selector.field_selectors.keys() {
            let is_path = !path.is_empty() && !path.contains([',', '=', '!', '\\', ' ']);
            ensure!(is_path, ReadFieldSnafu { selector: index, value: excerpt(path) });
        }
        let pattern = |field, value: &str| compile(index, field, value);
        let either = |exact: &[String], pattern| Either { exact: exact.iter().cloned().collect(), pattern };
        let labels = selector.label_selectors.as_ref().map_or_else(|| Ok(Labels::default()), Labels::new);
        Ok(Self {
            kinds: either(&selector.kinds, pattern("kindsRegexp", &selector.kinds_regexp)?),
            exclude_kinds: selector.exclude_kinds.iter().cloned().collect(),
            names: either(&selector.resource_names, pattern("resourceNameRegexp", &selector.resource_name_regexp)?),
            exclude_names: pattern("excludeResourceNameRegexp", &selector.exclude_resource_name_regexp)?,
            namespaces: either(&selector.namespaces, pattern("namespaceRegexp", &selector.namespace_regexp)?),
            labels: labels.or_else(|(value, problem)| ReadLabelsSnafu { selector: index, value, problem }.fail())?,
            fields: selector.field_selectors.clone(),
        })
    }

    /// The kinds that are listed exactly, by Kind or plural name.
    pub(super) fn exact_kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.exact.iter().map(String::as_str)
    }

    /// By Kind or plural name. What is listed exactly is taken although it is excluded; without a list and a regexp all
    /// is taken that is not excluded.
    pub(super) fn takes_type(&self, resource: &ResourceType) -> bool {
        let names = [&resource.kind, &resource.plural];
        let listed = names.iter().any(|name| self.kinds.exact.contains(*name));
        let matched = self.kinds.is_empty() || names.iter().any(|name| self.kinds.matches_pattern(name));
        listed || (matched && !names.iter().any(|name| self.exclude_kinds.contains(*name)))
    }

    pub(super) fn takes_object(&self, resource: &ResourceType, object: &impl Facts) -> bool {
        self.takes_name(object.name())
            && (!resource.namespaced || self.takes_namespace(object.namespace().unwrap_or_default()))
    }

    /// An exact name is taken although it is excluded; with the exclusion alone, or beside exact names, all others are
    /// taken too.
    fn takes_name(&self, name: &str) -> bool {
        if self.names.exact.contains(name) {
            return true;
        }
        match (&self.names.pattern, &self.exclude_names) {
            (None, None) => self.names.is_empty(),
            (include, exclude) => {
                include.as_ref().is_none_or(|include| include.matches(name))
                    && !exclude.as_ref().is_some_and(|exclude| exclude.matches(name))
            }
        }
    }

    fn takes_namespace(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.matches(namespace)
    }

    pub(super) fn only_name(&self) -> Option<&str> {
        self.names.only().filter(|_| self.exclude_names.is_none())
    }

    pub(super) fn only_namespace(&self) -> Option<&str> {
        self.namespaces.only()
    }

    /// The objects that are named exactly: all that can be had of a type that cannot be listed.
    pub(super) fn named_objects(&self, namespaced: bool) -> Vec<(Option<String>, String)> {
        let places: Vec<Option<String>> =
            if namespaced { self.namespaces.exact.iter().cloned().map(Some).collect() } else { vec![None] };
        let names_in = |place: Option<String>| self.names.exact.iter().map(move |name| (place.clone(), name.clone()));
        places.into_iter().flat_map(names_in).collect()
    }
}

/// Whether a field has the value. Objects leave out what is empty, zero or false, and the API server's own field
/// selectors see these values there.
pub(super) fn has_field(object: &impl Facts, path: &str, value: &str) -> bool {
    match object.field(path) {
        Some(found) => found == value,
        None => matches!(value, "" | "0" | "false"),
    }
}

fn compile(selector: usize, field: &'static str, value: &str) -> Result<Option<Pattern>, PlanError> {
    if value.is_empty() {
        return Ok(None);
    }
    Pattern::new(value).map(Some).or_else(|error| {
        let (position, problem) = (error.position, error.problem);
        ReadPatternSnafu { selector, field, value: excerpt(value), position, problem }.fail()
    })
}

fn check_names(selector: usize, field: &'static str, names: &[String]) -> Result<(), PlanError> {
    match names.iter().find(|name| !is_object_name(name)) {
        Some(name) => ReadNameSnafu { selector, field, value: excerpt(name) }.fail(),
        None => Ok(()),
    }
}

/// A version, with a group and a slash in front or without. It becomes part of a path.
pub(crate) fn is_api_version(text: &str) -> bool {
    let (group, version) = text.split_once('/').map_or((None, text), |(group, version)| (Some(group), version));
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
    };
    group.is_none_or(is_part) && is_part(version)
}
