use crate::resources::{Backup, Losses};

/// The annotation of a Backup that allows, for as long as it stands there, what drover otherwise refuses: words with commas
/// between them.
pub const ALLOW_ANNOTATION: &str = "drover.dev/allow";

/// The word that lets a snapshot with far fewer objects than the last one count as good.
pub const ALLOW_FEWER_OBJECTS: &str = "fewer-objects";

/// The word that stores an archive also where types cannot be read.
pub const ALLOW_MISSING_TYPES: &str = "missing-types";

/// The word that has archives which the ledger does not know judged as those of before it.
pub const ALLOW_UNKNOWN_ARCHIVES: &str = "unknown-archives";

/// What the annotation of a Backup allows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed<'a>(Option<&'a str>);

impl<'a> Allowed<'a> {
    /// By the words of an annotation, or of an option.
    #[must_use]
    pub const fn by(words: Option<&'a str>) -> Self {
        Self(words)
    }

    /// By a Backup's annotation.
    #[must_use]
    pub fn on(backup: &'a Backup) -> Self {
        Self(backup.metadata.annotations.as_ref().and_then(|all| all.get(ALLOW_ANNOTATION)).map(String::as_str))
    }

    /// Whether this word is among them.
    #[must_use]
    pub fn has(self, word: &str) -> bool {
        self.0.is_some_and(|words| words.split(',').any(|found| found.trim() == word))
    }

    /// Whether this loss was confirmed.
    #[must_use]
    pub fn confirms(self, losses: &Losses) -> bool {
        self.has(&losses.confirmation)
    }

    /// What the annotation is to hold so that it has this word too.
    #[must_use]
    pub fn with(self, word: &str) -> String {
        match self.0.map(str::trim).filter(|words| !words.is_empty()) {
            Some(words) => format!("{words},{word}"),
            None => word.to_owned(),
        }
    }
}
