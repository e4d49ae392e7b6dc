//! From Go's grammar to the crate's.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::PatternError;
use super::class::read_class;
use super::escape::{read_class_escape, read_escape, write_literal};
use super::scanner::Scanner;

/// Go's limit for a count in braces.
const MOST_REPETITIONS: u32 = 1_000;

/// What stands before a place, as far as a repetition there may follow it.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Before {
    /// Nothing that could be repeated: the beginning of the pattern, of a group or of an alternative.
    Nothing,
    /// `(?i)` and its kin. Go repeats what stands before them, which no reader would guess.
    Flags,
    /// A repetition.
    Repetition,
    /// Anything else.
    Item,
}

struct Translation<'a> {
    scanner: Scanner<'a>,
    output: String,
    before: Before,
    /// Where each open group begins.
    open: Vec<Scanner<'a>>,
}

/// Writes `pattern` anew for the `regex` crate.
pub(super) fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut translation = Translation {
        scanner: Scanner::new(pattern),
        output: String::with_capacity(pattern.len() * 2),
        before: Before::Nothing,
        open: Vec::new(),
    };
    while let Some(next) = translation.scanner.peek() {
        translation.step(next)?;
    }
    match translation.open.pop() {
        Some(group) => group.error("the group is not closed"),
        None => Ok(translation.output),
    }
}

impl<'a> Translation<'a> {
    fn step(&mut self, next: char) -> Result<(), PatternError> {
        match next {
            '(' => self.open_group(),
            ')' => self.close_group(),
            '*' | '+' | '?' => self.repeat_by_sign(next),
            '{' => self.repeat_by_count(),
            '[' => {
                read_class(&mut self.scanner, &mut self.output)?;
                self.before = Before::Item;
                Ok(())
            }
            '\\' => self.escape(),
            '|' => {
                self.copy("|", Before::Nothing);
                Ok(())
            }
            '^' | '$' | '.' => {
                self.scanner.next();
                self.output.push(next);
                self.before = Before::Item;
                Ok(())
            }
            _ => {
                self.scanner.next();
                self.literal(next);
                Ok(())
            }
        }
    }

    fn copy(&mut self, text: &str, before: Before) {
        self.scanner.eat(text);
        self.output.push_str(text);
        self.before = before;
    }

    fn literal(&mut self, character: char) {
        write_literal(&mut self.output, character);
        self.before = Before::Item;
    }

    /// Whether an object fits is all that is asked, so every group is written as one that captures nothing.
    fn open_group(&mut self) -> Result<(), PatternError> {
        let start = self.scanner;
        if self.scanner.eat("(?P<") || self.scanner.eat("(?<") {
            self.read_name(start)?;
        } else if self.scanner.eat("(?") {
            return self.read_flags(start);
        } else {
            self.scanner.next();
        }
        self.begin_group(start, "");
        Ok(())
    }

    fn begin_group(&mut self, start: Scanner<'a>, flags: &str) {
        // Writing to a String cannot fail.
        let _ = write!(self.output, "(?{flags}:");
        self.open.push(start);
        self.before = Before::Nothing;
    }

