use std::io::{self, BufRead, BufReader, Read};

use drover::annotations::{PIECES_ANNOTATION, REPORT_ANNOTATION};
use drover::cluster::ApiError;
use drover::labels::RESTORE_LABEL;
use drover::resources::Restore;
use flate2::bufread::GzDecoder;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use snafu::{OptionExt, ResultExt, ensure};

use super::{
    KEY, ListPiecesSnafu, NoReportSnafu, NoRestoreSnafu, ReadRestoreSnafu, ReportError, UnreadableSnafu, piece_name,
};
use crate::report::results::{Note, ObjectResult, Source};
use crate::report::stored_report::read_error::{MixedSnafu, ReadError};
use crate::report::told::Told;

/// The longest line that is read: names are short, and reasons are cut when they are made.
const LINE: u64 = 64 << 10;

/// The report of a Restore as it lies in the cluster, packed.
pub(crate) struct StoredReport {
    packed: Vec<u8>,
}

impl StoredReport {
    /// Fetches the report of the Restore of that name; it lies in drover's `namespace`.
    ///
    /// # Errors
    ///
    /// When there is no such Restore or no report of it, or it cannot be read.
    pub(crate) async fn fetch(client: &Client, namespace: &str, name: &str) -> Result<Self, ReportError> {
        let restores: Api<Restore> = Api::all(client.clone());
        let found = restores.get_metadata_opt(name).await.map_err(ApiError::from).context(ReadRestoreSnafu { name })?;
        let uid = found.context(NoRestoreSnafu { name })?.uid().unwrap_or_default();
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let parameters = ListParams::default().labels(&format!("{RESTORE_LABEL}={uid}"));
        let listed = maps.list(&parameters).await.map_err(ApiError::from).context(ListPiecesSnafu { namespace })?;
        ensure!(!listed.items.is_empty(), NoReportSnafu { name, namespace });
        let packed = join(&uid, &listed.items).context(UnreadableSnafu { name })?;
        Ok(Self { packed })
    }
}

/// Puts the pieces together, if they are all there and of one report.
fn join(uid: &str, maps: &[ConfigMap]) -> Result<Vec<u8>, ReadError> {
    let annotation = |map: &ConfigMap, name: &str| map.annotations().get(name).cloned();
    let first = maps.iter().find(|map| map.name_any() == piece_name(uid, 0)).context(MixedSnafu)?;
    let report = annotation(first, REPORT_ANNOTATION);
    let pieces: usize =
        annotation(first, PIECES_ANNOTATION).and_then(|pieces| pieces.parse().ok()).context(MixedSnafu)?;
    ensure!(pieces <= maps.len(), MixedSnafu);
    let mut packed = Vec::new();
    for index in 0..pieces {
        let name = piece_name(uid, index);
        let is_it = |map: &&ConfigMap| map.name_any() == name && annotation(map, REPORT_ANNOTATION) == report;
        let piece = maps.iter().find(is_it).and_then(|map| map.binary_data.as_ref()?.get(KEY));
        packed.extend_from_slice(&piece.context(MixedSnafu)?.0);
    }
    Ok(packed)
}

impl StoredReport {
    /// Shows each line with its number.
    fn lines(&self, see: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
        // One member: drover writes one, and what follows it would be somebody else's.
        let mut lines = BufReader::new(GzDecoder::new(&self.packed[..]));
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if lines.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            see(number, &line)?;
        }
        Ok(())
    }
}

impl Source for StoredReport {
    fn each(&self, see: &mut dyn FnMut(&Told<'_>) -> io::Result<()>) -> io::Result<()> {
        self.lines(&mut |number, line| {
            let Ok(result) = serde_json::from_slice::<ObjectResult<'_>>(line) else {
                let is_note = serde_json::from_slice::<Note<'_>>(line).is_ok();
                return if is_note { Ok(()) } else { Err(unknown(number)) };
            };
            result.see(|told| see(told)).ok_or_else(|| unknown(number))?
        })
    }

