//! The table, with what was promised and what others take beside it.

use std::cmp::Ordering;

use drover::archive::GZIP_LEVEL;

use crate::creation::CLIENTS;
use crate::measure::{Figures, Measured, Run};

/// Peak memory of every job, at most.
const MOST_MIB: f64 = 64.0;

/// The time of a snapshot, at most, in times of the raw LIST; the gzip of the same bytes comes on top.
const MOST_LISTS: f64 = 4.0;

/// How much more memory the largest measurement may take than the smallest.
const MOST_GROWTH: f64 = 1.3;

/// The time of a restore into an empty cluster, at most, in times of the raw creation.
const MOST_CREATIONS: f64 = 1.25;

/// The seconds of a restore of this many objects that have not changed, at most.
const MOST_UNCHANGED: (usize, f64) = (20_000, 2.0);

/// What others take for a number of objects, measured once on two cores.
struct Other {
    objects: usize,
    what: &'static str,
    seconds: f64,
    /// Peak memory in MB, where it was measured.
    megabytes: Option<f64>,
}

const OTHERS: [Other; 5] = [
    other(20_000, "Rancher's operator, backup", 10.0, Some(316.0)),
    other(20_000, "  its restore, unchanged", 67.0, None),
    other(20_000, "  its restore, empty cluster", 76.0, Some(330.0)),
    other(20_000, "Velero, restore, empty cluster", 408.0, Some(388.0)),
    other(100_000, "Rancher's operator, backup", 34.0, Some(1_198.0)),
];

const fn other(objects: usize, what: &'static str, seconds: f64, megabytes: Option<f64>) -> Other {
    Other { objects, what, seconds, megabytes }
}

/// A job of the table; none where a run did not measure it.
type Select = fn(&Run) -> Option<Measured>;

const UNCHANGED: Select = |run| Some(run.unchanged);
const EMPTY: Select = |run| run.creation.map(|creation| creation.restore);

const JOBS: [(&str, Select); 5] = [
    ("snapshot to artifact", |run| Some(run.snapshot)),
    ("upload, read back", |run| Some(run.upload)),
    ("restore inspect", |run| Some(run.inspect)),
    ("restore apply, unchanged", UNCHANGED),
    ("restore apply, empty cluster", EMPTY),
];

/// Prints what holds for all that follows.
pub(crate) fn print_head() {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "objects of 2.7 kB, half Secrets, half ConfigMaps, in 100 namespaces; {cores} cores; medians, of memory the highest"
    );
}

/// Prints what was measured of one number of objects.
pub(crate) fn print_size(figures: &Figures) {
    let Figures { objects, runs } = figures;
    println!("\n{objects} objects, {} runs", runs.len());
    print_raw(runs);
    for (name, job) in measured_jobs(runs) {
        let (seconds, peak) = (seconds(runs, job), peak(runs, job));
        println!("  {name:<32}{seconds:>8.2} s {peak:>8.1} MiB peak   {}", verdict(peak, MOST_MIB));
    }
    for Other { what, seconds, megabytes, .. } in OTHERS.iter().filter(|other| other.objects == *objects) {
        let peak = megabytes.map_or_else(String::new, |megabytes| format!("{megabytes:>8.1} MB peak"));
        println!("  {what:<32}{seconds:>8.2} s {peak} (measured once)");
    }
    print_backup(runs);
    print_restore(*objects, runs);
}

/// What the jobs are held against: the API server and the compression alone.
fn print_raw(runs: &[Run]) {
    let (list_mb, archive_mb) =
        (median_of(runs, |run| mb(run.list_bytes)), median_of(runs, |run| mb(run.archive_bytes)));
    println!("  {:<32}{:>8.2} s {list_mb:>8.1} MB", "raw LIST, unpaged", list(runs));
    println!(
        "  {:<32}{:>8.2} s {archive_mb:>8.1} MB as archive",
        format!("gzip -{GZIP_LEVEL} of its bytes"),
        gzip(runs)
    );
    if let Some(creation) = raw_creation(runs) {
        println!("  {:<32}{creation:>8.2} s", format!("raw creation, {CLIENTS} clients"));
    }
}

