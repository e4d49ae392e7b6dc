use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drover::clock;
use drover::digest::{Content, Hasher};
use drover::encryption;
use drover::exit::{Exit, Failure, Fault};
use drover::lease::Onlooker;
use drover::progress::Progress;
use drover::resources::ResourceSet;
use drover::runs::{ALLOW_MISSING_TYPES, Allowed, check_sound};
use drover::storage::{FolderRefusal, Parcel, record_beside};
use snafu::{ResultExt, Snafu};
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::pipeline::{Counts, Made, Output, write_archive};
use crate::report::log_encryption;
use crate::selected::{MissingTypes, Selected};
use crate::turn;

/// How often the bar moves.
const PROGRESS_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

/// Why an archive was not written to a file.
#[derive(Debug, Snafu)]
pub(crate) enum Error {
    #[snafu(display("failed to read the file {path:?}"))]
    ReadFile { path: PathBuf, source: std::io::Error },
    #[snafu(display("failed to read a ResourceSet of resources.cattle.io/v1 in the file {path:?}"))]
    ParseResourceSet { path: PathBuf, source: Box<serde_saphyr::Error> },
    #[snafu(display("failed to find a ResourceSet in the file {path:?}: it holds a {kind:?} of {api_version:?}"))]
    OtherKind { path: PathBuf, kind: String, api_version: String },
    #[snafu(display("failed to write {path:?}: the file is there already; name another, or move it away"))]
    OutputExists { path: PathBuf },
    #[snafu(display("failed to write the file {path:?}"))]
    WriteFile { path: PathBuf, source: std::io::Error },
    #[snafu(display(
        "failed to record beside the archive {path:?} what proves who made it; the archive is whole, and a restore of it \
         says that nothing proves it"
    ))]
    RecordBeside { path: PathBuf, source: FolderRefusal },
    #[snafu(display("failed to finish the archive: the job was asked to end; no file was written"))]
    Interrupted,
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::WriteFile { .. } | Self::RecordBeside { .. } | Self::Interrupted => Exit::Failure,
            _ => Exit::Usage,
        }
    }
}

/// What is read and what is written.
pub(crate) struct Files {
    pub(crate) resource_set: PathBuf,
    pub(crate) output: PathBuf,
    pub(crate) encryption_config: Option<PathBuf>,
}

/// Writes the archive of a ResourceSet file to a file, whole or not at all.
pub(crate) async fn snapshot_to_file(
    restores: &Onlooker,
    files: Files,
    allow: Option<&str>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let Files { resource_set, output, encryption_config } = files;
    let set = read_resource_set(&resource_set)?;
    let configuration = encryption_config.as_deref().map(encryption::from_file).transpose()?;
    if output.exists() {
        return Err(Error::OutputExists { path: output }.into());
    }
    let before = turn::seen_by_a_person(restores).await?;
    let partial = create_partial(&output)?;
    let counts = Arc::new(Counts::default());
    let lister = drover::cluster::connect_without_retries().await?;
    let allowed = Allowed::by(allow);
    let how = "give --allow missing-types".to_owned();
    let missing = MissingTypes { are_allowed: allowed.has(ALLOW_MISSING_TYPES), how, account: None };
    let selected = Selected::of(&lister, &set, missing).await?;
    let writing = write_archive(lister, selected, configuration.clone(), clock::now(), partial, Arc::clone(&counts));
    let Made { whole: (file, content), encryption, contents, .. } = tokio::select! {
        written = writing => written?,
        () = show_progress(&counts) => return Err(Error::Interrupted.into()),
        () = shutdown.cancelled() => return Err(Error::Interrupted.into()),
    };
    let name = set.metadata.name.as_deref().unwrap_or_default();
    let lacks_types = contents.missing().next().is_some();
    check_sound(counts.objects(), None, lacks_types, name, allowed)?;
    if let Some(before) = before {
        turn::no_restore_since(restores, &before).await?;
    }
    keep(file, &output).context(WriteFileSnafu { path: &output })?;
    if let Some(mac) = configuration.and_then(|configuration| configuration.mac(content.sha256)) {
        let parcel = Parcel { content, objects: Some(counts.objects()), lacks_types, mac: Some(mac) };
        record_beside(&output, parcel).context(RecordBesideSnafu { path: &output })?;
    }
    log_encryption(&encryption);
    let Content { bytes, sha256 } = content;
    info!(objects = counts.objects(), bytes, sha256 = sha256.to_string(), "wrote {}", output.display());
    let missing: Vec<_> = contents.missing().map(|left_out| left_out.name.as_str()).collect();
    if !missing.is_empty() {
        warn!("the archive is no whole backup: it lacks what could not be read: {}", missing.join(", "));
    }
    Ok(())
}

fn read_resource_set(path: &Path) -> Result<ResourceSet, Error> {
    let text = std::fs::read_to_string(path).context(ReadFileSnafu { path })?;
    let kind: kube::core::TypeMeta =
        serde_saphyr::from_str(&text).map_err(Box::new).context(ParseResourceSetSnafu { path })?;
    if kind.kind != "ResourceSet" || kind.api_version != "resources.cattle.io/v1" {
        return OtherKindSnafu { path, kind: kind.kind, api_version: kind.api_version }.fail();
    }
    serde_saphyr::from_str(&text).map_err(Box::new).context(ParseResourceSetSnafu { path })
}

/// A file of the user's alone (mode 0600, since the archive holds Secrets) beside the one that it becomes. A killed
/// process leaves it behind under its dotted name, which nothing takes for an archive.
fn create_partial(output: &Path) -> Result<PartialFile, Error> {
    let file = tempfile::Builder::new()
        .prefix(".drover-")
        .suffix(".partial")
        .tempfile_in(folder_of(output))
        .context(WriteFileSnafu { path: output })?;
    Ok(PartialFile { file: BufWriter::new(file), hasher: Hasher::default() })
}

fn folder_of(output: &Path) -> &Path {
    output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn keep(file: NamedTempFile, output: &Path) -> std::io::Result<()> {
    file.as_file().sync_all()?;
    file.persist_noclobber(output).map_err(|error| error.error)?;
    File::open(folder_of(output))?.sync_all()
}

async fn show_progress(counts: &Counts) {
    let progress = Progress::new("objects read", None);
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    loop {
        ticks.tick().await;
        progress.set(counts.objects());
    }
}

/// A file whose digest is known when it is written.
struct PartialFile {
    file: BufWriter<NamedTempFile>,
    hasher: Hasher,
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Output for PartialFile {
    type Whole = (NamedTempFile, Content);

    fn finish(self) -> std::io::Result<Self::Whole> {
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        Ok((file, self.hasher.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ResourceSet, Error> {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        read_resource_set(file.path())
    }

    #[test]
    fn resource_set_is_read_from_yaml() {
        let set = read(
            "apiVersion: resources.cattle.io/v1\nkind: ResourceSet\nmetadata: {name: a}\nresourceSelectors:\n- apiVersion: v1\n",
        );
        assert_eq!(set.unwrap().spec.resource_selectors.len(), 1);
    }

    #[test]
    fn other_kinds_are_refused_by_name() {
        let error = read("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n").unwrap_err();
        assert!(error.to_string().contains("\"ConfigMap\""), "{error}");
    }
}
