//! Copies in Secrets of drover's namespace, packed, and in pieces where one Secret does not take all.
//!
//! They carry drover's label: no restore writes or prunes them, and they are in no archive.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};

use drover::annotations::{LEAVING_ANNOTATION, OBJECT_ANNOTATION, OBJECT_UID_ANNOTATION, PIECES_ANNOTATION};
use drover::api::RequestError;
use drover::labels::{self, COPY_LABEL};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use kube::core::PartialObjectMeta;
use serde_json::json;
use snafu::ResultExt;

use super::back::{BackError, RequestSnafu};
use super::{KeepError, Original, PackSnafu, SecretSnafu};
use crate::api::request::Server;
use crate::survey::types::segment;

/// The entry of a Secret that holds the piece.
const KEY: &str = "object.json.gz";
/// Bytes of a piece. A Secret holds a MiB.
const PIECE: usize = 768 << 10;
/// The most pieces of a copy: far more than the largest object that an API server takes needs.
const PIECES: usize = 64;
/// The most bytes of an object.
const UNPACKED: u64 = 16 << 20;

/// The Secrets that hold a copy.
#[derive(Debug)]
pub(crate) struct Pieces {
    namespace: String,
    id: String,
    count: usize,
}

impl Pieces {
    /// Writes the copy of that id.
    pub(super) async fn write(
        server: &Server,
        namespace: &str,
        id: String,
        original: &Original,
    ) -> Result<Self, KeepError> {
        let packed = pack(&original.body).context(PackSnafu)?;
        let pieces = Self { namespace: namespace.to_owned(), id, count: packed.len().div_ceil(PIECE) };
        for (index, piece) in packed.chunks(PIECE).enumerate() {
            let secret = serde_json::to_vec(&pieces.secret(index, piece, original));
            let secret = secret.map_err(io::Error::other).context(PackSnafu)?;
            match server.create(&pieces.collection(), secret).await {
                // The answer to the first try was lost: nobody else has this name.
                Err(error) if error.is_already_exists() => {}
                created => drop(created.context(SecretSnafu { namespace })?),
            }
        }
        Ok(pieces)
    }

    fn secret(&self, index: usize, piece: &[u8], original: &Original) -> Secret {
        let (path, uid, count) = (original.path.as_str(), original.uid.as_str(), self.count.to_string());
        let annotations =
            [(OBJECT_ANNOTATION, path), (OBJECT_UID_ANNOTATION, uid), (PIECES_ANNOTATION, count.as_str())];
        Secret {
            metadata: ObjectMeta {
                name: Some(self.name(index)),
                labels: Some(labels::ours(COPY_LABEL, &self.id)),
                annotations: Some(annotations.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(piece.to_vec()))])),
            ..Secret::default()
        }
    }

    /// Those of the copy that a Secret is a piece of, and path and UID of the object; none where it is no piece. What an archive
    /// brings is none: no restore writes what carries drover's label.
    pub(super) fn of(namespace: &str, piece: &PartialObjectMeta<Secret>) -> Option<(Self, String, String)> {
        let label = |name: &str| piece.labels().get(name);
        let annotation = |name: &str| piece.annotations().get(name).cloned();
        let id = label(COPY_LABEL).filter(|_| labels::is_ours(label))?.clone();
        let count = annotation(PIECES_ANNOTATION)?.parse::<usize>().ok().filter(|count| *count <= PIECES)?;
        let pieces = Self { namespace: namespace.to_owned(), id, count };
        Some((pieces, annotation(OBJECT_ANNOTATION)?, annotation(OBJECT_UID_ANNOTATION)?))
    }

    /// What creates the object again; none where not all of it is there, or it is no copy.
    pub(super) async fn read(&self, server: &Server) -> Result<Option<Vec<u8>>, BackError> {
        let mut packed = Vec::new();
        for index in 0..self.count {
            let piece = match server.get(&self.path(index)).await {
                Err(error) if error.is_not_found() => return Ok(None),
                piece => piece.context(RequestSnafu { step: "read its copy" })?,
            };
            let piece: Option<Secret> = serde_json::from_slice(&piece).ok();
            let data = piece.and_then(|piece| piece.data?.remove(KEY));
            let Some(ByteString(data)) = data else { return Ok(None) };
            packed.extend(data);
        }
        Ok(unpack(&packed).ok())
    }

    pub(super) async fn delete(&self, server: &Server) -> Result<(), RequestError> {
        for index in 0..self.count {
            let options = br#"{"kind":"DeleteOptions","apiVersion":"v1"}"#;
            match server.delete(&self.path(index), options.to_vec()).await {
                Err(error) if error.is_not_found() => {}
                deleted => drop(deleted?),
            }
        }
        Ok(())
    }

    /// Notes that the object is still being deleted, so that the next restore has a chance to create what is wanted.
    pub(super) async fn note_leaving(&self, server: &Server) -> Result<(), RequestError> {
        let noted = json!({"metadata": {"annotations": {LEAVING_ANNOTATION: "true"}}}).to_string();
        for index in 0..self.count {
            server.merge_patch(&self.path(index), noted.clone().into_bytes()).await?;
        }
        Ok(())
    }

    /// Whether that was noted on a piece.
    pub(super) fn is_leaving(piece: &PartialObjectMeta<Secret>) -> bool {
        piece.annotations().contains_key(LEAVING_ANNOTATION)
    }

    /// The id of the copy.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The command that deletes it by hand.
    pub(super) fn deleting(&self) -> String {
        format!("kubectl -n {} delete secrets -l {COPY_LABEL}={}", self.namespace, self.id)
    }

    fn name(&self, index: usize) -> String {
        format!("restore-copy-{}-{index}", self.id)
    }

    fn collection(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", segment(&self.namespace))
    }

    fn path(&self, index: usize) -> String {
        format!("{}/{}", self.collection(), segment(&self.name(index)))
    }
}

