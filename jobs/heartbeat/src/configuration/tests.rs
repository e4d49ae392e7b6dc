use drover::exit::Chain;
use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

const WHOLE: &str = r"
monitors:
- name: team
  kind: healthchecks
  url: https://hc.example.com/ping/c0ffee00-0000-4000-8000-000000000001
  backups: {names: [rancher-daily-backup], nameRegexp: ^tenant-}
  restores: {}
  signals: [success, failure]
  freshness: {grace: 2h, maxAge: 26h30m}
  bodyLimit: 100000
- name: pager
  kind: webhook
  url: https://hooks.example.com/services/T0/B0
  restores: {names: [back]}
  method: put
  headers: {Authorization: Bearer tOkEn}
  body: {text: '{{message}}', number: 3}
- {name: short, url: https://oneuptime.com/heartbeat/KEY, backups: {}}
";

fn refused(yaml: &str) -> String {
    match parse(yaml, Path::new("monitors.yaml")) {
        Ok(monitors) => panic!("{monitors:?}"),
        Err(error) => format!("{} {error:?}", Chain(&error)),
    }
}

#[track_caller]
fn check_refused(monitor: &str, words: &[&str]) {
    let told = refused(&format!("monitors:\n- {{name: m, {monitor}}}\n"));
    assert!(words.iter().all(|words| told.contains(words)), "{told}");
    assert!(!told.contains("s3cr3t"), "{told}");
}

#[test]
fn everything_is_read() {
    let monitors = parse(WHOLE, Path::new("f")).unwrap();
    let [team, pager, short] = &monitors[..] else { panic!("{monitors:?}") };
    assert_eq!((team.name.as_str(), &team.service, team.body_limit), ("team", &Service::Healthchecks, Some(100_000)));
    assert_eq!(team.signals, BTreeSet::from([Signal::Success, Signal::Failure]));
    let freshness =
        Freshness { grace: SignedDuration::from_hours(2), max_age: Some(SignedDuration::from_mins(26 * 60 + 30)) };
    assert_eq!(team.freshness, freshness);
    let watched = |name| team.watches(crate::ping::Concern::Backup, name);
    assert!(watched("rancher-daily-backup") && watched("tenant-a") && !watched("other"));
    assert!(team.watches(crate::ping::Concern::Restore, "any"));
    assert!(!pager.watches(crate::ping::Concern::Backup, "rancher-daily-backup"));
    let Service::Webhook(webhook) = &pager.service else { panic!("{pager:?}") };
    assert_eq!((webhook.method.as_str(), webhook.headers.len()), ("PUT", 1));
    assert_eq!(short.service, Service::OneUptime);
    assert_eq!((short.signals.len(), short.freshness), (3, Freshness::default()));
    assert!(parse("monitors: []", Path::new("f")).unwrap().is_empty());
}

#[test]
fn a_field_that_is_not_known_is_refused_with_its_line() {
    let told = refused(&WHOLE.replace("bodyLimit", "bodylimit"));
    assert!(
        told.contains("\"monitors.yaml\": line 10, column 3: there is no field \"bodylimit\"; allowed: name, "),
        "{told}"
    );
    let told = refused(&WHOLE.replace("grace", "gace"));
    assert!(told.contains("line 9") && told.contains("\"gace\"; allowed: grace, maxAge"), "{told}");
    let told = refused(&WHOLE.replace("[success, failure]", "[sucess]"));
    assert!(told.contains("line 8") && told.contains("allowed: start, success, failure"), "{told}");
    let told = refused(&WHOLE.replace("kind: webhook", "kind: slack"));
    assert!(told.contains("line 12") && told.contains("allowed: oneuptime, healthchecks"), "{told}");
    let told = refused(&WHOLE.replace("name: short, ", ""));
    assert!(told.contains("line 18") && told.contains("\"name\" is missing"), "{told}");
    let told = refused(&WHOLE.replace("name: short", "name: team"));
    assert!(told.contains("\"team\" in line 18") && told.contains("another monitor"), "{told}");
}

#[test]
fn what_makes_no_sense_is_refused_and_no_secret_is_told() {
    let hook = "kind: webhook, url: 'https://h.example.com/s3cr3t', backups: {}";
    for (monitor, words) in [
        ("url: 'https://h.example.com/s3cr3t', backups: {}", &["does not tell its kind", "dead-mans-snitch"][..]),
        ("url: 's3cr3t', backups: {}", &["url cannot be used", "it is no URL"]),
        ("url: [s3cr3t], backups: {}", &["line 2"]),
        (
            "kind: cronitor, url: 'https://cronitor.link/p/s3cr3t', backups: {}",
            &["not that of a cronitor", "/p/<API key>/"],
        ),
        ("kind: healthchecks, url: 'https://hc-ping.com/s3cr3t'", &["backups: {}"]),
        ("kind: healthchecks, url: 'https://hc-ping.com/s3cr3t', restores: {}, freshness: {}", &["freshness"]),
        ("kind: healthchecks, url: 'https://hc-ping.com/s3cr3t', backups: {}, signals: []", &["signals"]),
        ("kind: healthchecks, url: 'https://hc-ping.com/s3cr3t', backups: {nameRegexp: '('}", &["nameRegexp \"(\""]),
        ("kind: healthchecks, url: 'https://hc-ping.com/s3cr3t', backups: {}, freshness: {grace: -1h}", &["negative"]),
        ("kind: healthchecks, url: 'https://hc-ping.com/s3cr3t', backups: {}, freshness: {grace: soon}", &["\"26h\""]),
        ("kind: healthchecks, url: 'https://hc-ping.com/s3cr3t', backups: {}, headers: {}", &["headers means nothing"]),
        ("kind: healthchecks, url: 'https://hc-ping.com/s3cr3t', backups: {}, ca: s3cr3t", &["certificate"]),
        (
            "kind: oneuptime, url: 'https://oneuptime.com/heartbeat/YOUR_HEARTBEAT_ID', backups: {}",
            &["stand for a key"],
        ),
        (
            "kind: oneuptime, url: 'https://o.example.com/heartbeat/s3cr3t', backups: {}, signals: [start]",
            &["start alone"],
        ),
        (&format!("{hook}, method: GET"), &["sent the same whatever happens", "{{status}}"]),
        (&format!("{hook}, body: {{t: '{{{{name}}}}'}}"), &["sent the same whatever happens"]),
        (&format!("{hook}, messageLimit: 3"), &["messageLimit means nothing"]),
        (&format!("{hook}, method: s3cr3t"), &["GET, POST, PUT, PATCH"]),
        (&format!("{hook}, method: GET, body: {{}}"), &["no body"]),
        (&format!("{hook}, headers: {{'a b': s3cr3t}}"), &["a name that HTTP does not allow"]),
        (&format!("{hook}, headers: {{X-Token: \"s3cr3t\\n\"}}"), &["the header \"X-Token\""]),
        (&format!("{hook}, body: {{t: '{{{{nmae}}}}'}}"), &["\"nmae\" in double braces", "durationSeconds"]),
    ] {
        check_refused(monitor, words);
    }
}

proptest! {
    #[test]
    fn no_error_tells_what_stands_in_the_file(at in 0_usize..WHOLE.len(), garbage in r#"[\[{}"':,\-&*!|>%@`]{1,3}"#) {
        let at = WHOLE.floor_char_boundary(at);
        let text = format!("{}{garbage}{}", &WHOLE[..at], &WHOLE[at..]);
        if let Err(error) = parse(&text, Path::new("f")) {
            let told = format!("{} {error:?}", Chain(&error));
            for secret in ["c0ffee00-0000", "T0/B0", "tOkEn", "heartbeat/KEY"] {
                prop_assert!(!told.contains(secret), "{told}");
            }
        }
    }
}

#[test]
fn a_secret_that_a_comma_cuts_is_no_name_of_a_field() {
    for (cut, words) in [
        (
            "kind: healthchecks, url: https://hc-ping.com/,s3cr3t, backups: {}",
            "there is no field of that name; allowed: ",
        ),
        ("kind: s3cr3t, backups: {}", "that is not allowed here; allowed: "),
    ] {
        check_refused(cut, &[words]);
    }
    check_refused("kind: healthcheck, backups: {}", &["\"healthcheck\" is not allowed here"]);
}

#[test]
fn a_webhook_that_is_sent_the_same_is_taken_for_one_signal() {
    let hook = "kind: webhook, url: 'https://h.example.com/s3cr3t', backups: {}, method: GET, signals: [failure]";
    let text = format!("monitors:\n- {{name: m, {hook}}}\n");
    assert_eq!(parse(&text, Path::new("f")).unwrap().len(), 1);
}

#[test]
fn names_are_short_and_none_of_an_annotation() {
    for name in ["secret/backup-heartbeat", &"n".repeat(64)] {
        let told = refused(&WHOLE.replace("name: short", &format!("name: {name}")));
        assert!(told.contains("63 bytes") && told.contains("secret/"), "{told}");
    }
}

#[test]
fn the_example_that_people_copy_is_read() {
    let example = include_str!("../../../../kustomize/components/heartbeat/monitors.example.yaml");
    assert!(parse(example, Path::new("monitors.example.yaml")).is_err(), "nobody's key is told of anything");
    let example = &example.replace("YOUR_", "");
    let monitors = parse(example, Path::new("monitors.example.yaml")).unwrap();
    let kinds: Vec<_> = monitors.iter().map(|monitor| &monitor.service).collect();
    assert!(matches!(kinds[..], [Service::Healthchecks, Service::OneUptime, Service::Webhook(_)]), "{kinds:?}");
}
