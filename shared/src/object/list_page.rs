//! One page of the answer to a LIST.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::ParseError;

/// One page of the answer to a LIST, its items as slices of the body.
#[derive(Debug)]
pub struct ListPage<'a> {
    /// What to send as `continue` for the next page; none on the last one.
    pub continue_token: Option<Cow<'a, str>>,
    /// The state of the cluster that the list shows.
    pub resource_version: Option<Cow<'a, str>>,
    /// The items.
    pub items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    metadata: Option<ListMeta<'a>>,
    // Not `default`: an answer without items, such as a Status, must never be taken for an empty list.
    #[serde(borrow, deserialize_with = "null_as_empty")]
    items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta<'a> {
    #[serde(borrow, default, rename = "continue")]
    continue_token: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    resource_version: Option<Cow<'a, str>>,
}

impl<'a> ListPage<'a> {
    /// Splits the body of an answer.
    ///
    /// # Errors
    /// When it is not well-formed or not a list. An answer without `items` is not an empty list.
    pub fn parse(body: &'a [u8]) -> Result<Self, ParseError> {
        let Body { metadata, items } = serde_json::from_slice(body).map_err(|error| refused(&error))?;
        let (continue_token, resource_version) =
            metadata.map_or((None, None), |meta| (meta.continue_token, meta.resource_version));
        Ok(Self {
            continue_token: continue_token.filter(|token| !token.is_empty()),
            resource_version: resource_version.filter(|version| !version.is_empty()),
            items,
        })
    }
}

/// Servers written in Go send `null` for a list that was never filled.
fn null_as_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'de RawValue>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn refused(error: &serde_json::Error) -> ParseError {
    match error.classify() {
        Category::Data => ParseError::NotAList { line: error.line(), column: error.column() },
        _ => ParseError::malformed(error),
    }
}
