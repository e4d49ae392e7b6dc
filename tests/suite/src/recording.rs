//! What a version of drover leaves between its stages, recorded for the versions after it: a Backup, its run, and the
//! messages of both streams, artifact and all.

use std::path::{Path, PathBuf};

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self, Context};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use drover::artifacts;
use drover::queue::STREAM;
use drover::resources::{Backup, BackupRun};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::Site;

/// What was recorded of one version.
pub struct Recording {
    /// The Backup.
    pub backup: Backup,
    /// Its run, whose snapshot is done.
    pub run: BackupRun,
    messages: Vec<Value>,
}

/// The folder of all recordings, with a folder for each version.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recorded")
}

impl Recording {
    /// Records what a site holds of this Backup.
    ///
    /// # Panics
    /// When the site does not answer.
    pub async fn of(site: &Site, backup: &str) -> Self {
        let jetstream = jetstream::new(site.testbed.nats().await.unwrap());
        let mut messages = Vec::new();
        for stream in [artifacts::STREAM, STREAM] {
            messages.extend(messages_of(&jetstream, stream).await);
        }
        let run = site.runs(backup).await.pop().unwrap();
        Self { backup: site.backups().get(backup).await.unwrap(), run, messages }
    }

    /// Reads the recording in that folder.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn read(folder: &Path) -> Self {
        let file = |name: &str| std::fs::read(folder.join(name)).unwrap();
        Self {
            backup: serde_json::from_slice(&file("backup.json")).unwrap(),
            run: serde_json::from_slice(&file("run.json")).unwrap(),
            messages: serde_json::from_slice(&file("messages.json")).unwrap(),
        }
    }

    /// Writes it into that folder.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        let file = |name: &str, content: Value| {
            std::fs::write(folder.join(name), format!("{content:#}\n")).unwrap();
        };
        let mut backup = serde_json::to_value(&self.backup).unwrap();
        let mut run = serde_json::to_value(&self.run).unwrap();
        for object in [&mut backup, &mut run] {
            object["metadata"].as_object_mut().unwrap().remove("managedFields");
        }
        file("backup.json", backup);
        file("run.json", run);
        file("messages.json", Value::Array(self.messages.clone()));
    }

    /// Sends the messages again.
    ///
    /// # Panics
    /// When the stream does not take them.
    pub async fn send(&self, jetstream: &Context) {
        for message in &self.messages {
            let subject = message["subject"].as_str().unwrap().to_owned();
            let mut headers = HeaderMap::new();
            for (name, value) in message["headers"].as_object().unwrap() {
                headers.insert(name.as_str(), value.as_str().unwrap());
            }
            let payload: Bytes = STANDARD.decode(message["payload"].as_str().unwrap()).unwrap().into();
            jetstream.publish_with_headers(subject, headers, payload).await.unwrap().await.unwrap();
        }
    }
}

async fn messages_of(jetstream: &Context, stream: &str) -> Vec<Value> {
    let stream = jetstream.get_stream(stream).await.unwrap();
    let count = usize::try_from(stream.cached_info().state.messages).unwrap();
    let config =
        pull::Config { deliver_policy: DeliverPolicy::All, ack_policy: AckPolicy::None, ..pull::Config::default() };
    let consumer = stream.create_consumer(config).await.unwrap();
    let messages = consumer.messages().await.unwrap().take(count);
    messages.map(|message| recorded(&message.unwrap())).collect().await
}

fn recorded(message: &jetstream::Message) -> Value {
    let headers = message.headers.iter().flat_map(HeaderMap::iter);
    let headers = headers.filter_map(|(name, values)| Some((name.to_string(), values.first()?.to_string())));
    let headers: serde_json::Map<String, Value> = headers.map(|(name, value)| (name, value.into())).collect();
    json!({"subject": message.subject.as_str(), "headers": headers, "payload": STANDARD.encode(&message.payload)})
}
