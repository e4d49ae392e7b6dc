use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use drover_testbed::proxy::{Answered, Fate, Proxy};
use drover_testbed::webhook::Webhook;
use http::Method;
use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::support::{
    Archive, EXEMPT, Run, api, change, config_map, definition, kubeconfig_of, live, make, resource, rule, run,
    run_asking, run_through, start, testbed, thing, until,
};
use crate::unheard::idle;

const GROUP: &str = "exempt.example.io";
const NAME: &str = "policy.exempt.example.io";
const OPTION: &str = "--exempt-webhooks=policy.exempt.example.io";
const WORDS: &str = "nothing is allowed";
const THINGS: [&str; 3] = ["one", "two", "three"];

/// Two webhooks that refuse every thing; the second one has a condition of its own.
fn webhooks(webhook: &Webhook) -> Value {
    let one = |name: &str| {
        json!({"name": name, "clientConfig": webhook.client_config("/"), "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "rules": [{"apiGroups": [GROUP], "apiVersions": ["*"],
                "resources": ["things"], "operations": ["CREATE", "UPDATE"]}]})
    };
    let mut second = one("second.exempt.example.io");
    second["matchConditions"] = json!([{"name": "theirs", "expression": "request.name != 'nobody'"}]);
    json!([one("first.exempt.example.io"), second])
}

pub(crate) async fn configurations() -> Api<DynamicObject> {
    let group = "admissionregistration.k8s.io/v1";
    api("validatingwebhookconfigurations", group, "ValidatingWebhookConfiguration", None).await
}

pub(crate) fn configuration(name: &str, webhooks: &Value) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name}, "webhooks": webhooks})
}

