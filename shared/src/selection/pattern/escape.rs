//! What may follow a backslash, in a class and outside of one.

use std::fmt::Write as _;

use regex::Regex;

use super::PatternError;
use super::scanner::Scanner;

const ESCAPE: &str = "Go knows no such escape";
const UNICODE_CLASS: &str = "there is no such Unicode class";

/// Go's `\d`, `\s` and `\w` and their negations, which are ASCII, as classes that hold also within a class.
const PERL_CLASSES: [(&str, &str); 6] = [
    ("\\d", "[0-9]"),
    ("\\D", "[^0-9]"),
    ("\\s", "[\\t\\n\\x0C\\r ]"),
    ("\\S", "[^\\t\\n\\x0C\\r ]"),
    ("\\w", "[0-9A-Za-z_]"),
    ("\\W", "[^0-9A-Za-z_]"),
];

/// Writes `character` so that it stands for itself wherever it is.
pub(super) fn write_literal(output: &mut String, character: char) {
    if character.is_ascii_alphanumeric() {
        output.push(character);
    } else {
        // Writing to a String cannot fail.
        let _ = write!(output, "\\x{{{:X}}}", u32::from(character));
    }
}

/// Reads `\d` and its kin or a Unicode class, where one comes next, as the crate's class.
pub(super) fn read_class_escape(scanner: &mut Scanner) -> Result<Option<String>, PatternError> {
    for (escape, class) in PERL_CLASSES {
        if scanner.eat(escape) {
            return Ok(Some(class.to_owned()));
        }
    }
    let start = *scanner;
    if scanner.eat("\\p") {
        return read_unicode_class(start, scanner, false).map(Some);
    }
    if scanner.eat("\\P") {
        return read_unicode_class(start, scanner, true).map(Some);
    }
    Ok(None)
}

/// `\pL`, `\p{Greek}`, `\p{^Greek}`. The crate decides which names there are; it knows all of Go's.
fn read_unicode_class(start: Scanner, scanner: &mut Scanner, negated: bool) -> Result<String, PatternError> {
    let mut letter = [0; 4];
    let name: &str = match scanner.next() {
        Some('{') => match scanner.eat_until("}") {
            Some(name) => name,
            None => return start.error("a Unicode class is not closed"),
        },
        Some(character) => character.encode_utf8(&mut letter),
        None => return start.error(ESCAPE),
    };
    let (name, negated) = match name.strip_prefix('^') {
        Some(name) => (name, !negated),
        None => (name, negated),
    };
    // The crate reads properties with a value too (`sc=Greek`), Go does not.
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-')) {
        return start.error(UNICODE_CLASS);
    }
    let class = format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' });
    if Regex::new(&class).is_err() {
        return start.error(UNICODE_CLASS);
    }
    Ok(class)
}

/// Reads an escape that stands for one character.
pub(super) fn read_escape(scanner: &mut Scanner) -> Result<char, PatternError> {
    let start = *scanner;
    scanner.next();
    let Some(character) = scanner.next() else {
        return start.error("nothing follows the backslash");
    };
    let code = match character {
        'a' => 0x07,
        'f' => 0x0C,
        'n' => 0x0A,
        'r' => 0x0D,
        't' => 0x09,
        'v' => 0x0B,
        'x' => return read_hexadecimal(start, scanner),
        '0'..='7' => return read_octal(start, scanner, character),
        _ if character.is_ascii() && !character.is_ascii_alphanumeric() => u32::from(character),
        _ => return start.error(ESCAPE),
    };
    to_character(start, code)
}

/// Up to three digits; a single one but 0 is a back reference, which RE2 has not.
fn read_octal(start: Scanner, scanner: &mut Scanner, first: char) -> Result<char, PatternError> {
    let mut code = first.to_digit(8).unwrap_or_default();
    let mut digits = 1;
    while digits < 3
        && let Some(digit) = scanner.peek().and_then(|next| next.to_digit(8))
    {
        scanner.next();
        code = code * 8 + digit;
        digits += 1;
    }
    if digits == 1 && first != '0' {
        return start.error("there are no back references");
    }
    to_character(start, code)
}

/// `\x7F` or `\x{10FFFF}`.
fn read_hexadecimal(start: Scanner, scanner: &mut Scanner) -> Result<char, PatternError> {
    let mut pair = String::new();
    let digits = if scanner.eat("{") {
        scanner.eat_until("}").unwrap_or_default()
    } else {
        pair.extend(scanner.next());
        pair.extend(scanner.next());
        if pair.len() == 2 { pair.as_str() } else { "" }
    };
    let are_digits = digits.chars().all(|digit| digit.is_ascii_hexdigit());
    match u32::from_str_radix(digits.trim_start_matches('0'), 16) {
        Ok(code) if are_digits => to_character(start, code),
        Err(_) if are_digits && !digits.is_empty() && digits.bytes().all(|digit| digit == b'0') => Ok('\0'),
        _ => start.error(ESCAPE),
    }
}

fn to_character(start: Scanner, code: u32) -> Result<char, PatternError> {
    match char::from_u32(code) {
        Some(character) => Ok(character),
        None => start.error("there is no such character"),
    }
}
