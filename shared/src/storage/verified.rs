//! Storing an archive until it is known to lie at its place, or known not to.
//!
//! One wrong answer proves nothing: a byte may turn over on its way back, and an object may show up late. So what came
//! back is read again over new connections, then the archive is stored again, and only when all of that fails alike has
//! the try failed. A copy that may be good is never removed: it is marked, and a later try writes over it or lifts the mark.

use std::path::Path;
use std::sync::Arc;

use snafu::ResultExt;
use tokio::fs::File;

use super::bucket::Bucket;
use super::error::{BadCopy, Difference, Error, Found, UseLocalFileSnafu, VerifySnafu};
use super::label::Parcel;
use super::meter::Meter;
use super::tries::{STORES, pauses_between_reads};
use super::{Location, Place, Storage};
use crate::digest::Content;
use crate::exit::{Chain, Exit, Fault};

impl Storage {
    /// Writes an archive, reads it back and compares it.
    pub(super) async fn write(&self, name: &str, file: &Path, parcel: Parcel, meter: &Arc<Meter>) -> Result<(), Error> {
        match &self.place {
            Place::Folder(folder) => folder.store(name, file, parcel, meter.clone()).await,
            Place::Bucket(bucket) => self.put(bucket, name, file, parcel, meter).await,
        }
    }

    async fn put(
        &self,
        bucket: &Bucket,
        name: &str,
        file: &Path,
        parcel: Parcel,
        meter: &Arc<Meter>,
    ) -> Result<(), Error> {
        let expected = parcel.content;
        let mut sent = bucket.put(name, file, parcel, meter).await;
        let mut number = 1;
        loop {
            let found = match sent {
                Ok(()) => Ok(self.found_again(name, expected, |bytes| meter.read_back(bytes)).await?),
                // The service says that other bytes arrived.
                Err(error) if error.exit() == Exit::DataRefused => Err(error),
                Err(error) => return Err(error),
            };
            if matches!(found, Ok(Found::Content(content)) if content == expected) {
                return Ok(());
            }
            let is_sound = content_of(file, name).await? == expected;
            if number == STORES || !is_sound {
                return Err(self.give_up(bucket, name, expected, found, is_sound).await);
            }
            tracing::warn!(name, place = %self.location, "it is not there as it was sent; storing it again");
            meter.restart();
            sent = self.bucket_anew(bucket).put(name, file, parcel, meter).await;
            number += 1;
        }
    }

    /// The failure of a try, after what was said of the copy that it may have left. `is_sound`: what was sent was the
    /// archive, so that the copy may be good, however it is read.
    async fn give_up(
        &self,
        bucket: &Bucket,
        name: &str,
        expected: Content,
        found: Result<Found, Error>,
        is_sound: bool,
    ) -> Error {
        let found = match found {
            Ok(found) => found,
            Err(error) => return error,
        };
        let difference = Difference { expected, found, copy: BadCopy::Left };
        let copy = match found {
            Found::Nothing => BadCopy::Unseen,
            _ if is_sound => self.mark(name, &difference).await,
            _ => self.discard(bucket, name, &difference).await,
        };
        VerifySnafu { name, place: self.location.to_string(), difference: Difference { copy, ..difference } }.build()
    }

    /// Removes a copy of what never was the archive, or marks it where the bucket keeps it.
    async fn discard(&self, bucket: &Bucket, name: &str, difference: &Difference) -> BadCopy {
        let Err(refusal) = bucket.delete(name).await else { return BadCopy::Removed };
        tracing::error!(name, %refusal, "failed to remove what is no archive; marking it");
        self.mark(name, difference).await
    }

    async fn mark(&self, name: &str, difference: &Difference) -> BadCopy {
        match self.mark_bad(name, difference).await {
            Ok(()) => BadCopy::Marked,
            Err(error) => {
                tracing::error!(name, error = %Chain::of(&error), "failed to mark an archive as a bad copy");
                BadCopy::Left
            }
        }
    }

    /// What lies under a name. What is not as expected is read again, over a new connection each time.
    pub(super) async fn found_again(
        &self,
        name: &str,
        expected: Content,
        on_read: impl Fn(u64),
    ) -> Result<Found, Error> {
        let mut found = self.found(name, expected.bytes, on_read).await?;
        for pause in pauses_between_reads() {
            if found == Found::Content(expected) {
                break;
            }
            tracing::warn!(name, place = %self.location, %found, "not the archive came back; reading it again");
            tokio::time::sleep(pause).await;
            found = self.anew().found(name, expected.bytes, |_| ()).await?;
        }
        Ok(found)
    }

    /// The same place over new connections, for whoever got from it what cannot be right.
    #[must_use]
    pub fn anew(&self) -> Self {
        let place = match &self.place {
            Place::Folder(folder) => Place::Folder(folder.clone()),
            Place::Bucket(bucket) => Place::Bucket(Box::new(self.bucket_anew(bucket))),
        };
        Self { location: self.location.clone(), place }
    }

    fn bucket_anew(&self, bucket: &Bucket) -> Bucket {
        let Location::S3(settings) = &self.location else { return bucket.clone() };
        bucket.anew(&settings.trust).unwrap_or_else(|problem| {
            tracing::warn!(error = %Chain::of(&problem), "no new connections; those of before serve on");
            bucket.clone()
        })
    }
}

/// Size and digest of a local file.
async fn content_of(path: &Path, name: &str) -> Result<Content, Error> {
    let file = File::open(path).await.context(UseLocalFileSnafu { name })?;
    Content::read(file).await.context(UseLocalFileSnafu { name })
}
