//! The exemption of whoever restores from admission webhooks that would refuse what was valid when it was saved: those of
//! Rancher, and those that somebody names.
//!
//! ```text
//! first write ──▶ condition put into each webhook ──▶ seen to be in force ──▶ everything is written ──▶ taken out
//!                          ▲                                                     │
//!                          └── put in again where it vanished, and the refusal ──┘
//! ```
//!
//! A webhook with the condition [`condition::NAME`] is not asked about the requests of one user, and about those of all
//! others it is. The condition's name is the mark: whoever holds the Lease of restores, or finds it free, takes out what
//! was left behind, see [`end_left_but_for`] and [`tidy`].
//!
//! [`Server`](crate::api::request::Server) asks here before each write and after each refusal, so no write comes before the
//! exemption, whatever part of a restore makes it.

mod condition;
mod configuration;
mod error;
mod foreseen;
mod lapses;
mod left;
mod missing;
mod put_in;
mod settle;
mod state;
mod teller;
mod times;
mod trial;
mod user;
pub(crate) mod webhook_types;
mod wish;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drover::annotations::EXEMPT_ANNOTATION;
use drover::api::RequestError;
use drover::cluster::Events;
use drover::exit::Chain;
use drover::resources::Restore;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::condition::Added;
pub(crate) use self::condition::keep_live;
use self::configuration::Configuration;
use self::error::ExemptionError;
pub(crate) use self::foreseen::{foreseen, missed};
pub(crate) use self::left::{end_left, end_left_before, end_left_but_for, take_out_all, tidy};
use self::put_in::PutIn;
use self::state::State;
use self::teller::Teller;
use self::times::{IN_FORCE_WITHIN, UNSEEN};
use self::user::User;
pub(crate) use self::wish::{Exempt, configuration_name};
use crate::api::request::{Exempting, Server};
pub(crate) use crate::apply::exemption::webhook_types::{GROUP, PLURALS};
use crate::report::progress::{Doing, Gauge};

/// Between two tries of what was refused.
const TRY_PAUSE: Duration = Duration::from_millis(250);
/// Between two looks whether the condition is still there.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// The exemption of one restore.
pub(crate) struct Exemption {
    exempt: Exempt,
    names: Vec<String>,
    teller: Teller,
    /// Fires when somebody else may restore: then nothing more is put in or taken out.
    lost: CancellationToken,
    user: OnceCell<User>,
    begun: OnceCell<()>,
    /// The configurations that may have the condition.
    may_have: Mutex<BTreeSet<Configuration>>,
    lapses: AtomicU32,
    /// The webhooks that are not to be asked.
    webhooks: Mutex<BTreeSet<String>>,
    state: tokio::sync::Mutex<State>,
    gauge: Arc<Gauge>,
}

/// Does the work of a restore, which is exempt while it writes; the exemption ends with it. Gives beside the work's own
/// result what is to be told of the exemption.
pub(crate) async fn during<T>(
    server: &Server,
    exemption: Exemption,
    work: impl Future<Output = T>,
) -> (T, Vec<String>) {
    let exemption = Arc::new(exemption);
    let exempting: Arc<dyn Exempting> = exemption.clone();
    server.exempt_by(Some(exempting));
    let ended = CancellationToken::new();
    let work = async {
        let done = work.await;
        ended.cancel();
        done
    };
    // Both to their ends: a write that is dropped half-way could still come through after the condition was taken out.
    let (done, ()) = tokio::join!(work, exemption.keep(server, &ended));
    server.exempt_by(None);
    exemption.end(server).await;
    (done, exemption.teller.take_told())
}

impl Exempting for Exemption {
    fn begin<'a>(&'a self, server: &'a Server) -> BoxFuture<'a, ()> {
        Box::pin(Self::begin(self, server))
    }

    fn concerns(&self, error: &RequestError) -> bool {
        Self::concerns(self, error)
    }

    fn may_help<'a>(&'a self, server: &'a Server, error: &'a RequestError) -> BoxFuture<'a, bool> {
        Box::pin(Self::may_help(self, server, error))
    }

    fn lapses<'a>(&'a self, server: &'a Server) -> BoxFuture<'a, u32> {
        Box::pin(Self::lapses(self, server))
    }
}

impl Exemption {
    /// For a Restore; its Events tell of it.
    pub(crate) fn of_restore(exempt: Exempt, restore: &Restore, events: &Events, lost: CancellationToken) -> Self {
        Self::new(exempt, Teller::of_restore(restore, events), lost)
    }

    /// For the command line; `ending` is the command that ends it.
    pub(crate) fn of_command_line(names: Vec<String>, ending: String, lost: CancellationToken) -> Self {
        Self::new(Exempt::of_names(names), Teller::of_command_line(ending), lost)
    }

