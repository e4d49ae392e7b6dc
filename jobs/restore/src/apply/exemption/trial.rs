//! Whether the exemption is in force: writes on trial that Rancher's webhooks answer in a way that can be seen. API servers
//! learn of a changed configuration one after the other, and none says whether it has.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use drover::api::RequestError;
use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::condition::webhook_of;
use crate::api::request::{Server, is_transient};

/// How many times in a row no webhook may answer, in answers of all requests that are made at once.
const IN_A_ROW: usize = 3;
/// Each time so many requests are made at once: they take different connections, and with them different API servers.
const AT_ONCE: usize = 4;
/// Between two times.
const PAUSE: Duration = Duration::from_millis(100);

/// What the objects are called that are created on trial, and what they refer to and is nowhere.
const NAME: &str = "drover-restore-trial";
/// What Rancher's webhook notes on an object that it was asked about.
const CREATOR: &str = "/metadata/annotations/field.cattle.io~1creatorId";

/// A write on trial by which can be seen that a webhook was asked.
#[derive(Debug)]
pub(super) struct Trial {
    path: &'static str,
    body: fn() -> Value,
}

/// What Rancher's webhooks always refuse, or change. Nothing of it is ever created: `dryRun=All`.
static TRIALS: [Trial; 4] = [
    Trial {
        path: "/apis/management.cattle.io/v3/globalrolebindings?dryRun=All",
        body: || of_rancher("GlobalRoleBinding", &json!({"globalRoleName": NAME, "userName": NAME})),
    },
    Trial {
        path: "/apis/management.cattle.io/v3/roletemplates?dryRun=All",
        body: || of_rancher("RoleTemplate", &json!({"builtin": true, "context": "cluster", "displayName": NAME})),
    },
    Trial {
        path: "/apis/management.cattle.io/v3/globalroles?dryRun=All",
        body: || of_rancher("GlobalRole", &json!({"builtin": true, "displayName": NAME})),
    },
    Trial {
        path: "/api/v1/namespaces/default/secrets?dryRun=All",
        body: || {
            let metadata = json!({"name": NAME, "namespace": "default"});
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata,
                "type": "provisioning.cattle.io/cloud-credential"})
        },
    },
];

fn of_rancher(kind: &str, members: &Value) -> Value {
    let mut object = json!({"apiVersion": "management.cattle.io/v3", "kind": kind, "metadata": {"name": NAME}});
    if let (Some(object), Some(members)) = (object.as_object_mut(), members.as_object()) {
        object.extend(members.clone());
    }
    object
}

/// What an answer tells of whether one of the webhooks was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    Asked,
    NotAsked,
    /// Nothing: the request did not come so far.
    Nothing,
}

/// Those trials by which can be seen that one of the webhooks is asked, while nobody is exempt from it yet.
pub(super) async fn telling(server: &Server, webhooks: &BTreeSet<String>) -> Vec<&'static Trial> {
    let trials: Vec<&'static Trial> = TRIALS.iter().collect();
    let asked = asked(server, &trials, webhooks).await;
    trials.into_iter().zip(asked).filter_map(|(trial, told)| (told == Told::Asked).then_some(trial)).collect()
}

