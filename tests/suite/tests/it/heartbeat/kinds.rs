use drover_tests::Site;
use serde_json::{Value, json};

use super::server::{Behaviour, CHECK, Server, TOKEN};
use super::{drain, heartbeat, readable, snapshot, start};

/// A monitor of each kind, told of everything.
fn monitors(server: &Server) -> String {
    let all = "backups: {}, restores: {}";
    let url = |path: &str| server.url(path);
    format!(
        "monitors:
- {{name: healthchecks, kind: healthchecks, url: '{}', {all}}}
- {{name: kuma, kind: uptime-kuma, url: '{}', {all}}}
- {{name: oneuptime, kind: oneuptime, url: '{}', {all}}}
- {{name: cronitor, kind: cronitor, url: '{}', {all}}}
- {{name: better-stack, kind: better-stack, url: '{}', {all}}}
- {{name: snitch, kind: dead-mans-snitch, url: '{}', {all}}}
- {{name: hook, kind: webhook, url: '{}', {all}, headers: {{Authorization: Bearer {TOKEN}}}, body: {{n: '{{{{name}}}}', \
         s: '{{{{status}}}}'}}}}
",
        url(&format!("/ping/{CHECK}")),
        url(&format!("/api/push/{TOKEN}?status=up&msg=OK&ping=")),
        url(&format!("/heartbeat/{TOKEN}")),
        url(&format!("/p/{TOKEN}/daily")),
        url(&format!("/api/v1/heartbeat/{TOKEN}")),
        url(&format!("/{TOKEN}")),
        url("/hooks/T0"),
    )
}

