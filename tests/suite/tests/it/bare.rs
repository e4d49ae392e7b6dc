//! Jobs that a person starts on a machine of their own, without a word of what is to be done.

use drover_testbed::proxy::Proxy;
use drover_testbed::{Options, Service};
use drover_tests::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_started_without_an_order_shows_its_help_and_asks_the_cluster_nothing() {
    let site = Site::start_with(Options::only([Service::ControlPlane])).await;
    let proxy = Proxy::start(&site.testbed).await.unwrap();
    let kubeconfig = proxy.kubeconfig();
    for (name, argument) in [
        ("snapshot", "--due"),
        ("upload", "--drain"),
        ("retention-prune", "--drain"),
        ("restore", "--pending"),
        ("heartbeat", "--drain"),
        ("dispatch", "--watch"),
    ] {
        let job = || site.job(name).bare().environment("KUBECONFIG", kubeconfig.to_str().unwrap());
        for job in [job(), job().arguments(["--drover-namespace=elsewhere"])] {
            let shown = job.end_with(64).await;
            for words in [format!("Usage: {name} "), format!("\"{name} {argument}\" does what it does in one")] {
                assert!(shown.log.contains(&words), "{words}: {}", shown.log);
            }
        }
    }
    assert_eq!(proxy.answered(), []);
    // The proxy is no dead end.
    let listed = site.job("restore").environment("KUBECONFIG", kubeconfig.to_str().unwrap());
    listed.arguments(["unexempt"]).succeed().await;
    assert_ne!(proxy.answered(), []);
    site.testbed.shutdown().await;
}
