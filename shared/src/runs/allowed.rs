use super::words::first_named;
use crate::annotations::ALLOW_ANNOTATION;
use crate::cluster::Events;
use crate::resources::{Backup, Losses};

/// The word that lets a snapshot with far fewer objects than the last one count as good.
pub(super) const ALLOW_FEWER_OBJECTS: &str = "fewer-objects";

/// The word that stores an archive also where types cannot be read.
pub const ALLOW_MISSING_TYPES: &str = "missing-types";

/// The word that has archives which the ledger does not know judged as those of before it.
pub const ALLOW_UNKNOWN_ARCHIVES: &str = "unknown-archives";

/// What the words begin with that confirm a loss.
const LOSS: &str = "loss-";

/// What the annotation of a Backup allows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed<'a> {
    words: Option<&'a str>,
    /// The Backup, where it is one's annotation.
    backup: Option<&'a str>,
}

impl<'a> Allowed<'a> {
    /// By the words of an annotation, or of an option.
    #[must_use]
    pub const fn by(words: Option<&'a str>) -> Self {
        Self { words, backup: None }
    }

    /// By a Backup's annotation.
    #[must_use]
    pub fn on(backup: &'a Backup) -> Self {
        let annotations = backup.metadata.annotations.as_ref();
        Self {
            words: annotations.and_then(|all| all.get(ALLOW_ANNOTATION)).map(String::as_str),
            backup: backup.metadata.name.as_deref(),
        }
    }

    /// Whether this word is among them.
    #[must_use]
    pub fn has(self, word: &str) -> bool {
        self.words().any(|found| found == word)
    }

    fn words(self) -> impl Iterator<Item = &'a str> {
        self.words.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty())
    }

    /// What stands there and allows nothing, for it is no word, in words for people; none where all are.
    fn unknown(self) -> Option<String> {
        let unknown: Vec<_> = self.words().filter(|word| !is_known(word)).map(|word| format!("{word:?}")).collect();
        (!unknown.is_empty()).then(|| {
            format!(
                "{}: no word of {ALLOW_ANNOTATION}; known: {}, {LOSS}…; separate with commas",
                first_named(&unknown),
                KNOWN.join(", ")
            )
        })
    }

    /// Says by an Event on the Backup what of its annotation is no word.
    pub async fn warn_of_unknown(events: &Events, backup: &'a Backup) {
        if let Some(words) = Self::on(backup).unknown() {
            events.warning(backup, "UnknownWord", words).await;
        }
    }

    /// Whether this loss was confirmed.
    #[must_use]
    pub fn confirms(self, losses: &Losses) -> bool {
        self.has(&losses.confirmation)
    }

    /// What the annotation is to hold so that it has this word too. It goes into a command, so that what no word can hold is
    /// left out, and a space that stands for a comma becomes one.
    #[must_use]
    pub fn with(self, word: &str) -> String {
        let standing = self.words.unwrap_or_default().split(|character: char| !is_of_word(character));
        let others = standing.filter(|found| !found.is_empty() && *found != word);
        others.chain([word]).collect::<Vec<_>>().join(",")
    }

    /// The command that allows this too, beside what is allowed, on the Backup of that name.
    pub(super) fn command_for(self, backup: &str, word: &str) -> String {
        let words = self.with(word);
        format!("kubectl annotate backups.resources.cattle.io {backup} --overwrite {ALLOW_ANNOTATION}={words}")
    }

    /// The same on the Backup whose annotation it is.
    #[must_use]
    pub fn command(self, word: &str) -> String {
        self.command_for(self.backup.unwrap_or("NAME"), word)
    }
}

/// The words of which each allows one thing.
const KNOWN: [&str; 3] = [ALLOW_FEWER_OBJECTS, ALLOW_MISSING_TYPES, ALLOW_UNKNOWN_ARCHIVES];

fn is_known(word: &str) -> bool {
    KNOWN.contains(&word) || word.strip_prefix(LOSS).is_some_and(|rest| rest.chars().all(is_of_word))
}

const fn is_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_allows_nothing_is_named_with_those_that_there_are() {
        let unknown = |words| Allowed::by(Some(words)).unknown();
        assert_eq!(unknown(""), None);
        assert_eq!(unknown("fewer-objects, missing-types,unknown-archives,loss-01234567,"), None);
        let known = "no word of drover.dev/allow; known: fewer-objects, missing-types, unknown-archives, loss-…; separate \
                     with commas";
        for word in ["fewer-object", "fewer-objects loss-01234567", "loss-01234567 fewer-objects", "loss"] {
            assert_eq!(unknown(word), Some(format!("{word:?}: {known}")));
        }
    }

    #[test]
    fn a_command_keeps_the_words_that_stand_there_and_nothing_that_a_shell_would_read() {
        let with = |words| Allowed::by(words).with("loss-2");
        assert_eq!(with(None), "loss-2");
        assert_eq!(with(Some(" , ")), "loss-2");
        assert_eq!(with(Some("fewer-objects, loss-1")), "fewer-objects,loss-1,loss-2");
        assert_eq!(with(Some("fewer-objects loss-1")), "fewer-objects,loss-1,loss-2");
        assert_eq!(with(Some("loss-2,fewer-objects")), "fewer-objects,loss-2");
        assert!(!with(Some("a;$(b)&`c`\"'")).contains([';', '$', '(', '&', '`', '"', '\'']));
        let mut backup = Backup::new("daily", crate::resources::BackupSpec::default());
        backup.metadata.annotations = Some([(ALLOW_ANNOTATION.to_owned(), "fewer-objects".to_owned())].into());
        let command =
            "kubectl annotate backups.resources.cattle.io daily --overwrite drover.dev/allow=fewer-objects,loss-2";
        assert_eq!(Allowed::on(&backup).command("loss-2"), command);
    }
}
