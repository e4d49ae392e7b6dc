//! An archive that is being read.

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use snafu::ResultExt;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::StreamReader;

use super::error::{Error, UseLocalFileSnafu};
use crate::digest::{Content, Hasher};

/// An archive that is open for reading: it gives exactly its size, or an error.
pub struct Opened {
    pub(super) size: u64,
    pub(super) body: BoxStream<'static, Result<Bytes, Error>>,
}

impl Opened {
    /// Its size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// A reader of its bytes; the I/O errors that it gives hold an [`Error`].
    pub fn into_reader(self) -> impl AsyncRead + Send + Unpin {
        StreamReader::new(self.body.map_err(std::io::Error::other))
    }

    /// Reads all of it, telling the size of each chunk.
    pub(super) async fn content(mut self, on_read: impl Fn(u64)) -> Result<Content, Error> {
        let mut hasher = Hasher::default();
        while let Some(chunk) = self.body.next().await.transpose()? {
            hasher.update(&chunk);
            on_read(chunk.len() as u64);
        }
        Ok(hasher.finish())
    }

    /// Writes all of it into `file`, from where the file stands.
    pub(super) async fn copy_to(mut self, name: &str, file: &mut File) -> Result<Content, Error> {
        let mut hasher = Hasher::default();
        while let Some(chunk) = self.body.next().await.transpose()? {
            hasher.update(&chunk);
            file.write_all(&chunk).await.context(UseLocalFileSnafu { name })?;
        }
        file.flush().await.context(UseLocalFileSnafu { name })?;
        file.rewind().await.context(UseLocalFileSnafu { name })?;
        Ok(hasher.finish())
    }
}
