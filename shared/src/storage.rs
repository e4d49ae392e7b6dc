//! Where archives lie: a folder of this machine, or a folder in a bucket of S3.
//!
//! ```text
//! StorageLocation, Secret ──▶ Location ──▶ Storage ──▶ store, open_archive, fetch_to, verify, list
//!                             (checked)      ├── Folder     an unfinished file, read back, then renamed
//!                                            └── Bucket     one request or parts, then read back
//! ```
//!
//! An archive has its name at a place only when it is whole: an upload that is cut off leaves nothing that looks like a
//! backup. It counts as stored when its bytes were read back and matched.

use std::path::Path;
use std::sync::Arc;

use futures::stream::BoxStream;
use jiff::Timestamp;
use snafu::ResultExt;
use tokio::fs::File;

mod bucket;
mod default_bucket;
mod endpoint;
mod error;
mod folder;
mod http;
mod location;
mod meter;
mod name;
mod opened;
mod options;
mod parts;
mod refusal;
mod tls;

pub use self::default_bucket::DefaultBucketError;
pub use self::endpoint::EndpointProblem;
pub use self::error::{Content, Difference, Error, FolderRefusal, FolderRefusalKind, Found, OpenError, Reason};
pub use self::http::BuildProblem;
pub use self::location::{Credentials, Location, LocationError, S3Settings};
pub use self::meter::Progress;
pub use self::name::{FolderProblem, NameProblem};
pub use self::opened::Opened;
pub use self::options::{LocateError, StorageOptions};
pub use self::parts::UploadSizes;
pub use self::refusal::{Permission, Refusal, RefusalKind};
pub use self::tls::{CertificateProblem, install_tls_provider};

use self::bucket::Bucket;
use self::error::{UseNameSnafu, VerifySnafu};
use self::folder::Folder;
use self::meter::{Meter, reporting};
use self::name::check_name;

/// The folder of the default location: where the Rancher backup operator mounts its volume.
pub const DEFAULT_FOLDER: &str = "/var/lib/backups";

/// A place for archives, open for work.
#[derive(Clone, Debug)]
pub struct Storage {
    location: Location,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(Folder),
    Bucket(Box<Bucket>),
}

/// An archive that was stored and verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// Where it is, for people: `s3://bucket/folder/name` or a path.
    pub location: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// It was there already, so nothing was written.
    pub already_there: bool,
}

/// Whether an archive is at a place as it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verification {
    /// Its bytes were read and match.
    Verified,
    /// There is no archive of that name.
    Missing,
    /// There is another one.
    Differs(Found),
}

/// An archive in a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// Its name, without the folder.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was written, where the place tells.
    pub modified: Option<Timestamp>,
}

impl Storage {
    /// Opens a place. A folder is not touched yet; of a bucket without a region the service is asked which it is.
    ///
    /// # Errors
    /// When no connection can be prepared, there are no credentials, or the service is away.
    pub async fn open(location: Location) -> Result<Self, OpenError> {
        Self::open_with(location, UploadSizes::default()).await
    }

    /// Opens a place with other sizes of parts than usual.
    ///
    /// # Errors
    /// As [`Storage::open`].
    pub async fn open_with(location: Location, sizes: UploadSizes) -> Result<Self, OpenError> {
        let place = match &location {
            Location::Folder(path) => Place::Folder(Folder::new(path.clone())),
            Location::S3(settings) => Place::Bucket(Box::new(Bucket::open(settings, sizes).await?)),
        };
        Ok(Self { location, place })
    }