/// The names of the conditions of each webhook.
pub(crate) async fn conditions(name: &str) -> Vec<Vec<String>> {
    let live = live(&configurations().await, name).await;
    let names = |webhook: &Value| {
        let conditions = webhook["matchConditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().map(|condition| condition["name"].as_str().unwrap().to_owned()).collect()
    };
    live["webhooks"].as_array().unwrap().iter().map(names).collect()
}

/// Whether somebody who is not the program's user is refused.
async fn another_is_refused() -> bool {
    let mut kubeconfig = Kubeconfig::read_from(testbed().await.kubeconfig().unwrap()).unwrap();
    let user = kubeconfig.auth_infos[0].auth_info.as_mut().unwrap();
    (user.impersonate, user.impersonate_groups) = (Some("jo".to_owned()), Some(vec!["system:masters".to_owned()]));
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let resource = resource("things", &format!("{GROUP}/v1"), "Thing");
    let things: Api<DynamicObject> = Api::all_with(Client::try_from(config).unwrap(), &resource);
    let on_trial = PostParams { dry_run: true, ..PostParams::default() };
    let object = serde_json::from_value(thing(GROUP, "another", &json!({})).1).unwrap();
    things.create(&on_trial, &object).await.is_err_and(|error| error.to_string().contains(WORDS))
}

fn unexempt(kubeconfig: &std::path::Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_restore"));
    let output = command.arg("unexempt").env("KUBECONFIG", kubeconfig).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_passes_the_webhooks_that_it_names_and_says_how_that_ends() {
    let exempt = EXEMPT.read().await;
    let webhook = Webhook::start(|_, _| Some(WORDS.to_owned())).await.unwrap();
    assert_eq!(run("apply", &Archive::of(&[definition(GROUP, &["v1"])], None)).await.code, 0);
    make(&configurations().await, &configuration(NAME, &webhooks(&webhook))).await;
    until("the webhook is asked", async || another_is_refused().await).await;
    let archive = Archive::of(&THINGS.map(|name| thing(GROUP, name, &json!({"spec": {"a": 1}}))), None);

    let refused = run("apply", &archive).await;
    assert_eq!((refused.code, refused.count("failed")), (1, 3), "{}", refused.report);
    assert!(!refused.errors.contains("exempt while"), "{}", refused.errors);
    let mistaken = run_asking("apply", &archive, &["--exempt-webhooks=rancher.cattle.io"]).await;
    assert_eq!((mistaken.code, mistaken.count("failed")), (1, 3), "{}", mistaken.report);
    for words in ["no configuration of webhooks has the name \"rancher.cattle.io\"", "there are ", NAME] {
        assert!(mistaken.errors.contains(words), "{words}: {}", mistaken.errors);
    }
    let nonsense = run_asking("apply", &archive, &["--exempt-webhooks=none"]).await;
    assert_eq!(nonsense.code, 64, "{}", nonsense.errors);

    let theirs = vec![vec![], vec!["theirs".to_owned()]];
    others_are_refused_meanwhile(&archive).await;
    assert_eq!(conditions(NAME).await, theirs);
    let again = run_asking("apply", &archive, &[OPTION]).await;
    assert_eq!((again.code, again.count("unchanged")), (0, 3), "{}", again.errors);
    a_plan_says_what_a_webhook_refuses().await;
    drop(exempt);
    what_a_killed_one_leaves_the_command_ends().await;
    assert_eq!(conditions(NAME).await, theirs);
}

/// The second object is written when the traffic stops: who asks, the condition, and two objects.
async fn others_are_refused_meanwhile(archive: &Archive) {
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let held = proxy.hold_after(4);
    let kubeconfig = proxy.kubeconfig();
    let child = start(&kubeconfig, "apply", &archive.path(), &[OPTION, "--concurrency=1"]);
    held.reached().await;
    let both = vec![vec!["drover-restore".to_owned()], vec!["theirs".to_owned(), "drover-restore".to_owned()]];
    assert_eq!(conditions(NAME).await, both);
    assert!(another_is_refused().await);
    held.go_on();
    let done = Run::wait(child).await;
    assert_eq!((done.code, done.count("created")), (0, 3), "{}", done.errors);
    for words in ["exempt while this restore writes: drover-testbed-admin", "this ends it: restore unexempt"] {
        assert!(done.errors.contains(words), "{words}: {}", done.errors);
    }
    let notes = done.report["notes"].to_string();
    assert!(notes.contains("from 2 webhooks") && notes.contains("nobody is exempt"), "{notes}");
}

fn changed() -> Archive {
    Archive::of(&THINGS.map(|name| thing(GROUP, name, &json!({"spec": {"a": 2}}))), None)
}

async fn a_plan_says_what_a_webhook_refuses() {
    let planned = run("plan", &changed()).await;
    assert_eq!((planned.code, planned.count("updated")), (0, 3), "{} {}", planned.report, planned.errors);
    let (_, reason) = planned.result("things", "one");
    assert!(reason.contains("--exempt-webhooks goes past it") && reason.contains(WORDS), "{reason}");
}

async fn what_a_killed_one_leaves_the_command_ends() {
    let _alone = EXEMPT.write().await;
    let changed = changed();
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let held = proxy.hold_after(4);
    let child = start(&proxy.kubeconfig(), "apply", &changed.path(), &[OPTION, "--concurrency=1"]);
    assert!(Run::kill_when(child, held.reached()).await.is_none());
    assert!(conditions(NAME).await.concat().contains(&"drover-restore".to_owned()));
    what_it_leaves_is_told_to_whom_it_exempts_too(&changed).await;
    let kubeconfig = testbed().await.kubeconfig().unwrap();
    assert!(unexempt(kubeconfig).contains(&format!("ended in validatingwebhookconfigurations \"{NAME}\"\n")));
}

/// There is no Lease in this cluster, so nobody tells whether the restore that left it is still at work.
async fn what_it_leaves_is_told_to_whom_it_exempts_too(changed: &Archive) {
    let passing = run("apply", changed).await;
    assert_eq!((passing.code, passing.count("failed")), (0, 0), "{} {}", passing.report, passing.errors);
    let notes = passing.report["notes"].to_string();
    for told in [&passing.errors, &notes] {
        assert!(told.contains(NAME) && told.contains("this ends it: restore unexempt"), "{told}");
    }
    assert!(conditions(NAME).await.concat().contains(&"drover-restore".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_does_not_bring_an_exemption_back() {
    let archived = |conditions: &Value| {
        let webhook = json!({"name": "archived.example.io", "clientConfig": {"url": "https://127.0.0.1:1/"},
            "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
            "matchConditions": conditions, "rules": [{"apiGroups": ["nowhere.example.io"], "apiVersions": ["*"],
                "resources": ["things"], "operations": ["CREATE"]}]});
        configuration("archived.example.io", &json!([webhook]))
    };
    let (old, theirs) =
        (json!({"name": "drover-restore", "expression": "false"}), json!({"name": "theirs", "expression": "true"}));
    let archive = Archive::of(&[("validatingwebhookconfigurations", archived(&json!([old, theirs])))], None);
    for expected in ["created", "updated"] {
        let run = run("apply", &archive).await;
        assert_eq!((run.code, run.count(expected)), (0, 1), "{expected}: {} {}", run.report, run.errors);
        assert_eq!(conditions("archived.example.io").await, [["theirs"]]);
        let others = json!({"webhooks": archived(&json!([{"name": "changed", "expression": "true"}]))["webhooks"]});
        change(&configurations().await, "archived.example.io", &others).await;
    }
}

/// A user who may change one configuration of webhooks alone; gives the kubeconfig in that folder.
async fn who_may_change(open: &str, folder: &std::path::Path) -> std::path::PathBuf {
    let mut patch = rule("admissionregistration.k8s.io", "validatingwebhookconfigurations", &["patch"]);
    patch["resourceNames"] = json!([open]);
    let rules = [
        rule("*", "*", &["get", "list", "watch", "create", "update", "delete"]),
        rule("coordination.k8s.io", "leases", &["patch"]),
        patch,
    ];
    kubeconfig_of("half-exempt", &rules, folder).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_may_not_be_changed_leaves_the_exemption_from_the_others() {
    let _exempt = EXEMPT.read().await;
    let (group, open, locked) = ("half.example.io", "open.half.example.io", "locked.half.example.io");
    let webhook = Webhook::start(|_, _| Some(WORDS.to_owned())).await.unwrap();
    assert_eq!(run("apply", &Archive::of(&[definition(group, &["v1"])], None)).await.code, 0);
    for (name, asked) in [(open, group), (locked, "nowhere.example.io")] {
        let webhook = json!({"name": name, "clientConfig": webhook.client_config("/"), "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "rules": [{"apiGroups": [asked], "apiVersions": ["*"],
                "resources": ["things"], "operations": ["CREATE", "UPDATE"]}]});
        make(&configurations().await, &configuration(name, &json!([webhook]))).await;
    }
    let things = api("things", &format!("{group}/v1"), "Thing", None).await;
    let on_trial = PostParams { dry_run: true, ..PostParams::default() };
    until("the webhook is asked", async || {
        let probe = serde_json::from_value(thing(group, "probe", &json!({})).1).unwrap();
        things.create(&on_trial, &probe).await.is_err_and(|error| error.to_string().contains(WORDS))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = who_may_change(open, folder.path()).await;
    let archive = Archive::of(&[thing(group, "one", &json!({}))], None);
    let option = format!("--exempt-webhooks={locked},{open}");
    let done = run_through(&kubeconfig, "apply", &archive, &[option.as_str()]).await;
    assert_eq!((done.code, done.count("created")), (0, 1), "{} {}", done.report, done.errors);
    let notes = done.report["notes"].to_string();
    for words in
        ["exempt from some webhooks, and the others are asked", "half-exempt, and nobody else, from 1 webhooks"]
    {
        assert!(notes.contains(words), "{words}: {notes}");
    }
    assert_eq!((conditions(open).await, conditions(locked).await), (vec![Vec::<String>::new()], vec![vec![]]));
    who_was_never_exempt_is_told_of_no_end(&kubeconfig, locked).await;
}

async fn who_was_never_exempt_is_told_of_no_end(kubeconfig: &std::path::Path, locked: &str) {
    let archive = Archive::of(&[config_map("default", "never-exempt", &json!(null))], None);
    let option = format!("--exempt-webhooks={locked}");
    let done = run_through(kubeconfig, "apply", &archive, &[option.as_str()]).await;
    assert_eq!((done.code, done.count("created")), (0, 1), "{} {}", done.report, done.errors);
    let notes = done.report["notes"].to_string();
    assert!(notes.contains("webhooks are asked about what is written: failed to put in"), "{notes}");
    for words in ["still exempt", "is exempt from webhooks any more"] {
        assert!(!notes.contains(words), "{words}: {notes}");
    }
}

#[tokio::test]
async fn whoever_may_not_look_is_not_told_that_nobody_is_exempt() {
    let mut kubeconfig = Kubeconfig::read_from(testbed().await.kubeconfig().unwrap()).unwrap();
    kubeconfig.auth_infos[0].auth_info.as_mut().unwrap().impersonate = Some("nobody-in-particular".to_owned());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nobody.kubeconfig");
    std::fs::write(&path, serde_json::to_string(&kubeconfig).unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_restore"));
    let command = command.args(["unexempt", "--force"]).env("KUBECONFIG", &path).stdin(Stdio::null());
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(errors.contains("failed to list mutatingwebhookconfigurations"), "{errors}");
}

/// It is tried again, conflicts with itself, and finds that the condition is there.
#[tokio::test]
async fn an_exemption_of_which_no_answer_told_is_waited_for_all_the_same() {
    let _exempt = EXEMPT.read().await;
    let name = "lost.example.io";
    make(&configurations().await, &configuration(name, &idle(name))).await;
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let is_lost = AtomicBool::new(false);
    proxy.judge(move |asked| {
        let loses = asked.method == Method::PATCH && !is_lost.swap(true, Ordering::SeqCst);
        async move { if loses { Fate::LosesAnswer } else { Fate::Passes } }
    });
    let archive = Archive::of(&[config_map("default", "lost-answer", &json!(null))], None);
    let option = format!("--exempt-webhooks={name}");
    let done = run_through(&proxy.kubeconfig(), "apply", &archive, &[option.as_str()]).await;
    assert_eq!((done.code, done.count("created")), (0, 1), "{} {}", done.report, done.errors);
    let of_it = |answered: &Answered| answered.method == Method::PATCH && answered.path.contains(name);
    let statuses: Vec<_> =
        proxy.answered().into_iter().filter(of_it).map(|answered| answered.status.as_u16()).collect();
    assert_eq!(statuses, [200, 409, 200], "put in, put in again in vain, taken out");
    assert!(done.errors.contains("can show that the exemption is in force; waiting 3 s"), "{}", done.errors);
}
