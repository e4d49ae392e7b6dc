//! The results as people and programs read them.

use std::io::{self, Write};

use drover::archive::TypeName;
use serde::Serialize;

use crate::archive::Archive;
use crate::facts::Position;
use crate::inspect::type_title;
use crate::outcome::{Counts, Outcome, Results};

/// Results of a part of the archive.
pub(crate) struct Part<'a> {
    /// Its objects.
    pub(crate) archive: &'a Archive,
    /// What became of them.
    pub(crate) results: &'a Results,
}

/// What is done: the words differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// It was done.
    Apply,
    /// It would be done.
    Plan,
}

impl Mode {
    const fn word(self, outcome: Outcome) -> &'static str {
        match (self, outcome) {
            (Self::Plan, Outcome::Created) => "create",
            (Self::Plan, Outcome::Updated) => "update",
            (Self::Plan, Outcome::Kept) => "keep",
            (Self::Plan, Outcome::Failed) => "fail",
            (_, outcome) => outcome.word(),
        }
    }

    /// Whether an object is named in the text: in a plan everything that it would write.
    fn names(self, outcome: Outcome, reason: &str) -> bool {
        match outcome {
            Outcome::Failed | Outcome::Kept => true,
            Outcome::Created | Outcome::Updated => self == Self::Plan || !reason.is_empty(),
            Outcome::Unchanged | Outcome::Untouched => false,
        }
    }
}

/// The result of one object, as `--output json` shows it.
#[derive(Serialize)]
struct ObjectResult<'a> {
    group: &'a str,
    version: &'a str,
    resource: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    name: &'a str,
    result: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
}

