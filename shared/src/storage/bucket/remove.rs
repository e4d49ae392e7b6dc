//! Removing archives from a bucket: one request for each, never a certain version, and what a bucket keeps is kept.

use aws_sdk_s3::operation::delete_object::DeleteObjectOutput;
use aws_sdk_s3::types::{ObjectLockLegalHoldStatus, ObjectLockRetention};
use jiff::Timestamp;

use super::super::error::Reason;
use super::super::name::Companion;
use super::super::refusal::{Permission, Refusal, RefusalKind};
use super::super::removal::Removal;
use super::Bucket;
use crate::clock;

impl Bucket {
    /// Deletes an archive, then the mark beside it.
    pub(in super::super) async fn remove(&self, name: &str) -> Result<Removal, Reason> {
        let removal = self.remove_archive(name).await?;
        if !matches!(removal, Removal::Retained { .. })
            && let Err(refusal) = self.remove_mark(name).await
        {
            // It marks nothing any more, and the next archive of that name lifts it.
            tracing::warn!(name, %refusal, "failed to remove the mark of a bad copy that is gone");
        }
        Ok(removal)
    }

    async fn remove_archive(&self, name: &str) -> Result<Removal, Refusal> {
        let key = self.key(name);
        // Deleting what is not there succeeds, and leaves a delete marker in a bucket with versions.
        match self.object(&key).await {
            Ok(None) => return Ok(Removal::Gone),
            // Who may delete and not read gets as far as deleting.
            Err(refusal) if !matches!(refusal.kind(), RefusalKind::Denied(_)) => return Err(refusal),
            Ok(Some(_)) | Err(_) => {}
        }
        match self.delete(name).await {
            Ok(answer) if answer.delete_marker() == Some(true) => Ok(Removal::Marked),
            Ok(_) => Ok(Removal::Removed),
            Err(refusal) if *refusal.kind() == RefusalKind::NoObject => Ok(Removal::Gone),
            Err(refusal) if refusal.retains() => Ok(self.retained(&key, &refusal).await),
            Err(refusal) => Err(refusal),
        }
    }

    async fn remove_mark(&self, name: &str) -> Result<(), Refusal> {
        let mark = Companion::Mark.beside(name);
        if self.object(&self.key(&mark)).await?.is_some() {
            self.delete(&mark).await?;
        }
        Ok(())
    }

    /// Asks for one deletion, whatever the name; one that is not there is deleted already.
    pub(in super::super) async fn delete(&self, name: &str) -> Result<DeleteObjectOutput, Refusal> {
        let request = self.client.delete_object().bucket(&self.name).key(self.key(name));
        request.send().await.map_err(|error| Refusal::of(&error, Permission::DeleteObject))
    }

    /// What keeps an object, as far as the service tells it.
    async fn retained(&self, key: &str, refusal: &Refusal) -> Removal {
        if self.is_held(key).await {
            let reason = "a legal hold is on the object".to_owned();
            return Removal::Retained { until: None, reason };
        }
        match self.retention(key).await {
            Some((until, mode)) => {
                let reason = format!("object lock in the mode {mode} is on the object");
                Removal::Retained { until: Some(until), reason }
            }
            None if *refusal.kind() == RefusalKind::Locked => {
                Removal::Retained { until: None, reason: refusal.to_string() }
            }
            None => {
                let reason = "the bucket's policy does not let these credentials delete (s3:DeleteObject)".to_owned();
                Removal::Retained { until: None, reason }
            }
        }
    }

    /// Whether a legal hold is on the object. Services without locks and credentials that may not ask have no answer.
    async fn is_held(&self, key: &str) -> bool {
        let answer = self.client.get_object_legal_hold().bucket(&self.name).key(key).send().await;
        let hold = answer.ok().and_then(|answer| answer.legal_hold);
        hold.is_some_and(|hold| hold.status() == Some(&ObjectLockLegalHoldStatus::On))
    }

    /// The end and the mode of a lock that has not ended, where the service tells.
    async fn retention(&self, key: &str) -> Option<(Timestamp, String)> {
        let answer = self.client.get_object_retention().bucket(&self.name).key(key).send().await.ok()?;
        let ObjectLockRetention { mode, retain_until_date: until, .. } = answer.retention?;
        let until = Timestamp::from_second(until?.secs()).ok().filter(|until| *until > clock::now())?;
        Some((until, mode?.as_str().to_owned()))
    }
}
