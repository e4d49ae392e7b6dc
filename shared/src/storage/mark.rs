//! The mark beside an archive that was found to be a bad copy and could not be removed.
//!
//! It is there for people and for listings: that it exists and holds something says all that drover needs. An empty one
//! is lifted, which is how a mark goes where nothing may be deleted.

use jiff::Timestamp;
use serde::Serialize;

use super::error::Difference;
use crate::digest::Content;
use crate::resources::rfc3339;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mark<'a> {
    archive: &'a str,
    expected: Content,
    found: String,
    marked_at: String,
}

/// The text of the mark beside the archive `name`.
pub(super) fn text(name: &str, difference: &Difference, now: Timestamp) -> String {
    let Difference { expected, found, .. } = difference;
    let mark = Mark { archive: name, expected: *expected, found: found.to_string(), marked_at: rfc3339(now) };
    // Text and numbers alone always make JSON.
    serde_json::to_string_pretty(&mark).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{BadCopy, Found};

    #[test]
    fn the_mark_says_what_was_expected_and_found() {
        let expected = Content { bytes: 7, sha256: [0xab; 32].into() };
        let difference = Difference { expected, found: Found::OtherSize(6), copy: BadCopy::Left };
        let text = text("a.tar.gz", &difference, "2026-11-28T02:00:00Z".parse().unwrap());
        let mark: serde_json::Value = serde_json::from_str(&text).unwrap();
        let sha256 = "ab".repeat(32);
        let expected = serde_json::json!({
            "archive": "a.tar.gz",
            "expected": {"bytes": 7, "sha256": sha256},
            "found": "6 bytes",
            "markedAt": "2026-11-28T02:00:00Z",
        });
        assert_eq!(mark, expected);
    }
}
