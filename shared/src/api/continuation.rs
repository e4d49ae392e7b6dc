//! The token for the next page, read from a page.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};

/// What matters of a list's metadata.
#[derive(Deserialize)]
struct ListMetadata {
    #[serde(default, rename = "continue")]
    token: Option<String>,
}

/// The token for the next page, where there is one.
///
/// Built-in types send their metadata before their items; then the items, which somebody else reads anyway, are not
/// looked at.
///
/// # Errors
/// When the body is no list of Kubernetes.
pub(super) fn token(body: &[u8]) -> Result<Option<String>, serde_json::Error> {
    let mut metadata = None;
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = Seek(&mut metadata).deserialize(&mut deserializer);
    match (metadata, read) {
        // Leaving a map before its end is an error to the deserializer, but then what was sought is there.
        (Some(ListMetadata { token }), _) => Ok(token),
        (None, Err(error)) => Err(error),
        (None, Ok(())) => Err(serde::de::Error::missing_field("metadata")),
    }
}

struct Seek<'a>(&'a mut Option<ListMetadata>);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "metadata" {
                *self.0 = Some(map.next_value()?);
                return Ok(());
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Option<&str>) {
        assert_eq!(token(body.as_bytes()).unwrap().as_deref(), expected, "{body}");
    }

    #[test]
    fn the_token_is_found_before_and_behind_the_items() {
        check(r#"{"kind":"SecretList","metadata":{"resourceVersion":"1","continue":"abc"},"items":[{}]}"#, Some("abc"));
        check(r#"{"items":[{"metadata":{"continue":"no"}}],"metadata":{"continue":"abc"}}"#, Some("abc"));
        check(r#"{"metadata":{"resourceVersion":"1"},"items":[]}"#, None);
        check(r#"{"metadata":{"continue":"","remainingItemCount":0},"items":null}"#, Some(""));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for body in ["", "<html>", "[]", "{}", r#"{"items":[]}"#, r#"{"metadata":7}"#, r#"{"items":[{"a":"#] {
            assert!(token(body.as_bytes()).is_err(), "{body}");
        }
    }
}
