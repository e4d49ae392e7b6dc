//! Addresses and node ports of Services: the archive's where the server gives them, and else the server's own.

use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::support::{Archive, Run, api, change, live, make, namespace, run, start, testbed, until};

/// A Service as a server gives it, with this address.
fn service(home: &str, name: &str, address: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": home, "name": name}, "spec": {
        "clusterIP": address, "clusterIPs": [address], "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "selector": {"app": name}, "sessionAffinity": "None", "type": "ClusterIP"}})
}

/// One with a port of the nodes.
fn node_port(home: &str, name: &str, address: &str, port: u16) -> Value {
    let mut service = service(home, name, address);
    service["spec"]["type"] = json!("NodePort");
    service["spec"]["externalTrafficPolicy"] = json!("Cluster");
    service["spec"]["ports"][0]["nodePort"] = json!(port);
    service
}

/// One that a balancer asks on a port of the nodes whether there are pods.
fn balanced(home: &str, name: &str, address: &str, health: u16) -> Value {
    let mut service = service(home, name, address);
    service["spec"]["type"] = json!("LoadBalancer");
    service["spec"]["externalTrafficPolicy"] = json!("Local");
    service["spec"]["allocateLoadBalancerNodePorts"] = json!(false);
    service["spec"]["healthCheckNodePort"] = json!(health);
    service
}

/// Restores Services into a namespace in which these are live already.
async fn restored(home: &str, before: &[Value], services: &[Value]) -> (Run, Archive) {
    assert_eq!(run("apply", &Archive::of(&[namespace(home)], None)).await.code, 0);
    let api = api("services", "v1", "Service", Some(home)).await;
    for service in before {
        make(&api, service).await;
    }
    let archive = Archive::of(&services.iter().map(|service| ("services", service.clone())).collect::<Vec<_>>(), None);
    (run("apply", &archive).await, archive)
}

async fn spec(home: &str, name: &str) -> Value {
    live(&api("services", "v1", "Service", Some(home)).await, name).await["spec"].take()
}

#[track_caller]
fn is_left_to_the_server(run: &Run, name: &str, what: &str) {
    let (result, reason) = run.result("services", name);
    assert_eq!((run.code, result.as_str()), (0, "created"), "{} {}", run.report, run.errors);
    assert!(reason.starts_with(&format!("{what} cannot be had in this cluster")), "{reason}");
}

#[tokio::test]
async fn an_address_that_is_free_is_kept() {
    let home = "address-free";
    let (first, archive) = restored(home, &[], &[service(home, "a", "10.96.0.77")]).await;
    assert_eq!((first.code, first.result("services", "a")), (0, ("created".to_owned(), String::new())));
    assert_eq!(spec(home, "a").await["clusterIP"], "10.96.0.77");
    assert_eq!(run("plan", &archive).await.count("unchanged"), 1);
}

#[tokio::test]
async fn an_address_that_another_service_has_is_given_up() {
    let home = "address-taken";
    let (first, archive) =
        restored(home, &[service(home, "other", "10.96.0.78")], &[service(home, "a", "10.96.0.78")]).await;
    is_left_to_the_server(&first, "a", "its address 10.96.0.78");
    let address = spec(home, "a").await["clusterIP"].take();
    assert!(address.as_str().unwrap().starts_with("10.96.") && address != "10.96.0.78", "{address}");
    assert_eq!(run("plan", &archive).await.count("unchanged"), 1);
}

#[tokio::test]
async fn an_address_of_another_range_or_family_is_given_up() {
    let home = "address-range";
    let mut other_family = service(home, "b", "fd00::7");
    other_family["spec"]["ipFamilies"] = json!(["IPv6"]);
    let (first, archive) = restored(home, &[], &[service(home, "a", "10.255.0.1"), other_family]).await;
    is_left_to_the_server(&first, "a", "its address 10.255.0.1");
    is_left_to_the_server(&first, "b", "its address fd00::7");
    for name in ["a", "b"] {
        assert!(spec(home, name).await["clusterIP"].as_str().unwrap().starts_with("10.96."), "{name}");
    }
    assert_eq!(run("plan", &archive).await.count("unchanged"), 2);
}

