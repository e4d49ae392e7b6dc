//! What is to become of a Backup's archives, at each of its places. Nothing is written.

use std::collections::BTreeMap;

use drover::archives::latest_of;
use drover::cluster;
use drover::exit::Failure;
use drover::ledger::Lines;
use drover::places::{Target, targets};
use drover::policy::Settings;
use drover::resources::{ArchiveHold, Backup, BackupArchive, BackupType, Restore};
use drover::retention::{Change, Circumstances, Former, Found, Plan, Policy, Restoring, change, plan, rule_of};
use drover::runs::{ALLOW_UNKNOWN_ARCHIVES, Allowed, History};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::place::Site;
use crate::pruner::Pruner;

/// What holds for all places of a Backup.
pub(crate) struct Case {
    pub(crate) backup: Backup,
    pub(crate) history: History,
    pub(crate) targets: Vec<Target>,
    pub(crate) circumstances: Circumstances,
    policy: Policy,
    /// What the ledger says, with what only runs tell yet.
    pub(crate) lines: Lines,
    /// The lines that it lacks.
    pub(crate) unrecorded: Vec<BackupArchive>,
    /// Archives that are kept until somebody confirms that they may go, by file name.
    pub(crate) held: BTreeMap<String, ArchiveHold>,
    pub(crate) change: Change,
}

impl Case {
    /// The file name of the newest archive of the ledger.
    pub(crate) fn newest(&self) -> Option<&str> {
        self.lines.newest(self.circumstances.now).map(|line| line.spec.filename.as_str())
    }

    /// Whether archives of it expire at all. Those of one-time Backups do not, so nobody need say of any that it may go.
    pub(crate) fn can_expire(&self) -> bool {
        self.backup.kind_of_backup() == BackupType::Recurring
    }

    pub(crate) fn waits_until(&self) -> Option<Timestamp> {
        self.circumstances.former.as_ref().map(|former| former.until)
    }
}

impl Pruner {
    /// What the plan of a Backup depends on. Nothing is written.
    pub(crate) async fn case(&self, backup: &Backup, settings: &Settings) -> Result<Case, Failure> {
        let (name, uid, now) = (backup.name_any(), &self.cluster_uid, self.now());
        let (policy, allowed) = (Policy::of(backup, settings)?, Allowed::on(backup));
        let history = self.runs.history(backup).await?;
        let lines = self.ledger.lines(&name, uid).await?;
        let unrecorded = lines.missing(history.iter(), uid);
        let lines = lines.with(&name, uid, unrecorded.clone());
        let held = lines.held(&history, allowed);
        let change = change(lines.retention().map(|(_, record)| record), &rule_of(backup, settings), now);
        let former = change.former.as_ref().map(|(rule, until)| Former {
            policy: Policy::recorded(rule),
            adopted_clusters: rule.adopt_cluster_uids.clone(),
            until: *until,
        });
        let circumstances = Circumstances {
            restoring: self.restoring(&name).await?,
            backup: name,
            cluster_uid: uid.clone(),
            adopted_clusters: settings.adopted_clusters.clone(),
            ledger_since: lines.since(now),
            ahead: lines.ahead(),
            allows_unknown: allowed.has(ALLOW_UNKNOWN_ARCHIVES),
            former,
            now,
        };
        let (backup, targets) = (backup.clone(), targets(backup, settings));
        Ok(Case { backup, history, targets, circumstances, policy, lines, unrecorded, held, change })
    }

    /// What lies at a place, and what is to become of it.
    pub(crate) async fn plan<'a>(
        &self,
        case: &'a Case,
        target: &'a Target,
    ) -> Result<(Site<'a>, Vec<Found>, Plan), Failure> {
        let storage = target.open(&self.client, &self.options.namespace, &self.storage).await?;
        let site = Site::new(storage, target, &case.targets, &case.lines, &case.held);
        let found = site.look(&case.backup.name_any()).await?;
        let plan = plan(&found, &case.policy, &case.circumstances);
        Ok((site, found, plan))
    }

    /// The archives that Restores need which have not ended. Those that never will, being older than drover, count too: one
    /// archive more is kept.
    async fn restoring(&self, backup: &str) -> Result<Restoring, Failure> {
        let restores: Vec<Restore> = cluster::list(&self.client).await?;
        let (mut archives, mut newest_of_backup) = (BTreeMap::new(), None);
        for restore in restores.iter().filter(|restore| !restore.has_ended()) {
            let name = restore.name_any();
            match restore.archive() {
                Some(archive) => drop(archives.insert(archive.to_owned(), name)),
                None if latest_of(restore) == Some(backup) => newest_of_backup = Some(name),
                None => {}
            }
        }
        Ok(Restoring { archives, newest_of_backup })
    }
}