/// The requests that came to a path, in their order: line and body.
fn came<'a>(received: &'a [super::server::Received], path: &str) -> Vec<(String, &'a str)> {
    let of = received.iter().filter(|request| request.target.starts_with(path));
    of.map(|request| (request.line(), request.body.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_told_what_its_service_documents() {
    let site = start().await;
    let server = Server::start(Behaviour::Documented).await;
    let monitors = monitors(&server);
    site.backup("daily", "small", None).await;
    snapshot(&site, "daily").await;
    let mut logs = drain(&site, &monitors).succeed().await.log;
    starts(&site, &server).await;
    site.job("upload").succeed().await;
    logs.push_str(&drain(&site, &monitors).succeed().await.log);
    successes(&site, &server).await;
    logs.push_str(&drain(&site, &monitors).succeed().await.log);
    assert!(server.take().is_empty(), "what was told is told once");

    restores(&site, &server, &monitors).await;
    audit_fresh(&site, &server, &monitors).await;

    site.backup("empty", "nothing", None).await;
    assert_ne!(site.job("snapshot").arguments(["--backup", "empty"]).run().await.code, 0);
    logs.push_str(&drain(&site, &monitors).succeed().await.log);
    failures(&site, &server).await;

    audit_stale(&site, &server, &monitors).await;
    let all = logs + &readable(&site).await;
    for secret in [TOKEN, CHECK] {
        assert!(!all.contains(secret), "{all}");
    }
    site.testbed.shutdown().await;
}

async fn starts(site: &Site, server: &Server) {
    let received = server.take();
    let run = site.runs("daily").await[0].spec.id;
    let [(line, body)] = &came(&received, "/ping/")[..] else { panic!("{received:?}") };
    assert_eq!(*line, format!("POST /ping/{CHECK}/start?rid={run}"));
    assert!(body.starts_with("Backup \"daily\": run 1 began\nrun: "), "{body}");
    let cronitor = format!("GET /p/{TOKEN}/daily?state=run&message=Backup+%22daily%22%3A+run+1+began&series={run}");
    assert_eq!(came(&received, "/p/"), [(cronitor, "")]);
    let hook = (r"POST /hooks/T0".to_owned(), r#"{"n":"daily","s":"started"}"#);
    assert_eq!(came(&received, "/hooks/"), [hook]);
    assert_eq!(received.len(), 3, "the others have no start: {received:?}");
}

async fn successes(site: &Site, server: &Server) {
    let received = server.take();
    assert_eq!(received.len(), 7, "{received:?}");
    let run = site.runs("daily").await.remove(0);
    let snapshot = run.status.unwrap().snapshot.unwrap();
    let (objects, bytes) = (snapshot.objects, snapshot.bytes);
    let [(line, body)] = &came(&received, "/ping/")[..] else { panic!("{received:?}") };
    assert_eq!(*line, format!("POST /ping/{CHECK}?rid={}", run.spec.id));
    let start = format!("Backup \"daily\": run 1 is stored and verified: {objects} objects, {bytes} bytes, ");
    assert!(body.starts_with(&start) && body.contains(&format!("\nfile: {}", run.spec.filename)), "{body}");
    let of_type = received.iter().find(|request| request.target.starts_with("/ping/")).unwrap();
    assert_eq!(of_type.headers["content-type"], "text/plain; charset=utf-8");
    assert!(of_type.headers["user-agent"].to_str().unwrap().starts_with("drover/"));

    let [(line, body)] = &came(&received, "/heartbeat/")[..] else { panic!("{received:?}") };
    assert_eq!(*line, format!("POST /heartbeat/{TOKEN}"));
    let told: Value = serde_json::from_str(body).unwrap();
    let expected = json!({"backup": "daily", "status": "success", "run": run.spec.id, "number": 1, "objects": objects,
        "bytes": bytes, "file": run.spec.filename});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&told[name], value, "{name}");
    }
    assert!(!body.contains("error"), "OneUptime takes it for a failure: {body}");

    let [(line, body)] = &came(&received, "/api/push/")[..] else { panic!("{received:?}") };
    assert!(line.starts_with(&format!("GET /api/push/{TOKEN}?status=up&msg=Backup+%22daily%22")), "{line}");
    assert!(line.contains("&ping=") && body.is_empty(), "{line}");
    let [(line, _)] = &came(&received, "/p/")[..] else { panic!("{received:?}") };
    let metrics = format!("&series={}&metric=count%3A{objects}&metric=duration%3A", run.spec.id);
    assert!(line.contains("?state=complete&message=") && line.contains(&metrics), "{line}");
    let better_stack = (format!("POST /api/v1/heartbeat/{TOKEN}"), "");
    assert_eq!(came(&received, "/api/v1/"), [better_stack]);
    let [(line, _)] = &came(&received, &format!("/{TOKEN}"))[..] else { panic!("{received:?}") };
    assert!(line.starts_with(&format!("GET /{TOKEN}?m=Backup+%22daily%22")) && !line.contains("&s="), "{line}");
    let hook = received.iter().find(|request| request.target == "/hooks/T0").unwrap();
    assert_eq!(hook.headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!((hook.line().as_str(), hook.body.as_str()), ("POST /hooks/T0", r#"{"n":"daily","s":"success"}"#));
}

/// A run that began and failed: both are told, the start first.
async fn failures(site: &Site, server: &Server) {
    let received = server.take();
    let run = site.runs("empty").await[0].spec.id;
    let pings = came(&received, "/ping/");
    let lines: Vec<_> = pings.iter().map(|(line, _)| line.as_str()).collect();
    let expected = ["start", "fail"].map(|signal| format!("POST /ping/{CHECK}/{signal}?rid={run}"));
    assert_eq!(lines, expected);
    assert!(pings[1].1.starts_with("Backup \"empty\": run 1 failed at snapshot: failed to"), "{pings:?}");
    let [(line, body)] = &came(&received, "/heartbeat/")[..] else { panic!("{received:?}") };
    assert_eq!(*line, format!("POST /heartbeat/{TOKEN}"));
    assert!(body.contains(r#""status":"failed""#) && body.contains(r#""error":"failed to"#), "{body}");
    let [(line, _)] = &came(&received, "/api/push/")[..] else { panic!("{received:?}") };
    assert!(line.contains("?status=down&msg=Backup+%22empty%22"), "{line}");
    let [(line, body)] = &came(&received, "/api/v1/")[..] else { panic!("{received:?}") };
    assert_eq!(*line, format!("POST /api/v1/heartbeat/{TOKEN}/fail"));
    assert!(body.starts_with("Backup \"empty\": run 1 failed"), "{body}");
    let [(line, _)] = &came(&received, &format!("/{TOKEN}"))[..] else { panic!("{received:?}") };
    assert!(line.ends_with("&s=1"), "{line}");
    let states: Vec<_> =
        came(&received, "/p/").iter().map(|(line, _)| line.split(['=', '&']).nth(1).unwrap().to_owned()).collect();
    assert_eq!(states, ["run", "fail"]);
}

async fn restores(site: &Site, server: &Server, monitors: &str) {
    let filename = site.backup_status("daily").await.filename.unwrap();
    let restore = site.restore("back", &filename, None).await;
    site.job("restore").succeed().await;
    drain(site, monitors).succeed().await;
    let received = server.take();
    let run = restore.metadata.uid.unwrap();
    let lines: Vec<_> = came(&received, "/ping/").into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, ["/start", ""].map(|signal| format!("POST /ping/{CHECK}{signal}?rid={run}")));
    let [(_, body)] = &came(&received, "/heartbeat/")[..] else { panic!("{received:?}") };
    assert!(body.contains(r#""restore":"back""#) && body.contains(r#""status":"success""#), "{body}");
}

/// The audit's own words, to one of each kind of answer.
async fn audit_fresh(site: &Site, server: &Server, monitors: &str) {
    heartbeat(site, monitors).succeed().await;
    let received = server.take();
    let [(line, _)] = &came(&received, "/ping/")[..] else { panic!("{received:?}") };
    let id = line.strip_prefix(&format!("POST /ping/{CHECK}?rid=")).unwrap();
    let run = site.runs("daily").await[0].spec.id.to_string();
    assert!(uuid::Uuid::parse_str(id).is_ok() && id != run, "no run ends with it: {line}");
    let [(line, _)] = &came(&received, "/p/")[..] else { panic!("{received:?}") };
    assert!(line.contains("state=ok&") && !line.contains("series="), "{line}");
}

/// The success of the other Backup is withheld from all but the webhook, which holds no state.
async fn audit_stale(site: &Site, server: &Server, monitors: &str) {
    heartbeat(site, monitors).end_with(1).await;
    let received = server.take();
    let [(line, body)] = &came(&received, "/ping/")[..] else { panic!("{received:?}") };
    assert_eq!(*line, format!("POST /ping/{CHECK}/fail"), "without a run");
    assert!(body.starts_with("Backup \"empty\": not fresh: it is not Ready: Failed: "), "{body}");
    assert_eq!(came(&received, "/hooks/").len(), 2, "{received:?}");
}