    fn new(exempt: Exempt, teller: Teller, lost: CancellationToken) -> Self {
        Self {
            names: exempt.names(),
            exempt,
            teller,
            lost,
            user: OnceCell::new(),
            begun: OnceCell::new(),
            may_have: Mutex::default(),
            lapses: AtomicU32::new(0),
            webhooks: Mutex::default(),
            state: tokio::sync::Mutex::default(),
            gauge: Arc::default(),
        }
    }

    /// The same, shown by the gauge of its restore.
    pub(crate) fn shown_by(self, gauge: Arc<Gauge>) -> Self {
        Self { gauge, ..self }
    }

    /// Before a write: the first one waits until the exemption is in force, the others for that one.
    pub(crate) async fn begin(&self, server: &Server) {
        self.begun.get_or_init(|| self.put_in_first(server)).await;
    }

    /// Whether an answer is of a webhook that is not to be asked: then it is not retried as others are.
    pub(crate) fn concerns(&self, error: &RequestError) -> bool {
        webhook_of(error).is_some_and(|webhook| lock(&self.webhooks).contains(webhook))
    }

    /// After a refusal: whether it is of a webhook that is not to be asked, and another try may help, since the exemption
    /// was put in a short while ago. It is put in again where it is gone, and where Rancher registered its webhooks only
    /// now. Pauses before it says so.
    pub(crate) async fn may_help(&self, server: &Server, error: &RequestError) -> bool {
        if webhook_of(error).is_none() || self.names.is_empty() {
            return false;
        }
        let mut state = self.state.lock().await;
        // A refusal may be younger than the last look; one of a webhook that is not known is looked into only so often.
        let is_outdated = if self.concerns(error) {
            !state.is_young()
        } else {
            state.looked.is_none_or(|at| at.elapsed() >= TRY_PAUSE)
        };
        if is_outdated {
            self.look(server, &mut state).await;
        }
        let is_young = state.is_young();
        drop(state);
        let may_help = is_young && self.concerns(error);
        if may_help {
            sleep(TRY_PAUSE).await;
        }
        may_help
    }

    /// Looks whether the exemption is still there, puts it in again where it is not, and gives how often that has been so
    /// by now: what was written meanwhile may have been changed by a webhook. Where it was put in again a moment ago it
    /// waits, for what is written at once may meet an API server that has not learned of it.
    pub(crate) async fn lapses(&self, server: &Server) -> u32 {
        let mut unseen = Duration::ZERO;
        if self.begun.initialized() && !self.names.is_empty() {
            let mut state = self.state.lock().await;
            self.look(server, &mut state).await;
            unseen = state.unseen();
        }
        let lapses = self.lapses.load(Ordering::Relaxed);
        // The first time was waited for when it was put in.
        if lapses > 0 {
            sleep(unseen).await;
        }
        lapses
    }

    /// Sees to it that the exemption stays, until the work has ended.
    async fn keep(&self, server: &Server, ended: &CancellationToken) {
        loop {
            tokio::select! {
                () = ended.cancelled() => return,
                () = sleep(LOOK_PAUSE) => {}
            }
            // What only reads may be dropped half-way.
            let is_gone = tokio::select! {
                () = ended.cancelled() => return,
                is_gone = self.is_gone(server) => is_gone,
            };
            if is_gone {
                let mut state = self.state.lock().await;
                self.look(server, &mut state).await;
            }
        }
    }

    async fn is_gone(&self, server: &Server) -> bool {
        if !self.begun.initialized() {
            return false;
        }
        for configuration in configuration::of_names(&self.names) {
            // That the server does not answer says nothing of the condition; the work itself will notice.
            let Ok(Some(live)) = configuration.read(server).await else { continue };
            let Ok(Some(user)) = self.user(server).await else { continue };
            if condition::is_missing(&live, &condition::expression(user)) {
                return true;
            }
        }
        false
    }

    /// Puts it in for the first time. Where that fails it is said, and what webhooks refuse is named as ever.
    async fn put_in_first(&self, server: &Server) {
        let _shown = (!self.names.is_empty()).then(|| self.gauge.interrupt(Doing::Exempting));
        let mut state = self.state.lock().await;
        if let Err(error) = self.try_put_in_first(server, &mut state).await {
            lock(&self.webhooks).clear();
            self.teller
                .warn("NotExempted", format!("webhooks are asked about what is written: {}", Chain(&error)))
                .await;
        }
    }

