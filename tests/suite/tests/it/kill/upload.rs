use std::time::Instant;

use drover::queue::{self, Settings};
use drover::resources::StageState;
use drover_tests::Site;

use super::Scene;
use super::backups::{Target, populate};

/// How long a killed upload's message is waited for, in seconds. It must be longer than a dead holder's lease.
const ACK_WAIT: u16 = 8;

async fn seen(scene: &Scene, target: &Target) -> &'static str {
    let status = target.run_in_work(&scene.site).await.unwrap().status.unwrap();
    let is_waiting = status.waiting_artifact().is_some();
    match status.upload.unwrap_or_default().state {
        StageState::InProgress => {
            let listed = target.list(&scene.site).await;
            let is_partial = |name: &String| name.starts_with(".drover-");
            let is_there = i64::try_from(listed.len()).unwrap() > target.runs;
            match (listed.iter().any(is_partial), is_there) {
                (true, _) => "with an unfinished file",
                (false, true) => "stored and not recorded",
                (false, false) => "in work",
            }
        }
        StageState::Completed if is_waiting => "recorded and the artifact not dropped",
        StageState::Completed => "after the work",
        _ => "before the work",
    }
}

/// Gives the message of a silent worker away sooner than a deployment does.
async fn shorten_ack_wait(site: &Site) {
    let jetstream = async_nats::jetstream::new(site.testbed.nats().await.unwrap());
    let settings = Settings { ack_wait_seconds: ACK_WAIT, ..Settings::default() };
    queue::setup(&jetstream, &settings).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_killed_ends_in_one_whole_archive() {
    let mut scene = Scene::start("upload").await;
    shorten_ack_wait(&scene.site).await;
    let mut targets = populate(&scene.site, 10).await;
    for target in &mut targets {
        target.back_up(&scene).await;
    }
    for turn in 0.. {
        let target = &mut targets[turn % 2];
        let of_job = format!("{}-{}", target.name, target.runs + 1);
        let snapshot = |scene: &Scene| scene.process("snapshot", &of_job).arguments(["--backup", target.name]);
        scene.finish(snapshot).await;
        let upload = |scene: &Scene| scene.process("upload", "upload");
        if turn == 0 {
            let begun = Instant::now();
            upload(&scene).succeed().await;
            scene.span = begun.elapsed();
        } else {
            scene.cut_off(upload, async |scene| seen(scene, target).await).await;
            // As a person starts it at once: it waits for the message and does the work.
            scene.finish(upload).await;
        }
        target.runs += 1;
        target.check_stored(&scene.site).await;
        if scene.is_done() {
            break;
        }
    }
    scene.end().await;
}
