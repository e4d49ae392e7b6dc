//! The intervals of which a tier keeps the newest archive.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::reason::Keep;
use super::tier::Tier;

impl Tier {
    /// Keeps the newest archive of each of the last `count` intervals that have one. `times` are newest first.
    pub(super) fn fill(self, count: u64, times: &[Timestamp], zone: &TimeZone, slots: &mut [Vec<Keep>]) {
        let (mut filled, mut last) = (0, None);
        for (time, slot) in times.iter().zip(slots) {
            if filled == count {
                return;
            }
            let interval = self.interval(&time.to_zoned(zone.clone()));
            // What lies in one interval is next to each other, since the times are in order.
            if self == Self::Last || last.as_ref() != Some(&interval) {
                filled += 1;
                slot.push(Keep::Tier { tier: self, number: filled, of: count, interval: interval.name.clone() });
                last = Some(interval);
            }
        }
    }

    /// The interval in which a time lies.
    fn interval(self, time: &Zoned) -> Interval {
        let name = match self {
            Self::Last => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Self::Hourly => time.strftime("%Y-%m-%d %H:00").to_string(),
            Self::Daily => time.strftime("%Y-%m-%d").to_string(),
            Self::Weekly => time.strftime("%G-W%V").to_string(),
            Self::Monthly => time.strftime("%Y-%m").to_string(),
            Self::Yearly => time.strftime("%Y").to_string(),
        };
        // The hour that a clock goes through twice, in autumn, is two hours.
        let offset = if self == Self::Hourly { time.offset().seconds() } else { 0 };
        Interval { name, offset }
    }
}

#[derive(Eq, PartialEq)]
struct Interval {
    name: String,
    offset: i32,
}
