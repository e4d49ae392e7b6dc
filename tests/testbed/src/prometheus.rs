//! Prometheus, which scrapes what a test tells it to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use snafu::ResultExt;

use crate::ports;
use crate::testbed::{
    AskPrometheusSnafu, Blueprint, Error, ReadPrometheusSnafu, RefusedByPrometheusSnafu, WriteFileSnafu,
};

/// How long an answer may take on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// The files and the address of a Prometheus.
pub struct Prometheus {
    folder: PathBuf,
    /// Where it serves its API: `http://127.0.0.1:<port>`.
    pub url: String,
}

impl Prometheus {
    /// Chooses a port and writes the configuration, which is JSON, since that is YAML, too.
    pub(crate) fn prepare(folder: &Path) -> Result<Self, Error> {
        let [port] = ports::choose();
        let this = Self { folder: folder.join("prometheus"), url: format!("http://127.0.0.1:{port}") };
        for name in ["targets", "rules"] {
            let path = this.folder.join(name);
            std::fs::create_dir_all(&path).context(WriteFileSnafu { path })?;
        }
        let configuration = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules/*.json"],
            "scrape_configs": [{"job_name": "drover", "file_sd_configs": [{"files": ["targets/*.json"]}]}],
        });
        this.write("prometheus.json", &configuration)?;
        Ok(this)
    }

    pub(crate) fn blueprint(&self) -> Blueprint {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let arguments = [
            format!("--config.file={}", path("prometheus.json")),
            format!("--storage.tsdb.path={}", path("data")),
            format!("--web.listen-address={}", self.url.trim_start_matches("http://")),
            "--web.enable-lifecycle".to_owned(),
        ];
        Blueprint {
            arguments: arguments.into(),
            environment: BTreeMap::new(),
            addresses: vec![format!("{}/-/ready", self.url)],
            isolated: false,
        }
    }

    /// Has it scrape `/metrics` at this address, `host:port`, once a second, and give what it finds these labels.
    ///
    /// # Errors
    /// When there is no room.
    pub fn scrape(&self, address: &str, labels: &BTreeMap<&str, &str>) -> Result<(), Error> {
        self.write("targets/drover.json", &json!([{"targets": [address], "labels": labels}]))
    }

    /// Has it evaluate these groups of rules, the member `groups` of a file of rules, once a second.
    ///
    /// # Errors
    /// When it refuses them.
    pub async fn evaluate(&self, groups: &Value) -> Result<(), Error> {
        self.write("rules/drover.json", &json!({ "groups": groups }))?;
        self.ask(Method::POST, "-/reload", &[]).await.map(drop)
    }

    /// What it answers at this path of its API, such as `query`: the member `data`.
    ///
    /// # Errors
    /// When it refuses that.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Error> {
        let text = self.ask(Method::GET, &format!("api/v1/{path}"), query).await?;
        let mut answer: Value = serde_json::from_str(&text).context(ReadPrometheusSnafu { path })?;
        Ok(answer["data"].take())
    }

    async fn ask(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Result<String, Error> {
        let answer = async {
            // No proxy leads to an address of this machine alone.
            let client = Client::builder().no_proxy().timeout(LIMIT).build()?;
            let mut request = client.request(method, format!("{}/{path}", self.url)).build()?;
            request.url_mut().query_pairs_mut().extend_pairs(query);
            let response = client.execute(request).await?;
            let status = response.status();
            Ok((status, response.text().await?))
        };
        match answer.await.context(AskPrometheusSnafu)? {
            (status, text) if status.is_success() => Ok(text),
            (status, said) => RefusedByPrometheusSnafu { status, said }.fail(),
        }
    }

    /// Whole or not at all: it may read at any moment.
    fn write(&self, name: &str, contents: &Value) -> Result<(), Error> {
        let path = self.folder.join(name);
        let unfinished = path.with_extension("unfinished");
        std::fs::write(&unfinished, contents.to_string())
            .and_then(|()| std::fs::rename(&unfinished, &path))
            .context(WriteFileSnafu { path })
    }
}
