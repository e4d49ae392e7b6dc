use std::collections::{BTreeMap, BTreeSet, HashSet};

use drover::archives::latest_of;
use drover::clock;
use drover::cluster::{self, ClusterOptions, Events};
use drover::coexistence::{self, Operator};
use drover::conditions::WHOLE;
use drover::exit::{Exit, Failure};
use drover::job::name::RETENTION_PRUNE as JOB;
use drover::lease::{self, Acquired, Holder, Wait};
use drover::ledger::{self, Ledger, Lines, held_of};
use drover::places::{Target, targets};
use drover::policy::{Policies, Settings};
use drover::queue::Connection;
use drover::resources::{
    ArchiveHold, Backup, BackupArchive, BackupArchiveStatus, BackupType, ConditionStatus, Restore,
};
use drover::retention::{Change, Circumstances, Former, Found, Plan, Policy, Restoring, change, plan, rule_of};
use drover::runs::{ALLOW_UNKNOWN_ARCHIVES, Allowed, History, RunStore, again, confirmed};
use drover::storage::StorageOptions;
use jiff::Timestamp;
use kube::{Client, ResourceExt};
use tracing::{Instrument, info, info_span, warn};

use crate::outcome::{Outcome, held_words};
use crate::place::{Effort, Site, Trouble};
use crate::report;

/// Whoever deletes expired archives.
pub struct Pruner {
    pub(crate) client: Client,
    pub(crate) options: ClusterOptions,
    pub(crate) storage: StorageOptions,
    pub(crate) events: Events,
    holder: Holder,
    cluster_uid: String,
    runs: RunStore,
    ledger: Ledger,
    connection: Option<Connection>,
    /// The time that it is taken to be, where it is not the clock's.
    now: Option<Timestamp>,
}

/// What became of the wish to prune a Backup.
#[derive(Debug)]
pub enum Turn {
    /// It was done.
    Done(Box<Outcome>),
    /// Another job works on the Backup.
    Busy {
        /// Which one.
        holder: String,
    },
}

/// What holds for all places of a Backup.
pub(crate) struct Case {
    pub(crate) backup: Backup,
    pub(crate) history: History,
    pub(crate) targets: Vec<Target>,
    pub(crate) circumstances: Circumstances,
    policy: Policy,
    /// What the ledger says, with what only runs tell yet.
    lines: Lines,
    /// The lines that it lacks.
    unrecorded: Vec<BackupArchive>,
    /// Archives that are kept until somebody confirms that they may go, by file name.
    held: BTreeMap<String, ArchiveHold>,
    change: Change,
}

impl Case {
    /// The file name of the newest archive of the ledger.
    fn newest(&self) -> Option<&str> {
        self.lines.newest(self.circumstances.now).map(|line| line.spec.filename.as_str())
    }

    /// Whether archives of it expire at all. Those of one-time Backups do not, so nobody need say of any that it may go.
    fn can_expire(&self) -> bool {
        self.backup.kind_of_backup() == BackupType::Recurring
    }

    fn waits_until(&self) -> Option<Timestamp> {
        self.circumstances.former.as_ref().map(|former| former.until)
    }
}

impl Pruner {
    /// A pruner that tells nobody over NATS.
    ///
    /// # Errors
    /// When the cluster does not say which one it is.
    pub async fn connect(client: Client, options: ClusterOptions, storage: StorageOptions) -> Result<Self, Failure> {
        let holder = options.lease_holder(&client);
        Ok(Self {
            cluster_uid: drover::cluster::cluster_uid(&client).await?,
            events: Events::new(client.clone(), JOB, holder.identity()),
            runs: RunStore::new(client.clone(), JOB),
            ledger: Ledger::new(client.clone(), JOB),
            client,
            options,
            storage,
            holder,
            connection: None,
            now: None,
        })
    }

    /// The same, telling over NATS what it does.
    #[must_use]
    pub fn telling(self, connection: Connection) -> Self {
        Self { connection: Some(connection), ..self }
    }