fn print_backup(runs: &[Run]) {
    let (list, gzip) = (list(runs), gzip(runs));
    let snapshot = median_of(runs, |run| run.snapshot.time.as_secs_f64());
    let most = MOST_LISTS * list + gzip;
    println!("  snapshot / LIST = {:.2}", snapshot / list);
    println!("  snapshot / (LIST + gzip) = {:.2}", snapshot / (list + gzip));
    println!("  snapshot / (4 LIST + gzip) = {:.2}   {}", snapshot / most, verdict(snapshot, most));
}

fn print_restore(objects: usize, runs: &[Run]) {
    let (promised, most) = MOST_UNCHANGED;
    if objects == promised {
        let unchanged = seconds(runs, UNCHANGED);
        println!("  restore, unchanged / {most} s = {:.2}   {}", unchanged / most, verdict(unchanged, most));
    }
    let times = times_of_creation(runs);
    if let [least, .., most] = &*times {
        let median = median(times.iter().copied());
        let verdict = verdict(median, MOST_CREATIONS);
        println!("  restore, empty cluster / raw creation = {median:.2} ({least:.2} to {most:.2})   {verdict}");
    }
}

/// Compares the memory of two numbers of objects.
pub(crate) fn print_growth(first: &Figures, last: &Figures) {
    println!("\npeak memory of {} objects against {}, at most {MOST_GROWTH} times", last.objects, first.objects);
    let both = measured_jobs(&first.runs).filter(|(_, job)| last.runs.iter().any(|run| job(run).is_some()));
    for (name, job) in both {
        let growth = peak(&last.runs, job) / peak(&first.runs, job);
        println!("  {name:<32}{growth:>8.2}   {}", verdict(growth, MOST_GROWTH));
    }
}

fn measured_jobs(runs: &[Run]) -> impl Iterator<Item = (&'static str, Select)> {
    JOBS.into_iter().filter(|(_, job)| runs.iter().any(|run| job(run).is_some()))
}

fn verdict(value: f64, most: f64) -> &'static str {
    match value.partial_cmp(&most) {
        None => "not known on this system",
        Some(Ordering::Greater) => "MISSED",
        Some(_) => "kept",
    }
}

fn list(runs: &[Run]) -> f64 {
    median_of(runs, |run| run.list.as_secs_f64())
}

fn gzip(runs: &[Run]) -> f64 {
    median_of(runs, |run| run.gzip.as_secs_f64())
}

/// The seconds of the raw creation, where it was measured.
fn raw_creation(runs: &[Run]) -> Option<f64> {
    let times: Vec<f64> = runs.iter().filter_map(|run| Some(run.creation?.raw.as_secs_f64())).collect();
    (!times.is_empty()).then(|| median(times.into_iter()))
}

/// For each run the time of the restore in times of its raw creation, least first: the two of a run are neighbours, so
/// their quotient says more than that of medians where other work makes the machine slower now and then.
fn times_of_creation(runs: &[Run]) -> Vec<f64> {
    let times = runs.iter().filter_map(|run| run.creation);
    let mut times: Vec<f64> =
        times.map(|creation| creation.restore.time.as_secs_f64() / creation.raw.as_secs_f64()).collect();
    times.sort_by(f64::total_cmp);
    times
}

fn seconds(runs: &[Run], job: Select) -> f64 {
    median(runs.iter().filter_map(job).map(|measured| measured.time.as_secs_f64()))
}

/// The highest of all runs, in MiB: a limit holds only where every run keeps it.
fn peak(runs: &[Run], job: Select) -> f64 {
    runs.iter().filter_map(|run| job(run)?.peak_kib).map(|kib| float(kib) / 1024.0).fold(f64::NAN, f64::max)
}

fn median_of(runs: &[Run], value: fn(&Run) -> f64) -> f64 {
    median(runs.iter().map(value))
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
