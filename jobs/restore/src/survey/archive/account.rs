//! Of which types an archive would have the objects, had there been any: what it lacks of others it may lack since it could
//! not be had, and that is no reason to delete anything.

use std::collections::BTreeSet;

use drover::archive::Contents;
use drover::selection::{ResourceType, TypePlan};

use crate::objects::definitions::Definition;
use crate::objects::server_owned::BUILT_IN_GROUPS;

/// What an archive tells of one type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    /// It would have the type's objects.
    Listed,
    /// It does not say, and holds none: there may have been none, or they were left out.
    Perhaps,
    /// They could not be had, or may not have been.
    Not,
}

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

    /// What the archive tells of a type.
    ///
    /// Who says nothing has listed the types that it holds objects of. Of the others only what was served in the very
    /// version that the ResourceSet names can have been listed.
    pub(crate) fn tells_of(&self, plan: &TypePlan) -> Told {
        let resource = &plan.resource;
        match self {
            Self::Listed(types) if types.contains(resource.type_name().as_str()) => Told::Listed,
            Self::Listed(_) => Told::Not,
            Self::Held { types, .. } if types.contains(&resource.type_name()) => Told::Listed,
            Self::Held { api_versions, definitions, .. } => {
                // A definition of the archive tells of its type alone, and better than what else has its group.
                let was_served = was_served_by(definitions, resource).unwrap_or_else(|| {
                    BUILT_IN_GROUPS.contains(&resource.group.as_str()) || api_versions.contains(&resource.api_version())
                });
                if plan.named.is_empty() && was_served { Told::Perhaps } else { Told::Not }
            }
        }
    }
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
    fn check(named: &str, served: &str, plural: &str, expected: Told) {
        let held = [("things.a.io".to_owned(), "a.io/v1".to_owned()), ("others.b.io".to_owned(), "b.io/v1".to_owned())];
        let definitions = [definition("a.io", "empties"), definition("snapshot.storage.k8s.io", "volumesnapshots")];
        let account = Account::of(None, held.into_iter(), &definitions);
        assert_eq!(account.tells_of(&planned(named, served, plural)), expected, "{plural} in {served} for {named}");
    }

    #[test]
    fn an_archive_that_says_nothing_has_listed_what_it_holds_and_perhaps_what_was_surely_served_as_named() {
        check("a.io/v1", "a.io/v1", "things", Told::Listed);
        check("a.io/v2", "a.io/v2", "things", Told::Listed);
        check("v1", "v1", "secrets", Told::Perhaps);
        check("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1", "roles", Told::Perhaps);
        check("a.io/v1", "a.io/v1", "further", Told::Perhaps);
        check("a.io/v2", "a.io/v2", "empties", Told::Perhaps);
        check("a.io/v3", "a.io/v3", "empties", Told::Not);
        check("a.io/v2", "a.io/v2", "further", Told::Not);
        check("a.io/v2", "a.io/v1", "further", Told::Not);
        check("cluster.x-k8s.io/v1beta2", "cluster.x-k8s.io/v1beta2", "clusters", Told::Not);
        check("cluster.x-k8s.io/v1beta2", "cluster.x-k8s.io/v1beta1", "clusters", Told::Not);
    }

    #[test]
    fn a_group_that_only_ends_like_those_of_the_api_server_was_not_surely_served() {
        for (group, plural) in [("gateway.networking.k8s.io", "httproutes"), ("policy.networking.k8s.io", "bans")] {
            let version = format!("{group}/v1");
            check(&version, &version, plural, Told::Not);
        }
        check("snapshot.storage.k8s.io/v2", "snapshot.storage.k8s.io/v2", "volumesnapshots", Told::Perhaps);
        check("snapshot.storage.k8s.io/v3", "snapshot.storage.k8s.io/v3", "volumesnapshots", Told::Not);
        check("snapshot.storage.k8s.io/v2", "snapshot.storage.k8s.io/v2", "volumesnapshotclasses", Told::Not);
        check("networking.k8s.io/v1", "networking.k8s.io/v1", "ingresses", Told::Perhaps);
        check("apps/v1", "apps/v1", "deployments", Told::Perhaps);
        check("metrics/v1", "metrics/v1", "pods", Told::Not);
    }

    #[test]
    fn the_definition_of_a_type_decides_alone() {
        // Another type of the group was served in this version, and this one was not.
        check("a.io/v1", "a.io/v1", "empties", Told::Not);
    }

    #[test]
    fn an_archive_that_says_what_it_listed_tells_of_nothing_else() {
        let listed = ListedType { name: "clusters.cluster.x-k8s.io".to_owned(), ..ListedType::default() };
        let contents = Contents { types: vec![listed], ..Contents::default() };
        let account = Account::of(Some(&contents), [("secrets".to_owned(), "v1".to_owned())].into_iter(), &[]);
        for version in ["v1beta1", "v1beta2"] {
            let plan = planned("cluster.x-k8s.io/v1beta2", &format!("cluster.x-k8s.io/{version}"), "clusters");
            assert_eq!(account.tells_of(&plan), Told::Listed, "{version}");
        }
        // Also where it holds some: not all of them may have been read.
        assert_eq!(account.tells_of(&planned("v1", "v1", "secrets")), Told::Not);
    }
}
