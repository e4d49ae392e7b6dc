use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::configuration;
use crate::ping::tests::whole;

const RUN: &str = "019aaf00-0000-7000-8000-000000000001";

fn monitor(kind: &str, url: &str, more: &str) -> Monitor {
    let yaml = format!("monitors: [{{name: m, kind: {kind}, url: '{url}', backups: {{}}{more}}}]");
    configuration::parse(&yaml, std::path::Path::new("f")).unwrap().remove(0)
}

/// A request in words: method, path with query, content type, body.
type Told = (String, String, Option<String>, Option<String>);

fn told(request: &HttpRequest) -> Told {
    let url = request.url.expose();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let content_type = request.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
    (request.method.to_string(), format!("{}{query}", url.path()), content_type, request.body.clone())
}

#[track_caller]
fn check(monitor: &Monitor, ping: &Ping, expected: Option<(&str, &str, Option<&str>, Option<&str>)>) {
    let request = request(monitor, ping, BODY_LIMIT);
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let expected = expected.map(|(method, path, content_type, body)| {
        (method.to_owned(), path.to_owned(), owned(content_type), owned(body))
    });
    assert_eq!(request.as_ref().map(told), expected);
}

const TEXT: Option<&str> = Some("text/plain; charset=utf-8");
const JSON: Option<&str> = Some("application/json");

#[test]
fn healthchecks() {
    let hosted = monitor("healthchecks", "https://hc-ping.com/c0ffee00-0000-4000-8000-000000000001", "");
    let path = "/c0ffee00-0000-4000-8000-000000000001";
    let start = format!("Backup \"daily\": run 7 began\nrun: {RUN}\nfile: daily.tar.gz");
    let success = format!(
        "Backup \"daily\": run 7 is stored and verified: 1234 objects, 5678 bytes, 42 s\nrun: {RUN}\nfile: \
         daily.tar.gz\nplace: s3://bucket/daily.tar.gz"
    );
    let failure =
        format!("Backup \"daily\": run 7 failed at upload, try 2: error: no answer\nrun: {RUN}\nfile: daily.tar.gz");
    for (signal, suffix, body) in
        [(Signal::Start, "/start", &start), (Signal::Success, "", &success), (Signal::Failure, "/fail", &failure)]
    {
        let url = format!("{path}{suffix}?rid={RUN}");
        check(&hosted, &whole(signal), Some(("POST", &url, TEXT, Some(body))));
    }
    let audit = Ping { run: None, origin: Origin::Audit, ..whole(Signal::Failure) };
    let body = "Backup \"daily\": not fresh: error: no answer\nfile: daily.tar.gz";
    check(&hosted, &audit, Some(("POST", &format!("{path}/fail"), TEXT, Some(body))));
    // A success of its own that ends no run which is at work.
    let fresh = Ping { run: None, origin: Origin::Audit, ..whole(Signal::Success) };
    let url = told(&request(&hosted, &fresh, BODY_LIMIT).unwrap()).1;
    let of_its_own: uuid::Uuid = url.strip_prefix(&format!("{path}?rid=")).unwrap().parse().unwrap();
    assert_ne!(of_its_own.to_string(), RUN);
    let slug = monitor("healthchecks", "https://hc.example.com/ping/key/daily?create=1", "");
    check(
        &slug,
        &whole(Signal::Start),
        Some(("POST", &format!("/ping/key/daily/start?create=1&rid={RUN}"), TEXT, Some(&start))),
    );
}

#[test]
fn uptime_kuma() {
    let kuma = monitor("uptime-kuma", "https://kuma.example.com/api/push/tOkEn?status=up&msg=OK&ping=", "");
    check(&kuma, &whole(Signal::Start), None);
    let success = "/api/push/tOkEn?status=up&msg=Backup+%22daily%22%3A+run+7+is+stored+and+verified%3A+1234+objects%2C+5678\
                   +bytes%2C+42+s&ping=42500";
    check(&kuma, &whole(Signal::Success), Some(("GET", success, None, None)));
    let failure = "/api/push/tOkEn?status=down&msg=Backup+%22daily%22%3A+run+7+failed+at+upload%2C+try+2%3A+error%3A+no+\
                   answer&ping=42500";
    check(&kuma, &whole(Signal::Failure), Some(("GET", failure, None, None)));
    let endless = Ping { duration: Some(Duration::MAX), ..whole(Signal::Success) };
    let url = request(&kuma, &endless, BODY_LIMIT).unwrap().url;
    assert!(url.expose().query().unwrap().ends_with("&ping=100000000000"));
    let unknown = Ping { duration: None, ..whole(Signal::Success) };
    assert!(!request(&kuma, &unknown, BODY_LIMIT).unwrap().url.expose().query().unwrap().contains("ping="));
}

