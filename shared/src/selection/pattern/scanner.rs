//! A pattern, character by character.

use super::PatternError;

#[derive(Clone, Copy)]
pub(super) struct Scanner<'a> {
    pattern: &'a str,
    offset: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(pattern: &'a str) -> Self {
        Self { pattern, offset: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.pattern[self.offset..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.offset += next.len_utf8();
        Some(next)
    }

    /// Goes past `text` where it comes next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.offset += text.len();
        }
        found
    }

    /// Goes past the next `end` and returns what lies before it.
    pub(super) fn eat_until(&mut self, end: &str) -> Option<&'a str> {
        let (before, _) = self.rest().split_once(end)?;
        self.offset += before.len() + end.len();
        Some(before)
    }

    pub(super) fn eat_all(&mut self) -> &'a str {
        let rest = self.rest();
        self.offset = self.pattern.len();
        rest
    }

    pub(super) fn eat_digits(&mut self) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        self.offset += length;
        &rest[..length]
    }

    /// An error at the place where this scanner is.
    pub(super) fn error<T>(&self, problem: &'static str) -> Result<T, PatternError> {
        Err(PatternError { position: self.pattern[..self.offset].chars().count() + 1, problem })
    }
}