    fn notes(&self) -> io::Result<Vec<String>> {
        let mut notes = Vec::new();
        self.lines(&mut |_, line| {
            notes.extend(serde_json::from_slice::<Note<'_>>(line).ok().map(|note| note.note.into_owned()));
            Ok(())
        })?;
        Ok(notes)
    }
}

fn unknown(line: u64) -> io::Error {
    io::Error::other(ReadError::Line { line })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use k8s_openapi::ByteString;
    use kube::api::ObjectMeta;

    use super::*;
    use crate::report::results::{Mode, json, text};

    fn piece(index: usize, pieces: &str, report: &str, bytes: &[u8]) -> ConfigMap {
        let annotations = [(REPORT_ANNOTATION, report), (PIECES_ANNOTATION, pieces)];
        let annotations = annotations.map(|(name, value)| (name.to_owned(), value.to_owned()));
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(piece_name("u", index)),
                annotations: Some(annotations.into()),
                ..ObjectMeta::default()
            },
            binary_data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(bytes.to_vec()))])),
            ..ConfigMap::default()
        }
    }

    #[test]
    fn pieces_are_put_together_in_their_order() {
        let maps = [piece(1, "2", "r", b"cd"), piece(0, "2", "r", b"ab")];
        assert_eq!(join("u", &maps).unwrap(), b"abcd");
        // What an earlier try had more of is not read.
        let maps = [piece(0, "1", "r", b"ab"), piece(1, "2", "older", b"cd")];
        assert_eq!(join("u", &maps).unwrap(), b"ab");
    }

    #[test]
    fn pieces_that_do_not_belong_together_are_refused() {
        for maps in [
            vec![piece(0, "2", "r", b"ab")],
            vec![piece(1, "2", "r", b"cd")],
            vec![piece(0, "2", "r", b"ab"), piece(1, "2", "older", b"cd")],
            vec![piece(0, "99999999999", "r", b"ab")],
            vec![piece(0, "many", "r", b"ab")],
        ] {
            assert!(join("u", &maps).is_err(), "{maps:?}");
        }
    }

    fn stored(lines: &str) -> StoredReport {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(lines.as_bytes()).unwrap();
        StoredReport { packed: packed.finish().unwrap() }
    }

    #[test]
    fn a_stored_report_is_shown_as_apply_shows_its_results() {
        let lines = concat!(
            r#"{"group":"","version":"v1","resource":"secrets","namespace":"a","name":"b","result":"failed","reason":"no"}"#,
            "\n",
            r#"{"group":"a.io","version":"v2","resource":"things","name":"t:x","result":"heldBack"}"#,
            "\n"
        );
        let (report, mut shown) = (stored(lines), Vec::new());
        text(&mut shown, &report, Mode::Apply).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(
            shown,
            "held back things.a.io v2: t:x\nfailed secrets v1: a/b: no\nsecrets v1      1 failed\nthings.a.io v2  1 held \
             back\ntotal           1 held back, 1 failed\n"
        );
        let mut document = Vec::new();
        json(&mut document, &report).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(document["objects"][0]["reason"], "no");
        assert_eq!((&document["counts"]["failed"], &document["counts"]["heldBack"]), (&1.into(), &1.into()));
    }

    #[test]
    fn what_is_said_of_the_whole_comes_first() {
        let object =
            r#"{"group":"","version":"v1","resource":"secrets","namespace":"a","name":"b","result":"created"}"#;
        let (report, mut shown) = (stored(&format!("{{\"note\":\"exempt\\u001b\"}}\n{object}\n")), Vec::new());
        text(&mut shown, &report, Mode::Apply).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(shown, "exempt\\u{1b}\nsecrets v1  1 created\ntotal       1 created\n");
        let mut document = Vec::new();
        json(&mut document, &report).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!((&document["notes"][0], &document["counts"]["created"]), (&"exempt\u{1b}".into(), &1.into()));
    }

    #[test]
    fn a_report_that_is_not_whole_is_refused() {
        let shown = |report: &StoredReport| json(&mut io::sink(), report);
        let unknown = r#"{"group":"","version":"v1","resource":"a","name":"b","result":"melted"}"#;
        for lines in ["{}\n", "no JSON", unknown, &"[".repeat(100_000)] {
            assert!(shown(&stored(lines)).is_err(), "{lines:.20}");
        }
        let mut cut = stored(unknown);
        cut.packed.truncate(20);
        assert!(shown(&cut).is_err());
    }
}
