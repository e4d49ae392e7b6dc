//! Users and their tokens.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::Verdict;
use crate::rancher_webhook::cache::Known;
use crate::rancher_webhook::review::{Review, text};
use crate::rancher_webhook::words::{bad, immutable, invalid};

/// A User.
pub(super) fn user(review: Review<'_>, known: &Known) -> Verdict {
    let (user, old) = (review.object(), review.old());
    if review.deletes() {
        return if review.name() == review.user() { Err(bad("can't delete yourself")) } else { Ok(()) };
    }
    let [was, is] = [old, user].map(|user| text(user, "/username"));
    if review.updates() {
        if !was.is_empty() && was != is {
            return Err(immutable("user.username", is));
        }
        let ids = |user: &Value| user["principalIds"].as_array().cloned().unwrap_or_default();
        if ids(old) != ids(user) {
            let ids = Value::Array(ids(user));
            return Err(bad(format!("user.principalIds: Invalid value: {ids}: field is immutable")));
        }
        let is_enabled = |user: &Value| user["enabled"] != false;
        if review.name() == review.user() && is_enabled(old) && !is_enabled(user) {
            return Err(bad("can't deactivate yourself"));
        }
    }
    if was.is_empty() && !is.is_empty() && known.all("users").any(|other| text(other, "/username") == is) {
        return Err(bad("username already exists"));
    }
    Ok(())
}

/// A Token.
pub(super) fn token(review: Review<'_>, _: &Known) -> Verdict {
    is_time(review.object(), "lastUsedAt")
}

/// The UserAttributes of a user.
pub(super) fn attributes(review: Review<'_>, _: &Known) -> Verdict {
    is_time(review.object(), "lastLogin")
}

/// A member that is there is a time.
fn is_time(object: &Value, member: &str) -> Verdict {
    match object[member].as_str() {
        Some(text) if text.parse::<Timestamp>().is_err() => Err(invalid(member, text, "it is no time of RFC 3339")),
        _ => Ok(()),
    }
}
