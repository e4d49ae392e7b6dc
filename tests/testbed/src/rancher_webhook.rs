//! A stand-in for rancher-webhook, the admission webhook that every real Rancher runs.
//!
//! ```text
//! whoever writes ──▶ API server ── matchConditions? ──▶ RancherWebhook: rules, and what it knew a moment ago
//!                        ▲                                     │
//!                        └──── its two configurations ◀────────┘
//! ```
//! It registers the configurations that the real one does, pointed at itself, and refuses and changes by the rules that a
//! restore runs into, in the words of the real one. It makes no difference of who asks: to leave somebody out is the API
//! server's work. What it knows of the cluster is late, as the real one's caches are.

mod cache;
mod configurations;
mod review;
mod rules;
mod words;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::api::{DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::Value;
use snafu::{ResultExt, Snafu};
use tokio::task::JoinHandle;

use self::cache::Cache;
pub use self::configurations::{NAME, configurations};
use self::review::Review;
use crate::progress::say;
use crate::webhook::{self, Answer, Webhook};

/// Why the stand-in does not stand in.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(transparent)]
    Serve { source: webhook::Error },
    #[snafu(display("failed to look at the cluster for the first time"))]
    Look {
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    #[snafu(display("failed to register the webhooks of {NAME:?}"))]
    Register {
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    #[snafu(display("failed to make a configuration of the webhooks of {NAME:?}"))]
    Make { source: serde_json::Error },
}

/// A request that it answered.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Who asked.
    pub user: String,
    /// Which webhook was asked, by the path.
    pub path: String,
    /// The name of the object.
    pub name: String,
    /// Whether nothing was to be written.
    pub is_trial: bool,
    /// The answer.
    pub answer: Answer,
}

/// A stand-in that answers until it is dropped. Its configurations stay.
pub struct RancherWebhook {
    client: Client,
    webhook: Webhook,
    seen: Arc<Mutex<Vec<Seen>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl RancherWebhook {
    /// Starts one that knows of a change only `lag` or more after it; nothing is registered yet.
    ///
    /// # Errors
    /// When it cannot listen, or the API server does not answer.
    pub async fn start(client: Client, lag: Duration) -> Result<Self, Error> {
        let cache = Arc::new(Cache::default());
        cache.fill(&client).await.context(LookSnafu)?;
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (asked, noted) = (Arc::clone(&cache), Arc::clone(&seen));
        let webhook = Webhook::answering(move |path, request| {
            let review = Review::of(request);
            let answer = rules::answer(path, review, &asked.known());
            lock(&noted).push(Seen::of(path, review, &answer));
            answer
        })
        .await?;
        let follower = client.clone();
        let following = tokio::spawn(async move { cache.follow(&follower, lag).await });
        Ok(Self { client, webhook, seen, tasks: Mutex::new(vec![following]) })
    }

    /// Writes both configurations anew, as rancher-webhook does when it starts: what others put into them is gone.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn register(&self) -> Result<(), Error> {
        register(&self.client, &self.configurations()).await
    }

    /// Does that once more after a while, whatever goes on then.
    pub fn register_after(&self, pause: Duration) {
        let (client, configurations) = (self.client.clone(), self.configurations());
        let later = tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            if let Err(error) = register(&client, &configurations).await {
                say(&format!("the webhooks of {NAME} were not registered again: {error}"));
            }
        });
        lock(&self.tasks).push(later);
    }

    /// What it was asked, in the order of the answers.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    /// Both configurations as it registers them.
    #[must_use]
    pub fn configurations(&self) -> [Value; 2] {
        configurations(&|path| self.webhook.client_config(path))
    }
}

impl Drop for RancherWebhook {
    fn drop(&mut self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
    }
}

impl Seen {
    fn of(path: &str, review: Review<'_>, answer: &Answer) -> Self {
        Self {
            user: review.user().to_owned(),
            path: path.to_owned(),
            name: review.name().to_owned(),
            is_trial: review.is_trial(),
            answer: answer.clone(),
        }
    }

    /// Whether the object was not let through.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.answer, Answer::Refused(..) | Answer::Broken(_))
    }
}

async fn register(client: &Client, configurations: &[Value; 2]) -> Result<(), Error> {
    for configuration in configurations {
        while !write(client, configuration).await? {}
    }
    Ok(())
}

/// Writes one configuration, and gives whether nobody else did at the same moment.
async fn write(client: &Client, configuration: &Value) -> Result<bool, Error> {
    let kind = configuration["kind"].as_str().unwrap_or_default();
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
    let parameters = PostParams::default();
    let written = if let Some(mut live) = api.get_opt(NAME).await.context(RegisterSnafu)? {
        live.data["webhooks"] = configuration["webhooks"].clone();
        api.replace(NAME, &parameters, &live).await
    } else {
        let new = serde_json::from_value(configuration.clone()).context(MakeSnafu)?;
        api.create(&parameters, &new).await
    };
    match written {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        written => written.map(|_| true).context(RegisterSnafu),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Plain values are sound whatever happened to who held the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