    /// The same, at another time than now.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { now: Some(now), ..self }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now.unwrap_or_else(clock::now)
    }

    pub(crate) const fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref()
    }

    /// The Rancher backup operator, while it is in charge and prunes by itself.
    pub(crate) async fn operator(&self) -> Result<Option<Operator>, Failure> {
        Ok(coexistence::operator(&self.client, &self.options.namespace).await?)
    }

    /// The Backups that are there to stay.
    pub(crate) async fn backups(&self) -> Result<Vec<Backup>, Failure> {
        let mut backups: Vec<Backup> = cluster::list(&self.client).await?;
        backups.retain(|backup| backup.metadata.deletion_timestamp.is_none());
        Ok(backups)
    }

    /// Forgets what the ledger says of Backups that are gone, as far as it is of no use any more.
    pub(crate) async fn forget_left(&self) -> Result<(), Failure> {
        // They are read anew, for a sweep takes long; one that is made from now on has lines that are too young to go.
        let backups: BTreeSet<_> = self.backups().await?.iter().map(ResourceExt::name_any).collect();
        Ok(self.ledger.forget_left(&backups, self.now()).await?)
    }

    /// Prunes a Backup at all of its places but those known to be away, under its Lease: no run of it goes on meanwhile.
    ///
    /// # Errors
    /// When the cluster does not answer. What fails at a place is part of the outcome.
    pub(crate) async fn prune(&self, backup: &Backup, away: &HashSet<String>, effort: Effort) -> Result<Turn, Failure> {
        let name = lease::of_backup(&backup.name_any());
        let held = match self.holder.acquire(&name, Wait::No).await? {
            Acquired::Busy { holder } => return Ok(Turn::Busy { holder }),
            Acquired::Held(held) => held,
        };
        let span = info_span!("prune", backup = backup.name_any());
        let work = Box::pin(self.as_it_is_now(backup, away, effort)).instrument(span);
        let Some(outcome) = held.during(work).await else {
            warn!(backup = backup.name_any(), "the Lease was lost; the rest is done later");
            return Ok(Turn::Busy { holder: "whoever took the Lease".to_owned() });
        };
        Ok(Turn::Done(Box::new(outcome?)))
    }

    /// Reads the Backup once more, and the policies: a look at all Backups takes long, and what somebody has changed
    /// meanwhile, to keep more, counts.
    async fn as_it_is_now(&self, backup: &Backup, away: &HashSet<String>, effort: Effort) -> Result<Outcome, Failure> {
        let found = cluster::find(&self.client, &backup.name_any()).await?;
        let Some(backup) = found.filter(|found: &Backup| found.uid() == backup.uid()) else {
            info!("nothing to prune: the Backup is gone");
            return Ok(Outcome::default());
        };
        match self.with_policies(&backup, away, effort).await {
            // What cannot be read is told on the Backup, whatever it is: nobody else tells that nothing expires any more.
            Err(failure) => Ok(self.nothing_done(&backup, &History::default(), failure).await),
            outcome => outcome,
        }
    }

    async fn with_policies(&self, backup: &Backup, away: &HashSet<String>, effort: Effort) -> Result<Outcome, Failure> {
        self.tell_confirmed(backup).await?;
        let settings = Policies::reload(&self.client).await?.settings(backup);
        self.under_lease(backup, &settings, away, effort).await
    }

    /// Tells on every Backup why nothing is done.
    ///
    /// # Errors
    /// When the Backups cannot be listed.
    pub(crate) async fn refuse(&self, exit: Exit, words: &str) -> Result<(), Failure> {
        for backup in self.backups().await? {
            self.nothing_done(&backup, &History::default(), Failure::new(exit, words)).await;
        }
        Ok(())
    }

    /// Says that a loss was confirmed, where no dispatch has said so. Only a Backup that is said not to be whole has its runs
    /// read for it.
    async fn tell_confirmed(&self, backup: &Backup) -> Result<(), Failure> {
        if backup.condition(WHOLE).is_none_or(|whole| whole.status != ConditionStatus::False) {
            return Ok(());
        }
        let losses = confirmed(&self.runs.history(backup).await?, backup);
        if !losses.is_empty() {
            report::tell_confirmed(self, backup, &losses).await;
        }
        Ok(())
    }

    /// Writes down by which retention archives are kept, where the ledger says another.
    async fn note_retention(&self, lines: &Lines, Change { record, .. }: &Change) -> Result<(), ledger::Error> {
        let recorded = lines.retention();
        if recorded.is_some_and(|(_, recorded)| recorded == record) {
            return Ok(());
        }
        let Some(line) = recorded.map(|(line, _)| line).or_else(|| lines.iter().next()) else { return Ok(()) };
        let name = line.name_any();
        let noted = self.ledger.note(&name, |line| {
            let status = line.status.clone().unwrap_or_default();
            Some(BackupArchiveStatus { retention: Some(record.clone()), ..status })
        });
        noted.await
    }

    /// Writes down which archives are held, where the ledger says another thing.
    async fn note_held(&self, case: &Case) -> Result<(), ledger::Error> {
        for line in case.lines.iter() {
            let held = case.held.get(&line.spec.filename);
            if held_of(line) == held {
                continue;
            }
            let name = line.name_any();
            let noted = self.ledger.note(&name, |line| {
                let status = line.status.clone().unwrap_or_default();
                Some(BackupArchiveStatus { held: held.cloned(), ..status })
            });
            noted.await?;
        }
        Ok(())
    }

    /// Notes what holds for all places: archives that only runs tell of, those that are held, and the retention.
    async fn note(&self, case: &Case) -> Result<(), ledger::Error> {
        for line in &case.unrecorded {
            self.ledger.seed(line).await?;
            info!(archive = line.spec.filename, "noted in the ledger, as its run tells of it");
        }
        self.note_held(case).await?;
        self.note_retention(&case.lines, &case.change).await
    }

    async fn under_lease(
        &self,
        backup: &Backup,
        settings: &Settings,
        away: &HashSet<String>,
        effort: Effort,
    ) -> Result<Outcome, Failure> {
        let case = self.case(backup, settings).await?;
        // What cannot be noted would not be known of what is deleted.
        if let Err(error) = self.note(&case).await {
            return Ok(self.nothing_done(backup, &case.history, error.into()).await);
        }
        let allow_unknown = Allowed::on(backup).command(ALLOW_UNKNOWN_ARCHIVES);
        let again = again(&self.options.namespace, backup);
        let mut outcome = Outcome { waits_until: case.waits_until(), allow_unknown, again, ..Outcome::default() };
        if case.can_expire() {
            outcome.held = held_words(backup, &case.lines, &case.held, &case.history);
        }
        for target in &case.targets {
            let site = target.site();
            let pruned = if away.contains(&site) {
                let failure = Failure::new(Exit::Unavailable, "it is away, as another Backup has found");
                Err(Trouble::of_place(failure))
            } else {
                self.prune_place(&case, target, effort, &mut outcome).await
            };
            if let Err(Trouble { failure, is_away }) = pruned {
                warn!(place = target.name, "{failure}");
                if is_away {
                    outcome.away.push(site);
                }
                outcome.failures.push((target.name.clone(), failure));
            }
        }
        self.ledger.forget(&case.lines.forgotten(&case.history, self.now())).await;
        info!("{}", outcome.message());
        report::tell(self, backup, &case.history, &outcome).await;
        Ok(outcome)
    }

    /// Tells on the Backup why nothing was done at any place.
    async fn nothing_done(&self, backup: &Backup, history: &History, failure: Failure) -> Outcome {
        warn!(backup = backup.name_any(), "{failure}");
        let failures = vec![(String::new(), failure)];
        let outcome = Outcome { failures, ..Outcome::default() };
        report::tell(self, backup, history, &outcome).await;
        outcome
    }

    async fn prune_place(
        &self,
        case: &Case,
        target: &Target,
        effort: Effort,
        outcome: &mut Outcome,
    ) -> Result<(), Trouble> {
        let (site, found, plan) = self.plan(case, target).await.map_err(Trouble::of_place)?;
        site.note_seen(&self.ledger, &found, self.now()).await?;
        if let Some(newest) = case.newest().filter(|newest| site.has_verified(newest)) {
            outcome.newest = Some(newest.to_owned());
            outcome.damage.extend(site.damage(newest, &found));
        }
        if case.can_expire() {
            outcome.note_kept(&plan);
        }
        site.delete(&self.ledger, &plan, effort, self.now(), outcome).await
    }

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
