//! A process of its own that does something at a place: with another environment, or to be killed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use drover::digest::Sha256;
use drover::exit::{Chain, Fault};
use drover::resources::S3Location;
use drover::storage::{Location, Parcel, S3Settings, Storage};
use futures::TryStreamExt;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{PARTS, settings, spool};

/// Set in such a process: the place and the steps.
const HANDED: &str = "DROVER_TEST_STORAGE_STEPS";

/// What a step said is on a line that begins so.
const SAID: &str = "step: ";

/// What became of one step.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The exit code of a job that this ends; 0 where all is well.
    pub(super) code: u64,
    /// The result or the error, for people.
    pub(super) text: String,
}

/// What became of the steps, and all that was printed.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) printed: String,
}

/// A folder in a bucket, with keys or, without, with what the environment has.
pub(super) fn bucket(location: &S3Location, keys: Option<[&str; 2]>) -> Value {
    json!({"s3": location, "keys": keys})
}

/// A folder of this machine.
pub(super) fn folder(path: &std::path::Path) -> Value {
    json!({ "folder": path })
}

/// Starts such a process, with nothing of this one's proxies.
pub(super) fn start(place: &Value, steps: &[Value], environment: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
        .args(["--exact", "storage::child::steps_of_a_process_of_its_own", "--nocapture"])
        .env(HANDED, json!([place, steps]).to_string())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Does the steps in such a process.
pub(super) async fn run(place: &Value, steps: &[Value], environment: &[(&str, &str)]) -> Done {
    let output = start(place, steps, environment).wait_with_output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let outcomes: Vec<Outcome> = printed.lines().filter_map(outcome).collect();
    assert_eq!(outcomes.len(), steps.len(), "{printed}");
    Done { outcomes, printed }
}

fn outcome(line: &str) -> Option<Outcome> {
    let said: Value = serde_json::from_str(line.split_once(SAID)?.1).unwrap();
    Some(Outcome { code: said["code"].as_u64().unwrap(), text: said["text"].as_str().unwrap().to_owned() })
}

#[tokio::test]
async fn steps_of_a_process_of_its_own() {
    // In the run of all tests there is nothing to do.
    let Ok(handed) = std::env::var(HANDED) else { return };
    let handed: Value = serde_json::from_str(&handed).unwrap();
    let opened = Storage::open_with(location(&handed[0]), PARTS).await;
    let steps = handed[1].as_array().unwrap();
    match &opened {
        Ok(storage) => {
            println!("{storage:?}");
            for step in steps {
                say(take(storage, step).await.map_err(|error| told(&*error)));
            }
        }
        Err(error) => steps.iter().for_each(|_| say(Err(told(error)))),
    }
}

fn location(place: &Value) -> Location {
    if let Some(path) = place["folder"].as_str() {
        return Location::Folder(PathBuf::from(path));
    }
    let location: S3Location = serde_json::from_value(place["s3"].clone()).unwrap();
    match &place["keys"] {
        Value::Null => Location::S3(S3Settings::resolve(&location, None).unwrap()),
        keys => settings(&location, keys[0].as_str().unwrap(), keys[1].as_str().unwrap()),
    }
}

async fn take(storage: &Storage, step: &Value) -> Result<String, Box<drover::storage::Error>> {
    let name = step[1].as_str().unwrap_or_default();
    Ok(match step[0].as_str().unwrap() {
        "store" => {
            let (file, content) = spool(usize::try_from(step[2].as_u64().unwrap()).unwrap());
            println!("begun");
            let stored =
                storage.store(name, file.path(), Parcel { objects: Some(700), ..content.into() }, |_| ()).await?;
            if stored.already_there { "already there" } else { "stored" }.to_owned()
        }
        "store-bad" => {
            let (file, mut content) = spool(usize::try_from(step[2].as_u64().unwrap()).unwrap());
            content.sha256 = Sha256::of("another");
            storage.store(name, file.path(), content, |_| ()).await?.location
        }
        "fetch" => {
            let mut file = tokio::fs::File::from_std(tempfile::tempfile().unwrap());
            storage.fetch_to(name, &mut file).await?.to_string()
        }
        "list" => {
            let names: Vec<String> = storage.list().map_ok(|listed| listed.name).try_collect().await?;
            names.join(",")
        }
        "label" => format!("{:?}", storage.label(name).await?),
        "remove" => storage.remove(name).await?.to_string(),
        "tidy" => storage.abort_forgotten(std::time::Duration::ZERO, later()).await?.to_string(),
        other => panic!("no step {other:?}"),
    })
}

/// A time after which all that was begun is old.
pub(super) fn later() -> jiff::Timestamp {
    jiff::Timestamp::now() + std::time::Duration::from_mins(1)
}

fn told<E: Fault + std::error::Error + 'static>(error: &E) -> (u8, String) {
    (error.exit().code(), format!("{} {error:?}", Chain::of(error)))
}

fn say(outcome: Result<String, (u8, String)>) {
    let (code, text) = outcome.map_or_else(|told| told, |text| (0, text));
    println!("{SAID}{}", BTreeMap::from([("code", json!(code)), ("text", json!(text))]).into_iter().collect::<Value>());
}
