//! Where archives lie: a folder of this machine, or a folder in a bucket of S3.
//!
//! ```text
//! StorageLocation, Secret ──▶ Location ──▶ Storage ──▶ store, open_archive, fetch_to, verify, list,
//!                             (checked)      │           label, mark_bad, remove, abort_forgotten
//!                                            ├── Folder     an unfinished file, read back, then renamed
//!                                            └── Bucket     one request or parts, then read back
//! ```
//!
//! An archive has its name at a place only when it is whole: an upload that is cut off leaves nothing that looks like a
//! backup. It counts as stored when its bytes were read back and matched; a copy that did not match and cannot be removed
//! is marked, and never read.

use std::collections::BTreeSet;
use std::future::ready;
use std::path::Path;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use snafu::{ResultExt, ensure};
use tokio::fs::File;

mod bucket;
mod default_bucket;
mod endpoint;
mod error;
mod folder;
mod http;
mod label;
mod listed;
mod location;
mod mark;
mod meter;
mod name;
mod opened;
mod options;
mod parts;
mod refusal;
mod removal;
mod tls;
mod tries;
mod upkeep;
mod verified;

pub use self::default_bucket::{CHARTS_SECRET, DefaultBucketError, credential_secret};
pub use self::endpoint::EndpointProblem;
pub use self::error::{BadCopy, Difference, Error, FolderRefusal, FolderRefusalKind, Found, OpenError, Reason};
pub use self::folder::beside::{mac_beside, record_beside};
pub use self::http::BuildProblem;
pub use self::label::{Label, Parcel};
pub use self::listed::Listed;
pub(crate) use self::location::names_bucket;
pub use self::location::{Credentials, Location, LocationError, S3Settings};
pub use self::meter::Progress;
pub(crate) use self::name::LONGEST_NAME;
pub use self::name::{FolderProblem, NameProblem};
pub use self::opened::Opened;
pub use self::options::{LocateError, StorageOptions};
pub use self::parts::UploadSizes;
pub use self::refusal::{Permission, Refusal, RefusalKind};
pub use self::removal::Removal;
pub use self::tls::{CertificateProblem, install_tls_provider};
pub use self::tries::{READS, pauses_between_reads};
pub use crate::nearest::Nearest;

use self::bucket::Bucket;
use self::error::{AnotherSnafu, FindSnafu, MarkedSnafu, StoreSnafu, UseNameSnafu};
use self::folder::Folder;
use self::meter::{Meter, reporting};
use self::name::{Companion, check_name};
use crate::digest::Content;
use crate::nearest::Search;

/// Among how many files or objects of a place the names nearest to a missing one are looked for.
const MOST_NAMES: usize = 10_000;

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

impl Verification {
    fn of(found: Found, expected: Content) -> Self {
        match found {
            Found::Nothing => Self::Missing,
            Found::Content(content) if content == expected => Self::Verified,
            found => Self::Differs(found),
        }
    }
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

