//! Copies of what is deleted to be created again: whoever is killed in between, and whose creation the server then refuses,
//! has lost nothing.
//!
//! Where drover is in the cluster they lie in Secrets of its namespace, and whoever restores next finds them there; else in
//! files, which the log names. A copy is written before anything is taken from its object, and goes once that is there.

mod back;
mod files;
mod left;
mod original;
mod secrets;

use std::fmt;
use std::path::{Path, PathBuf};

use drover::exit::Chain;
use tracing::warn;
use uuid::Uuid;

pub(crate) use self::back::{Standing, put_back};
pub(crate) use self::left::{When, are_left, put_back_left};
use self::original::{FileSnafu, PackSnafu, SecretSnafu};
pub(crate) use self::original::{KeepError, Original};
use self::secrets::Pieces;
use crate::api::request::Server;

/// Where copies are kept.
#[derive(Debug)]
pub(crate) enum Copies {
    /// In Secrets of this namespace, which is drover's.
    Secrets {
        /// Its name.
        namespace: String,
    },
    /// In files of this folder: of a cluster without drover.
    Files {
        /// Its path.
        folder: PathBuf,
    },
}

/// A copy that was written.
#[derive(Debug)]
pub(crate) enum KeptCopy {
    /// In Secrets.
    Secrets(Pieces),
    /// In this file.
    File(PathBuf),
}

impl Copies {
    /// In files beside an archive, or in the current folder where that is read from standard input. Names those that an
    /// earlier restore left there.
    pub(crate) async fn beside(archive: &Path) -> Self {
        let folder = archive.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        files::warn_of_left(folder).await;
        Self::Files { folder: folder.to_owned() }
    }

    /// Writes a copy.
    ///
    /// # Errors
    ///
    /// Where there is none, or only a part of one.
    pub(crate) async fn keep(&self, server: &Server, original: &Original) -> Result<KeptCopy, KeepError> {
        let id = Uuid::now_v7().simple().to_string();
        match self {
            Self::Secrets { namespace } => Pieces::write(server, namespace, id, original).await.map(KeptCopy::Secrets),
            Self::Files { folder } => files::write(folder, &id, original).await.map(KeptCopy::File),
        }
    }
}

impl KeptCopy {
    /// Notes that its object is still being deleted. Where that cannot be noted the old object may come back first.
    pub(crate) async fn note_leaving(&self, server: &Server) {
        if let Self::Secrets(pieces) = self
            && let Err(error) = pieces.note_leaving(server).await
        {
            warn!("failed to note on {self} that its object is still being deleted: {error}");
        }
    }

    /// Removes it, for its object is there. A Secret that stays all the same is removed by the next restore.
    pub(crate) async fn remove(self, server: &Server) {
        let removed = match &self {
            Self::Secrets(pieces) => pieces.delete(server).await.map_err(|error| Chain(&error).to_string()),
            Self::File(path) => tokio::fs::remove_file(path).await.map_err(|error| error.to_string()),
        };
        if let Err(error) = removed {
            warn!("failed to remove {self}, which is of no use any more: {error}");
        }
    }
}

impl fmt::Display for KeptCopy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secrets(pieces) => write!(formatter, "{pieces}"),
            Self::File(path) => write!(formatter, "the file \"{}\"", path.display()),
        }
    }
}
