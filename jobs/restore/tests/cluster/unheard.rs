//! Whoever read the log is gone, or the terminal is: the restore ends as if asked to, and leaves nothing behind.

use std::path::Path;
use std::process::Stdio;

use drover_testbed::proxy::{Held, Proxy};
use kube::Api;
use kube::api::DynamicObject;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::controllers::{archive, deployment, home_of, is_at, noted};
use crate::exemption::{conditions, configuration, configurations};
use crate::support::{Archive, EXEMPT, Run, command, make, testbed, until};

/// A webhook that is never asked.
pub(crate) fn idle(name: &str) -> Value {
    let webhook = json!({"name": name, "clientConfig": {"url": "https://127.0.0.1:1/"}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore", "rules": [{"apiGroups": ["nowhere.example.io"],
            "apiVersions": ["*"], "resources": ["things"], "operations": ["CREATE"]}]});
    json!([webhook])
}

/// Has a program die of SIGHUP by default, whatever started the test.
const DYING: [&str; 2] = ["env", "--default-signal=HUP"];

fn start_exempt(kubeconfig: &Path, archive: &Archive, name: &str) -> Child {
    let asked = command(kubeconfig, "apply", &archive.path());
    let [starter, option] = DYING;
    let mut command = Command::new(starter);
    command.arg(option).arg(asked.get_program()).args(asked.get_args()).arg(format!("--exempt-webhooks={name}"));
    command.env("KUBECONFIG", kubeconfig).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true).spawn().unwrap()
}

/// A restore in the middle: exempt, with a controller at 0, and held by the proxy.
struct Middle {
    name: String,
    deployments: Api<DynamicObject>,
    child: Child,
    held: Held,
    _kept: (Proxy, Archive),
}

impl Middle {
    async fn of(home: &str) -> Self {
        let name = format!("{home}.example.io");
        make(&configurations().await, &configuration(&name, &idle(&name))).await;
        let deployments = home_of(home, deployment(home, "boss", 2, false)).await;
        let proxy = Proxy::start(testbed().await).await.unwrap();
        // Who asks, the condition, and the controller.
        let held = proxy.hold_after(3);
        let archive = archive(home, &["boss"]);
        let child = start_exempt(&proxy.kubeconfig(), &archive, &name);
        held.reached().await;
        assert_eq!(conditions(&name).await, [["drover-restore"]]);
        assert_eq!(noted(&deployments, "boss").await.0, json!(0));
        Self { name, deployments, child, held, _kept: (proxy, archive) }
    }

    /// Goes on, and leaves nothing behind.
    async fn ends_well(self) {
        self.held.go_on();
        let ended = Run::wait(self.child).await;
        assert_eq!(ended.code, 1, "{}", ended.errors);
        assert_eq!(conditions(&self.name).await, [[""; 0]]);
        is_at(&self.deployments, "boss", 2).await;
    }
}

#[tokio::test]
async fn a_restore_whose_log_nobody_reads_any_more_ends_as_if_asked_to() {
    let _exempt = EXEMPT.read().await;
    let mut middle = Middle::of("unheard").await;
    drop(middle.child.stderr.take());
    middle.ends_well().await;
}

/// A terminal that is closed sends the signal for its shell and for itself.
#[tokio::test]
async fn a_restore_whose_terminal_is_closed_ends_as_if_asked_to() {
    let _exempt = EXEMPT.read().await;
    let mut middle = Middle::of("hung-up").await;
    Run::signal(&middle.child, Signal::HUP);
    let log = Run::first_line(&mut middle.child, "asked to end").await;
    assert!(log.contains("asked to end"), "{log}");
    Run::signal(&middle.child, Signal::HUP);
    middle.ends_well().await;
}

/// Whether a process has a signal in this set of its own, by its number.
async fn has(child: &Child, set: &str, signal: u32) -> bool {
    let status = tokio::fs::read_to_string(format!("/proc/{}/status", child.id().unwrap())).await.unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix(set)).unwrap();
    (u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal - 1)) & 1 == 1
}

#[tokio::test]
async fn a_restore_that_is_to_outlive_its_terminal_does() {
    let _exempt = EXEMPT.read().await;
    let program = env!("CARGO_BIN_EXE_restore");
    for (starter, catches) in [(&DYING[..], true), (&["nohup"], false)] {
        // It waits for an archive from standard input.
        let mut command = Command::new(starter[0]);
        let command =
            command.args(&starter[1..]).args([program, "inspect", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let [hang_up, interrupt] = [1, 2];
        until("it listens for signals", async || has(&child, "SigCgt:", interrupt).await).await;
        let hears = (has(&child, "SigCgt:", hang_up).await, has(&child, "SigIgn:", hang_up).await);
        assert_eq!(hears, (catches, !catches), "{starter:?}");
    }
}
