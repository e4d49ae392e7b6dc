//! Copies in files: of a cluster without drover, which no job would look for.

use std::path::{Path, PathBuf};

use snafu::ResultExt;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;
use tracing::{info, warn};

use super::{FileSnafu, KeepError, Original};

/// How the names of the files begin and end.
const NAMES: (&str, &str) = ("drover-copy-", ".json");

/// Writes a copy that `kubectl create` takes, and names it in the log: whoever is killed can name nothing any more.
pub(super) async fn write(folder: &Path, id: &str, original: &Original) -> Result<PathBuf, KeepError> {
    let path = folder.join(format!("{}{id}{}", NAMES.0, NAMES.1));
    if let Err(error) = fill(&path, &original.body).await {
        drop(tokio::fs::remove_file(&path).await);
        return Err(error).context(FileSnafu { path });
    }
    info!("{path:?} holds {:?} until that is created again", original.path);
    Ok(path)
}

/// It may be a Secret: only its owner may read it.
async fn fill(path: &Path, body: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).await?;
    file.write_all(body).await?;
    file.flush().await?;
    file.sync_all().await
}

/// Names what a restore left that was killed. It may have been one of another cluster, so nothing is done with it.
pub(super) async fn warn_of_left(folder: &Path) {
    let Ok(mut files) = tokio::fs::read_dir(folder).await else { return };
    while let Ok(Some(file)) = files.next_entry().await {
        let (name, path) = (file.file_name(), file.path());
        let name = name.to_string_lossy();
        if name.starts_with(NAMES.0) && name.ends_with(NAMES.1) {
            warn!(
                "{path:?} was left by a restore that was cut off: it holds an object that was to be deleted and created \
                 again. `kubectl create --filename {path:?}` puts it back where it is missing; delete the file where it \
                 is not"
            );
        }
    }
}
