//! What is recorded of an archive in a bucket, and the mark of a bad copy.

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_smithy_types::byte_stream::ByteStream;

use super::super::error::Reason;
use super::super::label::Recorded;
use super::super::name::Companion;
use super::super::refusal::{Permission, Refusal, RefusalKind};
use super::Bucket;
use super::read::get;
use crate::digest::Sha256;

/// What marks are.
const CONTENT_TYPE: &str = "application/json";

impl Bucket {
    /// The size of an archive and what its metadata says; `None` where there is no archive.
    pub(in super::super) async fn recorded(&self, name: &str) -> Result<Option<(u64, Recorded)>, Reason> {
        let Some(head) = self.object(&self.key(name)).await? else { return Ok(None) };
        let size = head.content_length().and_then(|length| u64::try_from(length).ok());
        let size = size.ok_or_else(|| Refusal::incomplete("content length"))?;
        Ok(Some((size, head.metadata().map(Recorded::of_metadata).unwrap_or_default())))
    }

    /// Whether an archive is marked as a bad copy. Who may not look for marks is told "denied" also where there is none,
    /// and reads the archive as if there were none.
    pub(in super::super) async fn is_marked(&self, name: &str) -> Result<bool, Reason> {
        match self.head(&self.key(&Companion::Mark.beside(name))).await {
            Ok(head) => Ok(head.is_some_and(|head| head.content_length() > Some(0))),
            Err(refusal) if matches!(refusal.kind(), RefusalKind::Denied(_)) => Ok(false),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Marks an archive as a bad copy.
    pub(in super::super) async fn write_mark(&self, name: &str, text: String) -> Result<(), Reason> {
        let (algorithm, key) = self.encryption();
        let request = self.client.put_object().bucket(&self.name).key(self.key(&Companion::Mark.beside(name)));
        let request = request
            .content_type(CONTENT_TYPE)
            .set_checksum_sha256(self.announced(Sha256::of(&text)))
            .set_server_side_encryption(algorithm)
            .set_ssekms_key_id(key)
            .body(ByteStream::from(text.into_bytes()));
        request.send().await.map_err(|error| Refusal::of(&error, Permission::PutObject))?;
        Ok(())
    }

    /// Takes the mark from an archive that is good now. Where nothing may be deleted an empty one takes its place.
    pub(in super::super) async fn lift_mark(&self, name: &str) -> Result<(), Reason> {
        if !self.is_marked(name).await? {
            return Ok(());
        }
        match self.delete(&Companion::Mark.beside(name)).await {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.retains() => self.write_mark(name, String::new()).await,
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// What the service says of an object; `None` where there is none in the bucket.
    pub(super) async fn object(&self, key: &str) -> Result<Option<HeadObjectOutput>, Refusal> {
        if let Some(head) = self.head(key).await? {
            return Ok(Some(head));
        }
        // The answer has no body, so it does not tell a missing object from a missing bucket; this one does.
        match get(self, key, None, 0).await {
            Err(refusal) if *refusal.kind() == RefusalKind::NoObject => Ok(None),
            Err(refusal) => Err(refusal),
            Ok(_) => self.head(key).await,
        }
    }

    /// What the service says of an object; `None` where it says "not found".
    async fn head(&self, key: &str) -> Result<Option<HeadObjectOutput>, Refusal> {
        match self.client.head_object().bucket(&self.name).key(key).send().await {
            Ok(head) => Ok(Some(head)),
            Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 404) => Ok(None),
            Err(error) => Err(Refusal::of(&error, Permission::GetObject)),
        }
    }
}
