//! A program whose output nobody reads any more ends, as `head` is used to.

use std::process::Stdio;
use std::time::Duration;

use drover_testbed::binaries;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::items::item;

/// How long a program may take to notice: what it has to say next may take some seconds to be said.
const LIMIT: Duration = Duration::from_mins(1);

async fn ends(mut child: Child, what: &str) {
    let ended = tokio::time::timeout(LIMIT, child.wait()).await;
    let status = ended.unwrap_or_else(|_| panic!("{what} does not end")).unwrap();
    assert_eq!(status.code(), Some(1), "{what}: {status}");
}

/// It never ends by itself, and what it watches does not answer: it says so over and over.
#[tokio::test]
async fn dispatch_ends_when_nobody_reads_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let nobody = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "nobody",
        "clusters": [{"name": "nobody", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "nobody", "context": {"cluster": "nobody", "user": "nobody"}}],
    });
    std::fs::write(&kubeconfig, nobody.to_string()).unwrap();
    let mut child = Command::new(binaries::binary("dispatch").await.unwrap())
        .args(["--watch", "--listen", "127.0.0.1:0", "--nats-url", "nats://127.0.0.1:1"])
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).await.unwrap();
    assert!(line.contains("started"), "{line}");
    ends(child, "dispatch").await;
}

#[tokio::test]
async fn what_is_printed_for_nobody_ends_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("items.tar.gz");
    let set = json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "items"},
        "resourceSelectors": []});
    drover_tests::write_archive(&archive, &[item("item-one")], &set);
    let (reader, writer) = std::io::pipe().unwrap();
    // Before it begins: it may be done in a moment.
    drop(reader);
    let child = Command::new(binaries::binary("restore").await.unwrap())
        .args(["inspect".as_ref(), archive.as_os_str()])
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    ends(child, "restore inspect").await;
}
