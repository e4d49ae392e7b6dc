//! Rights for whose lack snapshots failed: whether they are there by now, so that the next try need not wait for its time. While
//! no snapshot lacks any, nobody is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use drover::cluster::ApiError;
use drover::exit::Chain;
use drover::listing::SNAPSHOT_ACCOUNT;
use drover::resources::{BackupRun, RunState};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::sleep;
use tracing::{info, warn};

use super::shared::Shared;
use super::state::State;

/// How often it is asked for each right that is missing: one small request, which the API server answers from memory.
const INTERVAL: Duration = Duration::from_secs(3);

/// Asks for ever. What cannot be asked for is not there: the snapshot waits for its time.
pub(crate) async fn follow(client: Client, namespace: String, shared: Arc<Shared>) {
    let reviews: Api<SubjectAccessReview> = Api::all(client);
    let mut told = BTreeSet::new();
    loop {
        let missing = missing(&shared.state());
        told.retain(|right| missing.contains(right));
        let mut given = BTreeSet::new();
        for right in missing {
            let answer = is_given(&reviews, &namespace, &right).await;
            if answer.is_ok() {
                told.remove(&right);
            }
            match answer {
                Ok(true) => drop(given.insert(right)),
                // Once, until it can be asked for again: whoever may not ask may not for long.
                Err(error) if told.insert(right.clone()) => {
                    warn!("failed to ask whether a snapshot may {right} by now: {}", Chain(&error));
                }
                Ok(false) | Err(_) => {}
            }
        }
        learn(&shared, given);
        sleep(INTERVAL).await;
    }
}

fn learn(shared: &Shared, given: BTreeSet<String>) {
    if shared.state().given == given {
        return;
    }
    for right in &given {
        info!("a snapshot that failed for the lack of it may {right} now");
    }
    shared.change(|state| state.given = given);
}

/// The right for whose lack a run failed.
pub(super) fn lacked(run: &BackupRun) -> Option<&str> {
    let status = run.status.as_ref().filter(|status| status.state == RunState::Failed)?;
    status.snapshot.as_ref()?.missing_right.as_deref()
}

/// The rights for whose lack the newest runs failed.
fn missing(state: &State) -> BTreeSet<String> {
    let mut newest: BTreeMap<&str, &BackupRun> = BTreeMap::new();
    for run in state.runs.iter() {
        let known = newest.entry(&run.spec.backup_uid).or_insert(run);
        if known.spec.number < run.spec.number {
            *known = run;
        }
    }
    newest.into_values().filter_map(lacked).map(str::to_owned).collect()
}

/// Asks the authorizer, which knows all that gives a right: roles, bindings, groups and aggregation.
async fn is_given(reviews: &Api<SubjectAccessReview>, namespace: &str, right: &str) -> Result<bool, ApiError> {
    let review = reviews.create(&PostParams::default(), &question(namespace, right)).await?;
    Ok(review.status.is_some_and(|status| status.allowed))
}

/// Whether a snapshot may do what `right` says, as `get <plural>.<group>`, in every namespace.
fn question(namespace: &str, right: &str) -> SubjectAccessReview {
    let (verb, type_name) = right.split_once(' ').unwrap_or((right, ""));
    let (plural, group) = type_name.split_once('.').unwrap_or((type_name, ""));
    let all = "system:serviceaccounts".to_owned();
    let spec = SubjectAccessReviewSpec {
        user: Some(format!("system:serviceaccount:{namespace}:{SNAPSHOT_ACCOUNT}")),
        groups: Some(vec![format!("{all}:{namespace}"), all, "system:authenticated".to_owned()]),
        resource_attributes: Some(ResourceAttributes {
            verb: Some(verb.to_owned()),
            group: Some(group.to_owned()),
            resource: Some(plural.to_owned()),
            ..ResourceAttributes::default()
        }),
        ..SubjectAccessReviewSpec::default()
    };
    SubjectAccessReview { spec, ..SubjectAccessReview::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(right: &str, verb: &str, plural: &str, group: &str) {
        let spec = question("n", right).spec;
        assert_eq!(spec.user.as_deref(), Some("system:serviceaccount:n:drover-snapshot"));
        assert!(spec.groups.unwrap().contains(&"system:serviceaccounts:n".to_owned()));
        let asked = spec.resource_attributes.unwrap();
        assert_eq!(
            [asked.verb.as_deref(), asked.resource.as_deref(), asked.group.as_deref()],
            [Some(verb), Some(plural), Some(group)]
        );
    }

    #[test]
    fn it_is_asked_for_a_right_of_the_snapshots_account() {
        check("get things.by-name.example.io", "get", "things", "by-name.example.io");
        check("list secrets", "list", "secrets", "");
    }
}
