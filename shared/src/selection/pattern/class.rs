//! Character classes.

use super::PatternError;
use super::escape::{read_class_escape, read_escape, write_literal};
use super::scanner::Scanner;

/// The POSIX classes, which Go and the crate both have.
const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

/// Reads a class, whose `[` comes next, and writes it so that every character in it stands for itself.
pub(super) fn read_class(scanner: &mut Scanner, output: &mut String) -> Result<(), PatternError> {
    let start = *scanner;
    scanner.next();
    output.push('[');
    if scanner.eat("^") {
        output.push('^');
    }
    let mut first = true;
    // A bracket that comes first stands for itself.
    while first || scanner.peek() != Some(']') {
        first = false;
        if let Some(class) = read_named(scanner)? {
            output.push_str(&class);
        } else if let Some(class) = read_class_escape(scanner)? {
            output.push_str(&class);
        } else {
            read_range(start, scanner, output)?;
        }
    }
    scanner.next();
    output.push(']');
    Ok(())
}

/// `[:alpha:]` or `[:^alpha:]`.
fn read_named(scanner: &mut Scanner) -> Result<Option<String>, PatternError> {
    let start = *scanner;
    if !scanner.eat("[:") {
        return Ok(None);
    }
    let Some(name) = scanner.eat_until(":]") else {
        *scanner = start;
        return Ok(None);
    };
    if !NAMED.contains(&name.strip_prefix('^').unwrap_or(name)) {
        return start.error("there is no class of this name");
    }
    Ok(Some(format!("[:{name}:]")))
}

/// One character, or a range of them.
fn read_range(class: Scanner, scanner: &mut Scanner, output: &mut String) -> Result<(), PatternError> {
    let start = *scanner;
    let low = read_character(class, scanner)?;
    let rest = scanner.rest();
    write_literal(output, low);
    if !rest.starts_with('-') || rest.len() == 1 || rest.starts_with("-]") {
        return Ok(());
    }
    scanner.next();
    let high = read_character(class, scanner)?;
    if high < low {
        return start.error("the range ends before it begins");
    }
    output.push('-');
    write_literal(output, high);
    Ok(())
}

fn read_character(class: Scanner, scanner: &mut Scanner) -> Result<char, PatternError> {
    match scanner.peek() {
        None => class.error("the class is not closed"),
        Some('\\') => read_escape(scanner),
        Some(character) => {
            scanner.next();
            Ok(character)
        }
    }
}
