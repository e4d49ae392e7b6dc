//! Objects of types that the archive's own ResourceSet does not select: no snapshot by that set brought them.

use std::collections::HashSet;

use drover::archive::{EntryId, Spool, TypeName};
use drover::exit::Chain;
use drover::resources::ResourceSet;
use drover::selection::{self, Discovery, ResourceType};
use kube::ResourceExt;

use crate::survey::types::Types;

/// How many of them are named; the results have all.
const NAMED: usize = 10;

/// Characters of one that are shown.
const SHOWN: usize = 300;

/// What is to be said of them, with their number and the first names; none where there are none.
///
/// Group and kind decide, whatever the version: the set is held against the archive as against a cluster in which all that
/// it selects can be read. Blocking, for a moment.
pub(crate) fn told(spool: &Spool, set: &ResourceSet, types: &Types) -> Option<String> {
    let of_archive: Discovery = spool.types().iter().map(|held| resource_type(types, &held.name)).collect();
    let plan = match selection::plan(set, &of_archive) {
        Ok(plan) => plan,
        Err(error) => {
            tracing::warn!("it is not known what of the archive its ResourceSet selects: {}", Chain(&error));
            return None;
        }
    };
    let selected: HashSet<String> = plan.types.iter().map(|planned| planned.resource.type_name()).collect();
    let is_selected: Vec<bool> =
        spool.types().iter().map(|held| selected.contains(&held.name.kubectl_name())).collect();
    let others: Vec<EntryId> = spool.ids().filter(|id| !is_selected[spool.type_of(*id)]).collect();
    if others.is_empty() {
        return None;
    }
    let names: Vec<String> = others.iter().take(NAMED).map(|id| shown(spool, *id)).collect();
    let more = others.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let note = format!(
        "{} of {} objects of the archive came from elsewhere, for its ResourceSet {:?} selects none of their types: {}{more}",
        others.len(),
        spool.len(),
        set.name_any(),
        names.join(", "),
    );
    tracing::warn!("{note}");
    Some(note)
}

/// A type of the archive as selectors look at it. Of one that nobody knows there is no kind, only its plural name.
fn resource_type(types: &Types, TypeName { plural, group, version }: &TypeName) -> ResourceType {
    let known = types.by_plural(plural, group, version).or_else(|| types.served_as(plural, group));
    ResourceType {
        group: group.clone(),
        version: version.clone(),
        kind: known.map(|known| known.kind.clone()).unwrap_or_default(),
        plural: plural.clone(),
        can_list: true,
        ..ResourceType::default()
    }
}

/// An object of the archive by its name. One whose name cannot be read back is still told of.
fn shown(spool: &Spool, id: EntryId) -> String {
    spool.key(id).map_or_else(|error| format!("? ({error})"), |key| key.to_string().chars().take(SHOWN).collect())
}

#[cfg(test)]
mod tests {
    use drover::archive::{Key, Limits, Unsealing, Writer};
    use serde_json::json;

    use super::*;
    use crate::survey::types::Type;

    fn served(kind: &str, plural: &str, group: &str, version: &str) -> Type {
        let mut known = Type::for_tests(group, plural, kind, false);
        known.resource.version = version.to_owned();
        known
    }

    /// What is told of an archive with these objects, each a type and a name, and a set with these selectors.
    fn of(objects: &[(&str, &str)], selectors: &serde_json::Value) -> Option<String> {
        let mut writer = Writer::new(Vec::new(), jiff::Timestamp::UNIX_EPOCH);
        for (of, name) in objects {
            let key = Key::from_path(&format!("{of}/{name}.json")).unwrap();
            let object = json!({"apiVersion": key.type_name.api_version(), "kind": "Any", "metadata": {"name": name}});
            writer.append(&key, object.to_string().as_bytes()).unwrap();
        }
        let (archive, _) = writer.finish().unwrap();
        let spool =
            Spool::read_in(&std::env::temp_dir(), &archive[..], &Limits::default(), Unsealing::Refuse, &mut |_| {})
                .unwrap();
        let set = json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "set"},
            "resourceSelectors": selectors});
        let types = Types::new(
            vec![
                served("ClusterRoleBinding", "clusterrolebindings", BINDINGS, "v1"),
                served("Setting", "settings", "a.io", "v2"),
            ],
            &[],
        );
        told(&spool, &serde_json::from_value(set).unwrap(), &types)
    }

    const BINDINGS: &str = "rbac.authorization.k8s.io";
    const BINDING: (&str, &str) = ("clusterrolebindings.rbac.authorization.k8s.io#v1", "evil");
    const SETTING: (&str, &str) = ("settings.a.io#v1", "url");
    const UNKNOWN: (&str, &str) = ("widgets.b.io#v1", "w");

    #[test]
    fn objects_of_types_that_the_set_does_not_select_are_counted_and_named() {
        let settings = json!([{"apiVersion": "a.io/v2", "kinds": ["Setting"]}]);
        let note = of(&[SETTING, BINDING, UNKNOWN], &settings).unwrap();
        assert!(note.starts_with("2 of 3 objects") && note.contains("ResourceSet \"set\""), "{note}");
        assert!(note.ends_with("clusterrolebindings.rbac.authorization.k8s.io#v1/evil, widgets.b.io#v1/w"), "{note}");
    }

    #[test]
    fn a_type_is_selected_by_its_kind_or_its_plural_name_in_whatever_version() {
        for selectors in [
            json!([{"apiVersion": "a.io/v1", "kinds": ["Setting"]}]),
            json!([{"apiVersion": "a.io/v3", "kinds": ["Setting"]}]),
            json!([{"apiVersion": "a.io/v3", "kindsRegexp": "^settings$", "resourceNames": ["another"]}]),
            json!([{"apiVersion": "a.io/v3"}]),
        ] {
            assert_eq!(of(&[SETTING], &selectors), None, "{selectors}");
        }
        for selectors in [
            json!([]),
            json!([{"apiVersion": "b.io/v1", "kinds": ["Setting"]}]),
            json!([{"apiVersion": "a.io/v1", "excludeKinds": ["Setting"]}]),
        ] {
            assert!(of(&[SETTING], &selectors).is_some(), "{selectors}");
        }
        assert_eq!(of(&[UNKNOWN], &json!([{"apiVersion": "b.io/v1", "kinds": ["widgets"]}])), None);
    }

    #[test]
    fn of_many_objects_the_first_are_named() {
        let names: Vec<String> = (10..40).map(|number| format!("n-{number}")).collect();
        let objects: Vec<(&str, &str)> = names.iter().map(|name| (BINDING.0, name.as_str())).collect();
        let note = of(&objects, &json!([])).unwrap();
        assert!(note.starts_with("30 of 30") && note.ends_with("v1/n-19 and 20 more"), "{note}");
    }

    #[test]
    fn a_set_that_cannot_be_read_says_nothing_of_the_objects() {
        assert_eq!(of(&[BINDING], &json!([{"apiVersion": "v1", "kindsRegexp": "("}])), None);
    }
}
