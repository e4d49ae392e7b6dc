//! Whether the exemption is in force: writes on trial that Rancher's webhooks answer in a way that can be seen. API servers
//! learn of a changed configuration one after the other, and none says whether it has.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::condition::webhook_of;
use crate::request::{RequestError, Server};

/// How many times in a row no webhook may answer.
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

/// Those trials by which can be seen that one of the webhooks is asked, while nobody is exempt from it yet.
pub(super) async fn telling(server: &Server, webhooks: &BTreeSet<String>) -> Vec<&'static Trial> {
    let trials: Vec<&'static Trial> = TRIALS.iter().collect();
    let asked = asked(server, &trials, webhooks).await;
    trials.into_iter().zip(asked).filter_map(|(trial, is_asked)| is_asked.then_some(trial)).collect()
}

/// Repeats the trials until none of the webhooks is asked any more, so many times in a row. Gives whether it came to that
/// before the time was over.
pub(super) async fn pass(
    server: &Server,
    trials: &[&'static Trial],
    webhooks: &BTreeSet<String>,
    within: Duration,
) -> bool {
    let deadline = Instant::now() + within;
    let all: Vec<&'static Trial> = trials.iter().flat_map(|trial| [*trial; AT_ONCE]).collect();
    let mut in_a_row = 0;
    while in_a_row < IN_A_ROW {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(PAUSE).await;
        let asked = asked(server, &all, webhooks).await;
        in_a_row = if asked.contains(&true) { 0 } else { in_a_row + 1 };
    }
    true
}

/// Of each trial whether one of the webhooks was asked about it; all of them at once.
async fn asked(server: &Server, trials: &[&'static Trial], webhooks: &BTreeSet<String>) -> Vec<bool> {
    let mut asked = Vec::with_capacity(trials.len());
    for trial in trials {
        asked.push(trial.is_asked(server, webhooks));
    }
    join_all(asked).await
}

impl Trial {
    /// Whether one of the webhooks was asked, as far as the answer shows it.
    async fn is_asked(&self, server: &Server, webhooks: &BTreeSet<String>) -> bool {
        let body: Bytes = (self.body)().to_string().into();
        match server.once(Method::POST, self.path, body).await {
            Ok(answer) => serde_json::from_slice::<Value>(&answer).is_ok_and(|object| is_changed(&object)),
            Err(RequestError::Refused { message, .. }) => {
                webhook_of(&message).is_some_and(|webhook| webhooks.contains(webhook))
            }
            Err(_) => false,
        }
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

    #[test]
    fn nothing_of_a_trial_is_created() {
        for trial in &TRIALS {
            let body = (trial.body)();
            assert!(trial.path.ends_with("?dryRun=All") && body["metadata"]["name"] == NAME, "{trial:?}");
        }
    }
}
