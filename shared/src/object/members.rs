//! The members of one JSON object as slices of its bytes, in their order.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::ParseError;

/// Most members of one level. Kubernetes' own types have about 15 there; the limit keeps hostile bytes of some MiB from
/// becoming a list of pointers several times that size.
const MEMBER_LIMIT: usize = 4096;

/// How much of a key an error shows, in characters.
const SHOWN: usize = 64;

/// One member of an object.
pub(super) struct Member<'a> {
    /// The key as it is read.
    pub(super) key: Cow<'a, str>,
    /// The key as it stands in the bytes, quotes and escapes included.
    pub(super) raw_key: &'a str,
    /// The value as it stands in the bytes.
    pub(super) value: &'a RawValue,
}

/// Splits one object into its members. `place` names it in errors.
pub(super) fn split<'a>(json: &'a [u8], place: &'static str) -> Result<Vec<Member<'a>>, ParseError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let members = deserializer
        .deserialize_map(Split)
        .and_then(|members| deserializer.end().map(|()| members))
        .map_err(|error| match error.classify() {
            Category::Data => ParseError::NotAnObject { place },
            _ => ParseError::malformed(&error),
        })?
        .ok_or(ParseError::TooManyMembers { place, limit: MEMBER_LIMIT })?;
    refuse_doubled(&members, place)?;
    Ok(members)
}

/// The value of a member.
pub(super) fn find<'a>(members: &[Member<'a>], key: &str) -> Option<&'a RawValue> {
    members.iter().find(|member| member.key == key).map(|member| member.value)
}

/// The text of a member, none where it is missing or null. `member` names it in errors.
pub(super) fn text<'a>(
    members: &[Member<'a>],
    key: &str,
    member: &'static str,
) -> Result<Option<Cow<'a, str>>, ParseError> {
    match find(members, key) {
        None => Ok(None),
        Some(value) if value.get() == "null" => Ok(None),
        Some(value) => match unquoted(value.get()) {
            Some(text) => Ok(Some(text)),
            None => Err(ParseError::MemberType { member, expected: "a string" }),
        },
    }
}

/// The text of a string, number or boolean.
pub(super) fn scalar(value: &RawValue) -> Option<String> {
    let json = value.get();
    match json.as_bytes().first()? {
        b'"' => unquoted(json).map(Cow::into_owned),
        b'{' | b'[' | b'n' => None,
        _ => Some(json.to_owned()),
    }
}

/// What a JSON string says, borrowed unless it holds escapes. None when the JSON is no string or cannot be said in
/// Unicode (half of a surrogate pair).
fn unquoted(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(json).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

fn refuse_doubled(members: &[Member<'_>], place: &'static str) -> Result<(), ParseError> {
    let mut keys: Vec<&str> = members.iter().map(|member| &*member.key).collect();
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ParseError::DoubledKey { place, key: pair[0].chars().take(SHOWN).collect() }),
        None => Ok(()),
    }
}

/// Visits a map; none when it has more members than [`MEMBER_LIMIT`].
struct Split;

impl<'de> Visitor<'de> for Split {
    type Value = Option<Vec<Member<'de>>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(8);
        let mut count = 0_usize;
        while let Some(raw_key) = map.next_key::<&RawValue>()? {
            let value = map.next_value()?;
            count += 1;
            if count <= MEMBER_LIMIT {
                let raw_key = raw_key.get();
                // Half a surrogate pair is well-formed and is no text; kept as it stands, it equals no key of ours.
                let key = unquoted(raw_key).unwrap_or(Cow::Borrowed(raw_key));
                members.push(Member { key, raw_key, value });
            }
        }
        Ok((count <= MEMBER_LIMIT).then_some(members))
    }
}
