//! How long a Backup takes from being applied to being Ready: printed, not judged.

use std::time::Instant;

use crate::place::Place;

const TRIES: usize = 3;

pub(crate) async fn measure(place: &Place) {
    let mut seconds = Vec::new();
    for number in 1..=TRIES {
        let name = format!("speed-{number}");
        let begun = Instant::now();
        place.backup(&name, None).await;
        place.until_completed(&name).await;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let (quickest, median, slowest) = (seconds[0], seconds[TRIES / 2], seconds[TRIES - 1]);
    eprintln!(
        "a Backup of {} objects is Ready {median:.1} s after it was applied, median of {TRIES} ({quickest:.1} to \
         {slowest:.1} s)",
        place.objects
    );
    prometheus_reads_it_too(place).await;
}

/// The Service of the component `monitoring` leads to dispatch's figures.
async fn prometheus_reads_it_too(place: &Place) {
    let figures = "/api/v1/namespaces/cattle-resources-system/services/dispatch:metrics/proxy/metrics";
    let objects = format!("drover_backup_objects{{backup=\"speed-{TRIES}\"}} {}.0\n", place.objects);
    place
        .until("the figures are served", async || place.kubectl(&["get", "--raw", figures]).await.contains(&objects))
        .await;
}
