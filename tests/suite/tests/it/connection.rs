//! Connecting to NATS, with a server that asks for a login.

use std::process::{Child, Command, Stdio};

use drover::exit::{Exit, Fault};
use drover::queue::connect;
use drover_testbed::programs::{Program, locate};

use crate::nats::{options, until};

/// A server with one user, ended when it is dropped.
struct Server {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start(arguments: &[&str]) -> Self {
        let program = locate([Program::NatsServer]).await.unwrap().remove(&Program::NatsServer).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.args(["--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir"]).arg(folder.path()).args(arguments);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let ports = folder.path().join(format!("nats-server_{}.ports", child.id()));
        let address = async || {
            let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(&ports).ok()?).ok()?;
            Some(ports["nats"][0].as_str()?.trim_start_matches("nats://").to_owned())
        };
        until("the server has a port", async || address().await.is_some()).await;
        let address = address().await.unwrap();
        Self { child, address, _folder: folder }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn user_and_password_come_from_the_options_or_the_address() {
    let server = Server::start(&["--user", "drover", "--pass", "s3cret"]).await;
    let (plain, with_login) =
        (format!("nats://{}", server.address), format!("nats://drover:s3cret@{}", server.address));
    connect(&options(&["--nats-url", &with_login]), "upload").await.unwrap();
    let flags = ["--nats-url", &plain, "--nats-user", "drover", "--nats-password", "s3cret"];
    connect(&options(&flags), "upload").await.unwrap();

    let wrong = with_login.replace("s3cret", "wr0ng");
    let error = connect(&options(&["--nats-url", &wrong]), "upload").await.unwrap_err();
    assert_eq!(error.exit(), Exit::Usage, "{error}");
    assert!(!format!("{error} {error:?}").contains("wr0ng"), "{error:?}");
}

#[tokio::test]
async fn a_token_comes_from_the_address() {
    let server = Server::start(&["--auth", "t0ken"]).await;
    connect(&options(&["--nats-url", &format!("nats://t0ken@{}", server.address)]), "upload").await.unwrap();
}

#[tokio::test]
async fn each_job_has_inboxes_of_its_own() {
    let server = Server::start(&[]).await;
    let url = format!("nats://{}", server.address);
    let connection = connect(&options(&["--nats-url", &url]), "retention-prune").await.unwrap();
    assert!(connection.client.new_inbox().starts_with("_INBOX_retention-prune."));
}
