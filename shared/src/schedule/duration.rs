//! Durations as Go writes them.

use jiff::SignedDuration;

const SECOND: i128 = 1_000_000_000;

/// The units of Go's `time.ParseDuration` with their nanoseconds; both signs for micro are in use.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
];

/// Reads what Go's `time.ParseDuration` reads, such as `1h30m`, `1.5h` and `-2s`: no crate reads exactly that, and the
/// operator's users have schedules that it reads.
///
/// # Errors
/// What is wrong with the text. Go's own limit, 2^63 - 1 nanoseconds (about 292 years), holds here too.
pub(super) fn parse_duration(text: &str) -> Result<SignedDuration, &'static str> {
    let (sign, mut rest) = split_sign(text);
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err("the duration is missing");
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let (nanoseconds, after) = parse_part(rest)?;
        total += nanoseconds;
        rest = after;
        if total > i128::from(i64::MAX) {
            return Err("the duration is too long");
        }
    }
    i64::try_from(sign * total).map(SignedDuration::from_nanos).map_err(|_| "the duration is too long")
}

fn split_sign(text: &str) -> (i128, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// One number with its unit, and what follows it.
fn parse_part(text: &str) -> Result<(i128, &str), &'static str> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), split_digits);
    if whole.is_empty() && fraction.is_empty() {
        return Err("the duration has a part without a number");
    }
    let unit_length = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(unit_length);
    let unit = UNITS.iter().find(|(unit, _)| *unit == name).map(|(_, nanoseconds)| *nanoseconds);
    let unit = unit.ok_or("the duration has a number without a unit (h, m or s)")?;
    let nanoseconds = number(whole)?.checked_mul(unit).ok_or("the duration is too long")?;
    // A nanosecond has no fraction that counts, so 13 digits below an hour are more than enough.
    let fraction = &fraction[..fraction.len().min(13)];
    let digits = u32::try_from(fraction.len()).unwrap_or_default();
    Ok((nanoseconds + number(fraction)? * unit / 10_i128.pow(digits), rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn number(digits: &str) -> Result<i128, &'static str> {
    if digits.is_empty() {
        return Ok(0);
    }
    digits.parse::<i64>().map(i128::from).map_err(|_| "the duration is too long")
}
