//! Uploading an archive into a bucket, whole or not at all.
//!
//! A small archive is one request: the service takes it whole or not. A large one is a multipart upload, which is no
//! object before it is completed, and which is aborted when anything fails or nobody waits for it any more. What a
//! killed process left is aborted by the next upload of the same key.

use std::io::SeekFrom;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use aws_smithy_types::byte_stream::{ByteStream, Length};
use futures::{StreamExt, TryStreamExt, stream};
use snafu::ResultExt;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::runtime::Handle;

use super::super::error::{Error, Reason, StoreSnafu, UseLocalFileSnafu};
use super::super::label::{Parcel, Recorded};
use super::super::meter::{Meter, counted};
use super::super::parts::Part;
use super::super::refusal::{Permission, Refusal, RefusalKind};
use super::Bucket;
use crate::digest::{Content, Sha256};

/// How many parts are on their way at once. Two keep the line busy while one waits for its answer.
const PARTS_AT_ONCE: usize = 2;

/// How much of the file is read at once, in bytes.
const BUFFER_SIZE: usize = 256 * 1024;

/// What the archives are, as the Rancher backup operator says it.
const CONTENT_TYPE: &str = "application/gzip";

impl Bucket {
    /// Uploads `file`, whole or not at all.
    pub(in super::super) async fn put(
        &self,
        name: &str,
        file: &Path,
        parcel: Parcel,
        meter: &Arc<Meter>,
    ) -> Result<(), Error> {
        let upload = Upload { bucket: self, key: self.key(name), name, file, parcel, meter };
        if parcel.content.bytes <= self.sizes.single { upload.whole().await } else { upload.in_parts().await }
    }
}

/// One archive on its way into a bucket.
struct Upload<'a> {
    bucket: &'a Bucket,
    key: String,
    name: &'a str,
    file: &'a Path,
    parcel: Parcel,
    meter: &'a Arc<Meter>,
}

