use std::time::Instant;

use drover::resources::StageState;
use drover_tests::Job;

use super::Scene;
use super::backups::{Target, populate};

fn snapshot(scene: &Scene, target: &Target) -> Job {
    let of_job = format!("{}-{}", target.name, target.runs + 1);
    scene.process("snapshot", &of_job).arguments(["--backup", target.name])
}

/// What the kill has hit.
async fn seen(scene: &Scene, target: &Target) -> &'static str {
    let Some(run) = target.run_in_work(&scene.site).await else { return "before the run" };
    let stage = run.status.unwrap_or_default().snapshot.unwrap_or_default();
    if stage.state == StageState::Completed {
        return "after the snapshot";
    }
    let chunks = scene.site.artifacts().await.chunks;
    if chunks.is_empty() { "before the first chunk" } else { "with chunks" }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_was_killed_ends_in_one_whole_archive() {
    let mut scene = Scene::start("snapshot").await;
    let mut targets = populate(&scene.site, 10).await;
    for target in &mut targets {
        target.back_up(&scene).await;
    }
    let begun = Instant::now();
    snapshot(&scene, &targets[0]).succeed().await;
    scene.span = begun.elapsed();
    scene.process("upload", "undisturbed").succeed().await;
    targets[0].runs += 1;

    for turn in 0.. {
        if scene.is_done() {
            break;
        }
        let target = &mut targets[turn % 2];
        scene.cut_off(|scene| snapshot(scene, target), async |scene| seen(scene, target).await).await;
        scene.finish(|scene| snapshot(scene, target)).await;
        target.check_snapshotted(&scene.site).await;
        scene.finish(|scene| scene.process("upload", "undisturbed")).await;
        target.runs += 1;
        target.check_stored(&scene.site).await;
    }
    scene.end().await;
}