    async fn try_put_in_first(&self, server: &Server, state: &mut State) -> Result<(), ExemptionError> {
        let found = self.find(server).await?;
        self.tell_missing(server, &found).await;
        if found.is_empty() {
            return Ok(());
        }
        let Some(user) = self.user(server).await? else {
            let User { name, .. } = self.user.get_or_try_init(|| user::ask(server)).await?;
            let words = format!(
                "webhooks are asked about what is written: {name:?} may be others too, so it is exempt only from those \
                 that are named ({EXEMPT_ANNOTATION})"
            );
            self.teller.warn("NotExempted", words).await;
            lock(&self.webhooks).clear();
            return Ok(());
        };
        let before = lock(&self.webhooks).clone();
        let trials = trial::telling(server, &before).await;
        let put_in = self.put_in(server, state).await?;
        self.tell_first(user, &put_in).await;
        state.is_told = !put_in.exempt.is_empty();
        if put_in.changed > 0 {
            self.settle(server, state, &trials).await;
        }
        Ok(())
    }

    /// Tells from what the user is exempt, and from what it is not.
    async fn tell_first(&self, user: &str, put_in: &PutIn) {
        let failure = put_in.failure();
        if !put_in.full.is_empty() {
            let words = format!("asked all the same, for they have 64 conditions already: {}", put_in.full.join(", "));
            self.teller.warn("NotExempted", words).await;
        }
        if failure.is_none() || !put_in.exempt.is_empty() {
            let names: Vec<&str> = put_in.names.iter().map(String::as_str).collect();
            self.teller.begin(user, put_in.webhooks, &names.join(", ")).await;
        }
        if let Some(words) = failure {
            self.teller.warn("NotExempted", words).await;
        }
    }

    /// Finds the configurations and their webhooks, and gives the names of those that are there, or may be: of one that
    /// cannot be read it is said when the condition is put in.
    async fn find(&self, server: &Server) -> Result<BTreeSet<String>, ExemptionError> {
        let (mut found, mut webhooks) = (BTreeSet::new(), BTreeSet::new());
        for configuration in configuration::of_names(&self.names) {
            match configuration.read(server).await {
                Ok(None) => continue,
                Ok(Some(live)) => webhooks.extend(condition::names(&live)),
                Err(error) if error.is_unreachable() => return Err(error),
                Err(_) => {}
            }
            found.insert(configuration.name().to_owned());
        }
        *lock(&self.webhooks) = webhooks;
        Ok(found)
    }

    /// The user that is to be exempt; none where others may be that user too and nobody asked for it by name.
    async fn user(&self, server: &Server) -> Result<Option<&str>, ExemptionError> {
        let user = self.user.get_or_try_init(|| user::ask(server)).await?;
        let may_be = !user.is_shared || matches!(self.exempt, Exempt::Named { .. });
        Ok(may_be.then_some(user.name.as_str()))
    }

    /// Puts the condition into all webhooks that lack it, and goes on where one configuration does not let it.
    async fn put_in(&self, server: &Server, state: &mut State) -> Result<PutIn, ExemptionError> {
        let mut put_in = PutIn::default();
        let Some(user) = self.user(server).await? else {
            lock(&self.webhooks).clear();
            return Ok(put_in);
        };
        let expression = condition::expression(user);
        for configuration in configuration::of_names(&self.names) {
            let goes_on = !self.lost.is_cancelled()
                && put_in.take(&configuration, self.put_into(server, &configuration, &expression).await);
            if !goes_on {
                break;
            }
        }
        if put_in.changed > 0 {
            state.put_in = Some(Instant::now());
        }
        lock(&self.webhooks).clone_from(&put_in.exempt);
        Ok(put_in)
    }

    /// Puts the condition into one configuration; it is noted before the first request that it may be there.
    async fn put_into(
        &self,
        server: &Server,
        configuration: &Configuration,
        expression: &str,
    ) -> Result<Option<Added>, ExemptionError> {
        let is_first = lock(&self.may_have).insert(configuration.clone());
        let came_to = configuration.put_in(server, expression).await;
        if is_first && put_in::is_nowhere(&came_to) {
            lock(&self.may_have).remove(configuration);
        }
        came_to
    }

    /// Takes the condition out. Whoever took the Lease takes it out instead, if the Lease is lost.
    async fn end(&self, server: &Server) {
        let may_have = lock(&self.may_have).clone();
        if may_have.is_empty() {
            return;
        }
        if self.lost.is_cancelled() {
            info!("the exemption from webhooks is left to whoever took the Lease");
            return;
        }
        let mut failed = None;
        for configuration in may_have {
            let Err(error) = configuration.take_out(server).await else { continue };
            let is_away = error.is_unreachable();
            failed = Some(error);
            if is_away {
                break;
            }
        }
        match failed {
            None => self.teller.end("nobody is exempt from webhooks any more").await,
            Some(error) => self.teller.left(&error).await,
        }
    }
}

/// The webhook that refused a request, or did not answer to it.
pub(crate) fn webhook_of(error: &RequestError) -> Option<&str> {
    match error {
        RequestError::Refused { message, .. } => condition::webhook_of(message),
        _ => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Sets are sound whatever happened to who held the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