#[test]
fn oneuptime() {
    let oneuptime = monitor("oneuptime", "https://oneuptime.com/heartbeat/KEY", "");
    check(&oneuptime, &whole(Signal::Start), None);
    for signal in [Signal::Success, Signal::Failure] {
        let request = request(&oneuptime, &whole(signal), BODY_LIMIT).unwrap();
        assert_eq!((request.method.as_str(), request.url.expose().path()), ("POST", "/heartbeat/KEY"));
        assert_eq!(request.headers.get(CONTENT_TYPE).unwrap(), "application/json");
        let body: Value = serde_json::from_str(request.body.as_deref().unwrap()).unwrap();
        let mut expected = json!({
            "backup": "daily", "signal": "success", "status": "success", "message": whole(signal).headline(), "run": RUN,
            "number": 7, "objects": 1234, "bytes": 5678, "durationSeconds": 42, "file": "daily.tar.gz",
            "places": ["s3://bucket/daily.tar.gz"], "time": "2026-11-23T02:00:42Z",
        });
        if signal == Signal::Failure {
            expected = json!({
                "backup": "daily", "signal": "failure", "status": "failed", "message": whole(signal).headline(),
                "error": "error: no answer", "run": RUN, "number": 7, "stage": "upload", "attempt": 2,
                "durationSeconds": 42, "file": "daily.tar.gz", "time": "2026-11-23T02:00:42Z",
            });
        }
        assert_eq!(body, expected);
    }
}

#[test]
fn cronitor() {
    let cronitor = monitor("cronitor", "https://cronitor.link/p/key/daily?env=production", "");
    let start = format!("/p/key/daily?env=production&state=run&message=Backup+%22daily%22%3A+run+7+began&series={RUN}");
    check(&cronitor, &whole(Signal::Start), Some(("GET", &start, None, None)));
    let success = format!(
        "/p/key/daily?env=production&state=complete&message=Backup+%22daily%22%3A+run+7+is+stored+and+verified%3A+1234+\
         objects%2C+5678+bytes%2C+42+s&series={RUN}&metric=count%3A1234&metric=duration%3A42"
    );
    check(&cronitor, &whole(Signal::Success), Some(("GET", &success, None, None)));
    let failure = format!(
        "/p/key/daily?env=production&state=fail&message=Backup+%22daily%22%3A+run+7+failed+at+upload%2C+try+2%3A+error%3A+no+\
         answer&series={RUN}&metric=duration%3A42"
    );
    check(&cronitor, &whole(Signal::Failure), Some(("GET", &failure, None, None)));
    let audit = Ping { run: None, duration: None, objects: None, origin: Origin::Audit, ..whole(Signal::Success) };
    let url = request(&cronitor, &audit, BODY_LIMIT).unwrap().url;
    assert!(url.expose().query().unwrap().contains("&state=ok&"), "an audit is no run");
}

#[test]
fn better_stack() {
    let better_stack = monitor("better-stack", "https://uptime.betterstack.com/api/v1/heartbeat/tOkEn", "");
    let path = "/api/v1/heartbeat/tOkEn";
    check(&better_stack, &whole(Signal::Start), None);
    check(&better_stack, &whole(Signal::Success), Some(("POST", path, None, None)));
    let failure = whole(Signal::Failure);
    check(&better_stack, &failure, Some(("POST", &format!("{path}/fail"), TEXT, Some(&failure.text()))));
}

#[test]
fn dead_mans_snitch() {
    let snitch = monitor("dead-mans-snitch", "https://nosnch.in/c2354d53d2", "");
    check(&snitch, &whole(Signal::Start), None);
    let success =
        "/c2354d53d2?m=Backup+%22daily%22%3A+run+7+is+stored+and+verified%3A+1234+objects%2C+5678+bytes%2C+42+s";
    check(&snitch, &whole(Signal::Success), Some(("GET", success, None, None)));
    let failure = "/c2354d53d2?m=Backup+%22daily%22%3A+run+7+failed+at+upload%2C+try+2%3A+error%3A+no+answer&s=1";
    check(&snitch, &whole(Signal::Failure), Some(("GET", failure, None, None)));
}