impl Upload<'_> {
    /// Sends it as one request.
    async fn whole(self) -> Result<(), Error> {
        let (algorithm, key) = self.bucket.encryption();
        let part = Part { number: 1, offset: 0, length: self.parcel.content.bytes };
        let request = self.bucket.client.put_object().bucket(&self.bucket.name).key(&self.key);
        let request = request
            .content_type(CONTENT_TYPE)
            .set_metadata(Some(Recorded::metadata(self.parcel)))
            .set_checksum_sha256(self.bucket.announced(self.parcel.content.sha256))
            .set_server_side_encryption(algorithm)
            .set_ssekms_key_id(key)
            .body(self.body(part).await?);
        let sent = request.send().await.map_err(|error| Refusal::of(&error, Permission::PutObject));
        sent.map_err(Reason::from).with_context(|_| self.storing())?;
        Ok(())
    }

    /// Sends it in parts, and completes the upload once all are there.
    async fn in_parts(self) -> Result<(), Error> {
        self.abort_leftovers().await;
        let unfinished = self.begin().await.map_err(Reason::from).with_context(|_| self.storing())?;
        match self.send_and_complete(&unfinished.id).await {
            Ok(()) => {
                unfinished.finished();
                Ok(())
            }
            Err(error) => {
                unfinished.abort().await;
                Err(error)
            }
        }
    }

    fn storing(&self) -> StoreSnafu<&str, &str> {
        StoreSnafu { name: self.name, place: &self.bucket.place }
    }

    /// A range of the file, read again for each try.
    async fn body(&self, part: Part) -> Result<ByteStream, Error> {
        let range = ByteStream::read_from()
            .path(self.file)
            .offset(part.offset)
            .length(Length::Exact(part.length))
            .buffer_size(BUFFER_SIZE);
        let body = range.build().await.map_err(std::io::Error::other);
        let body = body.context(UseLocalFileSnafu { name: self.name })?;
        Ok(ByteStream::new(counted(body.into_inner(), self.meter.clone())))
    }

    async fn begin(&self) -> Result<Unfinished, Refusal> {
        let (algorithm, key) = self.bucket.encryption();
        let request = self.bucket.client.create_multipart_upload().bucket(&self.bucket.name).key(&self.key);
        let begun = request
            .content_type(CONTENT_TYPE)
            .set_metadata(Some(Recorded::metadata(self.parcel)))
            .set_checksum_algorithm(self.bucket.takes_digests.then_some(ChecksumAlgorithm::Sha256))
            .set_server_side_encryption(algorithm)
            .set_ssekms_key_id(key)
            .send()
            .await
            .map_err(|error| Refusal::of(&error, Permission::PutObject))?;
        let id = begun.upload_id.ok_or_else(|| Refusal::incomplete("upload id"))?;
        Ok(Unfinished { bucket: self.bucket.clone(), key: self.key.clone(), id, done: false })
    }

    async fn send_and_complete(&self, id: &str) -> Result<(), Error> {
        let parts = self.bucket.sizes.parts(self.parcel.content.bytes);
        let sent = stream::iter(parts).map(|part| self.send_part(id, part)).buffered(PARTS_AT_ONCE);
        let parts: Vec<CompletedPart> = sent.try_collect().await?;
        self.complete(id, parts).await.map_err(Reason::from).with_context(|_| self.storing())
    }

    async fn send_part(&self, id: &str, part: Part) -> Result<CompletedPart, Error> {
        let digest = if self.bucket.takes_digests {
            self.bucket.announced(self.digest(part).await.context(UseLocalFileSnafu { name: self.name })?)
        } else {
            None
        };
        let request = self.bucket.client.upload_part().bucket(&self.bucket.name).key(&self.key).upload_id(id);
        let request = request.part_number(part.number).set_checksum_sha256(digest.clone()).body(self.body(part).await?);
        let sent = request.send().await.map_err(|error| Refusal::of(&error, Permission::PutObject));
        let sent = sent.map_err(Reason::from).with_context(|_| self.storing())?;
        let completed = CompletedPart::builder().part_number(part.number).set_e_tag(sent.e_tag);
        Ok(completed.set_checksum_sha256(digest).build())
    }

    /// The SHA-256 of a part, so that the service refuses one that was damaged on its way.
    async fn digest(&self, part: Part) -> std::io::Result<Sha256> {
        let mut file = File::open(self.file).await?;
        file.seek(SeekFrom::Start(part.offset)).await?;
        Ok(Content::read(file.take(part.length)).await?.sha256)
    }

    async fn complete(&self, id: &str, parts: Vec<CompletedPart>) -> Result<(), Refusal> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.bucket.client.complete_multipart_upload().bucket(&self.bucket.name).key(&self.key);
        let completed = request.upload_id(id).multipart_upload(parts).send().await;
        match completed.map_err(|error| Refusal::of(&error, Permission::PutObject)) {
            // An answer that was lost is asked for again, and then the upload is gone because it is complete. Whether
            // it is, tells the reading back that follows.
            Err(refusal) if *refusal.kind() == RefusalKind::NoUpload => Ok(()),
            completed => completed.map(drop),
        }
    }

    /// Removes what earlier uploads of exactly this key left. It is only tidying, so a service that does not let drover
    /// do it is no reason not to store the archive.
    async fn abort_leftovers(&self) {
        let request = self.bucket.client.list_multipart_uploads().bucket(&self.bucket.name).prefix(&self.key);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let refusal = Refusal::of(&error, Permission::ListMultipartUploads);
                tracing::warn!(key = self.key, %refusal, "failed to look for uploads that were cut off");
                return;
            }
        };
        // Keys come in order, so those of exactly this key are on the first page.
        let left = answer.uploads.unwrap_or_default().into_iter().filter(|upload| upload.key() == Some(&self.key));
        for id in left.filter_map(|upload| upload.upload_id) {
            tracing::info!(key = self.key, "removing what an upload that was cut off left");
            abort(self.bucket, &self.key, &id).await;
        }
    }
}

/// An upload that is neither complete nor aborted. Dropped, it is aborted in the background; [`Bucket::settle`] waits
/// for that.
struct Unfinished {
    bucket: Bucket,
    key: String,
    id: String,
    done: bool,
}

impl Unfinished {
    fn finished(mut self) {
        self.done = true;
    }

    async fn abort(mut self) {
        abort(&self.bucket, &self.key, &self.id).await;
        // Only now: whoever drops this future half-way leaves it to the background.
        self.done = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.done {
            let (bucket, key, id) = (self.bucket.clone(), self.key.clone(), self.id.clone());
            let task = async move { abort(&bucket, &key, &id).await };
            self.bucket.cleaning.spawn_on(task, &runtime);
        }
    }
}

/// How long a part may take that was on its way when its upload was aborted.
const LAST_PART: Duration = Duration::from_millis(500);

/// Aborts an upload; what is left after a failure is removed by the next upload of the same key.
///
/// Twice: a part that is on its way then may be stored all the same, and brings the upload back
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>).
async fn abort(bucket: &Bucket, key: &str, id: &str) {
    for pause in [LAST_PART, Duration::ZERO] {
        if let Err(refusal) = bucket.abort_upload(key, id).await {
            return tracing::warn!(key, %refusal, "failed to remove what an upload that was cut off left");
        }
        tokio::time::sleep(pause).await;
    }
}
