//! Reading from a bucket: archives, and what there is.

use std::borrow::Cow;
use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::{EncodingType, Object};
use aws_smithy_types::byte_stream::ByteStream;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use bytes::Bytes;
use futures::stream::{BoxStream, iter, try_unfold};
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use snafu::ResultExt;

use super::super::error::{Error, ReadSnafu, Reason};
use super::super::listed::Listed;
use super::super::name::is_plain;
use super::super::opened::Opened;
use super::super::refusal::{Permission, Refusal};
use super::Bucket;

/// How often in a row an answer that breaks off without a byte is taken up again, and after which pauses.
const RESUMES: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(500)).with_max_times(4);

impl Bucket {
    /// Opens an archive for reading. An answer that breaks off is taken up where it stopped.
    pub(in super::super) async fn open_archive(&self, name: &str) -> Result<Opened, Error> {
        let context = ReadSnafu { name, place: &self.place };
        let reading = Reading::begin(self.clone(), self.key(name)).await.map_err(Reason::from).context(context)?;
        let (name, place, size) = (name.to_owned(), self.place.clone(), reading.size);
        let chunks =
            try_unfold(reading, |mut reading| async move { Ok(reading.next().await?.map(|chunk| (chunk, reading))) });
        let body = chunks.map_err(move |refusal: Refusal| Error::Read {
            name: name.clone(),
            place: place.clone(),
            source: refusal.into(),
        });
        Ok(Opened { size, body: body.boxed() })
    }

    /// The objects of exactly this folder that are archives or lie beside one, page by page.
    pub(in super::super) fn entries(&self) -> BoxStream<'static, Result<Listed, Error>> {
        let place = self.place.clone();
        let pages = try_unfold(Some(Page { bucket: self.clone(), token: None }), |page| async move {
            match page {
                Some(page) => page.fetch().await.map(Some),
                None => Ok(None),
            }
        });
        let listed = pages.map_ok(|listed: Vec<Listed>| iter(listed.into_iter().map(Ok))).try_flatten();
        listed.map_err(move |refusal: Refusal| Error::List { place: place.clone(), source: refusal.into() }).boxed()
    }
}

/// An object, read to `offset`.
struct Reading {
    bucket: Bucket,
    key: String,
    size: u64,
    /// Which version is being read; another one's bytes must not follow.
    tag: Option<String>,
    offset: u64,
    body: ByteStream,
    resumes: ExponentialBackoff,
}

impl Reading {
    async fn begin(bucket: Bucket, key: String) -> Result<Self, Refusal> {
        let answer = get(&bucket, &key, None, 0).await?;
        let size = answer.content_length().and_then(|length| u64::try_from(length).ok());
        let size = size.ok_or_else(|| Refusal::incomplete("content length"))?;
        Ok(Self { bucket, key, size, tag: answer.e_tag, offset: 0, body: answer.body, resumes: RESUMES.build() })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        while self.offset < self.size {
            match self.body.next().await {
                Some(Ok(chunk)) => {
                    self.resumes = RESUMES.build();
                    self.offset += chunk.len() as u64;
                    return Ok(Some(chunk));
                }
                Some(Err(error)) => self.resume(Refusal::of_connection(&error)).await?,
                None => self.resume(Refusal::cut_off(self.offset, self.size)).await?,
            }
        }
        Ok(None)
    }

    /// Asks for the rest, unless that was in vain too often: then `refusal` stands.
    async fn resume(&mut self, refusal: Refusal) -> Result<(), Refusal> {
        let Some(pause) = self.resumes.next() else { return Err(refusal) };
        tracing::warn!(key = self.key, offset = self.offset, %refusal, "the answer broke off; asking for the rest");
        tokio::time::sleep(pause).await;
        self.body = get(&self.bucket, &self.key, self.tag.clone(), self.offset).await?.body;
        Ok(())
    }
}

pub(super) async fn get(
    bucket: &Bucket,
    key: &str,
    tag: Option<String>,
    offset: u64,
) -> Result<GetObjectOutput, Refusal> {
    let range = (offset > 0).then(|| format!("bytes={offset}-"));
    let request = bucket.client.get_object().bucket(&bucket.name).key(key).set_if_match(tag).set_range(range);
    request.send().await.map_err(|error| Refusal::of(&error, Permission::GetObject))
}

/// A page of a listing that is still to be fetched.
struct Page {
    bucket: Bucket,
    token: Option<String>,
}

impl Page {
    async fn fetch(self) -> Result<(Vec<Listed>, Option<Self>), Refusal> {
        let Self { bucket, token } = self;
        // The prefix ends with a slash, so that `foo` does not list `foobar/`, and the delimiter leaves out folders.
        let request = bucket.client.list_objects_v2().bucket(&bucket.name).prefix(&bucket.prefix).delimiter("/");
        // Encoded, because XML cannot hold every character that a key may have.
        let request = request.encoding_type(EncodingType::Url).set_continuation_token(token.clone());
        let answer = request.send().await;
        let answer = answer.map_err(|error| Refusal::of(&error, Permission::ListBucket))?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let listed = answer.contents().iter().filter_map(|object| listed(&bucket.prefix, object, encoded)).collect();
        let next = answer.next_continuation_token.filter(|_| answer.is_truncated == Some(true));
        // A service that repeats a token would be asked for ever.
        let next = next.filter(|next| Some(next) != token.as_ref());
        Ok((listed, next.map(|token| Self { bucket, token: Some(token) })))
    }
}

/// An object whose key is the folder and the name of an archive or of what lies beside one; others are not drover's.
fn listed(prefix: &str, object: &Object, encoded: bool) -> Option<Listed> {
    let key = object.key()?;
    let key = if encoded { decoded(key)? } else { key.to_owned() };
    let name = key.strip_prefix(prefix)?;
    // What XML cannot hold some services replace instead of encoding it: then there is no object of this name.
    if !is_plain(name) || name.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    let modified = object.last_modified().and_then(|time| Timestamp::from_second(time.secs()).ok());
    Some(Listed { name: name.to_owned(), bytes: u64::try_from(object.size()?).ok()?, modified, is_bad: false })
}

/// A key as it is in a listing: percent-encoded, with a plus for a space.
pub(super) fn decoded(key: &str) -> Option<String> {
    let key = key.replace('+', " ");
    percent_decode_str(&key).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prefix: &str, key: &str, expected: Option<&str>) {
        let object = Object::builder().key(key).size(3).build();
        let name = listed(prefix, &object, key.contains('%')).map(|listed| listed.name);
        assert_eq!(name.as_deref(), expected, "{prefix:?} {key:?}");
    }

    #[test]
    fn only_archives_of_exactly_the_folder_are_listed() {
        check("foo/", "foo/a.tar.gz", Some("a.tar.gz"));
        check("foo/", "foobar/a.tar.gz", None);
        check("foo/", "foo/", None);
        check("foo/", "foo/bar/a.tar.gz", None);
        check("foo/", "foo/../a.tar.gz", None);
        check("", "a.tar.gz", Some("a.tar.gz"));
        check("", "foo/a.tar.gz", None);
        check("foo/", "foo/a+b.tar.gz", Some("a+b.tar.gz"));
    }

    #[test]
    fn encoded_keys_are_decoded_before_they_are_judged() {
        check("foo/", "foo/a%2Bb+c.tar.gz", Some("a+b c.tar.gz"));
        check("foo/", "foo/t%C3%A4glich", Some("täglich"));
        check("foo/", "foo/..%2Fa", None);
        check("foo/", "foo/a%01b", None);
        check("foo/", "foo/a%FF", None);
        check("foo/", "foo/a\u{fffd}", None);
    }
}
