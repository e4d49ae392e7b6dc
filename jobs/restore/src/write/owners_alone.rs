//! Gives what this restore created, and what is left as it is once it is there, the owners that it lacked when it was created:
//! pods and ReplicaSets whose owner was refused at first. Nothing else of them is written.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};
use snafu::ResultExt;

use super::error::{ContendedSnafu, ParseSnafu, RequestSnafu, Then, WriteError};
use super::{Attempt, CONFLICTS, Job, Writer, Written, parse};
use crate::facts::Position;
use crate::outcome::Outcome;
use crate::plan::Action;
use crate::shape::Identity;
use crate::special_cases::{SpecialCase, Treatment};

impl Writer {
    /// Writes the object of that position, which this restore created, once more for its owners: these alone where live
    /// objects like it are never written over.
    ///
    /// # Errors
    ///
    /// Only where the server does not answer any more.
    pub(crate) async fn write_owners(&self, position: Position) -> Result<Attempt, WriteError> {
        let treatment = self.facts.entry(position).case.map(|SpecialCase { treatment, .. }| treatment);
        if !matches!(treatment, Some(Treatment::KeepLive | Treatment::LeaveLive)) {
            return self.write(position, Action::Update).await;
        }
        let job = match self.job(position).await {
            Ok(job) => job,
            Err(error) => return Ok(error.into()),
        };
        let written = job.with_owners().await;
        let attempt = self.attempt(&job, Action::Update, written).await?;
        // Another try would find that the object is there, and say no more of its owners.
        Ok(Attempt { then: Then::Settled, ..attempt })
    }
}

impl Job<'_> {
    async fn with_owners(&self) -> Result<Written, WriteError> {
        for _ in 0..CONFLICTS {
            match self.with_owners_once().await {
                Err(error) if error.is_outdated() => {}
                other => return other,
            }
        }
        ContendedSnafu.fail()
    }

    async fn with_owners_once(&self) -> Result<Written, WriteError> {
        let live_bytes = match self.writer.server.get(&self.path()).await {
            Err(error) if error.is_not_found() => return Box::pin(self.create()).await,
            live => live.context(RequestSnafu { step: "" })?,
        };
        let live = parse(&live_bytes, "the live object")?;
        let identity = live.identity();
        self.remember(&identity);
        let wanted = self.wanted(None)?;
        let (owners, dropped_owners) = self.owners(&parse(&wanted, "the object of the archive")?);
        let is_settled = identity.deletion_timestamp.is_some() || owners.is_empty();
        let outcome = if is_settled || owners == live.owner_references() {
            Outcome::Unchanged
        } else {
            let patch = patch(&identity, &owners, &labels(&wanted)?);
            let answer = self.writer.server.merge_patch(&self.path(), patch.to_string().into_bytes()).await;
            self.identity(
                &answer.context(RequestSnafu { step: "the object itself is restored, its owners are not" })?,
            )?;
            Outcome::Updated
        };
        Ok(Written { outcome, note: Cow::Borrowed(""), dropped_owners })
    }
}

/// The labels of an object: those of a Job's pod have the UID of the Job.
fn labels(object: &[u8]) -> Result<Value, WriteError> {
    let mut object: Value = serde_json::from_slice(object).context(ParseSnafu { what: "the object of the archive" })?;
    Ok(object.pointer_mut("/metadata/labels").map_or_else(|| json!({}), Value::take))
}

/// The merge patch for the very object that was seen.
fn patch(live: &Identity, owners: &[OwnerReference], labels: &Value) -> Value {
    json!({"metadata": {
        "uid": live.uid, "resourceVersion": live.resource_version, "ownerReferences": owners, "labels": labels,
    }})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;

    #[test]
    fn owners_and_labels_are_all_that_is_written() {
        let live = json!({"metadata": {"uid": "u", "resourceVersion": "7"}}).to_string();
        let live = Shape::split(live.as_bytes()).unwrap().identity();
        let owner = OwnerReference { name: "a".to_owned(), uid: "new".to_owned(), ..OwnerReference::default() };
        let labels = labels(br#"{"metadata":{"labels":{"job":"new"}},"spec":{"a":1}}"#).unwrap();
        let patch = patch(&live, &[owner], &labels);
        assert_eq!(patch["metadata"]["ownerReferences"][0]["uid"], "new");
        assert_eq!(patch["metadata"]["labels"], json!({"job": "new"}));
        let metadata = (&patch["metadata"]["uid"], &patch["metadata"]["resourceVersion"]);
        assert_eq!((metadata, patch.as_object().unwrap().len()), ((&json!("u"), &json!("7")), 1));
    }
}