/// All results together.
pub(crate) fn counts(parts: &[Part<'_>]) -> Counts {
    let mut counts = Counts::default();
    for part in parts {
        part.results.count_into(&mut counts);
    }
    counts
}

fn positions<'a>(parts: &'a [Part<'a>]) -> impl Iterator<Item = (&'a Part<'a>, Position)> {
    parts.iter().flat_map(|part| (0..).take(part.archive.len()).map(move |position| (part, position)))
}

/// The objects of which there is something to say, by name, with what became of them and why.
pub(crate) fn noted<'a>(parts: &'a [Part<'a>]) -> impl Iterator<Item = (String, Outcome, &'a str)> {
    positions(parts).filter_map(|(part, position)| {
        let (outcome, reason) = (part.results.outcome(position), part.results.reason(position));
        if reason.is_empty() && outcome != Outcome::Failed {
            return None;
        }
        // An object whose name cannot be read back from the spool is still told of.
        let object =
            part.archive.load(position).map_or_else(|error| format!("? ({error})"), |loaded| loaded.key.to_string());
        Some((object, outcome, reason))
    })
}

/// Writes one JSON document, object by object, so that its size does not matter:
///
/// ```json
/// {"objects": [{"group": "", "version": "v1", "resource": "secrets", "namespace": "a", "name": "b",
///               "result": "failed", "reason": "…"}],
///  "counts": {"created": 0, "updated": 0, "unchanged": 0, "kept": 0, "failed": 1, "untouched": 0}}
/// ```
///
/// `result` is one of the words of `counts`, in a plan as well; `reason` and `namespace` are missing where there is none.
pub(crate) fn json(out: &mut dyn Write, parts: &[Part<'_>]) -> io::Result<()> {
    write!(out, "{{\"objects\":[")?;
    let mut separator = "\n";
    for (part, position) in positions(parts) {
        let key = part.archive.load(position).map_err(io::Error::other)?.key;
        let result = ObjectResult {
            group: &key.type_name.group,
            version: &key.type_name.version,
            resource: &key.type_name.plural,
            namespace: key.namespace.as_deref(),
            name: &key.name,
            result: part.results.outcome(position).word(),
            reason: part.results.reason(position),
        };
        write!(out, "{separator}{}", serde_json::to_string(&result)?)?;
        separator = ",\n";
    }
    writeln!(out, "\n],\"counts\":{}}}", serde_json::to_string(&counts(parts))?)
}

/// Writes what was done by name where it matters, then the counts of each type and of all.
pub(crate) fn text(out: &mut dyn Write, parts: &[Part<'_>], mode: Mode) -> io::Result<()> {
    for outcome in [Outcome::Created, Outcome::Updated, Outcome::Kept, Outcome::Failed] {
        named(out, parts, mode, outcome)?;
    }
    let rows = rows(parts);
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default();
    for Row { name, counts } in &rows {
        writeln!(out, "{name:width$}  {}", in_words(counts, mode))?;
    }
    let total = counts(parts);
    let total_title = "total";
    writeln!(out, "{total_title:width$}  {}", in_words(&total, mode))
}

/// Names the objects of one outcome; objects of one type in a row with one reason share a line.
fn named(out: &mut dyn Write, parts: &[Part<'_>], mode: Mode, outcome: Outcome) -> io::Result<()> {
    let mut group: Option<Group> = None;
    for (part, position) in positions(parts) {
        let (own, reason) = (part.results.outcome(position), part.results.reason(position));
        if own != outcome || !mode.names(own, reason) {
            continue;
        }
        let key = part.archive.load(position).map_err(io::Error::other)?.key;
        let type_name = title(&key.type_name);
        let name = key.namespace.map_or_else(|| key.name.clone(), |namespace| format!("{namespace}/{}", key.name));
        match &mut group {
            Some(group) if group.type_name == type_name && group.reason == reason => group.add(&name),
            _ => {
                if let Some(group) = group.replace(Group::new(type_name, reason, &name)) {
                    group.write(out, mode.word(outcome))?;
                }
            }
        }
    }
    group.map_or(Ok(()), |group| group.write(out, mode.word(outcome)))
}

/// How many names of a group are shown in the text; `--output json` has all.
const NAMES_SHOWN: usize = 20;

struct Group {
    type_name: String,
    reason: String,
    names: Vec<String>,
    more: usize,
}

impl Group {
    fn new(type_name: String, reason: &str, name: &str) -> Self {
        Self { type_name, reason: reason.to_owned(), names: vec![printable(name)], more: 0 }
    }

    fn add(&mut self, name: &str) {
        if self.names.len() < NAMES_SHOWN {
            self.names.push(printable(name));
        } else {
            self.more += 1;
        }
    }

    fn write(&self, out: &mut dyn Write, word: &str) -> io::Result<()> {
        write!(out, "{word} {}: {}", self.type_name, self.names.join(", "))?;
        if self.more > 0 {
            write!(out, " and {} more (--output json names all)", self.more)?;
        }
        if !self.reason.is_empty() {
            write!(out, ": {}", printable(&self.reason))?;
        }
        writeln!(out)
    }
}

struct Row {
    name: String,
    counts: Counts,
}

fn rows(parts: &[Part<'_>]) -> Vec<Row> {
    let types = parts.first().into_iter().flat_map(|part| part.archive.types());
    let mut rows: Vec<Row> = types.map(|name| Row { name: title(name), counts: Counts::default() }).collect();
    for (part, position) in positions(parts) {
        rows[part.archive.type_of(position)].counts.add(part.results.outcome(position));
    }
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    rows
}

fn title(name: &TypeName) -> String {
    printable(&type_title(&name.plural, &name.group, &name.version))
}

fn in_words(counts: &Counts, mode: Mode) -> String {
    let some = Outcome::ALL.into_iter().filter(|outcome| counts.of(*outcome) > 0);
    let words: Vec<String> = some.map(|outcome| format!("{} {}", counts.of(outcome), mode.word(outcome))).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// A text from outside, without what could move the cursor or forge a line.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_invisible(character) {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

/// Characters that turn the direction of writing or break lines without being control characters.
const fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
