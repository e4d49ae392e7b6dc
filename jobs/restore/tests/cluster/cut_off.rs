use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Archive, command, config_map, definition, namespace, old_owner, run, testbed, thing};

const GROUP: &str = "cut.example.io";

/// Definitions, owners and statuses: whatever can be half done.
fn objects() -> Vec<(&'static str, Value)> {
    let names = || (0..150).map(|index| format!("cut-{index}"));
    let owners = |name: &str| json!([old_owner(&format!("{GROUP}/v1"), "Thing", name)]);
    let things = names().map(|name| thing(GROUP, &name, &json!({"status": {"name": name}})));
    let maps = names().map(|name| config_map("cut", &name, &owners(&name)));
    [namespace("cut"), definition(GROUP, &["v1"])].into_iter().chain(things).chain(maps).collect()
}

/// How often it is killed; more in a long run.
fn kills() -> u64 {
    std::env::var("DROVER_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(4)
}

#[tokio::test]
async fn a_restore_that_is_killed_goes_on_where_it_was() {
    let archive = Archive::of(&objects(), None);
    let kubeconfig = testbed().await.kubeconfig().unwrap();
    for kill in 0..kills() {
        let mut child = command(kubeconfig, "apply", &archive.path()).spawn().unwrap();
        // No condition is waited for: the point is to be cut off anywhere, a little later each time.
        tokio::time::sleep(Duration::from_millis(150 + 97 * kill % 1_500)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let last = run("apply", &archive).await;
    assert_eq!((last.code, last.count("failed")), (0, 0), "{}", last.report);
    let plan = run("plan", &archive).await;
    assert_eq!(plan.count("unchanged"), 302, "{}", plan.report);
}
