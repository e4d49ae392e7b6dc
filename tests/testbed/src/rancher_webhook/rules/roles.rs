//! Roles: built-in ones are Rancher's alone.

use serde_json::Value;

use super::Verdict;
use crate::rancher_webhook::cache::Known;
use crate::rancher_webhook::review::{Review, is_going, is_same_but_for, is_true, label, text};
use crate::rancher_webhook::words::{bad, forbidden, required, unsupported};

/// A GlobalRole.
pub(super) fn global_role(review: Review<'_>, _: &Known) -> Verdict {
    let (field, role, old) = ("globalrole", review.object(), review.old());
    if review.deletes() {
        return if is_true(old, "builtin") {
            Err(forbidden(field, "cannot delete builtin GlobalRoles"))
        } else {
            Ok(())
        };
    }
    if is_going(role) || (review.updates() && is_same_but_for(old, role, &[])) {
        return Ok(());
    }
    if review.creates() && is_true(role, "builtin") {
        return Err(forbidden(field, "cannot create builtin GlobalRoles"));
    }
    if review.updates() && is_true(old, "builtin") && !is_same_but_for(old, role, &["newUserDefault"]) {
        let words = "updates to builtIn GlobalRoles for fields other than 'newUserDefault' are forbidden";
        return Err(forbidden(field, words));
    }
    if review.updates() && !is_true(old, "builtin") && is_true(role, "builtin") {
        return Err(forbidden(field, &format!("cannot update non-builtIn GlobalRole {} to be builtIn", review.name())));
    }
    have_verbs(role, "globalrole.rules")
}

/// A RoleTemplate.
pub(super) fn role_template(review: Review<'_>, known: &Known) -> Verdict {
    let (field, role, old) = ("roletemplate", review.object(), review.old());
    if review.deletes() {
        return not_inherited(review.name(), known);
    }
    if is_going(role) {
        return Ok(());
    }
    if review.creates() && is_true(role, "builtin") {
        return Err(forbidden(field, "creating new builtIn RoleTemplates is forbidden"));
    }
    context(role)?;
    let defaults = ["clusterCreatorDefault", "projectCreatorDefault", "locked"];
    if review.updates() && is_true(old, "builtin") && !is_same_but_for(old, role, &defaults) {
        let words = "updates to builtIn RoleTemplates for fields other than CreatorDefault are forbidden";
        return Err(forbidden(field, words));
    }
    if review.updates() && !is_true(old, "builtin") && is_true(role, "builtin") {
        return Err(forbidden(
            field,
            &format!("cannot update non-builtIn RoleTemplate {} to be builtIn", review.name()),
        ));
    }
    have_verbs(role, "roletemplate.rules")
}

fn context(role: &Value) -> Verdict {
    let context = text(role, "/context");
    if context != "project" && is_true(role, "projectCreatorDefault") {
        let words = "RoleTemplate context must be project when projectCreatorDefault=true";
        return Err(forbidden("roletemplate.context", words));
    }
    if context != "cluster" && is_true(role, "administrative") {
        return Err(forbidden("roletemplate.administrative", "only cluster roles can be administrative"));
    }
    let known = ["cluster", "project"];
    if context.is_empty() || known.contains(&context) {
        Ok(())
    } else {
        Err(unsupported("roletemplate.context", context, &known))
    }
}

/// Nothing that is known inherits this RoleTemplate.
fn not_inherited(name: &str, known: &Known) -> Verdict {
    let names_it = |object: &&Value, member: &str| {
        object[member].as_array().is_some_and(|names| names.iter().any(|inherited| inherited == name))
    };
    let inheriting = [
        ("roletemplates", "roleTemplateNames", "roletemplate"),
        ("globalroles", "inheritedClusterRoles", "globalRole"),
    ];
    for (plural, member, word) in inheriting {
        if let Some(other) = known.all(plural).find(|object| names_it(object, member)) {
            let other = text(other, "/metadata/name");
            return Err(bad(format!(
                "roletemplate {name:?} cannot be deleted because it is inherited by {word}(s) {other:?}"
            )));
        }
    }
    Ok(())
}

/// Each rule has a verb.
fn have_verbs(role: &Value, field: &str) -> Verdict {
    for (index, rule) in role["rules"].as_array().into_iter().flatten().enumerate() {
        if rule["verbs"].as_array().is_none_or(Vec::is_empty) {
            return Err(required(&format!("{field}[{index}].verbs"), "verbs must contain at least one value"));
        }
    }
    Ok(())
}

/// A Role or ClusterRole that Rancher made for a GlobalRole.
pub(super) fn owned_role(review: Review<'_>, _: &Known) -> Verdict {
    keeps_label(review, "authz.management.cattle.io/gr-owner")
}

/// A binding that Rancher made for a GlobalRoleBinding.
pub(super) fn owned_binding(review: Review<'_>, _: &Known) -> Verdict {
    keeps_label(review, "authz.management.cattle.io/grb-owner")
}

fn keeps_label(review: Review<'_>, name: &str) -> Verdict {
    match label(review.old(), name) {
        Some(old) if !is_going(review.object()) && label(review.object(), name) != Some(old) => {
            Err(bad(format!("cannot modify or remove label {name}")))
        }
        _ => Ok(()),
    }
}
