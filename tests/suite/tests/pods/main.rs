//! The end-to-end tests: drover as its users meet it, installed by kustomize on a real node, where pods do all the work.
//!
//! One node serves one story of several chapters: a node takes most of the time, and the last chapters look back at what
//! the others did.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "clippy allows them in test functions, and not in what those share"
)]

mod charge;
mod guide;
mod hindered;
mod kills;
mod monitors;
mod place;
mod removal;
mod reruns;
mod retention;
mod rights;
mod schedules;
mod speed;

use std::time::Instant;

use drover_testbed::Testbed;

use crate::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn drover_as_its_users_meet_it() {
    if !Testbed::runs_pods().await.unwrap() {
        return;
    }
    let place = chapter("installation", Place::install()).await;
    // A schedule takes minutes, in which all goes on that stops nothing and restores nothing.
    let meanwhile = Box::pin(async {
        chapter("the examples", guide::follow(&place)).await;
        chapter("retention", retention::keeps_the_newest(&place)).await;
    });
    tokio::join!(chapter("schedules", schedules::keep_time(&place)), meanwhile);
    chapter("the examples' Restores", guide::go_back(&place)).await;
    chapter("speed", speed::measure(&place)).await;
    chapter("reruns", reruns::get_the_work_at_once(&place)).await;
    chapter("kills", kills::are_survived(&place)).await;
    chapter("hindrances", hindered::is_said_on_the_backup(&place)).await;
    chapter("who is in charge", charge::changes_hands(&place)).await;
    chapter("monitors", monitors::are_told(&place)).await;
    chapter("rights", rights::are_enough_and_all_used(&place)).await;
    chapter("removal", removal::leaves_what_is_not_drovers(&place)).await;
    place.testbed.shutdown().await;
}

async fn chapter<T>(name: &str, chapter: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let told = Box::pin(chapter).await;
    eprintln!("{name}: {:.0} s", begun.elapsed().as_secs_f64());
    told
}
