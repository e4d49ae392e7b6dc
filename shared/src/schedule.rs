//! Schedules in Rancher's dialect of cron.
//!
//! The Rancher backup operator and Kubernetes' CronJobs both read schedules with robfig/cron v3 (`ParseStandard`), so a
//! schedule must mean here what it means there, to the minute and also when clocks change. No crate does: `croner` knows
//! neither `@every` nor `@midnight` (the operator's own example) nor `CRON_TZ=`, `cronexpr` no `@` name at all, `cron`
//! wants seconds; hence an own reader, whose tests hold what robfig/cron v3.0.1 itself answered.

mod calendar;
mod duration;
mod error;
mod field;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use snafu::{OptionExt, ResultExt, ensure};

use calendar::Calendar;
use duration::parse_duration;
pub use error::ScheduleError;
use error::{
    AcceptIntervalSnafu, EmptySnafu, FindFieldsSnafu, FindNameSnafu, FindZoneSnafu, ReadIntervalSnafu, excerpt,
};

/// A Backup is a whole pass over the cluster; one that is due again before a minute is over is a mistake (design.md).
const SHORTEST_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// The names that stand for five fields.
const NAMED: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// When a Backup is due, read from the text of `spec.schedule`.
///
/// # Usage
/// ```
/// let schedule: drover::schedule::Schedule = "CRON_TZ=Europe/Berlin 30 4 * * mon-fri".parse()?;
/// let next = schedule.next("2026-11-20T12:00:00Z".parse()?);
/// assert_eq!(next, Some("2026-11-23T03:30:00Z".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(Rule);

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Calendar(Calendar),
    /// Whole seconds.
    Every(SignedDuration),
}

impl Schedule {
    /// The first time after `after` at which a run is due; `None` where there is none within five years.
    ///
    /// `@every` counts from `after`, rounded down to the second. All else goes by the clock of the schedule's time zone,
    /// UTC where it names none. Where that clock leaves an hour out, a time in it does not come; where it repeats an
    /// hour, a time in it comes twice.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let second = after.as_nanosecond().div_euclid(1_000_000_000);
        let second = i64::try_from(second).ok()?;
        match &self.0 {
            Rule::Calendar(calendar) => calendar.next(second),
            Rule::Every(interval) => Timestamp::from_second(second.checked_add(interval.as_secs())?).ok(),
        }
    }

    /// The time zone that the schedule goes by, as the IANA database calls it; `None` for `@every`, which needs none.
    #[must_use]
    pub fn time_zone(&self) -> Option<&str> {
        match &self.0 {
            Rule::Calendar(calendar) => calendar.zone.iana_name(),
            Rule::Every(_) => None,
        }
    }
}

/// The time since which a run is due, or `None` where none is.
///
/// A Backup that never ran (`last` is `None`) is due since it was `created`; otherwise since the first time of the
/// schedule after the `last` run began. Several missed times count once: after the one run that makes up for them, the
/// next is in the future. A `last` of a wrong clock is to be left out by the caller.
#[must_use]
pub fn due(schedule: &Schedule, last: Option<Timestamp>, created: Timestamp, now: Timestamp) -> Option<Timestamp> {
    match last {
        None => Some(created.min(now)),
        Some(last) => schedule.next(last).filter(|next| *next <= now),
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        Self::read(text, None)
    }
}

impl Schedule {
    /// Reads a schedule that goes by `zone` where it names no time zone itself, and by UTC where nothing does.
    ///
    /// # Errors
    /// When it cannot be read, or there is no such time zone.
    pub fn read(text: &str, zone: Option<&str>) -> Result<Self, ScheduleError> {
        let (zone, rest) = split_zone(text, zone)?;
        ensure!(!rest.trim().is_empty(), EmptySnafu);
        let rule = match rest.strip_prefix("@every ") {
            Some(interval) => Rule::Every(read_interval(text, interval)?),
            None => Rule::Calendar(Calendar::parse(text, expand_name(text, rest)?, zone)?),
        };
        Ok(Self(rule))
    }
}

/// Splits `CRON_TZ=<zone> ` or `TZ=<zone> ` off. As in robfig/cron an empty zone is UTC.
fn split_zone<'a>(text: &'a str, otherwise: Option<&str>) -> Result<(TimeZone, &'a str), ScheduleError> {
    let Some(named) = text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ=")) else {
        return Ok((otherwise.map_or(Ok(TimeZone::UTC), |zone| find_zone(text, zone))?, text));
    };
    let (zone, rest) = named.split_once(' ').context(FindFieldsSnafu { schedule: excerpt(text) })?;
    let rest = rest.trim();
    ensure!(!rest.is_empty(), FindFieldsSnafu { schedule: excerpt(text) });
    if zone.is_empty() {
        return Ok((TimeZone::UTC, rest));
    }
    Ok((find_zone(text, zone)?, rest))
}

fn find_zone(text: &str, zone: &str) -> Result<TimeZone, ScheduleError> {
    TimeZone::get(zone).with_context(|_| FindZoneSnafu { schedule: excerpt(text), zone: excerpt(zone) })
}

fn expand_name<'a>(text: &str, rest: &'a str) -> Result<&'a str, ScheduleError> {
    if !rest.starts_with('@') {
        return Ok(rest);
    }
    let named = NAMED.iter().find(|(name, _)| *name == rest);
    named.map(|(_, fields)| *fields).context(FindNameSnafu { schedule: excerpt(text) })
}

fn read_interval(text: &str, interval: &str) -> Result<SignedDuration, ScheduleError> {
    let interval = match parse_duration(interval) {
        Ok(interval) => interval,
        Err(problem) => return ReadIntervalSnafu { schedule: excerpt(text), problem }.fail(),
    };
    ensure!(interval >= SHORTEST_INTERVAL, AcceptIntervalSnafu { schedule: excerpt(text) });
    Ok(SignedDuration::from_secs(interval.as_secs()))
}
