//! Making and changing the stream, its consumers and the object store.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, FromConsumer, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};
use snafu::Snafu;

use super::endpoint::nats;
use super::failure::error_code;
use super::names::{
    BACKUP_EVENTS, DEAD_PREFIX, HEARTBEAT_CONSUMER, RESTORE_EVENTS, RETENTION_PRUNE_CONSUMER, STREAM, UPLOAD_CONSUMER,
};
use super::settings::Settings;
use crate::artifacts;
use crate::events::{Kind, SIZE_LIMIT};
use crate::exit::{Exit, Fault};

/// The version of all that is made here. It is raised with every change of it, so that an older `setup`, of a rollback
/// or of another replica of a rollout, does not take a change back.
pub(super) const LAYOUT: u32 = 3;

/// Where the version stands in the metadata of streams and consumers.
const LAYOUT_KEY: &str = "drover.dev/layout";

/// How long events are kept.
const EVENTS_AGE: Duration = Duration::from_hours(30 * 24);

/// How long artifacts are kept that nobody uploads.
const ARTIFACTS_AGE: Duration = Duration::from_hours(72);

/// For how long a second message of one id is dropped: longer than a Job retries.
const DUPLICATE_WINDOW: Duration = Duration::from_hours(2);

/// How many messages may be in flight: those of all runs that may wait ([`WAITING_RUNS`](crate::runs::WAITING_RUNS)) of more
/// Backups than anybody has, since each one whose place is away is held by the worker until its drain ends.
const MAX_ACK_PENDING: i64 = 5000;

/// Makes what the queue needs, or changes it to what this version wants. To do it again changes nothing.
///
/// What a newer version made is left as it is. Of what is there, fields that are not drover's business (placement,
/// compression) stay as they are.
///
/// # Errors
/// When NATS does not answer, has too little room, or does not permit it.
pub async fn setup(jetstream: &Context, settings: &Settings) -> Result<(), SetupError> {
    // Events first: the room that a stream is given is set aside, and artifacts get what is left.
    ensure_stream(jetstream, STREAM, |config| events_stream(config, settings)).await?;
    ensure_stream(jetstream, artifacts::STREAM, |config| artifacts_stream(config, settings)).await?;
    for stage in [&UPLOAD, &RETENTION_PRUNE, &HEARTBEAT] {
        ensure_consumer(jetstream, stage.consumer, |config| consumer(config, stage, settings)).await?;
    }
    Ok(())
}

fn events_stream(config: Config, settings: &Settings) -> Config {
    Config {
        name: STREAM.to_owned(),
        description: Some("Events of drover's runs, and copies of messages that could not be worked on".to_owned()),
        subjects: vec![BACKUP_EVENTS.to_owned(), RESTORE_EVENTS.to_owned(), format!("{DEAD_PREFIX}>")],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: settings.replicas.into(),
        max_age: EVENTS_AGE,
        max_bytes: settings.events_bytes(),
        // The oldest go, so that an event is never refused: messages only trigger, and are sent again from the runs.
        discard: DiscardPolicy::Old,
        // A copy of a message that could not be read has further headers.
        max_message_size: i32::try_from(SIZE_LIMIT * 2).unwrap_or(i32::MAX),
        duplicate_window: DUPLICATE_WINDOW,
        allow_direct: true,
        metadata: with_layout(config.metadata.clone()),
        ..config
    }
}

/// The stream of the object store, as ADR-20 lays it down for every client.
fn artifacts_stream(config: Config, settings: &Settings) -> Config {
    let bucket = artifacts::BUCKET;
    Config {
        name: artifacts::STREAM.to_owned(),
        description: Some("Archives on their way from snapshot to upload".to_owned()),
        subjects: vec![format!("$O.{bucket}.C.>"), format!("$O.{bucket}.M.>")],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: settings.replicas.into(),
        max_age: ARTIFACTS_AGE,
        max_bytes: settings.artifacts_bytes(),
        discard: DiscardPolicy::New,
        allow_rollup: true,
        allow_direct: true,
        metadata: with_layout(config.metadata.clone()),
        ..config
    }
}

/// A stage that takes its work from the queue.
struct Stage {
    consumer: &'static str,
    description: &'static str,
    /// The events that are its work.
    work: &'static [Kind],
}

const UPLOAD: Stage =
    Stage { consumer: UPLOAD_CONSUMER, description: "Archives to upload", work: &[Kind::BackupSnapshotted] };

const RETENTION_PRUNE: Stage = Stage {
    consumer: RETENTION_PRUNE_CONSUMER,
    description: "Backups with a new archive, whose old ones may have expired",
    work: &[Kind::BackupUploaded],
};

