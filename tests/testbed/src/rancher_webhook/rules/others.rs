//! What is refused of single objects by their own content, or because there is another one.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::Verdict;
use crate::rancher_webhook::cache::Known;
use crate::rancher_webhook::review::{Review, text};
use crate::rancher_webhook::words::{bad, forbidden, invalid, unsupported};
use crate::webhook::Answer;

/// The kinds of AuthConfigs that name servers.
const WITH_SERVERS: [&str; 3] = ["activedirectory", "freeipa", "openldap"];

/// An AuditPolicy.
pub(super) fn audit_policy(review: Review<'_>, _: &Known) -> Verdict {
    let known = ["allow", "deny"];
    let filters = review.object()["spec"]["filters"].as_array().into_iter().flatten();
    let mut actions = filters.map(|filter| text(filter, "/action")).filter(|action| !action.is_empty());
    match actions.find(|action| !known.contains(action)) {
        Some(action) => Err(unsupported("auditpolicy.spec.filters.action", action, &known)),
        None => Ok(()),
    }
}

/// An AuthConfig.
pub(super) fn auth_config(review: Review<'_>, _: &Known) -> Verdict {
    let has_servers = review.object()["servers"].as_array().is_some_and(|servers| !servers.is_empty());
    if WITH_SERVERS.contains(&review.name()) && !has_servers {
        return Err(forbidden("servers", "at least one server is required"));
    }
    Ok(())
}

/// A ClusterProxyConfig.
pub(super) fn cluster_proxy_config(review: Review<'_>, known: &Known) -> Verdict {
    let is_there = |other: &Value| text(other, "/metadata/namespace") == review.namespace();
    if known.all("clusterproxyconfigs").any(is_there) {
        let words = "there may only be one clusterproxyconfig object defined per cluster";
        return Err(Answer::Refused(409, words.to_owned()));
    }
    Ok(())
}

/// A ClusterRepo.
pub(super) fn cluster_repo(review: Review<'_>, _: &Known) -> Verdict {
    let has = |pointer| !text(review.object(), pointer).is_empty();
    match (has("/spec/url"), has("/spec/gitRepo")) {
        (true, true) => {
            Err(forbidden("clusterrepo", "both fields spec.URL and spec.GitRepo cannot be specified simultaneously"))
        }
        (false, false) => Err(forbidden("clusterrepo", "either of fields spec.URL or spec.GitRepo must be specified")),
        _ => Ok(()),
    }
}

/// A Feature.
pub(super) fn feature(review: Review<'_>, _: &Known) -> Verdict {
    let (feature, locked) = (review.object(), &review.object()["status"]["lockedValue"]);
    if locked.is_boolean()
        && feature["spec"]["value"] != *locked
        && review.old()["spec"]["value"] != feature["spec"]["value"]
    {
        return Err(bad(format!("feature flag cannot be changed from current value: {locked}")));
    }
    Ok(())
}

/// A Secret: the plan of a machine is JSON.
pub(super) fn secret(review: Review<'_>, _: &Known) -> Verdict {
    let secret = review.object();
    let plan = text(secret, "/data/plan");
    if review.deletes() || text(secret, "/type") != "rke.cattle.io/machine-plan" || plan.is_empty() {
        return Ok(());
    }
    let plan = BASE64_STANDARD.decode(plan).unwrap_or_default();
    serde_json::from_slice::<Value>(&plan).map(drop).map_err(|error| bad(format!("failed to parse plan: {error}")))
}

/// A Setting.
pub(super) fn setting(review: Review<'_>, _: &Known) -> Verdict {
    let (setting, old) = (review.object(), review.old());
    let [was, is] = [old, setting].map(|setting| text(setting, "/source"));
    if review.updates() && was == "env" && is != "env" {
        return Err(bad(format!("setting with source {is:?} cannot update setting with source \"env\"")));
    }
    if review.updates() && review.name() == "cacerts" {
        return Err(bad("setting is read only"));
    }
    let value = text(setting, "/value");
    match review.name() {
        "auth-user-session-ttl-minutes" if !value.is_empty() && value.parse::<u32>().is_err() => {
            Err(invalid("value", value, "it is no positive whole number"))
        }
        "user-last-login-default" if !value.is_empty() && value.parse::<Timestamp>().is_err() => {
            Err(invalid("value", value, "it is no time of RFC 3339"))
        }
        _ => Ok(()),
    }
}