#[tokio::test]
async fn ports_of_the_nodes_are_kept_where_they_are_free() {
    let home = "node-ports";
    let before = [node_port(home, "other", "10.96.0.80", 30_080)];
    let services = [
        node_port(home, "free", "10.96.0.81", 30_081),
        node_port(home, "taken", "10.96.0.82", 30_080),
        balanced(home, "health", "10.96.0.83", 30_080),
    ];
    let (first, archive) = restored(home, &before, &services).await;
    is_left_to_the_server(&first, "taken", "its node port 30080");
    is_left_to_the_server(&first, "health", "its node port for health checks 30080");
    assert_eq!(spec(home, "free").await["ports"][0]["nodePort"], 30_081);
    let taken = spec(home, "taken").await;
    assert!(taken["ports"][0]["nodePort"] != 30_080 && taken["ports"][0]["nodePort"].is_u64(), "{taken}");
    assert_eq!(taken["clusterIP"], "10.96.0.82");
    assert_ne!(spec(home, "health").await["healthCheckNodePort"], 30_080);
    // What another Service has is asked for no more, and told.
    let second = run("plan", &archive).await;
    assert_eq!((second.count("unchanged"), second.count("updated")), (3, 0), "{}", second.report);
    let (_, reason) = second.result("services", "taken");
    assert!(reason.contains("30080 is that of the Service \"node-ports/other\""), "{reason}");
}

#[tokio::test]
async fn a_live_service_gets_the_node_port_of_the_archive_once_that_is_free() {
    let home = "node-port-back";
    let before = [node_port(home, "other", "10.96.0.86", 30_060), node_port(home, "a", "10.96.0.87", 30_061)];
    let (kept, archive) = restored(home, &before, &[node_port(home, "a", "10.96.0.87", 30_060)]).await;
    assert_eq!((kept.code, kept.count("unchanged")), (0, 1), "{} {}", kept.report, kept.errors);
    assert_eq!(spec(home, "a").await["ports"][0]["nodePort"], 30_061);
    let services = api("services", "v1", "Service", Some(home)).await;
    services.delete("other", &DeleteParams::default()).await.unwrap();
    let back = run("apply", &archive).await;
    assert_eq!((back.code, back.count("updated")), (0, 1), "{} {}", back.report, back.errors);
    assert_eq!(spec(home, "a").await["ports"][0]["nodePort"], 30_060);
    assert_eq!(run("plan", &archive).await.count("unchanged"), 1);
}

#[tokio::test]
async fn a_live_service_keeps_its_address() {
    let home = "address-live";
    let mut archived = service(home, "a", "10.96.0.84");
    archived["spec"]["selector"] = json!({"app": "new"});
    let (over, archive) = restored(home, &[service(home, "a", "10.96.0.85")], &[archived]).await;
    assert_eq!((over.code, over.count("updated")), (0, 1), "{} {}", over.report, over.errors);
    let spec = spec(home, "a").await;
    assert_eq!((&spec["clusterIP"], &spec["selector"]["app"]), (&json!("10.96.0.85"), &json!("new")));
    assert_eq!(run("plan", &archive).await.count("unchanged"), 1);
}

/// Nobody runs load balancers here, so the test does.
#[tokio::test]
async fn a_service_that_is_made_anew_keeps_its_finalizers_until_its_balancer_is_gone() {
    let home = "balancer";
    let with = |policy: &str, address: &str| {
        let mut service = balanced(home, "a", address, 30_090);
        service["metadata"]["finalizers"] = json!(["service.kubernetes.io/load-balancer-cleanup"]);
        service["spec"]["loadBalancerClass"] = json!(format!("example.io/{policy}"));
        service
    };
    let (refused, archive) = restored(home, &[with("old", "10.96.0.90")], &[with("new", "10.96.0.90")]).await;
    assert_eq!((refused.code, refused.result("services", "a").0.as_str()), (1, "failed"), "{}", refused.report);
    let services = api("services", "v1", "Service", Some(home)).await;
    let before = live(&services, "a").await;
    let (kubeconfig, name) = (testbed().await.kubeconfig().unwrap(), format!("services/{home}/a"));
    let child = start(kubeconfig, "apply", &archive.path(), &["--recreate", name.as_str()]);
    until("the Service waits for its balancer", async || {
        let live = services.get_opt("a").await.unwrap();
        live.is_some_and(|live| {
            let is_old = live.metadata.uid.as_deref() == before["metadata"]["uid"].as_str();
            is_old && live.metadata.deletion_timestamp.is_some() && live.metadata.finalizers.is_some()
        })
    })
    .await;
    let held = live(&services, "a").await["metadata"]["finalizers"].to_string();
    assert!(held.contains("load-balancer-cleanup"), "{held}");
    change(&services, "a", &json!({"metadata": {"finalizers": null}})).await;
    let done = Run::wait(child).await;
    assert_eq!((done.code, done.count("updated")), (0, 1), "{} {}", done.report, done.errors);
    let after = live(&services, "a").await;
    assert_eq!(after["spec"]["loadBalancerClass"], "example.io/new");
    change(&services, "a", &json!({"metadata": {"finalizers": null}})).await;
}
