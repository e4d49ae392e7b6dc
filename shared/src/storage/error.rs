//! What can go wrong with a place, and how a job ends then.

use std::fmt;
use std::io;
use std::path::Path;

use aws_credential_types::provider::error::CredentialsError;
use rustix::io::Errno;
use snafu::Snafu;

use super::http::BuildProblem;
use super::name::NameProblem;
use super::refusal::{Refusal, RefusalKind};
use crate::digest::Content;
use crate::exit::{Exit, Fault};
use crate::nearest::Nearest;

/// Why a place could not be opened.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum OpenError {
    #[snafu(display("failed to prepare the connection to {place}"))]
    Build { place: String, source: BuildProblem },
    #[snafu(display(
        "failed to find credentials for {place}: name a Secret in `credentialSecretName`, or give the pod an IAM role; on the \
         command line set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    ))]
    FindCredentials { place: String, source: CredentialsError },
    #[snafu(display(
        "failed to get the pod's own credentials for {place}; check its IAM role, or name a Secret in \
         `credentialSecretName`; on the command line set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or leave the \
         metadata service of the machine out (AWS_EC2_METADATA_DISABLED=true)"
    ))]
    GetCredentials { place: String, source: CredentialsError },
    #[snafu(display("failed to reach {place}"))]
    Reach { place: String, source: Reason },
}

impl Fault for OpenError {
    fn exit(&self) -> Exit {
        match self {
            Self::Build { .. } | Self::FindCredentials { .. } => Exit::Usage,
            Self::GetCredentials { .. } => Exit::Unavailable,
            Self::Reach { source, .. } => source.exit(),
        }
    }
}

/// Why something could not be done at a place.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display("failed to use {name:?} as the name of an archive"))]
    UseName { name: String, source: NameProblem },
    /// The local file that is to be stored, or into which an archive is fetched, failed.
    #[snafu(display("failed to use the local file of the archive {name:?}"))]
    UseLocalFile { name: String, source: io::Error },
    #[snafu(display("failed to store {name:?} at {place}"))]
    Store { name: String, place: String, source: Reason },
    #[snafu(display(
        "failed to store {name:?} at {place}: another whole archive of that name lies there, {recorded}, and is kept; where \
         another cluster writes there, give each a folder of its own"
    ))]
    Another { name: String, place: String, recorded: Content },
    #[snafu(display("failed to find {name:?} at {place}{nearest}"))]
    Find { name: String, place: String, nearest: Nearest, source: Reason },
    #[snafu(display("failed to read {name:?} at {place}"))]
    Read { name: String, place: String, source: Reason },
    #[snafu(display("failed to list the archives at {place}"))]
    List { place: String, source: Reason },
    #[snafu(display(
        "failed to read {name:?} at {place}: it is marked as a bad copy, see {mark:?} there; use another archive or store \
         this one anew"
    ))]
    Marked { name: String, place: String, mark: String },
    #[snafu(display("failed to remove {name:?} at {place}"))]
    Remove { name: String, place: String, source: Reason },
    /// An archive could not be marked as a bad copy, or its mark not be lifted.
    #[snafu(display("failed to change the mark of a bad copy beside {name:?} at {place}"))]
    Mark { name: String, place: String, source: Reason },
    #[snafu(display("failed to remove what forgotten uploads left at {place}"))]
    Tidy { place: String, source: Reason },
    #[snafu(display("failed to verify {name:?} at {place}: {difference}"))]
    Verify { name: String, place: String, difference: Box<Difference> },
}

/// What came back instead of what was stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Difference {
    /// What was stored.
    pub expected: Content,
    /// What was read, or nothing.
    pub found: Found,
    /// What became of the bad copy.
    pub copy: BadCopy,
}

/// What became of a copy that is not what was stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadCopy {
    /// None is to be seen.
    Unseen,
    /// It was removed: it had no name yet, or what was sent was not the archive.
    Removed,
    /// It is marked: it is never read or restored before a good one is stored, or it turns out to be good.
    Marked,
    /// It could not be marked.
    Left,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, found, copy } = self;
        let copy = match copy {
            BadCopy::Unseen => "is not to be seen there",
            BadCopy::Removed => "was removed",
            BadCopy::Marked => "is marked as bad",
            BadCopy::Left => "could not be marked as bad",
        };
        write!(formatter, "{found} came back instead of {expected}; it {copy} and has to be stored anew")
    }
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::UseName { .. } => Exit::Usage,
            Self::UseLocalFile { .. } => Exit::Failure,
            Self::Store { source, .. }
            | Self::Read { source, .. }
            | Self::Find { source, .. }
            | Self::List { source, .. }
            | Self::Remove { source, .. }
            | Self::Mark { source, .. }
            | Self::Tidy { source, .. } => source.exit(),
            Self::Verify { .. } | Self::Marked { .. } | Self::Another { .. } => Exit::DataRefused,
        }
    }
}

impl Error {
    /// Whether it says that there is no archive of this name.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Read { source, .. } | Self::Find { source, .. } if source.is_missing())
    }

    /// Whether a service says that the credentials may not read this.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Self::Read { source: Reason::Service { source }, .. }
            if matches!(source.kind(), RefusalKind::Denied(_)))
    }
}

/// What lies at a place under the name of an archive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// Something of another size, which was not read.
    OtherSize(u64),
    /// This.
    Content(Content),
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => formatter.write_str("nothing"),
            Self::OtherSize(bytes) => write!(formatter, "{bytes} bytes"),
            Self::Content(content) => content.fmt(formatter),
        }
    }
}

