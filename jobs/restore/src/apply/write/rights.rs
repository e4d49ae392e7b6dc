//! Whether a binding of a role is what lets this restore write: without it, nobody could create it again.

use k8s_openapi::api::authentication::v1::{SelfSubjectReview, UserInfo};
use k8s_openapi::api::rbac::v1::Subject;
use serde_json::json;
use snafu::ResultExt;

use super::Job;
use super::error::{OwnRightsSnafu, ParseSnafu, RequestSnafu, WriteError};
use crate::objects::shape::Shape;

const REVIEWS: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

impl Job<'_> {
    /// Refuses where the live binding gives rights to the user that the restore runs as.
    pub(super) async fn refuse_own_rights(&self, binding: &Shape<'_>) -> Result<(), WriteError> {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let answer = self.writer.server.create(REVIEWS, review.to_string().into_bytes()).await;
        let answer = answer.context(RequestSnafu { step: "failed to see which user the restore runs as" })?;
        let what = "which user the restore runs as";
        let review: SelfSubjectReview = serde_json::from_slice(&answer).context(ParseSnafu { what })?;
        let user = review.status.and_then(|status| status.user_info).unwrap_or_default();
        let subjects = binding.member("subjects").map(|subjects| serde_json::from_str(subjects.get())).transpose();
        let subjects: Vec<Subject> = subjects.context(ParseSnafu { what: "the live object" })?.unwrap_or_default();
        if subjects.iter().any(|subject| is_user(subject, &user)) {
            return OwnRightsSnafu { user: user.username.unwrap_or_default(), again: self.writer.again }.fail();
        }
        Ok(())
    }
}

/// Whether a binding's subject is the user, or a group of theirs.
fn is_user(subject: &Subject, user: &UserInfo) -> bool {
    let username = user.username.as_deref().unwrap_or_default();
    match subject.kind.as_str() {
        "User" => subject.name == username,
        "Group" => user.groups.iter().flatten().any(|group| *group == subject.name),
        "ServiceAccount" => {
            let namespace = subject.namespace.as_deref().unwrap_or_default();
            username == format!("system:serviceaccount:{namespace}:{}", subject.name)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(kind: &str, name: &str) -> Subject {
        let namespace = (kind == "ServiceAccount").then(|| "home".to_owned());
        Subject { kind: kind.to_owned(), name: name.to_owned(), namespace, ..Subject::default() }
    }

    #[track_caller]
    fn check(username: &str, kind: &str, name: &str, expected: bool) {
        let groups = Some(vec!["system:authenticated".to_owned(), "ops".to_owned()]);
        let user = UserInfo { username: Some(username.to_owned()), groups, ..UserInfo::default() };
        assert_eq!(is_user(&subject(kind, name), &user), expected, "{username} {kind} {name}");
    }

    #[test]
    fn subjects_that_are_the_user() {
        let robot = "system:serviceaccount:home:robot";
        check("jo", "User", "jo", true);
        check("jo", "User", "ops", false);
        check("jo", "Group", "ops", true);
        check("jo", "Group", "jo", false);
        check(robot, "ServiceAccount", "robot", true);
        check(robot, "User", robot, true);
        check("robot", "ServiceAccount", "robot", false);
        check("jo", "Team", "jo", false);
    }
}
