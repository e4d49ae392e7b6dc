//! The results as people and programs read them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use drover::archive::{Key, TypeName};
use serde::{Deserialize, Serialize};
use tabwriter::TabWriter;

use crate::apply::controllers::Foreseen;
use crate::objects::server_owned::{NOT_HAD, UNLIKE};
use crate::plan::made_anew::NOT_NEEDED;
use crate::report::causes::{cause, name_of};
use crate::report::outcome::{Counts, Outcome, Outside};
use crate::report::printable::printable;
use crate::report::told::{Place, Told};
use crate::restoration::finished::Finished;
use crate::survey::archive::inspect::type_title;

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
            (Self::Plan, Outcome::Pruned) => "prune",
            (Self::Plan, Outcome::HeldBack) => "hold back",
            (Self::Plan, Outcome::Failed) => "fail",
            (_, outcome) => outcome.word(),
        }
    }

    /// Whether an object is named in the text: in a plan everything that it would write.
    fn names(self, outcome: Outcome, reason: &str) -> bool {
        match outcome {
            Outcome::Failed | Outcome::Kept | Outcome::Pruned | Outcome::HeldBack => true,
            Outcome::Created | Outcome::Updated => self == Self::Plan || !reason.is_empty(),
            Outcome::Unchanged => [NOT_NEEDED, NOT_HAD, UNLIKE].into_iter().any(|words| reason.contains(words)),
            Outcome::Untouched => false,
        }
    }
}

/// Results that can be gone through as often as needed: those of a restore, or stored ones.
pub(crate) trait Source {
    /// Shows every object, with what became of it: the archive's in its order, then the others.
    ///
    /// # Errors
    ///
    /// What `see` gives, or where the results cannot be read.
    fn each(&self, see: &mut dyn FnMut(&Told<'_>) -> io::Result<()>) -> io::Result<()>;

    /// The controllers that would be scaled down; of a plan.
    fn controllers(&self) -> &[Foreseen] {
        &[]
    }

    /// What is to be said of the restore as a whole.
    ///
    /// # Errors
    ///
    /// Where the results cannot be read.
    fn notes(&self) -> io::Result<Vec<String>>;
}

impl Source for Finished {
    fn each(&self, see: &mut dyn FnMut(&Told<'_>) -> io::Result<()>) -> io::Result<()> {
        told(self).try_for_each(|told| see(&told))
    }

    fn controllers(&self) -> &[Foreseen] {
        &self.controllers
    }

    fn notes(&self) -> io::Result<Vec<String>> {
        Ok(self.said().cloned().collect())
    }
}

/// The result of one object, as `--output json` and stored reports have it.
#[derive(Deserialize, Serialize)]
pub(crate) struct ObjectResult<'a> {
    group: Cow<'a, str>,
    version: Cow<'a, str>,
    resource: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<Cow<'a, str>>,
    name: Cow<'a, str>,
    result: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    reason: Cow<'a, str>,
}

impl ObjectResult<'_> {
    /// Shows it as what was told; none where its result is a word that is not known here.
    pub(crate) fn see<T>(self, see: impl FnOnce(&Told<'_>) -> T) -> Option<T> {
        let outcome = Outcome::of_key(&self.result)?;
        let type_name = TypeName {
            plural: self.resource.into_owned(),
            group: self.group.into_owned(),
            version: self.version.into_owned(),
        };
        let key = Key { type_name, namespace: self.namespace.map(Cow::into_owned), name: self.name.into_owned() };
        Some(see(&Told { place: Place::Outside(&key), outcome, reason: &self.reason }))
    }
}

/// What is to be said of a restore as a whole, as a line of stored reports.
#[derive(Deserialize, Serialize)]
pub(crate) struct Note<'a> {
    /// The words.
    pub(crate) note: Cow<'a, str>,
}

/// Every object, with what became of it: the archive's in its order, then the others.
pub(crate) fn told(finished: &Finished) -> impl Iterator<Item = Told<'_>> {
    let archived = finished.parts.iter().flat_map(|(archive, results)| {
        (0..).take(archive.len()).map(move |position| Told {
            place: Place::Archive(archive, position),
            outcome: results.outcome(position),
            reason: results.reason(position),
        })
    });
    archived.chain(finished.outside.iter().map(|Outside { key, result }| Told {
        place: Place::Outside(key),
        outcome: result.outcome,
        reason: &result.reason,
    }))
}

