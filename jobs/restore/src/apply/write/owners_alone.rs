//! Names owners in what was written before they were there, and writes nothing else of it: pods and ReplicaSets whose owner
//! was refused at first, for live ones are left as they are; and what owners of a later part of the archive have, for by
//! then controllers run that may have changed it.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};
use snafu::ResultExt;

use super::error::{ParseSnafu, RequestSnafu, Then, WriteError};
use super::{Attempt, Job, Writer, Written, parse};
use crate::apply::write::extent::Extent;
use crate::objects::shape::{Identity, Shape};
use crate::objects::special_case::{SpecialCase, Treatment};
use crate::plan::Action;
use crate::report::outcome::Outcome;
use crate::survey::archive::facts::Position;

impl Writer {
    /// Writes the object of that position, which this restore created, once more for its owners: these alone where live
    /// objects like it are never written over.
    ///
    /// # Errors
    ///
    /// Only where the server does not answer any more.
    pub(crate) async fn write_owners(&self, position: Position) -> Result<Attempt, WriteError> {
        let treatment = self.facts.entry(position).case.map(|SpecialCase { treatment, .. }| treatment);
        if matches!(treatment, Some(Treatment::KeepLive | Treatment::LeaveLive)) {
            return self.name_owners(position).await;
        }
        self.write(position, Action::Update).await
    }

    /// Names the owners in the object of that position, which was written, and writes nothing else of it.
    ///
    /// # Errors
    ///
    /// Only where the server does not answer any more.
    pub(crate) async fn name_owners(&self, position: Position) -> Result<Attempt, WriteError> {
        let job = match self.begin(position, Action::Update).await {
            Ok(job) => job,
            Err(attempt) => return Ok(attempt),
        };
        let written = job.change(Extent::Owners).await;
        let attempt = self.attempt(&job, Action::Update, written).await?;
        // Another try would find that the object is there, and say no more of its owners.
        Ok(Attempt { then: Then::Settled, ..attempt })
    }
}

impl Job<'_> {
    /// Names the owners in the live object.
    pub(super) async fn name_owners(&self, live: &Shape<'_>) -> Result<Written, WriteError> {
        let identity = live.identity();
        let wanted = self.wanted(None)?;
        let (owners, dropped_owners) = self.owners(&parse(&wanted, "the object of the archive")?);
        let is_settled = identity.deletion_timestamp.is_some() || owners.is_empty();
        let outcome = if is_settled || owners == live.owner_references() {
            Outcome::Unchanged
        } else {
            let labels = if self.kind() == ("", "pods") { labels(&wanted)? } else { json!({}) };
            let patch = patch(&identity, &owners, &labels);
            let answer = self.writer.server.merge_patch(&self.path(), patch.to_string().into_bytes()).await;
            self.identity(
                &answer.context(RequestSnafu { step: "the object itself is restored, its owners are not" })?,
            )?;
            Outcome::Updated
        };
        Ok(Written { outcome, note: Cow::Borrowed(""), dropped_owners })
    }
}

/// The labels of a pod: those of a Job's have the UID of the Job.
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
