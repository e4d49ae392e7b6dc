//! Clusters, as Rancher's management and its provisioning know them, and the machines of the latter.

use serde_json::Value;

use super::projects::{creator_is_known, has_one_creator, keeps_creator};
use super::{CREATOR, NO_CREATOR, Verdict};
use crate::rancher_webhook::cache::Known;
use crate::rancher_webhook::review::{Review, annotation, is_going, text};
use crate::rancher_webhook::words::bad;
use crate::webhook::Answer;

/// A Cluster of `management.cattle.io`.
pub(super) fn managed(review: Review<'_>, known: &Known) -> Verdict {
    let (cluster, old) = (review.object(), review.old());
    if review.deletes() {
        return not_local(review);
    }
    if review.updates() {
        let workspace = |cluster: &Value| !text(cluster, "/spec/fleetWorkspaceName").is_empty();
        if workspace(old) && !workspace(cluster) {
            return Err(bad("once set, field FleetWorkspaceName cannot be made empty"));
        }
        return keeps_creator(review);
    }
    has_one_creator(cluster)?;
    creator_is_known(cluster, known)
}

/// A Cluster of `provisioning.cattle.io`.
pub(super) fn provisioned(review: Review<'_>, _: &Known) -> Verdict {
    let (cluster, old) = (review.object(), review.old());
    if review.deletes() {
        return not_local(review);
    }
    if is_going(cluster) {
        return Ok(());
    }
    creator_is_who_asks(review)?;
    let has_config = |cluster: &Value| cluster["spec"]["rkeConfig"].is_object();
    if review.updates() && review.name() != "local" {
        match (has_config(old), has_config(cluster)) {
            (false, true) => return Err(bad("RKEConfig cannot be changed from null after cluster creation")),
            (true, false) => return Err(bad("RKEConfig cannot be made null after cluster creation")),
            _ => {}
        }
    }
    Ok(())
}

/// A configuration of machines, of whatever kind.
pub(super) fn machine_config(review: Review<'_>, _: &Known) -> Verdict {
    if is_going(review.object()) { Ok(()) } else { creator_is_who_asks(review) }
}

fn not_local(review: Review<'_>) -> Verdict {
    if review.name() == "local" { Err(bad("local cluster may not be deleted")) } else { Ok(()) }
}

/// Who is named as the creator is who asks, and stays.
fn creator_is_who_asks(review: Review<'_>) -> Verdict {
    let refused = |words: &str| Err(Answer::Refused(422, words.to_owned()));
    let creator = annotation(review.object(), CREATOR);
    if annotation(review.object(), NO_CREATOR).is_some() {
        let words = "cannot have creatorID annotation when no-creator-rbac is set";
        return if creator.is_some() { refused(words) } else { Ok(()) };
    }
    if review.creates() {
        let is_it = creator == Some(review.user());
        return if is_it { Ok(()) } else { refused("creatorID annotation does not match user") };
    }
    if creator.is_some() && creator != annotation(review.old(), CREATOR) {
        return refused("creatorID annotation cannot be changed");
    }
    Ok(())
}
