//! What `setup` can be told about the queue.

use std::time::Duration;

use clap::Args;

/// One mebibyte.
const MEBIBYTE: u64 = 1024 * 1024;

/// How the queue is made.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
#[command(next_help_heading = "Queue")]
pub struct Settings {
    /// Copies of every stream, 1 to 5: 3 where NATS is a cluster.
    #[arg(long, env = "DROVER_REPLICAS", default_value_t = 1, value_name = "NUMBER")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=5))]
    pub replicas: u8,

    /// Room for events, in MiB. It is set aside on the servers, so that artifacts never take it.
    #[arg(long, env = "DROVER_EVENTS_MIB", default_value_t = 256, value_name = "MIB")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub events_mib: u32,

    /// Room for archives that wait for their upload, in MiB: at least twice the largest. Where it is short, those go first
    /// that a place has already; a snapshot that finds no room all the same ends with 69.
    #[arg(long, env = "DROVER_ARTIFACTS_MIB", default_value_t = 4096, value_name = "MIB")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub artifacts_mib: u32,

    /// How long a worker may be silent before its message goes to another one, in seconds.
    #[arg(long, env = "DROVER_ACK_WAIT_SECONDS", default_value_t = 60, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub ack_wait_seconds: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { replicas: 1, events_mib: 256, artifacts_mib: 4096, ack_wait_seconds: 60 }
    }
}

impl Settings {
    pub(super) fn ack_wait(&self) -> Duration {
        Duration::from_secs(self.ack_wait_seconds.into())
    }

    pub(super) fn events_bytes(&self) -> i64 {
        bytes(self.events_mib)
    }

    pub(super) fn artifacts_bytes(&self) -> i64 {
        bytes(self.artifacts_mib)
    }
}

fn bytes(mebibytes: u32) -> i64 {
    i64::try_from(u64::from(mebibytes) * MEBIBYTE).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn the_defaults_of_flags_and_of_code_are_the_same() {
        assert_eq!(Arguments::parse_from(["setup"]).settings, Settings::default());
    }

    #[test]
    fn room_is_in_mebibytes() {
        let settings = Settings { events_mib: 1, artifacts_mib: 1_048_576, ..Settings::default() };
        assert_eq!((settings.events_bytes(), settings.artifacts_bytes()), (1_048_576, 1_099_511_627_776));
    }

    #[test]
    fn senseless_settings_are_refused() {
        for arguments in
            [["--replicas", "0"], ["--events-mib", "0"], ["--artifacts-mib", "0"], ["--ack-wait-seconds", "0"]]
        {
            assert!(Arguments::try_parse_from(["setup"].iter().chain(&arguments)).is_err(), "{arguments:?}");
        }
    }
}
