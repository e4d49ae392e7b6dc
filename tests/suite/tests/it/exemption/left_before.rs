//! Two Restores in one job, of which the first one cannot end its exemption.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use drover_testbed::proxy::{Asked, Fate};
use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::{CONDITION, MAPS, RANCHER, Scene, WORDS, damage};

/// Whether the condition is to be taken out.
fn is_end(asked: &Asked) -> bool {
    let is_write = asked.method == Method::PATCH && asked.path.contains("webhookconfigurations/");
    is_write && !String::from_utf8_lossy(&asked.body).contains(CONDITION)
}

/// So many ends are refused. The objects of the first Restore are gone by the first one, so that the next one writes, too.
async fn refused(asked: Asked, maps: Api<ConfigMap>, ends: Arc<AtomicUsize>, refused: usize) -> Fate {
    if !is_end(&asked) {
        return Fate::Passes;
    }
    let end = ends.fetch_add(1, Ordering::SeqCst);
    if end == 0 {
        damage(&maps).await;
    }
    if end < refused { Fate::IsRefused } else { Fate::Passes }
}

/// Two Restores, of which the second one is exempt from nothing; so many ends of the exemption are refused.
async fn two(scene: &Scene, names: [&str; 2], ends: usize) {
    scene.damage().await;
    for (name, exempt) in names.into_iter().zip([RANCHER, "none"]) {
        scene.restore(name, Some(exempt)).await;
    }
    let (maps, count) = (scene.maps(), Arc::new(AtomicUsize::new(0)));
    scene.proxy.judge(move |asked| refused(asked, maps.clone(), Arc::clone(&count), ends));
}

pub(super) async fn what_one_restore_leaves_lets_the_next_one_pass_nothing_unsaid(scene: &Scene) {
    two(scene, ["a-leaves", "b-none"], 1).await;
    let finished = scene.through_proxy().end_with(1).await;
    assert_eq!(scene.ready("a-leaves").await, "Completed");
    assert!(finished.log.contains("still exempt from webhooks, until the next restore job"), "{}", finished.log);
    let ready = scene.ready("b-none").await;
    assert!(ready.starts_with(&format!("Failed: {MAPS} failed; ")) && ready.contains(WORDS), "{ready}");
    scene.nothing_is_left().await;

    two(scene, ["c-leaves", "d-none"], usize::MAX).await;
    scene.through_proxy().succeed().await;
    let report = scene.site.job("restore").arguments(["report", "d-none"]).succeed().await;
    for words in ["may not be asked about what is written: a restore before left", "this ends it: restore unexempt"] {
        assert!(report.output.contains(words), "{words}: {}", report.output);
    }
    scene.site.job("restore").arguments(["unexempt"]).succeed().await;
    scene.nothing_is_left().await;
}