    /// Stores the archive in the local `file` under `name`, reads it back, and records what is known of it beside it.
    ///
    /// Where the same bytes are there already, only what is missing beside them is written. Bytes that are no whole archive are
    /// replaced; another whole archive of that name is kept ([`Error::Another`]). Where other bytes come back, they are read again over a new connection, and where that
    /// does not help the archive is stored again. Dropping the future stops it; see [`Storage::settle`].
    ///
    /// # Errors
    /// When it could not be stored, or when other bytes came back each time ([`Error::Verify`], which says what became of
    /// the copy).
    pub async fn store(
        &self,
        name: &str,
        file: &Path,
        parcel: impl Into<Parcel> + Send,
        on_progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Stored, Error> {
        check_name(name).context(UseNameSnafu { name })?;
        let parcel = parcel.into();
        let before = self.found_before(name, parcel.content).await?;
        let already_there = before == Found::Content(parcel.content);
        if already_there {
            self.complete(name, parcel).await?;
        } else {
            self.keep_another(name, parcel.content, before).await?;
            let meter = Arc::new(Meter::default());
            // The futures of the SDK are large; callers would have to carry them in theirs.
            let writing = Box::pin(self.write(name, file, parcel, &meter));
            reporting(writing, &meter, on_progress).await?;
        }
        self.lift_mark(name).await?;
        Ok(Stored { location: self.path_of(name), bytes: parcel.content.bytes, already_there })
    }

    /// Makes up what a kill kept from being recorded. The metadata of an object comes with its bytes.
    async fn complete(&self, name: &str, parcel: Parcel) -> Result<(), Error> {
        let Place::Folder(folder) = &self.place else { return Ok(()) };
        let written = folder.write_label(name, parcel).await;
        written.with_context(|_| StoreSnafu { name, place: self.location.to_string() })
    }

    /// What lies under a name before an archive is stored. A place that does not let drover look says so again when it is
    /// read back, but it says "denied" also for an object that is not there, to those who may not list.
    async fn found_before(&self, name: &str, content: Content) -> Result<Found, Error> {
        let to_store = |error| match error {
            // To the caller it is the storing that failed.
            Error::Read { name, place, source } => Error::Store { name, place, source },
            error => error,
        };
        match self.found(name, content.bytes, |_| ()).await {
            Err(error) if error.is_denied() => Ok(Found::Nothing),
            found => found.map_err(to_store),
        }
    }

    /// Refuses to write over another archive that is whole: the bytes under its name are those that are recorded beside it.
    /// A second cluster that writes to the same place, such as one of a copy of etcd, may give its archive the same name.
    async fn keep_another(&self, name: &str, content: Content, before: Found) -> Result<(), Error> {
        if before == Found::Nothing {
            return Ok(());
        }
        let Some(Label { bytes, sha256: Some(sha256), is_bad: false, .. }) = self.label(name).await? else {
            return Ok(());
        };
        let recorded = Content { bytes, sha256 };
        let is_another = recorded != content && self.found(name, bytes, |_| ()).await? == Found::Content(recorded);
        ensure!(!is_another, AnotherSnafu { name, place: self.location.to_string(), recorded });
        Ok(())
    }

    /// Opens an archive for reading.
    ///
    /// # Errors
    /// When there is none ([`Error::is_missing`]), it is marked as a bad copy ([`Error::Marked`]) or the place refuses.
    pub async fn open_archive(&self, name: &str) -> Result<Opened, Error> {
        let opened = match self.open_any(name).await {
            Err(Error::Read { source, .. }) if source.is_missing() => {
                let nearest = self.nearest(name).await;
                return Err(source).context(FindSnafu { name, place: self.location.to_string(), nearest });
            }
            opened => opened?,
        };
        if self.is_marked(name).await? {
            let mark = Companion::Mark.beside(name);
            return MarkedSnafu { name, place: self.location.to_string(), mark }.fail();
        }
        Ok(opened)
    }

    /// The archives whose names are nearest to one that is not there; none where the place does not let drover list.
    async fn nearest(&self, name: &str) -> Nearest {
        let mut search = Search::for_name(name);
        let mut entries = self.entries().take(MOST_NAMES);
        while let Ok(Some(entry)) = entries.try_next().await {
            if check_name(&entry.name).is_ok() {
                search.see(entry.name);
            }
        }
        search.end()
    }

    /// Opens an archive, marked or not.
    async fn open_any(&self, name: &str) -> Result<Opened, Error> {
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

    /// Reads an archive and compares it with what it should be, also one that is marked.
    ///
    /// # Errors
    /// When the place refuses; an archive that is missing or differs is no error.
    pub async fn verify(&self, name: &str, expected: Content) -> Result<Verification, Error> {
        Ok(Verification::of(self.found(name, expected.bytes, |_| ()).await?, expected))
    }

    /// Reads an archive that another try may have stored, as often as after storing it, compares it with what it should be,
    /// and makes up what a kill kept that one from writing beside it. A place that says "denied" is taken to have none, as it does to those who may not
    /// list.
    ///
    /// # Errors
    /// When the place refuses; an archive that is missing or differs is no error.
    pub async fn confirm(&self, name: &str, parcel: impl Into<Parcel> + Send) -> Result<Verification, Error> {
        let parcel = parcel.into();
        let verification = match self.found_again(name, parcel.content, |_| ()).await {
            Err(error) if error.is_denied() => Verification::Missing,
            found => Verification::of(found?, parcel.content),
        };
        if verification == Verification::Verified {
            self.complete(name, parcel).await?;
            self.lift_mark(name).await?;
        }
        Ok(verification)
    }

    /// What lies under a name; it is not read where its size tells enough.
    async fn found(&self, name: &str, expected_bytes: u64, on_read: impl Fn(u64)) -> Result<Found, Error> {
        let opened = match self.open_any(name).await {
            Err(error) if error.is_missing() => return Ok(Found::Nothing),
            opened => opened?,
        };
        if opened.size() != expected_bytes {
            return Ok(Found::OtherSize(opened.size()));
        }
        opened.content(on_read).await.map(Found::Content)
    }

    /// The archives of exactly this folder, in no order that could be relied on, a page at a time. What lies beside them
    /// is left out.
    ///
    /// The stream gives an error when the place refuses, and ends.
    #[must_use]
    pub fn list(&self) -> BoxStream<'static, Result<Listed, Error>> {
        let storage = self.clone();
        // Marks are looked for first, in a listing of their own: they are few, and a mark may come pages behind its
        // archive. Together they would have to be held.
        let archives = async move {
            let marks = storage.entries().try_filter(|entry| ready(Companion::Mark.is(&entry.name) && entry.bytes > 0));
            let marks: BTreeSet<String> = marks.map_ok(|entry| entry.name).try_collect().await?;
            let archives = storage.entries().try_filter(|entry| ready(check_name(&entry.name).is_ok()));
            Ok(archives.map_ok(move |entry| Listed { is_bad: is_marked(&marks, &entry.name), ..entry }))
        };
        stream::once(archives).try_flatten().boxed()
    }

    /// Archives and what lies beside them.
    fn entries(&self) -> BoxStream<'static, Result<Listed, Error>> {
        match &self.place {
            Place::Folder(folder) => folder.entries(),
            Place::Bucket(bucket) => bucket.entries(),
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

fn is_marked(marks: &BTreeSet<String>, name: &str) -> bool {
    !marks.is_empty() && marks.contains(&Companion::Mark.beside(name))
}
