//! Whom a restore runs as: the one user that is exempt.

use http::Method;
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, UserInfo};
use serde_json::json;
use snafu::ResultExt;

use super::error::{AskUserSnafu, ExemptionError, ReadUserSnafu};
use crate::api::request::Server;

const REVIEWS: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// Users that stand for whoever has a kubeconfig of an administrator, or none at all.
const SHARED_USERS: [&str; 2] = ["system:admin", "system:anonymous"];
const SHARED_GROUPS: [&str; 2] = ["system:masters", "kubeadm:cluster-admins"];

/// A user of the API server.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct User {
    /// As conditions of webhooks know it.
    pub(super) name: String,
    /// Whether others may be the same user at the same time.
    pub(super) is_shared: bool,
}

/// Asks the API server who is asking.
///
/// # Errors
///
/// What the server said.
pub(super) async fn ask(server: &Server) -> Result<User, ExemptionError> {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let answer = server.plain(Method::POST, REVIEWS, review.to_string().into()).await.context(AskUserSnafu)?;
    let review: SelfSubjectReview = serde_json::from_slice(&answer).context(ReadUserSnafu)?;
    Ok(User::of(review.status.and_then(|status| status.user_info).unwrap_or_default()))
}

impl User {
    fn of(info: UserInfo) -> Self {
        let name = info.username.unwrap_or_default();
        let groups = info.groups.unwrap_or_default();
        let is_shared = name.is_empty()
            || SHARED_USERS.contains(&name.as_str())
            || groups.iter().any(|group| SHARED_GROUPS.contains(&group.as_str()));
        Self { name, is_shared }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_that_others_are_too_are_known() {
        for (name, groups, expected) in [
            ("system:serviceaccount:cattle-resources-system:drover-restore", &["system:serviceaccounts"][..], false),
            ("jo", &["system:authenticated"], false),
            ("system:admin", &[], true),
            ("kubernetes-admin", &["kubeadm:cluster-admins", "system:authenticated"], true),
            ("somebody", &["system:authenticated", "system:masters"], true),
            ("system:anonymous", &["system:unauthenticated"], true),
            ("", &[], true),
        ] {
            let groups = Some(groups.iter().map(|group| (*group).to_owned()).collect());
            let user = User::of(UserInfo { username: Some(name.to_owned()), groups, ..UserInfo::default() });
            assert_eq!(user, User { name: name.to_owned(), is_shared: expected });
        }
    }
}
