//! The table, with what was promised and what Rancher's operator takes beside it.

use std::cmp::Ordering;
use std::time::Duration;

use drover::archive::GZIP_LEVEL;

use crate::measure::{Figures, Measured, Run};

/// Peak memory of every job, at most.
const MOST_MIB: f64 = 64.0;

/// The time of a snapshot, at most, in times of the raw LIST; the gzip of the same bytes comes on top.
const MOST_LISTS: f64 = 4.0;

/// How much more memory the largest measurement may take than the smallest.
const MOST_GROWTH: f64 = 1.3;

/// Objects, seconds and MB of Rancher's operator, measured on two cores.
const OPERATOR: [(usize, f64, f64); 2] = [(20_000, 10.0, 316.0), (100_000, 34.0, 1_198.0)];

/// A job of the table.
type Select = fn(&Run) -> Measured;

const JOBS: [(&str, Select); 4] = [
    ("snapshot to artifact", |run| run.snapshot),
    ("upload, read back", |run| run.upload),
    ("restore inspect", |run| run.inspect),
    ("restore apply, unchanged", |run| run.apply),
];

/// Prints what holds for all that follows.
pub(crate) fn print_head() {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "objects of 2.7 kB, half Secrets, half ConfigMaps; {cores} cores; medians, of memory the highest of the runs"
    );
}

/// Prints what was measured of one number of objects.
pub(crate) fn print_size(figures: &Figures) {
    let median = |select: fn(&Run) -> f64| median(figures.runs.iter().map(select));
    let list = median(|run| run.list.as_secs_f64());
    let gzip = median(|run| run.gzip.as_secs_f64());
    let snapshot = median(|run| run.snapshot.time.as_secs_f64());
    let (list_mb, archive_mb) = (median(|run| mb(run.list_bytes)), median(|run| mb(run.archive_bytes)));
    println!("\n{} objects, {} runs", figures.objects, figures.runs.len());
    println!("  {:<32}{list:>8.2} s {list_mb:>8.1} MB", "raw LIST, unpaged");
    println!("  {:<32}{gzip:>8.2} s {archive_mb:>8.1} MB as archive", format!("gzip -{GZIP_LEVEL} of its bytes"));
    for (name, job) in JOBS {
        let seconds = seconds(&figures.runs, job);
        let peak = peak(&figures.runs, job);
        println!("  {name:<32}{seconds:>8.2} s {peak:>8.1} MiB peak   {}", verdict(peak, MOST_MIB));
    }
    if let Some((_, seconds, megabytes)) = OPERATOR.iter().find(|(objects, ..)| *objects == figures.objects) {
        println!("  {:<32}{seconds:>8.2} s {megabytes:>8.1} MB peak", "Rancher's operator (measured once)");
    }
    let most = MOST_LISTS * list + gzip;
    println!("  snapshot / LIST = {:.2}", snapshot / list);
    println!("  snapshot / (LIST + gzip) = {:.2}", snapshot / (list + gzip));
    println!("  snapshot / (4 LIST + gzip) = {:.2}   {}", snapshot / most, verdict(snapshot, most));
}

/// Compares the memory of two numbers of objects.
pub(crate) fn print_growth(first: &Figures, last: &Figures) {
    println!("\npeak memory of {} objects against {}, at most {MOST_GROWTH} times", last.objects, first.objects);
    for (name, job) in JOBS {
        let growth = peak(&last.runs, job) / peak(&first.runs, job);
        println!("  {name:<32}{growth:>8.2}   {}", verdict(growth, MOST_GROWTH));
    }
}

fn verdict(value: f64, most: f64) -> &'static str {
    match value.partial_cmp(&most) {
        None => "not known on this system",
        Some(Ordering::Greater) => "MISSED",
        Some(_) => "kept",
    }
}

fn seconds(runs: &[Run], job: Select) -> f64 {
    median(runs.iter().map(|run| job(run).time).map(|time: Duration| time.as_secs_f64()))
}

/// The highest of all runs, in MiB: a limit holds only where every run keeps it.
fn peak(runs: &[Run], job: Select) -> f64 {
    runs.iter().filter_map(|run| job(run).peak_kib).map(|kib| float(kib) / 1024.0).fold(f64::NAN, f64::max)
}

fn mb(bytes: u64) -> f64 {
    float(bytes) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
fn float(number: u64) -> f64 {
    number as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
