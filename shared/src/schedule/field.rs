//! One field of a schedule.

use std::ops::RangeInclusive;

use super::error::excerpt;

/// What a field is called, which numbers it takes, and the names of these numbers.
pub(super) struct Bounds {
    pub(super) name: &'static str,
    pub(super) range: RangeInclusive<u8>,
    /// The first three letters of each name; the first of them is the lowest number of `range`.
    pub(super) names: &'static [&'static str],
    pub(super) allowed: &'static str,
}

pub(super) const MINUTE: Bounds = Bounds {
    name: "minute",
    range: 0..=59,
    names: &[],
    allowed: "0-59, lists \"0,30\", ranges \"0-10\", steps \"*/15\"",
};
pub(super) const HOUR: Bounds =
    Bounds { name: "hour", range: 0..=23, names: &[], allowed: "0-23, lists \"6,18\", ranges \"8-17\", steps \"*/6\"" };
pub(super) const DAY_OF_MONTH: Bounds = Bounds {
    name: "day of month",
    range: 1..=31,
    names: &[],
    allowed: "1-31, lists \"1,15\", ranges \"1-7\", steps \"*/2\"",
};
pub(super) const MONTH: Bounds = Bounds {
    name: "month",
    range: 1..=12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    allowed: "1-12 or JAN-DEC, lists \"1,7\", ranges \"MAR-OCT\", steps \"*/3\"",
};
pub(super) const DAY_OF_WEEK: Bounds = Bounds {
    name: "day of week",
    range: 0..=6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    allowed: "0-6 or SUN-SAT (Sunday is 0, not 7), lists \"MON,THU\", ranges \"1-5\", steps \"*/2\"",
};

/// The numbers that a field takes, and whether it takes them by a star.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Field {
    bits: u64,
    /// A star (or `?`) without a step above 1. It decides how day of month and day of week go together.
    pub(super) star: bool,
}

/// A part of a field that cannot be read, and why.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) value: String,
    pub(super) problem: String,
}

impl Field {
    pub(super) fn takes(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|number| self.bits >> number & 1 == 1)
    }

    /// Reads a comma-separated list of ranges. Empty parts of the list are passed over, as robfig/cron does.
    pub(super) fn parse(text: &str, bounds: &Bounds) -> Result<Self, Wrong> {
        let mut field = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (bits, star) = parse_part(part, bounds).map_err(|problem| Wrong { value: excerpt(part), problem })?;
            field.bits |= bits;
            field.star |= star;
        }
        if field.bits == 0 {
            return Err(Wrong { value: excerpt(text), problem: "takes no number".to_owned() });
        }
        Ok(field)
    }
}

/// `*`, `?`, `N`, `N-M`, each with `/STEP` or without. `N/STEP` goes from N to the field's highest number.
fn parse_part(part: &str, bounds: &Bounds) -> Result<(u64, bool), String> {
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(parse_step(step)?)),
        None => (part, None),
    };
    let (lowest, highest) = (*bounds.range.start(), *bounds.range.end());
    let (low, high) = match range.split_once('-') {
        Some((low, high)) => (low, Some(high)),
        None => (range, None),
    };
    if low == "*" || low == "?" {
        // robfig/cron looks at no more than the star, so that "*-5" is all; a schedule that it reads is read the same.
        let step = step.unwrap_or(1);
        return Ok((bits(lowest, highest, step), step == 1));
    }
    let start = parse_number(low, bounds)?;
    let end = match (high, step) {
        (Some(high), _) => parse_number(high, bounds)?,
        (None, Some(_)) => highest,
        (None, None) => start,
    };
    if start > end {
        return Err("ends before it begins".to_owned());
    }
    Ok((bits(start, end, step.unwrap_or(1)), false))
}

fn parse_step(text: &str) -> Result<usize, String> {
    match integer(text) {
        Some(0) => Err("has a step of 0".to_owned()),
        Some(step) => Ok(usize::try_from(step).unwrap_or(usize::MAX)),
        None => Err("has a step that is no number".to_owned()),
    }
}

fn parse_number(text: &str, bounds: &Bounds) -> Result<u8, String> {
    if let Some(index) = bounds.names.iter().position(|name| text.eq_ignore_ascii_case(name)) {
        return Ok(bounds.range.start() + u8::try_from(index).unwrap_or(u8::MAX));
    }
    let number = integer(text).ok_or_else(|| "is no number that is known here".to_owned())?;
    u8::try_from(number)
        .ok()
        .filter(|number| bounds.range.contains(number))
        .ok_or_else(|| format!("is outside of {}-{}", bounds.range.start(), bounds.range.end()))
}

/// A number as Go's `strconv.Atoi` reads it, but for negative ones, which no field takes.
fn integer(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok())
}

fn bits(start: u8, end: u8, step: usize) -> u64 {
    (start..=end).step_by(step).fold(0, |bits, number| bits | 1 << number)
}