#[test]
fn webhook() {
    let more = ", method: PUT, headers: {Authorization: Bearer tOkEn, content-type: application/x+json}, body: {t: 'run \
                {{number}}', o: '{{objects}}', s: '{{signal}}'}";
    let hook = monitor("webhook", "https://hooks.example.com/T0/B0?a=b", more);
    for (signal, objects) in [(Signal::Start, "null"), (Signal::Success, "1234"), (Signal::Failure, "null")] {
        let body = format!(r#"{{"o":{objects},"s":"{signal}","t":"run 7"}}"#);
        check(&hook, &whole(signal), Some(("PUT", "/T0/B0?a=b", Some("application/x+json"), Some(&body))));
    }
    let request = request(&hook, &whole(Signal::Success), BODY_LIMIT).unwrap();
    assert_eq!(request.headers["authorization"], "Bearer tOkEn");
    assert!(!format!("{request:?} {:?} {hook:?}", request.headers).contains("tOkEn"));
    let plain = monitor("webhook", "https://hooks.example.com/", "");
    let everything = whole(Signal::Success).json().to_string();
    check(&plain, &whole(Signal::Success), Some(("POST", "/", JSON, Some(&everything))));
    let get = monitor("webhook", "https://hooks.example.com/x", ", method: GET, signals: [success]");
    check(&get, &whole(Signal::Success), Some(("GET", "/x", None, None)));
}

#[test]
fn limits_can_be_set() {
    let long = Ping { reason: Some("ä".repeat(4000)), ..whole(Signal::Failure) };
    let characters = |monitor: &Monitor, name: &str| {
        let url = request(monitor, &long, BODY_LIMIT).unwrap().url;
        let found = url.expose().query_pairs().find(|(other, _)| other == name).unwrap().1.into_owned();
        found.chars().count()
    };
    for (kind, url, name, limit) in [
        ("uptime-kuma", "https://k.example.com/api/push/t", "msg", 250),
        ("cronitor", "https://cronitor.link/p/k/m", "message", 2000),
        ("dead-mans-snitch", "https://nosnch.in/t", "m", 250),
    ] {
        assert_eq!(characters(&monitor(kind, url, ""), name), limit, "{kind}");
        assert_eq!(characters(&monitor(kind, url, ", messageLimit: 80"), name), 80, "{kind}");
    }
}

fn any_monitor() -> impl Strategy<Value = Monitor> {
    prop::sample::select(vec![
        monitor("healthchecks", "https://hc-ping.com/c0ffee00-0000-4000-8000-000000000001", ""),
        monitor("uptime-kuma", "https://k.example.com/api/push/t", ""),
        monitor("oneuptime", "https://oneuptime.com/heartbeat/KEY", ""),
        monitor("cronitor", "https://cronitor.link/p/k/m", ""),
        monitor("better-stack", "https://uptime.betterstack.com/api/v1/heartbeat/t", ""),
        monitor("dead-mans-snitch", "https://nosnch.in/t", ""),
        monitor("webhook", "https://hooks.example.com/", ""),
    ])
}

proptest! {
    #[test]
    fn a_success_never_says_error_and_a_body_is_never_longer_than_is_kept(
        monitor in any_monitor(),
        signal in prop::sample::select(Signal::ALL.to_vec()),
        name in "(error|[a-z]|ä){1,60}",
        reason in ".{0,200}",
        limit in 0_usize..300,
    ) {
        let is_json = matches!(monitor.service, Service::OneUptime | Service::Webhook(_));
        let ping = Ping { name, reason: (signal == Signal::Failure).then_some(reason), ..whole(signal) };
        if let Some(request) = request(&monitor, &ping, limit) {
            let body = request.body.unwrap_or_default();
            prop_assert!(is_json || body.len() <= limit);
            let all = format!("{body} {}", request.url.expose());
            prop_assert!(signal == Signal::Failure || !all.contains("error"), "{all}");
        }
    }
}
