use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// An archive on its way: a file without a name, so that whatever kills the job leaves nothing behind.
pub(crate) struct SpoolFile {
    file: tokio::fs::File,
    path: PathBuf,
}

impl SpoolFile {
    /// A new file in that folder's file system.
    pub(crate) fn create(folder: &Path) -> std::io::Result<Self> {
        let file: File = tempfile::tempfile_in(folder)?;
        // What opens a file by its path gets this one, with a position of its own.
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Ok(Self { file: file.into(), path })
    }

    pub(crate) fn writer(&mut self) -> &mut tokio::fs::File {
        &mut self.file
    }

    /// The path, valid as long as this lives.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn file_is_read_by_its_path_and_leaves_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = SpoolFile::create(folder.path()).unwrap();
        spool.writer().write_all(b"archive").await.unwrap();
        spool.writer().flush().await.unwrap();
        assert_eq!(tokio::fs::read(spool.path()).await.unwrap(), b"archive");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
