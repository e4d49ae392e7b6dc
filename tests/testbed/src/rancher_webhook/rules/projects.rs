//! Projects: they lie in a cluster that is known, and keep it and their namespace.

use serde_json::Value;

use super::{ANNOTATIONS, CREATOR, CREATOR_PRINCIPAL, NO_CREATOR, Verdict};
use crate::rancher_webhook::cache::Known;
use crate::rancher_webhook::review::{Review, annotation, is_going, label, text};
use crate::rancher_webhook::words::{bad, forbidden, immutable, invalid, required};

const CLUSTER: &str = "project.spec.clusterName";
const SYSTEM_LABEL: &str = "authz.management.cattle.io/system-project";

/// A Project.
pub(super) fn project(review: Review<'_>, known: &Known) -> Verdict {
    let (project, old) = (review.object(), review.old());
    if review.deletes() {
        let is_system = label(old, SYSTEM_LABEL) == Some("true");
        return if is_system { Err(bad("System Project cannot be deleted")) } else { Ok(()) };
    }
    if review.updates() {
        stays_where_it_is(old, project)?;
        keeps_creator(review)?;
    } else {
        lies_in_its_cluster(review, known)?;
        has_one_creator(project)?;
        creator_is_known(project, known)?;
    }
    quotas(project)
}

fn stays_where_it_is(old: &Value, project: &Value) -> Verdict {
    let [was, is] = [old, project].map(|project| text(project, "/spec/clusterName"));
    if was != is {
        return Err(immutable(CLUSTER, is));
    }
    let [was, is] = [old, project].map(|project| text(project, "/status/backingNamespace"));
    if !was.is_empty() && was != is {
        return Err(immutable("project.spec.backingNamespace", is));
    }
    Ok(())
}

fn lies_in_its_cluster(review: Review<'_>, known: &Known) -> Verdict {
    let cluster = text(review.object(), "/spec/clusterName");
    if cluster.is_empty() {
        return Err(required(CLUSTER, "clusterName is required"));
    }
    if cluster != review.namespace() {
        return Err(invalid(CLUSTER, cluster, "clusterName and project namespace must match"));
    }
    match known.find("clusters", cluster) {
        Some(cluster) if !is_going(cluster) => Ok(()),
        _ => Err(invalid(CLUSTER, cluster, "cluster not found")),
    }
}

fn quotas(project: &Value) -> Verdict {
    let has = |member: &str| project["spec"][member].is_object();
    for (one, other) in
        [("resourceQuota", "namespaceDefaultResourceQuota"), ("namespaceDefaultResourceQuota", "resourceQuota")]
    {
        if has(other) && !has(one) {
            return Err(required(&format!("project.spec.{one}"), &format!("required when {other} is set")));
        }
    }
    Ok(())
}

/// Annotations that say who made something are removed or stay, of a Project as of a Cluster.
pub(super) fn keeps_creator(review: Review<'_>) -> Verdict {
    for name in [CREATOR, CREATOR_PRINCIPAL, NO_CREATOR] {
        let new = annotation(review.object(), name);
        if new.is_some() && new != annotation(review.old(), name) {
            return Err(invalid(ANNOTATIONS, name, "annotation is immutable"));
        }
    }
    Ok(())
}

/// There is a creator, or there shall be none.
pub(super) fn has_one_creator(object: &Value) -> Verdict {
    if annotation(object, CREATOR).is_some() && annotation(object, NO_CREATOR).is_some() {
        return Err(forbidden(ANNOTATIONS, &format!("cannot have both {NO_CREATOR} and {CREATOR} annotation set")));
    }
    Ok(())
}

/// The creator whose principal is named is a user who has it.
pub(super) fn creator_is_known(object: &Value, known: &Known) -> Verdict {
    let Some(principal) = annotation(object, CREATOR_PRINCIPAL) else { return Ok(()) };
    let refused = |words: &str| Err(invalid(ANNOTATIONS, CREATOR_PRINCIPAL, words));
    let Some(creator) = annotation(object, CREATOR) else {
        return refused(&format!("annotation {CREATOR} is required"));
    };
    let Some(user) = known.find("users", creator) else {
        return refused(&format!("creator user {creator} doesn't exist"));
    };
    let has = user["principalIds"].as_array().is_some_and(|ids| ids.iter().any(|id| id == principal));
    if has { Ok(()) } else { refused(&format!("creator user {creator} doesn't have principal {principal}")) }
}
