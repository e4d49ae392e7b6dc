//! Bindings: what they name must be known, and they keep it.

use serde_json::Value;

use super::{Verdict, keeps};
use crate::rancher_webhook::cache::Known;
use crate::rancher_webhook::review::{Review, is_going, is_true, label, text};
use crate::rancher_webhook::words::{forbidden, invalid, not_found, required, unsupported};
use crate::webhook::Answer;

const OWNER_LABEL: &str = "authz.management.cattle.io/grb-owner";

const SUBJECTS: [&str; 4] = ["userName", "userPrincipalName", "groupName", "groupPrincipalName"];

/// A GlobalRoleBinding.
pub(super) fn global(review: Review<'_>, known: &Known) -> Verdict {
    let (field, binding) = ("globalrolebindings", review.object());
    if is_going(binding) {
        return Ok(());
    }
    let role = text(binding, "/globalRoleName");
    if known.find("globalroles", role).is_none() {
        return Err(not_found("globalrolebindings.globalRoleName", role));
    }
    if review.updates() {
        return keeps(review, field, &["userName", "groupPrincipalName", "globalRoleName"], true);
    }
    let names = |members: &[&str]| members.iter().any(|member| !text(binding, &format!("/{member}")).is_empty());
    match (names(&["userName", "userPrincipalName"]), names(&["groupPrincipalName"])) {
        (true, true) => {
            Err(forbidden(field, "bindings can not set both userName/userPrincipalName and groupPrincipalName"))
        }
        (false, false) => {
            Err(required(field, "bindings must have either userName/userPrincipalName or groupPrincipalName set"))
        }
        _ => Ok(()),
    }
}

/// A ClusterRoleTemplateBinding.
pub(super) fn of_cluster(review: Review<'_>, known: &Known) -> Verdict {
    let (field, binding) = ("clusterroletemplatebinding", review.object());
    if review.updates() {
        keeps(review, field, &["roleTemplateName", "clusterName"], true)?;
        keeps(review, field, &SUBJECTS, false)?;
        if label(review.old(), OWNER_LABEL) != label(binding, OWNER_LABEL) {
            let words = format!("label {OWNER_LABEL} is immutable after creation");
            return Err(forbidden("clusterroletemplatebinding.labels", &words));
        }
        return Ok(());
    }
    one_subject(binding, field, &SUBJECTS[..2], &SUBJECTS[2..])?;
    let cluster = text(binding, "/clusterName");
    if cluster.is_empty() {
        return Err(required("clusterroletemplatebinding.clusterName", "field is required"));
    }
    if cluster != review.namespace() {
        return Err(forbidden(field, "clusterName and namespace must be the same value"));
    }
    if known.find("clusters", cluster).is_none() {
        let words = format!("specified cluster {cluster} not found");
        return Err(invalid("clusterroletemplatebinding.clusterName", cluster, &words));
    }
    role_template(binding, field, "cluster", known)?;
    no_second(review, "clusterroletemplatebindings", "duplicate crtb not allowed", known)
}

/// A ProjectRoleTemplateBinding.
pub(super) fn of_project(review: Review<'_>, known: &Known) -> Verdict {
    let (field, binding) = ("projectroletemplatebinding", review.object());
    if review.updates() {
        keeps(review, field, &["roleTemplateName", "projectName"], true)?;
        keeps(review, field, &SUBJECTS, false)?;
        return keeps(review, field, &["serviceAccount"], true);
    }
    one_subject(binding, field, &["userName", "userPrincipalName", "serviceAccount"], &SUBJECTS[2..])?;
    let place = "projectroletemplatebinding.projectName";
    let project = text(binding, "/projectName");
    if project.is_empty() {
        return Err(required(place, "projectName is required"));
    }
    role_template(binding, field, "project", known)?;
    let Some((cluster, name)) = project.split_once(':') else {
        let words = "projectName must be of the form cluster.metadata.name:project.metadata.name, and both must refer to an \
                     existing object";
        return Err(invalid(place, project, words));
    };
    if known.find("clusters", cluster).is_none() {
        return Err(invalid(place, project, &format!("specified cluster {cluster} not found")));
    }
    if known.find("projects", &format!("{cluster}/{name}")).is_none() {
        return Err(invalid(place, project, &format!("specified project {name} not found in {cluster}")));
    }
    no_second(review, "projectroletemplatebindings", "duplicate prtb not allowed", known)
}

/// A binding is of a user or of a group.
fn one_subject(binding: &Value, field: &str, of_users: &[&str], of_groups: &[&str]) -> Verdict {
    let names = |members: &[&str]| members.iter().any(|member| !text(binding, &format!("/{member}")).is_empty());
    if names(of_users) == names(of_groups) {
        let words = "binding must target either a user [userName]/[userPrincipalName] OR a group [groupName]/[groupPrincipalName]";
        return Err(forbidden(field, words));
    }
    Ok(())
}

/// The role that a binding names is known, not locked, and of this context.
fn role_template(binding: &Value, field: &str, context: &str, known: &Known) -> Verdict {
    let name = text(binding, "/roleTemplateName");
    let place = format!("{field}.roleTemplateName");
    if name.is_empty() {
        return Err(required(&place, "field is required"));
    }
    let Some(template) = known.find("roletemplates", name) else {
        return Err(invalid(&place, name, "the referenced role template was not found"));
    };
    let place = format!("{field}.roleTemplate");
    if is_true(template, "locked") {
        let words = format!("referenced role {} is locked and cannot be assigned", text(template, "/displayName"));
        return Err(forbidden(&place, &words));
    }
    let of = text(template, "/context");
    if of == context { Ok(()) } else { Err(unsupported(&format!("{place}.context"), of, &[context])) }
}

/// No other binding of the same namespace gives the same role to the same subject.
fn no_second(review: Review<'_>, plural: &str, words: &str, known: &Known) -> Verdict {
    let binding = review.object();
    let is_same = |other: &Value, member: &str| {
        let pointer = format!("/{member}");
        !text(binding, &pointer).is_empty() && text(binding, &pointer) == text(other, &pointer)
    };
    let is_second = |other: &Value| {
        text(other, "/metadata/namespace") == review.namespace()
            && text(other, "/metadata/name") != review.name()
            && !is_going(other)
            && is_same(other, "roleTemplateName")
            && SUBJECTS.iter().any(|subject| is_same(other, subject))
    };
    if known.all(plural).any(is_second) { Err(Answer::Refused(409, words.to_owned())) } else { Ok(()) }
}
