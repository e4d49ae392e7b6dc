use std::time::Duration;

/// How a lease is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// How long a holder may be silent before it counts as dead. The record has whole seconds: a part of one is
    /// rounded up, and the least is one second.
    pub duration: Duration,
}

impl Default for Settings {
    /// 15 s, as client-go's leader election has it.
    fn default() -> Self {
        Self { duration: Duration::from_secs(15) }
    }
}

impl Settings {
    /// The duration as the record can hold it.
    pub(super) fn seconds(self) -> i32 {
        let rounded_up = self.duration.as_secs() + u64::from(self.duration.subsec_nanos() > 0);
        i32::try_from(rounded_up.max(1)).unwrap_or(i32::MAX)
    }

    pub(super) fn whole(self) -> Duration {
        Duration::from_secs(u64::from(self.seconds().unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_whole_seconds_and_at_least_one() {
        let seconds = |millis| Settings { duration: Duration::from_millis(millis) }.seconds();
        assert_eq!([0, 1, 1000, 1001, 15_000].map(seconds), [1, 1, 1, 2, 15]);
    }
}
