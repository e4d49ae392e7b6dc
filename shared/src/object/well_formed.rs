//! Whether bytes are JSON that every later step can parse, found out without recursion.

use serde_json::Value;
use serde_json::value::RawValue;

use super::ParseError;

/// Levels of nesting that are accepted unless told otherwise.
///
/// A tree is parsed, copied, compared, printed and dropped by recursion, so its depth is bounded by the stack of the
/// thread that does it, and tokio's threads have 2 MiB. In an unoptimised build that was enough for 1,019 levels of
/// objects (flattened, as in kube's `DynamicObject`; 1,043 in a `serde_json::Value`) and 1,317 of lists (measured
/// 2026-11). A third of that leaves room for what else is on the stack. The objects of a Rancher cluster are at most 27
/// levels deep.
///
/// serde_json itself refuses more than 128 levels unless `Deserializer::disable_recursion_limit` is called, which is
/// safe for what was checked here.
pub(crate) const DEPTH_LIMIT: usize = 300;

/// The key by which serde_json passes raw values through its own interfaces. Where its `Value` is parsed from an object
/// with this key, the text of the value is parsed in place of the object: what was checked here and what is applied
/// would differ.
const RESERVED_KEY: &str = "$serde_json::private::RawValue";

/// A number with at most this many characters and no exponent is always within the range of a double.
const SAFE_DIGITS: usize = 300;

/// Checks that `json` is exactly one well-formed JSON value nested at most `limit` levels, that parses into a
/// `serde_json::Value` which says the same: no half surrogate pairs, no number beyond a double, no reserved key.
///
/// The check needs no stack and no memory that grows with the depth.
///
/// # Errors
/// When it is not.
pub(crate) fn depth_within(json: &[u8], limit: usize) -> Result<(), ParseError> {
    // serde_json passes over a raw value in a loop, without recursion.
    let raw: &RawValue = serde_json::from_slice(json).map_err(|error| ParseError::malformed(&error))?;
    // Leading blanks are no part of a raw value; offsets are counted from the first byte given.
    let start = json.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    Scan { text: raw.get(), start, limit }.run()
}

/// A walk over the tokens of well-formed JSON.
struct Scan<'a> {
    text: &'a str,
    start: usize,
    limit: usize,
}

impl Scan<'_> {
    fn run(&self) -> Result<(), ParseError> {
        let (mut at, mut depth) = (0, 0_usize);
        while let Some(byte) = self.text.as_bytes().get(at) {
            let mut length = 1;
            match byte {
                b'{' | b'[' if depth == self.limit => return Err(ParseError::TooDeep { limit: self.limit }),
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                b'"' => length = self.string(at)?,
                b'-' | b'0'..=b'9' => length = self.number(at)?,
                _ => {}
            }
            at += length;
        }
        Ok(())
    }

    /// Checks the string that begins at `at` and returns its length with both quotes.
    fn string(&self, at: usize) -> Result<usize, ParseError> {
        let bytes = &self.text.as_bytes()[at..];
        let (mut end, mut unicode_escape) = (1, false);
        while let Some(length) = bytes[end..].iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            end += length;
            if bytes[end] == b'"' {
                break;
            }
            unicode_escape |= bytes.get(end + 1) == Some(&b'u');
            end += 2;
        }
        let token = &self.text[at..=at + end];
        let decoded = if unicode_escape { Some(self.decoded(token, at)?) } else { None };
        let inner = decoded.as_deref().unwrap_or(&token[1..token.len() - 1]);
        if inner == RESERVED_KEY && self.is_key(at + end + 1) {
            return Err(ParseError::ReservedKey { offset: self.start + at });
        }
        Ok(end + 1)
    }

    fn decoded(&self, token: &str, at: usize) -> Result<String, ParseError> {
        serde_json::from_str(token)
            .map_err(|_| ParseError::Unreadable { problem: "an escape that is no character", offset: self.start + at })
    }

    /// Whether the string that ends before `end` is a key.
    fn is_key(&self, end: usize) -> bool {
        self.text[end..].trim_start().starts_with(':')
    }

    /// Checks the number that begins at `at` and returns its length.
    fn number(&self, at: usize) -> Result<usize, ParseError> {
        let bytes = &self.text.as_bytes()[at..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = bytes.iter().position(|byte| !is_part(byte)).unwrap_or(bytes.len());
        let token = &self.text[at..at + length];
        let suspect = length > SAFE_DIGITS || token.contains(['e', 'E']);
        if suspect && serde_json::from_str::<Value>(token).is_err() {
            return Err(ParseError::Unreadable { problem: "a number out of range", offset: self.start + at });
        }
        Ok(length)
    }
}