    fn read_name(&mut self, start: Scanner<'a>) -> Result<(), PatternError> {
        let name = self.scanner.eat_until(">").unwrap_or_default();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return start.error("the group's name is not one of letters, digits and _");
        }
        Ok(())
    }

    /// `(?flags)` or `(?flags:`.
    fn read_flags(&mut self, start: Scanner<'a>) -> Result<(), PatternError> {
        let (mut on, mut off, mut negated) = (BTreeSet::new(), BTreeSet::new(), false);
        loop {
            match self.scanner.next() {
                Some(flag @ ('i' | 'm' | 's' | 'U')) if negated => {
                    off.insert(flag);
                }
                Some(flag @ ('i' | 'm' | 's' | 'U')) => {
                    on.insert(flag);
                }
                Some('-') if !negated => negated = true,
                Some(end @ (':' | ')')) if !negated || !off.is_empty() => {
                    self.write_flags(start, &on, &off, end);
                    return Ok(());
                }
                _ => return start.error("Go knows no such group"),
            }
        }
    }

    fn write_flags(&mut self, start: Scanner<'a>, on: &BTreeSet<char>, off: &BTreeSet<char>, end: char) {
        let mut flags: String = on.difference(off).collect();
        if !off.is_empty() {
            flags.push('-');
            flags.extend(off);
        }
        if end == ':' {
            self.begin_group(start, &flags);
            return;
        }
        if !flags.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(self.output, "(?{flags})");
        }
        self.before = Before::Flags;
    }

    fn close_group(&mut self) -> Result<(), PatternError> {
        if self.open.pop().is_none() {
            return self.scanner.error("there is no group that this could close");
        }
        self.copy(")", Before::Item);
        Ok(())
    }

    fn repeat_by_sign(&mut self, sign: char) -> Result<(), PatternError> {
        let start = self.scanner;
        self.scanner.next();
        self.repeat(start, &sign.to_string())
    }

    /// `{2}`, `{2,}` or `{2,5}`; anything else makes the brace stand for itself.
    fn repeat_by_count(&mut self) -> Result<(), PatternError> {
        let start = self.scanner;
        let Some((least, most)) = read_counts(&mut self.scanner) else {
            self.scanner = start;
            self.scanner.next();
            self.literal('{');
            return Ok(());
        };
        let most_or_least = most.unwrap_or(least);
        if least > MOST_REPETITIONS || most_or_least > MOST_REPETITIONS || least > most_or_least {
            return start.error("a count is over 1000, or the higher one comes first");
        }
        match most {
            Some(most) => self.repeat(start, &format!("{{{least},{most}}}")),
            None => self.repeat(start, &format!("{{{least},}}")),
        }
    }

    fn repeat(&mut self, start: Scanner, repetition: &str) -> Result<(), PatternError> {
        let reluctant = self.scanner.eat("?");
        match self.before {
            Before::Nothing => return start.error("there is nothing that this could repeat"),
            Before::Flags => return start.error("flags cannot be repeated"),
            Before::Repetition => return start.error("a repetition cannot be repeated"),
            Before::Item => {}
        }
        self.output.push_str(repetition);
        self.output.push_str(if reluctant { "?" } else { "" });
        self.before = Before::Repetition;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        let assertions = [("\\A", "\\A"), ("\\z", "\\z"), ("\\b", "(?-u:\\b)"), ("\\B", "(?-u:\\B)")];
        for (escape, assertion) in assertions {
            if self.scanner.eat(escape) {
                self.output.push_str(assertion);
                self.before = Before::Item;
                return Ok(());
            }
        }
        if self.scanner.eat("\\Q") {
            let quoted = self.scanner.eat_until("\\E").unwrap_or_else(|| self.scanner.eat_all());
            quoted.chars().for_each(|character| self.literal(character));
            // To Go even an empty quotation stands between two repetitions, so that the second repeats the first.
            if self.before == Before::Repetition {
                self.before = Before::Item;
            }
            return Ok(());
        }
        if let Some(class) = read_class_escape(&mut self.scanner)? {
            self.output.push_str(&class);
        } else {
            let character = read_escape(&mut self.scanner)?;
            write_literal(&mut self.output, character);
        }
        self.before = Before::Item;
        Ok(())
    }
}

/// The counts of a repetition, where there is one; the higher one is `None` where there is no limit.
fn read_counts(scanner: &mut Scanner) -> Option<(u32, Option<u32>)> {
    scanner.eat("{");
    let least = read_count(scanner)?;
    let most = match (scanner.eat(","), scanner.peek()) {
        (false, _) => Some(least),
        (true, Some('}')) => None,
        (true, _) => Some(read_count(scanner)?),
    };
    scanner.eat("}").then_some((least, most))
}

/// A number without leading zeros; one that is too large for the type is too large for Go too.
fn read_count(scanner: &mut Scanner) -> Option<u32> {
    let digits = scanner.eat_digits();
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some(digits.parse().unwrap_or(u32::MAX))
}