impl fmt::Display for Pieces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the Secret {:?} of the namespace {:?}", self.name(0), self.namespace)
    }
}

fn pack(object: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(object)?;
    packed.finish()
}

fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut object = Vec::new();
    GzDecoder::new(packed).take(UNPACKED).read_to_end(&mut object)?;
    Ok(object)
}

#[cfg(test)]
mod tests {
    use drover::labels::PART_OF_LABEL;

    use super::*;

    fn pieces() -> Pieces {
        Pieces { namespace: "home".to_owned(), id: "7".to_owned(), count: 2 }
    }

    fn original() -> Original {
        Original { path: "/api/v1/namespaces/a/secrets/b".to_owned(), uid: "u".to_owned(), body: b"{}".to_vec() }
    }

    /// What a list of metadata gives of a Secret.
    fn metadata(secret: &Secret) -> PartialObjectMeta<Secret> {
        serde_json::from_value(json!({"metadata": secret.metadata})).unwrap()
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let object: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(unpack(&pack(&object).unwrap()).unwrap(), object);
        assert!(unpack(b"no gzip").is_err());
    }

    #[test]
    fn a_piece_tells_which_copy_it_is_of_and_of_which_object() {
        let secret = pieces().secret(1, b"piece", &original());
        assert_eq!(secret.name_any(), "restore-copy-7-1");
        let (found, path, uid) = Pieces::of("home", &metadata(&secret)).unwrap();
        assert_eq!((found.path(1), found.count), (pieces().path(1), 2));
        assert_eq!((path, uid), (original().path, original().uid));
    }

    #[test]
    fn a_piece_carries_the_label_that_keeps_it_from_restores_prunes_and_archives() {
        let secret = pieces().secret(0, b"piece", &original());
        assert_eq!(secret.labels().get(PART_OF_LABEL).map(String::as_str), Some("drover"));
    }

    #[test]
    fn what_is_no_piece_is_told_from_one() {
        let of = |change: fn(&mut Secret)| {
            let mut secret = pieces().secret(0, b"piece", &original());
            change(&mut secret);
            Pieces::of("home", &metadata(&secret)).is_some()
        };
        assert!(of(|_| {}));
        assert!(!of(|secret| secret.metadata.labels = None));
        assert!(!of(|secret| drop(secret.labels_mut().remove(PART_OF_LABEL))), "an archive may bring such a one");
        assert!(!of(|secret| secret.metadata.annotations = None));
        assert!(!of(|secret| drop(secret.annotations_mut().insert(PIECES_ANNOTATION.to_owned(), "many".to_owned()))));
        assert!(!of(|secret| drop(secret.annotations_mut().insert(PIECES_ANNOTATION.to_owned(), "65".to_owned()))));
    }
}