    /// The place that this is.
    #[must_use]
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// Stores the archive in the local `file` under `name`, and reads it back.
    ///
    /// Where the same bytes are there already, nothing is written; other bytes are replaced, as a name belongs to one
    /// run. Dropping the future stops it; see [`Storage::settle`].
    ///
    /// # Errors
    /// When it could not be stored, or when other bytes came back ([`Error::Verify`]); then nothing lies under the name,
    /// unless the error says so.
    pub async fn store(
        &self,
        name: &str,
        file: &Path,
        content: Content,
        on_progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Stored, Error> {
        check_name(name).context(UseNameSnafu { name })?;
        let already_there = self.holds(name, content).await?;
        if !already_there {
            let meter = Arc::new(Meter::default());
            // The futures of the SDK are large; callers would have to carry them in theirs.
            let writing = Box::pin(self.write(name, file, content, &meter));
            reporting(writing, &meter, on_progress).await?;
        }
        Ok(Stored { location: self.path_of(name), bytes: content.bytes, already_there })
    }

    /// Whether the archive is there already. A place that does not let drover look says so again when it is read back,
    /// but it says "denied" also for an object that is not there, to those who may not list.
    async fn holds(&self, name: &str, content: Content) -> Result<bool, Error> {
        match self.found(name, content.bytes, |_| ()).await {
            Ok(found) => Ok(found == Found::Content(content)),
            Err(error) if error.is_denied() => Ok(false),
            // To the caller it is the storing that failed.
            Err(Error::Read { name, place, source }) => Err(Error::Store { name, place, source }),
            Err(error) => Err(error),
        }
    }

    async fn write(&self, name: &str, file: &Path, content: Content, meter: &Arc<Meter>) -> Result<(), Error> {
        let bucket = match &self.place {
            Place::Folder(folder) => return folder.store(name, file, content, meter.clone()).await,
            Place::Bucket(bucket) => bucket,
        };
        bucket.put(name, file, content, meter).await?;
        let found = self.found(name, content.bytes, |bytes| meter.read_back(bytes)).await?;
        if found == Found::Content(content) {
            return Ok(());
        }
        let removed = match bucket.delete(name).await {
            Ok(()) => true,
            Err(refusal) => {
                tracing::error!(name, %refusal, "failed to remove an archive that is not what was stored");
                false
            }
        };
        let difference = Difference { expected: content, found, removed };
        VerifySnafu { name, place: self.location.to_string(), difference }.fail()
    }

    /// Opens an archive for reading.
    ///
    /// # Errors
    /// When there is none ([`Error::is_missing`]) or the place refuses.
    pub async fn open_archive(&self, name: &str) -> Result<Opened, Error> {
        check_name(name).context(UseNameSnafu { name })?;
        match &self.place {
            Place::Folder(folder) => folder.open(name).await,
            Place::Bucket(bucket) => bucket.open_archive(name).await,
        }
    }

    /// Copies an archive into `file`, from where the file stands, and rewinds it; tells size and digest of what came.
    ///
    /// # Errors
    /// When the archive cannot be read to its end or the file not be written; then the file holds a part of it.
    pub async fn fetch_to(&self, name: &str, file: &mut File) -> Result<Content, Error> {
        self.open_archive(name).await?.copy_to(name, file).await
    }

    /// Reads an archive and compares it with what it should be.
    ///
    /// # Errors
    /// When the place refuses; an archive that is missing or differs is no error.
    pub async fn verify(&self, name: &str, expected: Content) -> Result<Verification, Error> {
        Ok(match self.found(name, expected.bytes, |_| ()).await? {
            Found::Nothing => Verification::Missing,
            Found::Content(content) if content == expected => Verification::Verified,
            found => Verification::Differs(found),
        })
    }

    /// What lies under a name; it is not read where its size tells enough.
    async fn found(&self, name: &str, expected_bytes: u64, on_read: impl Fn(u64)) -> Result<Found, Error> {
        let opened = match self.open_archive(name).await {
            Err(error) if error.is_missing() => return Ok(Found::Nothing),
            opened => opened?,
        };
        if opened.size() != expected_bytes {
            return Ok(Found::OtherSize(opened.size()));
        }
        opened.content(on_read).await.map(Found::Content)
    }

    /// The archives of exactly this folder, in no order that could be relied on, a page at a time.
    ///
    /// The stream gives an error when the place refuses, and ends.
    #[must_use]
    pub fn list(&self) -> BoxStream<'static, Result<Listed, Error>> {
        match &self.place {
            Place::Folder(folder) => folder.list(),
            Place::Bucket(bucket) => bucket.list(),
        }
    }

    /// Waits until what dropped uploads left is removed; to be called before a process that dropped one ends.
    ///
    /// What is not removed then is removed by the next upload of the same name.
    pub async fn settle(&self) {
        if let Place::Bucket(bucket) = &self.place {
            bucket.settle().await;
        }
    }

    /// Where an archive of this name lies, for people: `s3://bucket/folder/name` or a path.
    #[must_use]
    pub fn path_of(&self, name: &str) -> String {
        match &self.location {
            Location::Folder(path) => path.join(name).display().to_string(),
            Location::S3(settings) => format!("{settings}{name}"),
        }
    }
}
