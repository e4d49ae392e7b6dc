use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use drover::annotations::{PIECES_ANNOTATION, REPORT_ANNOTATION};
use drover::cluster::ApiError;
use drover::labels::{self, RESTORE_LABEL};
use drover::resources::Restore;
use drover::task;
use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use snafu::ResultExt;
use tokio::io::AsyncReadExt;
use uuid::Uuid;

use super::{AbortedSnafu, KEY, ListPiecesSnafu, PIECE, PackSnafu, ReportError, WritePieceSnafu, piece_name};
use crate::job::name::JOB;
use crate::report::results::{self, Note, Source};
use crate::restoration::Finished;

/// Stores the results of a try, in place of those of an earlier one. They are packed in a temporary file in `folder`.
///
/// # Errors
///
/// When they cannot be packed or written.
pub(crate) async fn store(
    client: &Client,
    namespace: &str,
    restore: &Restore,
    finished: &Arc<Finished>,
    folder: &Path,
) -> Result<(), ReportError> {
    let (finished, folder) = (Arc::clone(finished), folder.to_owned());
    let packing = task::spawn_blocking(move || pack(&finished, &folder));
    let (file, bytes) = packing.await.context(AbortedSnafu)?.context(PackSnafu)?;
    let pieces = usize::try_from(bytes).unwrap_or(usize::MAX).div_ceil(PIECE);
    let (mut file, report) = (tokio::fs::File::from_std(file), Uuid::now_v7());
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    for index in 0..pieces {
        let mut piece = Vec::new();
        (&mut file).take(PIECE as u64).read_to_end(&mut piece).await.context(PackSnafu)?;
        let map = config_map(restore, index, pieces, report, piece);
        let name = map.name_any();
        let written = maps.patch(&name, &PatchParams::apply(JOB).force(), &Patch::Apply(&map)).await;
        written.map_err(ApiError::from).context(WritePieceSnafu { name, namespace })?;
    }
    delete_others(&maps, namespace, restore, pieces).await
}

/// The report in a file that is read from its beginning, and the file's size in bytes. Blocking.
fn pack(finished: &Finished, folder: &Path) -> io::Result<(File, u64)> {
    let file = BufWriter::new(tempfile::tempfile_in(folder)?);
    let mut packed = GzEncoder::new(file, Compression::default());
    for note in finished.said() {
        serde_json::to_writer(&mut packed, &Note { note: note.into() })?;
        packed.write_all(b"\n")?;
    }
    finished.each(&mut |told| {
        results::line(&mut packed, told)?;
        packed.write_all(b"\n")
    })?;
    let mut file = packed.finish()?.into_inner()?;
    let bytes = file.stream_position()?;
    file.rewind()?;
    Ok((file, bytes))
}

fn config_map(restore: &Restore, index: usize, pieces: usize, report: Uuid, piece: Vec<u8>) -> ConfigMap {
    let uid = restore.uid().unwrap_or_default();
    let annotations = [(REPORT_ANNOTATION, report.to_string()), (PIECES_ANNOTATION, pieces.to_string())];
    let owner = OwnerReference {
        api_version: Restore::api_version(&()).into_owned(),
        kind: Restore::kind(&()).into_owned(),
        name: restore.name_any(),
        uid: uid.clone(),
        ..OwnerReference::default()
    };
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(piece_name(&uid, index)),
            labels: Some(labels::ours(RESTORE_LABEL, &uid)),
            annotations: Some(annotations.map(|(name, value)| (name.to_owned(), value)).into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        binary_data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(piece))])),
        ..ConfigMap::default()
    }
}

/// Deletes the pieces of an earlier try that had more of them.
async fn delete_others(
    maps: &Api<ConfigMap>,
    namespace: &str,
    restore: &Restore,
    pieces: usize,
) -> Result<(), ReportError> {
    let uid = restore.uid().unwrap_or_default();
    let parameters = ListParams::default().labels(&format!("{RESTORE_LABEL}={uid}"));
    let listed =
        maps.list_metadata(&parameters).await.map_err(ApiError::from).context(ListPiecesSnafu { namespace })?;
    let current: Vec<String> = (0..pieces).map(|index| piece_name(&uid, index)).collect();
    for name in listed.items.iter().map(ResourceExt::name_any).filter(|name| !current.contains(name)) {
        match maps.delete(&name, &DeleteParams::default()).await.map_err(ApiError::from) {
            Err(error) if error.code() == Some(404) => {}
            other => drop(other.context(WritePieceSnafu { name, namespace })?),
        }
    }
    Ok(())
}
