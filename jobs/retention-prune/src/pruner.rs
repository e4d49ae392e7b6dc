use std::collections::{BTreeMap, HashSet};

use drover::archives::latest_of;
use drover::clock;
use drover::cluster::{ApiError, ClusterOptions, Events};
use drover::coexistence::{self, Operator};
use drover::exit::{Exit, Failure};
use drover::lease::{self, Acquired, Wait};
use drover::places::{Target, targets};
use drover::policy::{Policies, Settings};
use drover::queue::Connection;
use drover::resources::{Backup, Restore};
use drover::retention::{Circumstances, Plan, Policy, Restoring, plan};
use drover::runs::{Allowed, History, RunStore, hold};
use drover::storage::{Storage, StorageOptions};
use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use tracing::{Instrument, info, info_span, warn};

use crate::JOB;
use crate::place::{self, Effort};
use crate::report::{self, Outcome};

/// Whoever deletes expired archives.
pub struct Pruner {
    pub(crate) client: Client,
    pub(crate) options: ClusterOptions,
    pub(crate) storage: StorageOptions,
    pub(crate) events: Events,
    identity: String,
    cluster_uid: String,
    runs: RunStore,
    connection: Option<Connection>,
    /// The time that it is taken to be, where it is not the clock's.
    now: Option<Timestamp>,
}

/// What became of the wish to prune a Backup.
#[derive(Debug)]
pub enum Turn {
    /// It was done.
    Done(Outcome),
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
    policy: Policy,
    circumstances: Circumstances,
}

