use jiff::Timestamp;
use jiff::tz::TimeZone;
use snafu::{ResultExt, Snafu};

use super::reason::{Expired, Keep};
use super::tier::Tier;
use crate::exit::{Exit, Fault};
use crate::policy::Settings;
use crate::resources::{Backup, BackupType, Retention, RetentionRule};

/// How many archives of a scheduled Backup are kept that does not say it, as Rancher's operator has it.
pub const DEFAULT_COUNT: u64 = 10;

/// The clock that buckets go by where no policy names one.
const DEFAULT_ZONE: TimeZone = TimeZone::UTC;

/// Which archives of a Backup are kept.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Rules,
    zone: TimeZone,
}

impl Default for Policy {
    /// All are kept.
    fn default() -> Self {
        Self { rules: Rules::Everything, zone: DEFAULT_ZONE }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Rules {
    /// All of a one-time Backup.
    OneTime,
    /// All, since a BackupPolicy sets no number.
    Everything,
    /// The newest so many: `retentionCount`.
    Newest(u64),
    /// The union of tiers.
    Tiers(Vec<(Tier, u64)>),
}

/// It is not known what is to be kept, so nothing expires.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum PolicyError {
    #[snafu(display(
        "failed to find the time zone {zone:?} of the BackupPolicy, so nothing expires; give a name of the IANA database, \
         such as \"Europe/Berlin\""
    ))]
    UnknownZone { zone: String, source: jiff::Error },
    /// A policy cannot be read, and may keep more than the Backup says.
    #[snafu(display("failed to tell what is to be kept, so nothing expires: {why}"))]
    UnreadablePolicy { why: String },
}

impl Fault for PolicyError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

impl Policy {
    /// What holds for a Backup: the tiers of a BackupPolicy where one sets them, else its `retentionCount`.
    ///
    /// # Errors
    /// When a policy cannot be read, or tiers go by a time zone that there is not.
    pub fn of(backup: &Backup, settings: &Settings) -> Result<Self, PolicyError> {
        if let Some(why) = &settings.unknown {
            return UnreadablePolicySnafu { why }.fail();
        }
        let rules = rules_of(backup, settings.retention.as_ref());
        let zone = zone_of(&rules, settings.time_zone.as_ref())?;
        Ok(Self { rules, zone })
    }

    /// What was recorded of a Backup's retention. What cannot be read any more keeps everything.
    #[must_use]
    pub fn recorded(rule: &RetentionRule) -> Self {
        let rules = match (&rule.tiers, rule.newest.and_then(|count| u64::try_from(count).ok())) {
            (Some(retention), _) => rules_of_tiers(retention),
            (None, Some(count)) => Rules::Newest(count),
            (None, None) => Rules::Everything,
        };
        zone_of(&rules, rule.time_zone.as_ref()).map(|zone| Self { rules, zone }).unwrap_or_default()
    }

    /// Why each of these counted archives, newest first, is kept by the rules; what expires has no reason.
    pub(super) fn slots(&self, times: &[Timestamp]) -> Vec<Vec<Keep>> {
        match &self.rules {
            Rules::OneTime => vec![vec![Keep::OneTime]; times.len()],
            Rules::Everything => vec![vec![Keep::Everything]; times.len()],
            Rules::Newest(count) => (1..).take(times.len()).map(|place| newest(place, *count)).collect(),
            Rules::Tiers(tiers) => {
                let mut slots = vec![Vec::new(); times.len()];
                for (tier, count) in tiers {
                    tier.fill(*count, times, &self.zone, &mut slots);
                }
                slots
            }
        }
    }

    /// Why an archive without a slot expires.
    pub(super) fn expired(&self) -> Expired {
        match self.rules {
            Rules::Newest(count) => Expired::Count(count),
            _ => Expired::Tiers,
        }
    }
}

/// What is recorded of a Backup's retention, to be compared with later: all that a change of which may let archives expire.
#[must_use]
pub fn rule_of(backup: &Backup, settings: &Settings) -> RetentionRule {
    let adopt_cluster_uids = settings.adopted_clusters.clone();
    let everything = RetentionRule { adopt_cluster_uids, ..RetentionRule::default() };
    match rules_of(backup, settings.retention.as_ref()) {
        Rules::OneTime | Rules::Everything => everything,
        Rules::Newest(count) => RetentionRule { newest: i64::try_from(count).ok(), ..everything },
        Rules::Tiers(_) => {
            RetentionRule { tiers: settings.retention.clone(), time_zone: settings.time_zone.clone(), ..everything }
        }
    }
}

fn zone_of(rules: &Rules, zone: Option<&String>) -> Result<TimeZone, PolicyError> {
    let zone = zone.filter(|_| matches!(rules, Rules::Tiers(_)));
    zone.map_or(Ok(DEFAULT_ZONE), |zone| TimeZone::get(zone).context(UnknownZoneSnafu { zone }))
}

fn newest(place: u64, of: u64) -> Vec<Keep> {
    if place <= of { vec![Keep::Newest { place, of }] } else { Vec::new() }
}

fn rules_of(backup: &Backup, retention: Option<&Retention>) -> Rules {
    if backup.kind_of_backup() == BackupType::OneTime {
        return Rules::OneTime;
    }
    let Some(retention) = retention else {
        let count = backup.spec.retention_count.and_then(|count| u64::try_from(count).ok());
        return Rules::Newest(count.filter(|count| *count > 0).unwrap_or(DEFAULT_COUNT));
    };
    rules_of_tiers(retention)
}

fn rules_of_tiers(retention: &Retention) -> Rules {
    let tiers = tiers_of(retention);
    if tiers.is_empty() { Rules::Everything } else { Rules::Tiers(tiers) }
}

/// The tiers that keep something.
fn tiers_of(retention: &Retention) -> Vec<(Tier, u64)> {
    let Retention { keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly } = retention;
    let counts = [keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly];
    let counts = counts.map(|count| count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default());
    Tier::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
}
