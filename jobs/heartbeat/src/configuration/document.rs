//! The file as it is written.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::error::{ConfigurationError, ParseSnafu};
use crate::monitor::Kind;
use crate::ping::Signal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) monitors: Vec<Spanned<MonitorDocument>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct MonitorDocument {
    pub(super) name: String,
    pub(super) kind: Option<Kind>,
    pub(super) url: String,
    pub(super) backups: Option<ScopeDocument>,
    pub(super) restores: Option<ScopeDocument>,
    pub(super) signals: Option<Vec<Signal>>,
    pub(super) freshness: Option<FreshnessDocument>,
    pub(super) message_limit: Option<usize>,
    pub(super) body_limit: Option<usize>,
    pub(super) ca: Option<String>,
    pub(super) method: Option<String>,
    pub(super) headers: Option<BTreeMap<String, String>>,
    pub(super) body: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ScopeDocument {
    #[serde(default)]
    pub(super) names: Vec<String>,
    pub(super) name_regexp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FreshnessDocument {
    pub(super) grace: Option<SignedDuration>,
    pub(super) max_age: Option<SignedDuration>,
}

/// Where a document is wrong, and what is.
pub(super) struct Wrong {
    line: u64,
    column: u64,
    problem: String,
}

impl Wrong {
    pub(super) fn at(self, path: &Path) -> ConfigurationError {
        let Self { line, column, problem } = self;
        ParseSnafu { path, line, column, problem }.build()
    }
}

/// The most bytes of a name that is shown.
const SHOWN: usize = 20;

/// The most letters by which it differs from one that is allowed.
const TYPOS: usize = 2;

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let (line, column) = error.location().map_or((0, 0), |location| (location.line(), location.column()));
            Wrong { line, column, problem: words(error.without_snippet()) }
        })
    }
}

/// What is wrong, in words that hold no value.
fn words(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            format!("there is no field {}; allowed: {}", shown(field, expected, "of that name"), expected.join(", "))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("{} is not allowed here; allowed: {}", shown(variant, expected, "that"), expected.join(", "))
        }
        Error::SerdeMissingField { field, .. } => format!("the field {field:?} is missing"),
        Error::DuplicateMappingKey { .. } => "a field stands there twice".to_owned(),
        _ => "what stands there is no YAML, or not of the right type; a duration is written as \"26h\" or \"1h30m\""
            .to_owned(),
    }
}

/// A name that is one of the allowed ones but for a typo, or else `instead`: what is unlike them may be a part of a secret, which a
/// comma cut off.
fn shown(name: &str, allowed: &[&str], instead: &str) -> String {
    let is_typo = |known: &&str| strsim::levenshtein(name, known) <= TYPOS.min(known.len() / 2);
    let is_shown = name.len() <= SHOWN && allowed.iter().any(is_typo);
    if is_shown { format!("{name:?}") } else { instead.to_owned() }
}
