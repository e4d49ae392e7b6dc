//! Of which types an archive would have the objects, had there been any: what it lacks of others it may lack since it could
//! not be had, and that is no reason to delete anything.

use std::collections::BTreeSet;

use drover::archive::Contents;
use drover::selection::{ResourceType, TypePlan};

use crate::definitions::Definition;
use crate::server_owned::BUILT_IN_GROUPS;

/// What an archive tells of its types.
#[derive(Debug)]
pub(crate) enum Account<'a> {
    /// It says itself what was read to its end.
    Listed(BTreeSet<&'a str>),
    /// It says nothing, as archives of others do not, and those of before: what it holds has to tell.
    Held {
        /// The types that it holds objects of, without their versions.
        types: BTreeSet<String>,
        /// The API versions that it holds objects of.
        api_versions: BTreeSet<String>,
        /// What was defined when it was made, as far as it tells.
        definitions: &'a [Definition],
    },
}

impl<'a> Account<'a> {
    /// The account of an archive that holds objects of these types, each a type as kubectl names it and an API version.
    pub(crate) fn of(
        contents: Option<&'a Contents>,
        held: impl Iterator<Item = (String, String)>,
        definitions: &'a [Definition],
    ) -> Self {
        if let Some(contents) = contents {
            return Self::Listed(contents.listed());
        }
        let (types, api_versions) = held.unzip();
        Self::Held { types, api_versions, definitions }
    }

    /// Whether the archive would have the objects of a type.
    ///
    /// Who says nothing has listed what was served in the very version that the ResourceSet names, and nothing else.
    pub(crate) fn covers(&self, plan: &TypePlan) -> bool {
        let resource = &plan.resource;
        match self {
            Self::Listed(types) => types.contains(resource.type_name().as_str()),
            Self::Held { types, api_versions, definitions } => {
                // A definition of the archive tells of its type alone, and better than what else has its group.
                let was_served = was_served_by(definitions, resource).unwrap_or_else(|| {
                    is_always_served(&resource.group) || api_versions.contains(&resource.api_version())
                });
                types.contains(&resource.type_name()) || (plan.named.is_empty() && was_served)
            }
        }
    }
}

fn is_always_served(group: &str) -> bool {
    BUILT_IN_GROUPS.contains(&group)
}

/// Whether a type was served in this version, as the archive's definition of it says; none where it holds none of it.
fn was_served_by(definitions: &[Definition], resource: &ResourceType) -> Option<bool> {
    let specs = definitions.iter().map(|definition| &definition.spec);
    let mut own = specs.filter(|spec| spec.group == resource.group && spec.names.plural == resource.plural).peekable();
    own.peek()?;
    let mut versions = own.flat_map(|spec| &spec.versions);
    Some(versions.any(|version| version.served && version.name == resource.version))
}

#[cfg(test)]
mod tests {
    use drover::archive::ListedType;
    use drover::resources::ResourceSet;
    use drover::selection::{Discovery, plan};
    use serde_json::json;

    use super::*;

    /// The plan of a set that names `apiVersion`, where the cluster serves `served`.
    fn planned(api_version: &str, served: &str, plural: &str) -> TypePlan {
        let (group, version) = served.split_once('/').unwrap_or(("", served));
        let resource = ResourceType {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: "Kind".to_owned(),
            plural: plural.to_owned(),
            can_list: true,
            ..ResourceType::default()
        };
        let set: ResourceSet = serde_json::from_value(json!({
            "apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "set"},
            "resourceSelectors": [{"apiVersion": api_version}],
        }))
        .unwrap();
        let discovery: Discovery = [resource].into_iter().collect();
        plan(&set, &discovery).unwrap().types.remove(0)
    }

    /// A definition that serves v2, and v3 no longer.
    fn definition(group: &str, plural: &str) -> Definition {
        serde_json::from_value(json!({"spec": {
            "group": group, "scope": "Cluster", "names": {"kind": "Empty", "plural": plural},
            "versions": [{"name": "v2", "served": true}, {"name": "v3", "served": false}],
        }}))
        .unwrap()
    }

    #[track_caller]
    fn check(named: &str, served: &str, plural: &str, expected: bool) {
        let held = [("things.a.io".to_owned(), "a.io/v1".to_owned()), ("others.b.io".to_owned(), "b.io/v1".to_owned())];
        let definitions = [definition("a.io", "empties"), definition("snapshot.storage.k8s.io", "volumesnapshots")];
        let account = Account::of(None, held.into_iter(), &definitions);
        assert_eq!(account.covers(&planned(named, served, plural)), expected, "{plural} in {served} for {named}");
    }

    #[test]
    fn an_archive_that_says_nothing_covers_what_was_surely_served_as_named() {
        check("v1", "v1", "secrets", true);
        check("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1", "roles", true);
        check("a.io/v1", "a.io/v1", "things", true);
        check("a.io/v1", "a.io/v1", "further", true);
        check("a.io/v2", "a.io/v2", "things", true);
        check("a.io/v2", "a.io/v2", "empties", true);
        check("a.io/v3", "a.io/v3", "empties", false);
        check("a.io/v2", "a.io/v2", "further", false);
        check("a.io/v2", "a.io/v1", "further", false);
        check("cluster.x-k8s.io/v1beta2", "cluster.x-k8s.io/v1beta2", "clusters", false);
        check("cluster.x-k8s.io/v1beta2", "cluster.x-k8s.io/v1beta1", "clusters", false);
    }

    #[test]
    fn a_group_that_only_ends_like_those_of_the_api_server_was_not_surely_served() {
        for (group, plural) in [("gateway.networking.k8s.io", "httproutes"), ("policy.networking.k8s.io", "bans")] {
            let version = format!("{group}/v1");
            check(&version, &version, plural, false);
        }
        check("snapshot.storage.k8s.io/v2", "snapshot.storage.k8s.io/v2", "volumesnapshots", true);
        check("snapshot.storage.k8s.io/v3", "snapshot.storage.k8s.io/v3", "volumesnapshots", false);
        check("snapshot.storage.k8s.io/v2", "snapshot.storage.k8s.io/v2", "volumesnapshotclasses", false);
        check("networking.k8s.io/v1", "networking.k8s.io/v1", "ingresses", true);
        check("apps/v1", "apps/v1", "deployments", true);
        check("metrics/v1", "metrics/v1", "pods", false);
    }

    #[test]
    fn the_definition_of_a_type_decides_alone() {
        // Another type of the group was served in this version, and this one was not.
        check("a.io/v1", "a.io/v1", "empties", false);
    }

    #[test]
    fn an_archive_covers_what_it_says_that_it_listed_and_nothing_else() {
        let listed = ListedType { name: "clusters.cluster.x-k8s.io".to_owned(), ..ListedType::default() };
        let contents = Contents { types: vec![listed], ..Contents::default() };
        let account = Account::of(Some(&contents), [("secrets".to_owned(), "v1".to_owned())].into_iter(), &[]);
        assert!(account.covers(&planned("cluster.x-k8s.io/v1beta2", "cluster.x-k8s.io/v1beta1", "clusters")));
        assert!(account.covers(&planned("cluster.x-k8s.io/v1beta2", "cluster.x-k8s.io/v1beta2", "clusters")));
        assert!(!account.covers(&planned("v1", "v1", "secrets")));
    }
}