const HEARTBEAT: Stage = Stage {
    consumer: HEARTBEAT_CONSUMER,
    description: "What monitors may want to be told",
    work: &[
        Kind::BackupStarted,
        Kind::BackupUploaded,
        Kind::BackupFailed,
        Kind::RestoreStarted,
        Kind::RestoreCompleted,
        Kind::RestoreFailed,
    ],
};

fn consumer(config: pull::Config, stage: &Stage, settings: &Settings) -> pull::Config {
    let mut filters: Vec<String> = stage.work.iter().map(|kind| kind.subject_filter()).collect();
    // The server has a field for one and another for several, and takes both together for a mistake.
    let filter = if filters.len() == 1 { filters.remove(0) } else { String::new() };
    pull::Config {
        name: Some(stage.consumer.to_owned()),
        durable_name: Some(stage.consumer.to_owned()),
        description: Some(stage.description.to_owned()),
        filter_subject: filter,
        filter_subjects: filters,
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::Explicit,
        ack_wait: settings.ack_wait(),
        max_deliver: -1,
        // It would take the place of `ack_wait`.
        backoff: Vec::new(),
        max_ack_pending: MAX_ACK_PENDING,
        metadata: with_layout(config.metadata.clone()),
        ..config
    }
}

fn with_layout(mut metadata: HashMap<String, String>) -> HashMap<String, String> {
    // The server adds what it knows itself, and refuses to be told.
    metadata.retain(|key, _| !key.starts_with("_nats."));
    metadata.insert(LAYOUT_KEY.to_owned(), LAYOUT.to_string());
    metadata
}

/// What to do about something that is there, or not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Plan {
    Make,
    Change,
    Keep { layout: u32 },
}

/// Decides by the metadata of what was found. What says no version was made by hand, and counts as older than any.
fn plan(found: Option<&HashMap<String, String>>) -> Plan {
    let Some(metadata) = found else { return Plan::Make };
    match layout_of(metadata) {
        Some(layout) if layout > LAYOUT => Plan::Keep { layout },
        _ => Plan::Change,
    }
}

/// Whether [`setup`] would change what has this metadata: an older version made it, or somebody by hand. What a newer one
/// made is its business.
pub(super) fn is_outdated(metadata: &HashMap<String, String>) -> bool {
    layout_of(metadata).is_none_or(|layout| layout < LAYOUT)
}

fn layout_of(metadata: &HashMap<String, String>) -> Option<u32> {
    metadata.get(LAYOUT_KEY)?.parse().ok()
}

async fn ensure_stream(
    jetstream: &Context,
    name: &'static str,
    wanted: impl Fn(Config) -> Config,
) -> Result<(), SetupError> {
    let what = What::stream(name);
    let found = match jetstream.get_stream(name).await {
        Ok(stream) => Some(stream.cached_info().config.clone()),
        Err(error) if error_code(&error) == Some(ErrorCode::STREAM_NOT_FOUND) => None,
        Err(error) => return Err(what.error("read", error.into())),
    };
    let plan = plan(found.as_ref().map(|config| &config.metadata));
    let done = match (plan, found) {
        (Plan::Keep { layout }, _) => {
            what.keep(layout);
            return Ok(());
        }
        (_, None) => jetstream.create_stream(wanted(Config::default())).await.map(drop),
        (_, Some(config)) => jetstream.update_stream(wanted(config)).await.map(drop),
    };
    done.map_err(|error| what.error("make", error.into()))?;
    what.report(plan);
    Ok(())
}

async fn ensure_consumer(
    jetstream: &Context,
    name: &'static str,
    wanted: impl Fn(pull::Config) -> pull::Config,
) -> Result<(), SetupError> {
    let what = What::consumer(name);
    let found = match jetstream.get_consumer_from_stream::<pull::Config, _, _>(name, STREAM).await {
        Ok(consumer) => Some(consumer.cached_info().config.clone()),
        Err(error) if error_code(&error) == Some(ErrorCode::CONSUMER_NOT_FOUND) => None,
        Err(error) => return Err(what.error("read", error.into())),
    };
    let found = match found.map(pull::Config::try_from_consumer_config).transpose() {
        Ok(found) => found,
        Err(error) => return Err(what.error("read", error)),
    };
    let plan = plan(found.as_ref().map(|config| &config.metadata));
    let done = match (plan, found) {
        (Plan::Keep { layout }, _) => {
            what.keep(layout);
            return Ok(());
        }
        (_, None) => jetstream.create_consumer_on_stream(wanted(pull::Config::default()), STREAM).await.map(drop),
        (_, Some(config)) => jetstream.create_consumer_on_stream(wanted(config), STREAM).await.map(drop),
    };
    done.map_err(|error| what.error("make", error.into()))?;
    what.report(plan);
    Ok(())
}

