//! Which types a cluster serves, as selection decides by them.

use std::collections::{BTreeMap, BTreeSet};

use super::ResourceType;
use crate::exit::Exit;

/// The types that the cluster serves, by API version.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    served: BTreeMap<String, Vec<ResourceType>>,
    /// The API versions of each group, the preferred one first.
    preference: BTreeMap<String, Vec<String>>,
    unavailable: BTreeMap<String, Unavailable>,
}

/// Why it is not known which types an API version has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unavailable {
    /// The reason, with its causes.
    pub reason: String,
    /// How a job exits that cannot do without.
    pub exit: Exit,
}

impl Discovery {
    /// What is served of the API versions that a cluster names, of each group the preferred one first, and why it is not
    /// known of the others.
    pub(crate) fn new(
        named: Vec<String>,
        served: BTreeMap<String, Vec<ResourceType>>,
        unavailable: BTreeMap<String, Unavailable>,
    ) -> Self {
        let mut discovery = Self { served, unavailable, ..Self::default() };
        discovery.prefer(named);
        discovery
    }

    /// The types of an API version, without subresources; `None` where the cluster does not serve it.
    #[must_use]
    pub fn types(&self, api_version: &str) -> Option<&[ResourceType]> {
        self.served.get(api_version).map(Vec::as_slice)
    }

    /// The names of the types of a group that are served in any version, as kubectl names them.
    pub fn names_of(&self, group: &str) -> impl Iterator<Item = String> {
        let names: BTreeSet<_> =
            self.offers(group).into_values().filter_map(|offers| Some(offers.first()?.type_name())).collect();
        names.into_iter()
    }

    /// Every type that is served.
    pub fn all(&self) -> impl Iterator<Item = &ResourceType> {
        self.served.values().flatten()
    }

    /// API versions that the cluster names and cannot answer for, each with the reason: aggregated APIs that are down. What
    /// belongs to one of them is not "not served", it is not known.
    #[must_use]
    pub fn unavailable(&self) -> &BTreeMap<String, Unavailable> {
        &self.unavailable
    }

    /// The types of a group by plural name, each in all the versions that serve it, the preferred one first.
    pub(super) fn offers(&self, group: &str) -> BTreeMap<&str, Vec<&ResourceType>> {
        let mut offers: BTreeMap<&str, Vec<&ResourceType>> = BTreeMap::new();
        let versions = self.preference.get(group).into_iter().flatten();
        for resource in versions.filter_map(|api_version| self.types(api_version)).flatten() {
            offers.entry(&resource.plural).or_default().push(resource);
        }
        offers
    }

    /// The first API version of the group that the cluster names and cannot answer for.
    pub(super) fn unavailable_of(&self, group: &str) -> Option<(&String, &Unavailable)> {
        self.unavailable.iter().find(|(api_version, _)| group_of(api_version) == group)
    }

    /// The same cluster, that cannot answer for one more API version.
    #[cfg(test)]
    pub(super) fn without(mut self, api_version: &str, why: Unavailable) -> Self {
        self.prefer([api_version.to_owned()]);
        self.unavailable.insert(api_version.to_owned(), why);
        self
    }

    fn prefer(&mut self, api_versions: impl IntoIterator<Item = String>) {
        for api_version in api_versions {
            self.preference.entry(group_of(&api_version).to_owned()).or_default().push(api_version);
        }
    }
}

/// The group of an API version; empty for the core group.
#[must_use]
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Of several versions of a group the one that comes first is the preferred one.
impl FromIterator<ResourceType> for Discovery {
    fn from_iter<I: IntoIterator<Item = ResourceType>>(types: I) -> Self {
        let mut discovery = Self::default();
        for resource in types {
            let api_version = resource.api_version();
            if !discovery.served.contains_key(&api_version) {
                discovery.prefer([api_version.clone()]);
            }
            discovery.served.entry(api_version).or_default().push(resource);
        }
        discovery
    }
}
