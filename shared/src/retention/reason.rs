//! Why an archive is kept or expires, in words for people.

use std::fmt;

use super::Tier;

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
    /// It is another cluster's.
    OtherCluster {
        /// The UID of that cluster.
        uid: String,
    },
    /// It is bad, and would not have expired yet if it were good.
    BadButYoung,
    /// It lacks types, and would not have expired yet if it did not.
    LackingButYoung,
}

/// Why an archive is deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expired {
    /// There are so many newer ones.
    Count(u64),
    /// No tier of the BackupPolicy keeps it.
    Tiers,
    /// It is bad, and would have expired also if it were good.
    Bad,
    /// It lacks types, and would have expired also if it did not.
    LacksTypes,
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
            Self::OtherCluster { uid } => write!(
                formatter,
                "of the cluster {uid}; it expires only when a BackupPolicy names that in adoptClusterUIDs"
            ),
            Self::BadButYoung => {
                write!(formatter, "marked as bad; it fills no place of the policy and has not expired yet")
            }
            Self::LackingButYoung => {
                write!(formatter, "it lacks types; it fills no place of the policy and has not expired yet")
            }
        }
    }
}

impl fmt::Display for Expired {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(formatter, "older than the newest {count}"),
            Self::Tiers => write!(formatter, "kept by no rule of the BackupPolicy"),
            Self::Bad => write!(formatter, "marked as bad, and expired"),
            Self::LacksTypes => write!(formatter, "it lacks types, and expired"),
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
