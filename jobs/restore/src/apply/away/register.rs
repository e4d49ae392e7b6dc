//! Who does not answer in this restore: each is named once, and one refusal stands for all objects of its kind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use drover::api::{ApiService, RequestError};
use serde::Deserialize;

use super::cause::Away;
use super::guard::{Class, Hook, Subject, called};
use super::name::{Known, know};
use super::waits::{Part, Waits};
use crate::api::request::Server;
use crate::report::again::Again;

/// Before the words of what happened when a webhook was called.
const CALLED: &str = "failed to call webhook: ";

/// One that does not answer, by its place in the register.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Which(usize);

/// Those that do not answer. One register serves a whole restore.
pub(crate) struct Register {
    server: Arc<Server>,
    again: Again,
    records: Mutex<Vec<Record>>,
    /// Held while one is looked up, so that each is named once.
    naming: tokio::sync::Mutex<()>,
    /// Aggregated APIs that are not available, each with the reason.
    apis: OnceLock<BTreeMap<String, Arc<str>>>,
}

struct Record {
    away: Away,
    who: String,
    /// What is said of an object that it stands before.
    words: Arc<str>,
    hooks: Vec<Hook>,
    classes: Vec<Class>,
    waits: Waits,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ApiServices {
    items: Vec<ApiService>,
}

impl Register {
    /// Nobody is away yet.
    pub(crate) fn new(server: Arc<Server>, again: Again) -> Self {
        let (records, naming) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { server, again, records, naming, apis: OnceLock::new() }
    }

    /// Notes that one does not answer, and says so the first time. Gives what is said of the objects that it stands before.
    pub(crate) async fn learn(&self, away: Away, error: &RequestError) -> (Which, Arc<str>) {
        let _turn = self.naming.lock().await;
        if let Some(found) = self.find(&away) {
            return found;
        }
        let Known { who, hooks } = know(&self.server, &away).await;
        let cause = cause(error);
        tracing::warn!("{who} does not answer, so what it stands before is not tried object by object: {cause}");
        let words = format!("{who} does not answer: {cause}; see that its server runs, then {}", self.again);
        let words: Arc<str> = words.into();
        let mut records = self.lock();
        let which = Which(records.len());
        let (classes, waits) = (Vec::new(), Waits::default());
        records.push(Record { away, who, words: Arc::clone(&words), hooks, classes, waits });
        (which, words)
    }

    /// Notes that this object was refused since one does not answer. Where `is_whole` does not hold, the object was
    /// refused in part, which says nothing of others.
    pub(crate) async fn met(
        &self,
        away: Away,
        error: &RequestError,
        subject: &Subject<'_>,
        is_whole: bool,
    ) -> (Which, Arc<str>) {
        let (which, words) = self.learn(away, error).await;
        if let Some(record) = self.lock().get_mut(which.0).filter(|_| is_whole) {
            let class = Class::of(&record.away, &called(&record.hooks, &error.to_string()), subject);
            let news = class.filter(|class| !record.classes.contains(class));
            record.classes.extend(news);
        }
        (which, words)
    }

    /// Who stands before an object, so that it need not be tried; none where it is not known that anybody does.
    pub(crate) fn holds(&self, subject: &Subject<'_>) -> Option<(Which, Arc<str>)> {
        let records = self.lock();
        let stands_before = |record: &Record| {
            record.classes.iter().any(|class| class.has(subject))
                && record.hooks.iter().all(|hook| hook.takes_labels_of(subject.object))
        };
        let (index, record) = records.iter().enumerate().find(|entry| stands_before(entry.1))?;
        Some((Which(index), Arc::clone(&record.words)))
    }

    /// It is to be seen again whether this one answers.
    pub(crate) fn forget(&self, which: Which) {
        if let Some(record) = self.lock().get_mut(which.0) {
            record.classes.clear();
        }
    }

    /// Whether this one may be waited for when this part was written: once in a restore, and by the definitions once before.
    pub(crate) fn may_be_waited_for(&self, which: Which, part: Part) -> bool {
        self.lock().get(which.0).is_some_and(|record| record.waits.may_begin(part))
    }

    /// This one was waited for, for as long as it may be.
    pub(crate) fn end_wait(&self, which: Which, part: Part) {
        if let Some(record) = self.lock().get_mut(which.0) {
            record.waits.end(part);
        }
    }

    /// Who it is, as people know it.
    pub(crate) fn who(&self, which: Which) -> String {
        self.lock().get(which.0).map(|record| record.who.clone()).unwrap_or_default()
    }

    /// Asks once which aggregated APIs are not available: the API server does not tell what belongs to those.
    pub(crate) async fn look_at_apis(&self) {
        if self.apis.get().is_some() {
            return;
        }
        let apis = match self.server.get(ApiService::PATH).await {
            Ok(list) => serde_json::from_slice::<ApiServices>(&list).unwrap_or_default().items,
            Err(error) => {
                tracing::debug!("failed to see which aggregated APIs are away: {error}");
                Vec::new()
            }
        };
        let away = apis.into_iter().filter_map(|api| Some((api.api_version(), api.why_away()?.into())));
        // Whoever was quicker has seen the same.
        let _ = self.apis.set(away.collect());
    }

    /// Why an API version cannot be had, where [`Register::look_at_apis`] has seen it.
    pub(crate) fn why_api_is_away(&self, api_version: &str) -> Option<&Arc<str>> {
        self.apis.get()?.get(api_version)
    }

    fn find(&self, away: &Away) -> Option<(Which, Arc<str>)> {
        let records = self.lock();
        let index = records.iter().position(|record| record.away == *away)?;
        records.get(index).map(|record| (Which(index), Arc::clone(&record.words)))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        // A list of texts is sound whatever happened to who held the lock.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happened, without what the name of the webhook says already.
fn cause(error: &RequestError) -> String {
    let words = error.to_string();
    words.split_once(CALLED).map_or(words.as_str(), |(_, cause)| cause).to_owned()
}
