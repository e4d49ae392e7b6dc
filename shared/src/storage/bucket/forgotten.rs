//! Multipart uploads that nobody goes on with.

use std::borrow::Cow;

use aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsOutput;
use aws_sdk_s3::types::{EncodingType, MultipartUpload};
use jiff::Timestamp;

use super::super::error::Reason;
use super::super::name::check_name;
use super::super::refusal::{Permission, Refusal, RefusalKind};
use super::Bucket;
use super::read::decoded;
use crate::runs::split_archive_name;

/// One upload that was begun and neither completed nor aborted.
struct Upload {
    key: String,
    id: String,
}

impl Bucket {
    /// Aborts the uploads of archives of exactly this folder that were begun before `before`, and tells how many.
    pub(in super::super) async fn abort_forgotten(&self, before: Timestamp) -> Result<u64, Reason> {
        let mut found = self.forgotten(&self.prefix, before).await?;
        if found.is_empty() && !self.prefix.is_empty() {
            // MinIO gives those of one object or those of the whole bucket, and of a folder none.
            found = self.forgotten("", before).await?;
        }
        let mut aborted = 0;
        for Upload { key, id } in found {
            tracing::info!(key, "removing what a forgotten upload left");
            self.abort_upload(&key, &id).await?;
            aborted += 1;
        }
        Ok(aborted)
    }

    /// Aborts an upload; one that is gone is aborted already.
    pub(super) async fn abort_upload(&self, key: &str, id: &str) -> Result<(), Refusal> {
        let request = self.client.abort_multipart_upload().bucket(&self.name).key(key).upload_id(id);
        let aborted = request.send().await.map_err(|error| Refusal::of(&error, Permission::AbortMultipartUpload));
        match aborted {
            Err(refusal) if *refusal.kind() == RefusalKind::NoUpload => Ok(()),
            aborted => aborted.map(drop),
        }
    }

    /// The uploads under a prefix that are to be aborted, to the last page.
    async fn forgotten(&self, prefix: &str, before: Timestamp) -> Result<Vec<Upload>, Refusal> {
        let mut found = Vec::new();
        let mut marker = None;
        loop {
            let page = self.page_of_uploads(prefix, marker.clone()).await?;
            let is_encoded = page.encoding_type() == Some(&EncodingType::Url);
            let forgotten = |upload| forgotten(&self.prefix, upload, is_encoded, before);
            found.extend(page.uploads().iter().filter_map(forgotten));
            let next = Marker::after(&page, is_encoded);
            // A service that repeats a marker would be asked for ever.
            if next.is_none() || next == marker {
                return Ok(found);
            }
            marker = next;
        }
    }

    async fn page_of_uploads(
        &self,
        prefix: &str,
        after: Option<Marker>,
    ) -> Result<ListMultipartUploadsOutput, Refusal> {
        let (key, upload) = after.map(|after| (after.key, after.upload)).unzip();
        let request = self.client.list_multipart_uploads().bucket(&self.name).encoding_type(EncodingType::Url);
        let request = request.set_prefix((!prefix.is_empty()).then(|| prefix.to_owned()));
        let request = request.set_key_marker(key).set_upload_id_marker(upload.flatten());
        request.send().await.map_err(|error| Refusal::of(&error, Permission::ListMultipartUploads))
    }
}

/// Where the next page begins.
#[derive(Clone, PartialEq)]
struct Marker {
    key: String,
    upload: Option<String>,
}

impl Marker {
    fn after(page: &ListMultipartUploadsOutput, is_encoded: bool) -> Option<Self> {
        let key = page.next_key_marker().filter(|key| page.is_truncated() == Some(true) && !key.is_empty())?;
        let key = plain(key, is_encoded)?.into_owned();
        Some(Self { key, upload: page.next_upload_id_marker().map(str::to_owned) })
    }
}

fn plain(key: &str, is_encoded: bool) -> Option<Cow<'_, str>> {
    if is_encoded { decoded(key).map(Cow::Owned) } else { Some(Cow::Borrowed(key)) }
}

/// An upload of an archive of exactly the folder of `prefix`, begun before `before`. Whatever else is uploaded into the
/// folder is another program's, which may take longer.
fn forgotten(prefix: &str, upload: &MultipartUpload, is_encoded: bool, before: Timestamp) -> Option<Upload> {
    let key = plain(upload.key()?, is_encoded)?;
    split_archive_name(key.strip_prefix(prefix)?).filter(|(backup, _)| check_name(backup).is_ok())?;
    let begun = Timestamp::from_second(upload.initiated()?.secs()).ok()?;
    let id = upload.upload_id()?.to_owned();
    (begun < before).then(|| Upload { key: key.into_owned(), id })
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::DateTime;

    use super::*;

    #[track_caller]
    fn check(prefix: &str, key: &str, begun: i64, expected: bool) {
        let upload = MultipartUpload::builder().key(key).upload_id("1").initiated(DateTime::from_secs(begun)).build();
        let before = Timestamp::from_second(100).unwrap();
        assert_eq!(forgotten(prefix, &upload, false, before).is_some(), expected, "{prefix:?} {key:?} {begun}");
    }

    #[test]
    fn only_old_uploads_of_archives_of_exactly_the_folder_are_forgotten() {
        const UID: &str = "8ea4e695-6c77-43ec-9323-d6191e5ef67b";
        let archive = format!("a-{UID}-2026-11-22T13-05-22Z.tar.gz");
        check("foo/", &format!("foo/{archive}"), 99, true);
        check("foo/", &format!("foo/{archive}.enc"), 99, true);
        check("foo/", &format!("foo/{archive}"), 100, false);
        check("foo/", &format!("foobar/{archive}"), 1, false);
        check("foo/", &format!("foo/bar/{archive}"), 1, false);
        check("foo/", &format!("foo/{archive}.bad"), 1, false);
        check("foo/", &archive, 1, false);
        check("", &archive, 1, true);
        check("", &format!("foo/{archive}"), 1, false);
    }

    #[test]
    fn uploads_of_other_programs_are_left_alone() {
        for key in ["foo/a.tar.gz", "foo/etcd-snapshot-2026-11-22T13-05-22Z", "foo/a-2026-11-22T13-05-22Z.tar.gz"] {
            check("foo/", key, 1, false);
        }
    }
}