/// Repeats the trials until none of the webhooks is asked any more, as so many answers in a row show it. Gives whether it
/// came to that before the time was over; `in_a_row` is how many there were, for whoever goes on.
pub(super) async fn pass(
    server: &Server,
    trials: &[&'static Trial],
    webhooks: &BTreeSet<String>,
    in_a_row: &mut usize,
    within: Duration,
) -> bool {
    let deadline = Instant::now() + within;
    let all: Vec<&'static Trial> = trials.iter().flat_map(|trial| [*trial; AT_ONCE]).collect();
    while *in_a_row < IN_A_ROW * all.len() {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(PAUSE).await;
        *in_a_row = more_in_a_row(*in_a_row, &asked(server, &all, webhooks).await);
    }
    true
}

/// How many answers in a row show that no webhook was asked, with these; one that tells nothing counts as nothing.
fn more_in_a_row(before: usize, answers: &[Told]) -> usize {
    if answers.contains(&Told::Asked) {
        return 0;
    }
    before + answers.iter().filter(|told| **told == Told::NotAsked).count()
}

/// Of each trial whether one of the webhooks was asked about it; all of them at once.
async fn asked(server: &Server, trials: &[&'static Trial], webhooks: &BTreeSet<String>) -> Vec<Told> {
    let mut asked = Vec::with_capacity(trials.len());
    for trial in trials {
        asked.push(trial.told(server, webhooks));
    }
    join_all(asked).await
}

impl Trial {
    /// Whether one of the webhooks was asked, as far as the answer shows it.
    async fn told(&self, server: &Server, webhooks: &BTreeSet<String>) -> Told {
        let body: Bytes = (self.body)().to_string().into();
        told(&server.once(Method::POST, self.path, body).await, webhooks)
    }
}

/// What an answer tells.
fn told(answer: &Result<Bytes, RequestError>, webhooks: &BTreeSet<String>) -> Told {
    match answer {
        Ok(object) => match serde_json::from_slice::<Value>(object) {
            Ok(object) if is_changed(&object) => Told::Asked,
            Ok(_) => Told::NotAsked,
            Err(_) => Told::Nothing,
        },
        Err(error @ RequestError::Refused { message, .. }) => match webhook_of(message) {
            Some(webhook) if webhooks.contains(webhook) => Told::Asked,
            // What meets a server that is busy, or is not let in, comes to no webhook.
            _ if is_transient(error) => Told::Nothing,
            None if error.is_forbidden() => Told::Nothing,
            _ => Told::NotAsked,
        },
        Err(_) => Told::Nothing,
    }
}

/// Whether Rancher's webhook changed an object.
fn is_changed(object: &Value) -> bool {
    object.pointer(CREATOR).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_webhook_noted_on_an_object_shows_that_it_was_asked() {
        let noted = json!({"metadata": {"annotations": {"field.cattle.io/creatorId": "system:admin"}}});
        assert!(is_changed(&noted));
        for object in [json!({}), json!({"metadata": {"annotations": {"a": "b"}}}), json!(7)] {
            assert!(!is_changed(&object), "{object}");
        }
    }

    fn refused(code: u16, message: &str) -> Result<Bytes, RequestError> {
        let (reason, message) = (String::new(), message.to_owned());
        Err(RequestError::Refused { code, reason, message, retry_after: None, continue_token: None })
    }

    #[test]
    fn answers_that_tell_nothing_are_told_from_those_that_show_that_no_webhook_was_asked() {
        let webhooks = BTreeSet::from(["rancher.cattle.io".to_owned()]);
        let created = |object: Value| Ok(Bytes::from(object.to_string()));
        for (answer, expected) in [
            (created(json!({"metadata": {"annotations": {"field.cattle.io/creatorId": "x"}}})), Told::Asked),
            (created(json!({"metadata": {}})), Told::NotAsked),
            (Ok(Bytes::from_static(b"<html>")), Told::Nothing),
            (refused(403, "admission webhook \"rancher.cattle.io\" denied the request: no"), Told::Asked),
            (refused(500, "Internal error occurred: failed calling webhook \"rancher.cattle.io\": x"), Told::Asked),
            (refused(403, "admission webhook \"other.io\" denied the request: no"), Told::NotAsked),
            (refused(422, "metadata.name: Invalid value"), Told::NotAsked),
            (refused(403, "secrets is forbidden: User \"a\" cannot create resource"), Told::Nothing),
            (refused(429, "too many requests"), Told::Nothing),
            (refused(503, "the API server answered 503 Service Unavailable"), Told::Nothing),
            (Err(RequestError::Timeout { path: "/".to_owned(), seconds: 60 }), Told::Nothing),
        ] {
            assert_eq!(told(&answer, &webhooks), expected, "{answer:?}");
        }
    }

    #[test]
    fn only_what_tells_something_counts() {
        use Told::{Asked, NotAsked, Nothing};
        assert_eq!(more_in_a_row(0, &[Nothing, Nothing]), 0);
        assert_eq!(more_in_a_row(3, &[Nothing, NotAsked]), 4);
        assert_eq!(more_in_a_row(3, &[NotAsked, NotAsked]), 5);
        assert_eq!(more_in_a_row(3, &[NotAsked, Asked, Nothing]), 0);
    }

    #[test]
    fn nothing_of_a_trial_is_created() {
        for trial in &TRIALS {
            let body = (trial.body)();
            assert!(trial.path.ends_with("?dryRun=All") && body["metadata"]["name"] == NAME, "{trial:?}");
        }
    }
}
