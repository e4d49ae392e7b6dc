use std::collections::{BTreeMap, BTreeSet};

use drover::api::discover;
use drover::archive::{Contents, LeftOut, ListedType, Reason};
use drover::exit::Chain;
use drover::listing::{Account, ListError};
use drover::resources::ResourceSet;
use drover::runs::Counted;
use drover::selection::{self, Discovery, Plan, Unknown, group_of};
use kube::Client;
use snafu::ResultExt;
use tracing::{info, warn};

use crate::no_place::NoPlace;
use crate::pipeline::error::{DiscoverSnafu, EncodeResourceSetSnafu, Error, ReadResourceSetSnafu, UnknownSnafu};

/// Characters of the reason for which a type was left out: a server may say a whole page, and all reasons are to have room
/// in the archive and in a condition. What gives a right that is missing fits.
const REASON: usize = 600;

/// What becomes of types that the cluster serves and does not give.
#[derive(Clone, Debug)]
pub(crate) struct MissingTypes {
    /// Whether the rest is archived all the same.
    pub(crate) are_allowed: bool,
    /// How a person allows that, as the end of "to store the rest all the same, …".
    pub(crate) how: String,
    /// Who reads, where it is drover's own ServiceAccount.
    pub(crate) account: Option<Account>,
}

/// What goes into an archive: decided before the first object is asked for.
pub(crate) struct Selected {
    pub(crate) plan: Plan,
    pub(crate) resource_set: Vec<u8>,
    pub(crate) missing: MissingTypes,
    /// What is left out as a whole.
    contents: Contents,
    /// What is known of types without an object of them.
    counted: Counted,
}

impl Selected {
    /// Asks the cluster what it serves and decides what of it the ResourceSet selects.
    pub(crate) async fn of(client: &Client, set: &ResourceSet, missing: MissingTypes) -> Result<Self, Error> {
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let versions = || set.spec.resource_selectors.iter().map(|selector| selector.api_version.as_str());
        // Who reads the archive later wants to know its version; a snapshot does not fail for it.
        let (discovery, server) = tokio::join!(discover(client, versions()), client.apiserver_version());
        let discovery = discovery.context(DiscoverSnafu)?;
        let plan = selection::plan(set, &discovery).context(ReadResourceSetSnafu { name })?;
        let exit = plan.unknown.iter().map(|unknown| unknown.why.exit).max();
        if let Some(exit) = exit.filter(|_| !missing.are_allowed) {
            return UnknownSnafu { what: unknown_words(&plan.unknown), how: missing.how, exit }.fail();
        }
        log(&plan);
        let mut stored = set.clone();
        stored.metadata.managed_fields = None;
        Ok(Self {
            resource_set: serde_json::to_vec(&stored).context(EncodeResourceSetSnafu)?,
            missing,
            contents: contents(&plan, server.ok().map(|server| server.git_version)),
            counted: counted(&plan, &discovery, versions().map(group_of).collect()),
            plan,
        })
    }

    /// What the archive holds and lacks, where `tallies` stands for the plan's types, in its order, `refused` for those of
    /// them that could not be read to their end, and `no_place` for those with objects that it cannot hold.
    pub(crate) fn holding(
        mut self,
        tallies: Vec<ListedType>,
        refused: &BTreeMap<usize, Box<ListError>>,
        no_place: &BTreeMap<usize, NoPlace>,
    ) -> (Contents, Counted) {
        for (index, listed) in tallies.into_iter().enumerate() {
            if let Some(error) = refused.get(&index) {
                let message = cut(&Chain(error.as_ref()).to_string());
                self.counted.missing.insert(listed.name.clone());
                self.contents.left_out.push(LeftOut { name: listed.name, reason: Reason::NotListed, message });
            } else {
                self.counted.types.insert(listed.name.clone(), listed.objects);
                self.contents.left_out.extend(no_place.get(&index).map(|no_place| no_place.left_out(&listed.name)));
                self.contents.types.push(listed);
            }
        }
        (self.contents, self.counted)
    }
}

/// An empty tally for each type of a plan.
pub(crate) fn tallies(plan: &Plan) -> Vec<ListedType> {
    let of = |type_plan: &selection::TypePlan| ListedType {
        name: type_plan.resource.type_name(),
        version: type_plan.resource.version.clone(),
        named: type_plan.named.clone(),
        ..ListedType::default()
    };
    plan.types.iter().map(of).collect()
}

fn unknown_words(unknown: &[Unknown]) -> String {
    let reasons: BTreeSet<_> = unknown.iter().map(|unknown| unknown.why.reason.as_str()).collect();
    reasons.into_iter().collect::<Vec<_>>().join("; ")
}

fn log(plan: &Plan) {
    for version in &plan.not_served {
        info!(version, "left out: the cluster does not serve it");
    }
    if !plan.kinds_not_served.is_empty() {
        let kinds = plan.kinds_not_served.join(", ");
        info!(kinds, "left out: the cluster serves no types of these names");
    }
    for name in &plan.without_names {
        info!(resource = name, "left out: it can only be read by name, and the ResourceSet gives no names");
    }
    for Unknown { api_version, why } in &plan.unknown {
        warn!(version = api_version, "left out: {}", why.reason);
    }
    for type_plan in plan.types.iter().filter(|type_plan| !type_plan.named.is_empty()) {
        let (resource, version) = (type_plan.resource.type_name(), &type_plan.resource.version);
        let named = type_plan.named.join(", ");
        warn!(
            resource,
            version, named, "listed in a version that the cluster serves, for the one that the ResourceSet names"
        );
    }
}

fn contents(plan: &Plan, kubernetes_version: Option<String>) -> Contents {
    let left_out = |name: &String, reason, message: &str| LeftOut { name: name.clone(), reason, message: cut(message) };
    let not_served = plan.not_served.iter().map(|name| left_out(name, Reason::NotServed, ""));
    let kinds = plan.kinds_not_served.iter().map(|name| left_out(name, Reason::NotServed, ""));
    let unknown =
        plan.unknown.iter().map(|unknown| left_out(&unknown.api_version, Reason::NotListed, &unknown.why.reason));
    let without_names = plan.without_names.iter().map(|name| left_out(name, Reason::NoNames, ""));
    let left_out = not_served.chain(kinds).chain(unknown).chain(without_names).collect();
    Contents { kubernetes_version, left_out, ..Contents::default() }
}

fn counted(plan: &Plan, discovery: &Discovery, groups: BTreeSet<&str>) -> Counted {
    let unknown = plan.unknown.iter().map(|unknown| group_of(&unknown.api_version).to_owned());
    Counted {
        served: groups.iter().flat_map(|group| discovery.names_of(group)).collect(),
        groups: groups.into_iter().map(str::to_owned).collect(),
        unknown_groups: unknown.collect(),
        ..Counted::default()
    }
}

/// The first characters of a reason; that something is missing shows.
fn cut(text: &str) -> String {
    match text.char_indices().nth(REASON) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_two_characters() {
        assert_eq!(cut("no route"), "no route");
        assert_eq!(cut(&"ü".repeat(REASON)), "ü".repeat(REASON));
        assert_eq!(cut(&"ü".repeat(REASON + 1)), "ü".repeat(REASON) + "…");
    }
}
