//! Why a schedule cannot be read.

use snafu::Snafu;

use crate::exit::{Exit, Fault};

/// Why a schedule cannot be read. The schedule is quoted, cut to its first 100 characters.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum ScheduleError {
    #[snafu(display(
        "failed to read the schedule: it is empty; give five fields, such as \"0 3 * * *\", or \"@daily\""
    ))]
    Empty,
    #[snafu(display(
        "failed to read the schedule {schedule:?}: it has {found} fields; give five (minute, hour, day of month, month, \
         day of week), such as \"0 3 * * *\""
    ))]
    CountFields { schedule: String, found: usize },
    #[snafu(display("failed to read the schedule {schedule:?}: {field} {value:?} {problem}; allowed: {allowed}"))]
    ReadField {
        schedule: String,
        field: &'static str,
        /// The part of it that is wrong.
        value: String,
        problem: String,
        allowed: &'static str,
    },
    #[snafu(display(
        "failed to read the schedule {schedule:?}: none of its months has such a day, so it would never run"
    ))]
    FindDay { schedule: String },
    #[snafu(display(
        "failed to read the schedule {schedule:?}: no such name; allowed: @yearly, @annually, @monthly, @weekly, @daily, \
         @midnight, @hourly and \"@every 1h30m\""
    ))]
    FindName { schedule: String },
    #[snafu(display(
        "failed to read the schedule {schedule:?}: {problem}; give hours, minutes and seconds, such as \"@every 1h30m\""
    ))]
    ReadInterval { schedule: String, problem: &'static str },
    #[snafu(display(
        "failed to accept the schedule {schedule:?}: a backup cannot be due more often than every minute"
    ))]
    AcceptInterval { schedule: String },
    #[snafu(display(
        "failed to read the schedule {schedule:?}: nothing follows the time zone; give \"CRON_TZ=Europe/Berlin 0 3 * * *\""
    ))]
    FindFields { schedule: String },
    #[snafu(display(
        "failed to find the time zone {zone:?} of the schedule {schedule:?}; give a name of the IANA database, such as \
         \"Europe/Berlin\""
    ))]
    FindZone { schedule: String, zone: String, source: jiff::Error },
}

impl Fault for ScheduleError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// What an error quotes of a text that may be as long as an object of Kubernetes.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(100).collect()
}
