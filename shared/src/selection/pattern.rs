//! Regexps as Go reads them.
//!
//! A ResourceSet's regexps are written for Go's RE2. The `regex` crate is of the same family but reads some of them
//! otherwise, and silently: `\d`, `\w`, `\s` and `\b` are Unicode there, `[a&&b]`, `[a--b]` and `[a[b]]` are set
//! operations, `{` must be escaped, `\Q…\E` is unknown. So a pattern is read here by Go's grammar and written anew in a form
//! that the crate can read in one way only. No crate does this.

mod class;
mod error;
mod escape;
mod scanner;
#[cfg(test)]
mod tests;
mod translate;

use regex::{Regex, RegexBuilder};

pub use self::error::PatternError;

/// A compiled regexp, searched unanchored.
#[derive(Clone, Debug)]
pub struct Pattern(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// `.` alone stands for all.
    Everything,
    Search(Regex),
}

impl Pattern {
    /// Reads a regexp by Go's grammar.
    ///
    /// # Errors
    /// When Go would not read it either, or it is too large.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        if pattern == "." {
            return Ok(Self(Kind::Everything));
        }
        let translated = translate::translate(pattern)?;
        compile(&translated)
            .map(|regex| Self(Kind::Search(regex)))
            .map_err(|problem| PatternError { position: 1, problem })
    }

    /// Whether it is found in a text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match &self.0 {
            Kind::Everything => true,
            Kind::Search(regex) => regex.is_match(text),
        }
    }
}

/// Compiles what [`translate::translate`] wrote. Its syntax is right, so it fails only for its size.
fn compile(translated: &str) -> Result<Regex, &'static str> {
    RegexBuilder::new(translated).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it is too large once its repetitions are written out",
        _ => "it is nested too deeply",
    })
}