/// All results together.
pub(crate) fn counts(finished: &Finished) -> Counts {
    let mut counts = Counts::default();
    for told in told(finished) {
        counts.add(told.outcome);
    }
    counts
}

/// The objects of which there is something to say.
pub(crate) fn noted(finished: &Finished) -> impl Iterator<Item = Told<'_>> {
    told(finished).filter(|told| !told.reason.is_empty() || matches!(told.outcome, Outcome::Failed | Outcome::Pruned))
}

/// Writes every object's result as one JSON document, object by object, so that its size does not matter:
///
/// ```json
/// {"objects": [{"group": "", "version": "v1", "resource": "secrets", "namespace": "a", "name": "b",
///               "result": "failed", "reason": "…"}],
///  "controllers": [{"group": "apps", "version": "v1", "resource": "deployments", "namespace": "a", "name": "b",
///                   "replicas": 3}],
///  "notes": ["exempt while this restore writes: …"],
///  "counts": {"created": 0, "updated": 0, "unchanged": 0, "kept": 0, "pruned": 0, "heldBack": 0, "failed": 1,
///             "untouched": 0}}
/// ```
///
/// `result` is one of the names of `counts`, in a plan as well; `reason` and `namespace` are missing where there is none,
/// `controllers` where none would be scaled down, `notes` where nothing is to be said of the whole.
pub(crate) fn json(out: &mut dyn Write, source: &dyn Source) -> io::Result<()> {
    write!(out, "{{\"objects\":[")?;
    let (mut separator, mut counts) = ("\n", Counts::default());
    source.each(&mut |told| {
        counts.add(told.outcome);
        write!(out, "{separator}")?;
        separator = ",\n";
        line(out, told)
    })?;
    writeln!(out, "\n],")?;
    if !source.controllers().is_empty() {
        writeln!(out, "\"controllers\":{},", serde_json::to_string(source.controllers())?)?;
    }
    let notes = source.notes()?;
    if !notes.is_empty() {
        writeln!(out, "\"notes\":{},", serde_json::to_string(&notes)?)?;
    }
    writeln!(out, "\"counts\":{}}}", serde_json::to_string(&counts)?)
}

/// Writes the result of one object as one line of JSON, without its end.
pub(crate) fn line(out: &mut dyn Write, told: &Told<'_>) -> io::Result<()> {
    let key = told.key()?;
    let result = ObjectResult {
        group: Cow::Borrowed(&key.type_name.group),
        version: Cow::Borrowed(&key.type_name.version),
        resource: Cow::Borrowed(&key.type_name.plural),
        namespace: key.namespace.as_deref().map(Cow::Borrowed),
        name: Cow::Borrowed(&key.name),
        result: Cow::Borrowed(told.outcome.key()),
        reason: Cow::Borrowed(told.reason),
    };
    Ok(serde_json::to_writer(out, &result)?)
}

/// Writes what was done by name where it matters, then the counts of each type and of all.
pub(crate) fn text(out: &mut dyn Write, source: &dyn Source, mode: Mode) -> io::Result<()> {
    source.notes()?.iter().try_for_each(|note| writeln!(out, "{}", printable(note)))?;
    for controller in source.controllers() {
        writeln!(out, "scale down while it writes {}", printable(&controller.to_string()))?;
    }
    for outcome in Outcome::ALL {
        named(out, source, mode, outcome)?;
    }
    let (rows, total) = rows(source)?;
    let mut table = TabWriter::new(out);
    for (name, counts) in &rows {
        writeln!(table, "{name}\t{}", in_words(counts, mode))?;
    }
    writeln!(table, "total\t{}", in_words(&total, mode))?;
    table.flush()
}

