//! One Backup: its Lease, the ledger, each of its places, and what is told of it.

use std::collections::{BTreeSet, HashSet};

use drover::cluster;
use drover::conditions::WHOLE;
use drover::exit::{Exit, Failure};
use drover::lease::{self, Acquired, Wait};
use drover::ledger::{self, Lines, held_of};
use drover::places::Target;
use drover::policy::{Policies, Settings};
use drover::resources::{Backup, BackupArchiveStatus, ConditionStatus};
use drover::retention::Change;
use drover::runs::{ALLOW_UNKNOWN_ARCHIVES, Allowed, History, again, confirmed};
use kube::ResourceExt;
use tracing::{Instrument, info, info_span, warn};

use crate::case::Case;
use crate::outcome::{Outcome, held_words};
use crate::place::Effort;
use crate::pruner::Pruner;
use crate::report;
use crate::trouble::Trouble;

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

impl Pruner {
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
}