impl Pruner {
    /// A pruner that tells nobody over NATS.
    ///
    /// # Errors
    /// When the cluster does not say which one it is.
    pub async fn connect(client: Client, options: ClusterOptions, storage: StorageOptions) -> Result<Self, Failure> {
        let identity = options.identity();
        Ok(Self {
            cluster_uid: drover::cluster::cluster_uid(&client).await?,
            events: Events::new(client.clone(), JOB, &identity),
            runs: RunStore::new(client.clone(), JOB),
            client,
            options,
            storage,
            identity,
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
        let backups: Api<Backup> = Api::all(self.client.clone());
        let mut backups = backups.list(&ListParams::default()).await.map_err(ApiError::from)?.items;
        backups.retain(|backup| backup.metadata.deletion_timestamp.is_none());
        Ok(backups)
    }

    pub(crate) async fn policies(&self) -> Result<Policies, Failure> {
        let policies = Policies::load(&self.client).await?;
        policies.warn();
        Ok(policies)
    }

    /// Prunes a Backup at all of its places but those known to be away, under its Lease: no run of it goes on meanwhile.
    ///
    /// # Errors
    /// When the cluster does not answer. What fails at a place is part of the outcome.
    pub(crate) async fn prune(&self, backup: &Backup, away: &HashSet<String>, effort: Effort) -> Result<Turn, Failure> {
        let name = lease::name_for("backup", &backup.name_any());
        let (client, namespace) = (self.client.clone(), &self.options.namespace);
        let lease_settings = self.options.lease_settings();
        let held = match lease::acquire(client, namespace, &name, &self.identity, lease_settings, Wait::No).await? {
            Acquired::Busy { holder } => return Ok(Turn::Busy { holder }),
            Acquired::Held(held) => held,
        };
        let span = info_span!("prune", backup = backup.name_any());
        let work = Box::pin(self.as_it_is_now(backup, away, effort)).instrument(span);
        let turn = tokio::select! {
            outcome = work => outcome.map(Turn::Done),
            () = async { held.lost().cancelled().await } => {
                warn!(backup = backup.name_any(), "the Lease was lost; the rest is done later");
                Ok(Turn::Busy { holder: "whoever took the Lease".to_owned() })
            }
        };
        report::warn_of(held.release().await);
        turn
    }

    /// Reads the Backup once more, and the policies: a look at all Backups takes long, and what somebody has changed
    /// meanwhile, to keep more, counts.
    async fn as_it_is_now(&self, backup: &Backup, away: &HashSet<String>, effort: Effort) -> Result<Outcome, Failure> {
        let backups: Api<Backup> = Api::all(self.client.clone());
        let found = backups.get_opt(&backup.name_any()).await.map_err(ApiError::from)?;
        let Some(backup) = found.filter(|found| found.uid() == backup.uid()) else {
            info!("nothing to prune: the Backup is gone");
            return Ok(Outcome::default());
        };
        let settings = Policies::load(&self.client).await?.settings(&backup);
        self.under_lease(&backup, &settings, away, effort).await
    }

    async fn under_lease(
        &self,
        backup: &Backup,
        settings: &Settings,
        away: &HashSet<String>,
        effort: Effort,
    ) -> Result<Outcome, Failure> {
        let case = match self.case(backup, settings).await {
            Ok(case) => case,
            // A policy that cannot be read is told on the Backup, and the next edit of it is followed by the next prune.
            Err(failure) if failure.exit() == Exit::Usage => {
                let failures = vec![("every place".to_owned(), failure)];
                let outcome = Outcome { failures, ..Outcome::default() };
                report::tell(self, backup, &History::default(), &outcome).await;
                return Ok(outcome);
            }
            Err(failure) => return Err(failure),
        };
        let mut outcome = Outcome::default();
        for target in &case.targets {
            let site = target.site();
            let pruned = if away.contains(&site) {
                Err(Failure::new(Exit::Unavailable, "it is away, as another Backup has found"))
            } else {
                self.prune_place(&case, target, effort, &mut outcome).await
            };
            if let Err(failure) = pruned {
                warn!(place = target.name, "{failure}");
                if failure.exit() == Exit::Unavailable {
                    outcome.away.push(site);
                }
                outcome.failures.push((target.name.clone(), failure));
            }
        }
        info!("{}", outcome.message());
        report::tell(self, backup, &case.history, &outcome).await;
        Ok(outcome)
    }

    async fn prune_place(
        &self,
        case: &Case,
        target: &Target,
        effort: Effort,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let (storage, plan) = self.plan(case, target).await?;
        place::delete(&storage, &target.name, &plan, effort, outcome).await
    }

    /// What the plan of a Backup depends on.
    pub(crate) async fn case(&self, backup: &Backup, settings: &Settings) -> Result<Case, Failure> {
        let name = backup.name_any();
        let history = self.runs.history(backup).await?;
        let held = hold(&history, Allowed::on(backup)).map(|hold| (hold.archive, hold.reason));
        Ok(Case {
            policy: Policy::of(backup, settings)?,
            history,
            targets: targets(backup, settings),
            backup: backup.clone(),
            circumstances: Circumstances {
                restoring: self.restoring(&name).await?,
                held: held.into_iter().collect(),
                backup: name,
                cluster_uid: self.cluster_uid.clone(),
                adopted_clusters: settings.adopted_clusters.clone(),
                now: self.now(),
            },
        })
    }

    /// What is to become of the archives at a place.
    pub(crate) async fn plan(&self, case: &Case, target: &Target) -> Result<(Storage, Plan), Failure> {
        let storage = target.open(&self.client, &self.options.namespace, &self.storage).await?;
        let found = place::look(&storage, &target.name, &case.backup.name_any(), &case.history).await?;
        let plan = plan(&found, &case.policy, &case.circumstances);
        Ok((storage, plan))
    }

    /// The archives that Restores need which have not ended. Those that never will, being older than drover, count too: one
    /// archive more is kept.
    async fn restoring(&self, backup: &str) -> Result<Restoring, Failure> {
        let restores: Api<Restore> = Api::all(self.client.clone());
        let restores = restores.list(&ListParams::default()).await.map_err(ApiError::from)?.items;
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