/// Something that is set up.
struct What {
    kind: &'static str,
    name: &'static str,
}

impl What {
    fn stream(name: &'static str) -> Self {
        Self { kind: "stream", name }
    }

    fn consumer(name: &'static str) -> Self {
        Self { kind: "consumer", name }
    }

    fn keep(&self, layout: u32) {
        tracing::warn!(
            kind = self.kind,
            name = self.name,
            layout,
            ours = LAYOUT,
            "left as it is: a newer version of drover made it"
        );
    }

    fn report(&self, plan: Plan) {
        let done = if plan == Plan::Make { "made" } else { "is as it should be" };
        tracing::info!(kind = self.kind, name = self.name, layout = LAYOUT, "{done}");
    }

    fn error(&self, verb: &'static str, source: async_nats::Error) -> SetupError {
        let (kind, name) = (self.kind, self.name);
        match error_code(source.as_ref()) {
            None | Some(ErrorCode::CLUSTER_NOT_AVAILABLE) => SetupError::Away { verb, kind, name, source },
            Some(ErrorCode::STORAGE_RESOURCES_EXCEEDED | ErrorCode::INSUFFICIENT_RESOURCES) => {
                SetupError::Room { kind, name, source }
            }
            Some(_) => SetupError::Refused { verb, kind, name, source },
        }
    }
}

/// Why the queue could not be set up.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum SetupError {
    #[snafu(display(
        "failed to {verb} {kind} {name:?}: JetStream of {} does not answer; check that it runs with JetStream",
        nats()
    ))]
    Away { verb: &'static str, kind: &'static str, name: &'static str, source: async_nats::Error },
    #[snafu(display(
        "failed to make {kind} {name:?}: the servers have not as much room; lower --artifacts-mib or --events-mib, or \
         give JetStream more (`max_file_store`)"
    ))]
    Room { kind: &'static str, name: &'static str, source: async_nats::Error },
    #[snafu(display(
        "failed to {verb} {kind} {name:?}: refused; where one of that name was made for something else, delete it, and \
         see that --replicas is not more than there are servers"
    ))]
    Refused { verb: &'static str, kind: &'static str, name: &'static str, source: async_nats::Error },
}

impl Fault for SetupError {
    fn exit(&self) -> Exit {
        match self {
            Self::Away { .. } => Exit::Unavailable,
            Self::Room { .. } | Self::Refused { .. } => Exit::Usage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(layout: Option<&str>, expected: Plan) {
        let metadata: HashMap<_, _> =
            layout.map(|layout| (LAYOUT_KEY.to_owned(), layout.to_owned())).into_iter().collect();
        assert_eq!(plan(Some(&metadata)), expected, "{layout:?}");
    }

    #[test]
    fn what_a_newer_version_made_is_kept() {
        assert_eq!(plan(None), Plan::Make);
        check(None, Plan::Change);
        check(Some("0"), Plan::Change);
        check(Some(&LAYOUT.to_string()), Plan::Change);
        check(Some(&(LAYOUT + 1).to_string()), Plan::Keep { layout: LAYOUT + 1 });
        check(Some("4294967295"), Plan::Keep { layout: u32::MAX });
        check(Some("nonsense"), Plan::Change);
    }

    #[test]
    fn what_an_older_version_made_is_outdated() {
        let of = |layout: u32| HashMap::from([(LAYOUT_KEY.to_owned(), layout.to_string())]);
        assert!(is_outdated(&HashMap::new()) && is_outdated(&of(LAYOUT - 1)));
        assert!(!is_outdated(&of(LAYOUT)) && !is_outdated(&of(LAYOUT + 1)));
    }

    #[test]
    fn what_is_not_drovers_business_stays() {
        let found = Config { description: None, no_ack: true, ..Config::default() };
        assert!(events_stream(found, &Settings::default()).no_ack);
    }

    #[test]
    fn the_servers_own_metadata_is_not_sent_back() {
        let found = HashMap::from([("_nats.ver".to_owned(), "2".to_owned()), ("team".to_owned(), "a".to_owned())]);
        let expected =
            HashMap::from([("team".to_owned(), "a".to_owned()), (LAYOUT_KEY.to_owned(), LAYOUT.to_string())]);
        assert_eq!(with_layout(found), expected);
    }
}
