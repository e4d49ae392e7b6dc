//! The NATS server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use snafu::ResultExt;

use crate::ports;
use crate::testbed::{Blueprint, Error, WriteFileSnafu};

/// The configuration and ports of one NATS server.
pub(crate) struct Nats {
    configuration: PathBuf,
    pub(crate) url: String,
    monitoring: u16,
}

impl Nats {
    /// Chooses ports and writes the configuration into `folder`.
    pub(crate) fn prepare(folder: &Path) -> Result<Self, Error> {
        let [clients, monitoring] = ports::choose();
        let folder = folder.join("nats");
        let configuration = folder.join("nats.json");
        let text = json!({
            "server_name": "drover-testbed",
            "listen": format!("127.0.0.1:{clients}"),
            "http": format!("127.0.0.1:{monitoring}"),
            "jetstream": {"store_dir": folder},
        });
        std::fs::create_dir(&folder)
            .and_then(|()| std::fs::write(&configuration, text.to_string()))
            .context(WriteFileSnafu { path: &configuration })?;
        Ok(Self { configuration, url: format!("nats://127.0.0.1:{clients}"), monitoring })
    }

    pub(crate) fn blueprint(&self) -> Blueprint {
        Blueprint {
            arguments: vec!["--config".to_owned(), self.configuration.display().to_string()],
            environment: BTreeMap::new(),
            addresses: vec![format!("http://127.0.0.1:{}/healthz", self.monitoring)],
            isolated: false,
        }
    }
}
