//! A schedule of five fields, and the search for its next time.

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use snafu::ensure;

use super::error::{CountFieldsSnafu, FindDaySnafu, ReadFieldSnafu, ScheduleError, excerpt};
use super::field::{Bounds, DAY_OF_MONTH, DAY_OF_WEEK, Field, HOUR, MINUTE, MONTH, Wrong};

/// robfig/cron gives up after as many years.
const YEARS_SEARCHED: i16 = 5;

/// Days of each month in a leap year.
const LONGEST_MONTHS: [i8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Calendar {
    minute: Field,
    hour: Field,
    day_of_month: Field,
    month: Field,
    day_of_week: Field,
    pub(super) zone: TimeZone,
}

impl Calendar {
    /// Reads the five `fields` of the schedule `text`.
    pub(super) fn parse(text: &str, fields: &str, zone: TimeZone) -> Result<Self, ScheduleError> {
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week] = fields[..] else {
            return CountFieldsSnafu { schedule: excerpt(text), found: fields.len() }.fail();
        };
        let read = |value: &str, bounds: &Bounds| {
            Field::parse(value, bounds).or_else(|Wrong { value, problem }| {
                let &Bounds { name: field, allowed, .. } = bounds;
                ReadFieldSnafu { schedule: excerpt(text), field, value, problem, allowed }.fail()
            })
        };
        let calendar = Self {
            minute: read(minute, &MINUTE)?,
            hour: read(hour, &HOUR)?,
            day_of_month: read(day_of_month, &DAY_OF_MONTH)?,
            month: read(month, &MONTH)?,
            day_of_week: read(day_of_week, &DAY_OF_WEEK)?,
            zone,
        };
        ensure!(calendar.has_a_day(), FindDaySnafu { schedule: excerpt(text) });
        Ok(calendar)
    }

    /// Whether any day can come, which the 30th of February cannot.
    fn has_a_day(&self) -> bool {
        let alone = self.day_of_month.star || self.day_of_week.star;
        let months = (1..).zip(LONGEST_MONTHS).filter(|(month, _)| self.month.takes(*month));
        !alone || months.into_iter().any(|(_, days)| (1..=days).any(|day| self.day_of_month.takes(day)))
    }

    /// Day of month and day of week must both fit when either is a star; otherwise one of them is enough.
    fn takes_day(&self, civil: DateTime) -> bool {
        let day_of_month = self.day_of_month.takes(civil.day());
        let day_of_week = self.day_of_week.takes(civil.weekday().to_sunday_zero_offset());
        if self.day_of_month.star || self.day_of_week.star {
            day_of_month && day_of_week
        } else {
            day_of_month || day_of_week
        }
    }

    /// The first time after the Unix second `after`.
    ///
    /// The order of the search and what it does at the edges of the clock's changes are those of robfig/cron, whose
    /// answers the CronJobs of the same schedule follow.
    pub(super) fn next(&self, after: i64) -> Option<Timestamp> {
        let mut walk = Walk { zone: &self.zone, second: after.checked_add(1)?, moved: false };
        let last_year = walk.civil()?.year().saturating_add(YEARS_SEARCHED);
        while walk.civil()?.year() <= last_year {
            if self.seek_month(&mut walk)?
                && self.seek_day(&mut walk)?
                && self.seek_hour(&mut walk)?
                && self.seek_minute(&mut walk)?
                && seek_second(&mut walk)?
            {
                return Timestamp::from_second(walk.second).ok();
            }
        }
        None
    }

    // Each `seek_…` goes on to the first unit that fits; `false` says that it came to the end of the unit above, which
    // then must be looked at again, and `None` that time itself ended.

    fn seek_month(&self, walk: &mut Walk) -> Option<bool> {
        while !self.month.takes(walk.civil()?.month()) {
            walk.start_from(|civil| civil.date().first_of_month().to_datetime(Time::midnight()))?;
            walk.add_month()?;
            if walk.civil()?.month() == 1 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn seek_day(&self, walk: &mut Walk) -> Option<bool> {
        while !self.takes_day(walk.civil()?) {
            walk.start_from(|civil| civil.date().to_datetime(Time::midnight()))?;
            walk.add_day()?;
            if walk.civil()?.day() == 1 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn seek_hour(&self, walk: &mut Walk) -> Option<bool> {
        while !self.hour.takes(walk.civil()?.hour()) {
            walk.start_from(|civil| civil.date().at(civil.hour(), 0, 0, 0))?;
            walk.second += 3_600;
            if walk.civil()?.hour() == 0 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn seek_minute(&self, walk: &mut Walk) -> Option<bool> {
        while !self.minute.takes(walk.civil()?.minute()) {
            if !walk.moved {
                walk.moved = true;
                walk.second -= walk.second.rem_euclid(60);
            }
            walk.second += 60;
            if walk.civil()?.minute() == 0 {
                return Some(false);
            }
        }
        Some(true)
    }
}

fn seek_second(walk: &mut Walk) -> Option<bool> {
    let second = i64::from(walk.civil()?.second());
    if second == 0 {
        return Some(true);
    }
    walk.moved = true;
    walk.second += 60 - second;
    Some(false)
}

/// Where the search is.
struct Walk<'a> {
    zone: &'a TimeZone,
    /// Seconds since 1970.
    second: i64,
    /// Whether the search has left its first second: then all smaller units are at their beginning.
    moved: bool,
}

impl Walk<'_> {
    fn civil(&self) -> Option<DateTime> {
        Some(self.zone.to_datetime(Timestamp::from_second(self.second).ok()?))
    }

    /// Goes back to the beginning of a unit, once.
    fn start_from(&mut self, beginning: impl Fn(DateTime) -> DateTime) -> Option<()> {
        if !self.moved {
            self.moved = true;
            self.set(beginning(self.civil()?))?;
        }
        Some(())
    }

    /// Goes to a time of the zone's clock. A time that the clock leaves out or has twice is taken as Go's `time.Date`
    /// takes it: by the offset that holds at the moment which the first guess leads to.
    fn set(&mut self, civil: DateTime) -> Option<()> {
        let as_utc = civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        let guess = self.offset(as_utc)?;
        self.second = if guess == 0 { as_utc } else { as_utc - self.offset(as_utc - guess)? };
        Some(())
    }

    fn offset(&self, second: i64) -> Option<i64> {
        let offset = self.zone.to_offset(Timestamp::from_second(second).ok()?);
        Some(i64::from(offset.seconds()))
    }

    /// The same day and time of the next month, days that it lacks running over into the month after it.
    fn add_month(&mut self) -> Option<()> {
        let civil = self.civil()?;
        let first = civil.date().last_of_month().tomorrow().ok()?;
        let date = first.checked_add(jiff::Span::new().days(civil.day() - 1)).ok()?;
        self.set(date.to_datetime(civil.time()))
    }

    /// The next day, moved to midnight where a change of the clock has pushed it off.
    fn add_day(&mut self) -> Option<()> {
        let (before, civil) = (self.second, self.civil()?);
        self.set(civil.date().tomorrow().ok()?.to_datetime(civil.time()))?;
        // Samoa had no 30 December 2011. There robfig/cron searches for ever; here the search passes over such a day.
        self.second = if self.second > before { self.second } else { before + 86_400 };
        let hour = i64::from(self.civil()?.hour());
        self.second += if hour > 12 { (24 - hour) * 3_600 } else { -hour * 3_600 };
        Some(())
    }
}