/// Names the objects of one outcome; objects of one type in a row with one cause share a line.
fn named(out: &mut dyn Write, source: &dyn Source, mode: Mode, outcome: Outcome) -> io::Result<()> {
    let mut group: Option<Group> = None;
    source.each(&mut |told| {
        if told.outcome != outcome || !mode.names(outcome, told.reason) {
            return Ok(());
        }
        let key = told.key()?;
        let (type_name, reason) = (title(&key.type_name), told.reason);
        let name = name_of(&key);
        match &mut group {
            Some(group) if group.type_name == type_name && group.cause == cause(reason, &key) => group.add(&name),
            _ => {
                if let Some(group) = group.replace(Group::new(type_name, cause(reason, &key), reason, &name)) {
                    group.write(out, mode.word(outcome))?;
                }
            }
        }
        Ok(())
    })?;
    group.map_or(Ok(()), |group| group.write(out, mode.word(outcome)))
}

/// How many names of a group are shown in the text; `--output json` has all.
const NAMES_SHOWN: usize = 20;

struct Group {
    type_name: String,
    cause: String,
    /// The reason of the first object.
    reason: String,
    names: Vec<String>,
    more: usize,
}

impl Group {
    fn new(type_name: String, cause: String, reason: &str, name: &str) -> Self {
        Self { type_name, cause, reason: reason.to_owned(), names: vec![printable(name)], more: 0 }
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
        let why = if self.names.len() == 1 { &self.reason } else { &self.cause };
        if !why.is_empty() {
            write!(out, ": {}", printable(why))?;
        }
        writeln!(out)
    }
}

/// The counts of each type, by its title, and those of all.
fn rows(source: &dyn Source) -> io::Result<(BTreeMap<String, Counts>, Counts)> {
    let (mut rows, mut total) = (BTreeMap::<TypeName, Counts>::new(), Counts::default());
    source.each(&mut |told| {
        let name = told.type_name();
        // Objects of one type come together, so its name is copied once and not for each.
        match rows.get_mut(name) {
            Some(counts) => counts.add(told.outcome),
            None => rows.entry(name.clone()).or_default().add(told.outcome),
        }
        total.add(told.outcome);
        Ok(())
    })?;
    Ok((rows.into_iter().map(|(name, counts)| (title(&name), counts)).collect(), total))
}

fn title(name: &TypeName) -> String {
    printable(&type_title(&name.plural, &name.group, &name.version))
}

fn in_words(counts: &Counts, mode: Mode) -> String {
    let some = Outcome::ALL.into_iter().filter(|outcome| counts.of(*outcome) > 0);
    let words: Vec<String> = some.map(|outcome| format!("{} {}", counts.of(outcome), mode.word(outcome))).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::outcome::Result;

    #[test]
    fn what_ended_in_turns_shares_a_line_of_its_type() {
        let paths = ["secrets.#v1/a/one", "configmaps.#v1/a/two", "secrets.#v1/a/three", "configmaps.#v1/a/four"];
        let outside = paths.map(|path| Outside {
            key: Key::from_path(&format!("{path}.json")).unwrap(),
            result: Result::new(Outcome::Pruned, String::new()),
        });
        let finished = Finished { outside: outside.into(), ..Finished::default() }.in_order();
        let mut written = Vec::<u8>::new();
        text(&mut written, &finished, Mode::Apply).unwrap();
        let written = String::from_utf8(written).unwrap();
        let lines: Vec<&str> = written.lines().filter(|line| line.starts_with("pruned ")).collect();
        assert_eq!(lines.len(), 2, "{written}");
        assert!(lines[0].contains("a/four, a/two") && lines[1].contains("a/one, a/three"), "{written}");
    }

    #[test]
    fn what_stays_unlike_the_archive_is_named_among_the_unchanged() {
        for (reason, expected) in [
            ("it waits for a volume, unlike the archive's, which has \"v\"", true),
            ("its node port 7 cannot be had in this cluster", true),
            (NOT_NEEDED, true),
            ("one of its owners was made later", false),
            ("", false),
        ] {
            assert_eq!(Mode::Apply.names(Outcome::Unchanged, reason), expected, "{reason}");
        }
    }
}
