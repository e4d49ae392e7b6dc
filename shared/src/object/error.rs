//! Why bytes are not the object or the list that they should be.

use snafu::Snafu;

use crate::exit::{Exit, Fault};

/// Bytes that were refused as an object or as a page of a list.
///
/// The texts hold positions and keys and never a value, which may be a Secret's; this is why the messages of
/// serde_json, which quote values, are not among the sources.
#[derive(Clone, Debug, Eq, PartialEq, Snafu)]
#[snafu(module, visibility(pub(super)))]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum ParseError {
    #[snafu(display("failed to read JSON: {problem} at line {line} column {column}"))]
    Malformed {
        problem: &'static str,
        /// Line of the first byte that is wrong, from 1.
        line: usize,
        /// Column of that byte, from 1; 0 is the end of the line before.
        column: usize,
    },
    /// A string holds half of a surrogate pair, or a number is larger than any that can be held.
    #[snafu(display("failed to read JSON: {problem} at byte {offset}"))]
    Unreadable {
        problem: &'static str,
        /// Where it begins, in bytes from 0.
        offset: usize,
    },
    #[snafu(display(
        "failed to accept JSON that is nested more than {limit} levels deep; Kubernetes' own types stay below 50"
    ))]
    TooDeep { limit: usize },
    #[snafu(display("failed to find an object: {place} is another kind of JSON value"))]
    NotAnObject { place: &'static str },
    #[snafu(display("failed to accept key {key:?}, which {place} holds twice: readers differ in which one counts"))]
    DoubledKey {
        place: &'static str,
        /// The key, shortened.
        key: String,
    },
    #[snafu(display("failed to accept more than {limit} members in {place}"))]
    TooManyMembers { place: &'static str, limit: usize },
    #[snafu(display("failed to accept a key at byte {offset} that is reserved by the JSON library"))]
    ReservedKey {
        /// Where it begins, in bytes from 0.
        offset: usize,
    },
    #[snafu(display("failed to find \"metadata.name\" in the object"))]
    NameMissing,
    #[snafu(display("failed to read {member:?}, which should be {expected}"))]
    MemberType { member: &'static str, expected: &'static str },
    #[snafu(display("failed to find a list in the server's answer at line {line} column {column}"))]
    NotAList {
        /// Line at which that was known, from 1.
        line: usize,
        /// Column at which that was known.
        column: usize,
    },
}

impl ParseError {
    /// What serde_json found, without its text, which may quote a value. Types are checked by the callers.
    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        let problem = match error.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            _ => "it is not well-formed",
        };
        Self::Malformed { problem, line: error.line(), column: error.column() }
    }
}

impl Fault for ParseError {
    fn exit(&self) -> Exit {
        Exit::DataRefused
    }
}
