//! Why an archive is kept or expires, in words for people.

use std::fmt;

use jiff::Timestamp;

use super::tier::Tier;
use crate::resources::rfc3339;
use crate::runs::first_named;

/// What is to become of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It stays, for at least one reason.
    Keep(Vec<Keep>),
    /// It is deleted.
    Delete(Expired),
}

/// A reason to keep an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Keep {
    /// Those of a one-time Backup never expire.
    OneTime,
    /// The BackupPolicy sets no number.
    Everything,
    /// It is one of the newest.
    Newest {
        /// Its place among those that count, from 1.
        place: u64,
        /// How many are kept.
        of: u64,
    },
    /// It is the newest of an interval.
    Tier {
        /// The kind of interval.
        tier: Tier,
        /// The place of the interval among those that have an archive, from 1.
        number: u64,
        /// How many intervals are kept.
        of: u64,
        /// The interval, in the policy's time zone.
        interval: String,
    },
    /// It is the newest that is known to be good.
    NewestVerified,
    /// None is known to be good, so none is deleted.
    NoneVerified,
    /// A Restore needs it that has not ended.
    Restoring {
        /// The Restore.
        restore: String,
    },
    /// It has what a later one lacks, and nobody has confirmed that.
    Held {
        /// What, and what confirms it.
        reason: String,
    },
    /// The next one holds less than half of its objects.
    BeforeDrop {
        /// How many it holds.
        objects: u64,
        /// How many the next one holds.
        left: u64,
    },
    /// It holds less than half of the objects of the one before it.
    AfterDrop {
        /// How many the one before it holds.
        before: u64,
        /// How many it holds.
        objects: u64,
    },
    /// The time in its name has not come: a clock went back, or is wrong.
    Future,
    /// The time in its name had not come when it was made: when it was is not in its name.
    Ahead,
    /// It is another cluster's.
    OtherCluster {
        /// The UID of that cluster.
        uid: String,
    },
    /// It fills no place, and would not have expired yet if it did.
    FlawedButYoung {
        /// Why it fills none.
        flaw: Flaw,
    },
    /// The ledger does not know it, although it is newer than the ledger's first line.
    Unknown,
    /// drover deleted it, and it is there again.
    CopiedBack,
    /// The ledger does not know it, and what is recorded beside it cannot be read.
    Unreadable,
    /// The former retention kept it, and its time is not over.
    FormerRetention {
        /// When it goes.
        until: Timestamp,
    },
}

/// Why an archive fills no place of the policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Flaw {
    /// It was marked as one that must not be used.
    Marked,
    /// It has another size than when it was verified.
    OtherSize {
        /// Bytes now.
        bytes: u64,
        /// Bytes then.
        recorded: u64,
    },
    /// It lacks types that it was to hold.
    Incomplete {
        /// Which ones, where that is known.
        types: Vec<String>,
    },
    /// What is recorded beside it cannot be read, so nothing is known of it.
    Unreadable,
}

/// Why an archive is deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expired {
    /// There are so many newer ones.
    Count(u64),
    /// No tier of the BackupPolicy keeps it.
    Tiers,
    /// It fills no place, and would have expired also if it did.
    Flawed(Flaw),
}

impl fmt::Display for Keep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneTime => write!(formatter, "archives of a one-time Backup never expire"),
            Self::Everything => write!(formatter, "the BackupPolicy keeps everything"),
            Self::Newest { place, of } => write!(formatter, "number {place} of the newest {of}"),
            Self::Tier { tier: Tier::Last, number, of, .. } => write!(formatter, "number {number} of the last {of}"),
            Self::Tier { tier, number, of, interval } => write!(formatter, "{tier} {number} of {of} ({interval})"),
            Self::NewestVerified => write!(formatter, "the newest verified one"),
            Self::NoneVerified => write!(formatter, "none is known to be verified, so none is deleted"),
            Self::Restoring { restore } => write!(formatter, "the Restore {restore:?} has not ended"),
            Self::Held { reason } => formatter.write_str(reason),
            Self::BeforeDrop { objects, left } => {
                write!(formatter, "the last one before a drop from {objects} to {left} objects")
            }
            Self::AfterDrop { before, objects } => {
                write!(formatter, "the first one after a drop from {before} to {objects} objects")
            }
            Self::Future => write!(formatter, "its time is in the future; it fills no place of the policy"),
            Self::Ahead => {
                write!(formatter, "its time was in the future when it was made; it fills no place of the policy")
            }
            Self::OtherCluster { uid } => write!(
                formatter,
                "of the cluster {uid}; it expires only when a BackupPolicy names that in adoptClusterUIDs"
            ),
            Self::FlawedButYoung { flaw } => {
                write!(formatter, "{flaw}; it fills no place of the policy and has not expired yet")
            }
            Self::Unknown => {
                write!(formatter, "not in the ledger, and newer than its first line; it fills no place of the policy")
            }
            Self::CopiedBack => {
                write!(formatter, "drover deleted it, and it was copied back; it fills no place of the policy")
            }
            Self::Unreadable => write!(formatter, "{}; it fills no place of the policy", Flaw::Unreadable),
            Self::FormerRetention { until } => {
                write!(
                    formatter,
                    "kept by the former retention; it goes at {}, or sooner where that lets it go too",
                    rfc3339(*until)
                )
            }
        }
    }
}

impl fmt::Display for Expired {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(formatter, "older than the newest {count}"),
            Self::Tiers => write!(formatter, "kept by no rule of the BackupPolicy"),
            Self::Flawed(flaw) => write!(formatter, "{flaw}, and expired"),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Marked => write!(formatter, "marked as bad"),
            Self::OtherSize { bytes, recorded } => {
                write!(formatter, "it has {bytes} bytes instead of the {recorded} that were verified")
            }
            Self::Incomplete { types } if types.is_empty() => write!(formatter, "it lacks types"),
            Self::Incomplete { types } => write!(formatter, "it lacks {}", first_named(types)),
            Self::Unreadable => write!(formatter, "not in the ledger, and what is recorded beside it cannot be read"),
        }
    }
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Keep(_) => "keep",
            Self::Delete(_) => "delete",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delete(reason) => reason.fmt(formatter),
            Self::Keep(reasons) => {
                let words: Vec<_> = reasons.iter().map(ToString::to_string).collect();
                formatter.write_str(&words.join("; "))
            }
        }
    }
}