/// Why a place did not do what was asked.
#[derive(Clone, Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Reason {
    #[snafu(transparent)]
    Service { source: Refusal },
    #[snafu(transparent)]
    Folder { source: FolderRefusal },
}

impl Reason {
    fn exit(&self) -> Exit {
        match self {
            Self::Service { source } => source.exit(),
            Self::Folder { source } => source.exit(),
        }
    }

    pub(super) fn is_missing(&self) -> bool {
        match self {
            Self::Service { source } => *source.kind() == RefusalKind::NoObject,
            Self::Folder { source } => source.kind == FolderRefusalKind::NoFile,
        }
    }
}

/// The kinds of failure of a folder that have an advice of their own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FolderRefusalKind {
    /// The folder does not exist.
    NoFolder,
    /// The path is no folder.
    NotFolder,
    /// The archive does not exist.
    NoFile,
    /// The archive is a link, a pipe or the like.
    NotFile,
    /// This user may not.
    Denied,
    /// The volume is mounted read-only.
    ReadOnly,
    /// The volume or the quota is full.
    Full,
    /// The disk or the server behind the volume fails.
    Away,
    /// Anything else.
    Other,
}

/// Why a folder did not do what was asked.
#[derive(Clone, Debug)]
pub struct FolderRefusal {
    kind: FolderRefusalKind,
    detail: String,
}

impl std::error::Error for FolderRefusal {}

impl fmt::Display for FolderRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind.advice(), self.detail)
    }
}

impl FolderRefusalKind {
    const fn advice(self) -> &'static str {
        match self {
            Self::NoFolder => {
                "the folder does not exist; mount the volume there, or create the folder if it is meant to be on this disk"
            }
            Self::NotFolder => "it is no folder",
            Self::NoFile => "there is no such archive; check its name",
            Self::NotFile => "it is a link or no regular file; put the archive itself there",
            Self::Denied => "this user may not do that; check owner and mode of the folder (`fsGroup` of the pod)",
            Self::ReadOnly => "the volume is mounted read-only",
            Self::Full => "the volume has no room left; free some or enlarge it",
            Self::Away => "the disk or the server behind the volume fails",
            Self::Other => "the file system refused",
        }
    }

    const fn exit(self) -> Exit {
        match self {
            Self::Full | Self::Away => Exit::Unavailable,
            Self::Other => Exit::Failure,
            _ => Exit::Usage,
        }
    }

    fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::NOENT) => Self::NoFile,
            Some(Errno::NOTDIR) => Self::NotFolder,
            Some(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => Self::NotFile,
            Some(Errno::ACCESS | Errno::PERM) => Self::Denied,
            Some(Errno::ROFS) => Self::ReadOnly,
            Some(Errno::NOSPC | Errno::DQUOT) => Self::Full,
            Some(Errno::IO | Errno::STALE | Errno::TIMEDOUT | Errno::HOSTDOWN | Errno::NOTCONN) => Self::Away,
            _ => Self::Other,
        }
    }
}

impl FolderRefusal {
    const fn exit(&self) -> Exit {
        self.kind.exit()
    }

    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> FolderRefusalKind {
        self.kind
    }

    /// An operation on a file in an existing folder failed.
    pub(super) fn of_file(error: &io::Error) -> Self {
        Self { kind: FolderRefusalKind::of(error), detail: error.to_string() }
    }

    /// An operation on the folder itself failed.
    pub(super) fn of_folder(folder: &Path, error: &io::Error) -> Self {
        let kind = match FolderRefusalKind::of(error) {
            FolderRefusalKind::NoFile => FolderRefusalKind::NoFolder,
            kind => kind,
        };
        Self { kind, detail: format!("\"{}\": {error}", folder.display()) }
    }

    /// There is less room than is needed, both in bytes.
    pub(super) fn full(needed: u64, free: u64) -> Self {
        Self { kind: FolderRefusalKind::Full, detail: format!("{needed} bytes are needed, {free} are free") }
    }

    /// What has the archive's name is no regular file.
    pub(super) fn not_a_file(path: &Path) -> Self {
        Self { kind: FolderRefusalKind::NotFile, detail: format!("\"{}\"", path.display()) }
    }

    /// The archive ended before its size.
    pub(super) fn cut_off(got: u64, expected: u64) -> Self {
        Self { kind: FolderRefusalKind::Away, detail: format!("the file ended after {got} of {expected} bytes") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(errno: Errno, kind: FolderRefusalKind, exit: Exit) {
        let refusal = FolderRefusal::of_file(&errno.into());
        assert_eq!((refusal.kind(), refusal.exit()), (kind, exit), "{errno:?}");
    }

    #[test]
    fn failures_of_a_folder_are_told_apart() {
        check(Errno::NOENT, FolderRefusalKind::NoFile, Exit::Usage);
        check(Errno::ACCESS, FolderRefusalKind::Denied, Exit::Usage);
        check(Errno::ROFS, FolderRefusalKind::ReadOnly, Exit::Usage);
        check(Errno::LOOP, FolderRefusalKind::NotFile, Exit::Usage);
        check(Errno::NOSPC, FolderRefusalKind::Full, Exit::Unavailable);
        check(Errno::DQUOT, FolderRefusalKind::Full, Exit::Unavailable);
        check(Errno::STALE, FolderRefusalKind::Away, Exit::Unavailable);
        check(Errno::MFILE, FolderRefusalKind::Other, Exit::Failure);
    }
}
