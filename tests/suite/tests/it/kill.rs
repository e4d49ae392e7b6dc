//! Each job, ended as `kill -9` and a lost machine end it, at random points of its work, and run again: one complete,
//! verified archive, nothing doubled, nothing lost, nothing left over; and a restore that was cut off half-way goes on.
//!
//! Two variables lay down how much is done:
//!
//! - `DROVER_TEST_KILLS`: how many kills there are of all jobs together, 6 where it is not set. `upload` and `restore`
//!   get three tenths each, `snapshot` the rest; 200 are 80, 60 and 60. A job that has ended before it was hit does not
//!   count.
//! - `DROVER_TEST_SEED`: the number that the points of time follow from. It is another one each time and is printed, so
//!   that a failure can be tried again with it. (What the job is doing at that point still differs a little.)
//!
//! `DROVER_TEST_KILLS=200 cargo test --package drover-tests --test it kill:: -- --nocapture` is the long run; its tally
//! tells what was hit.

mod backups;
pub(crate) mod dice;
mod restore;
mod snapshot;
mod upload;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use drover_tests::{Job, Site};
use tempfile::TempDir;
use tokio::time::sleep;

use self::dice::Dice;

/// How long a dead holder's lease is waited for: longer than [`Site::job`] has it, so that a busy machine, on which a
/// living holder comes late, gives no lease away.
const LEASE: Duration = Duration::from_secs(5);

/// The exit code that asks for another try: a lease could not be renewed in time, say, because the machine stood still.
const TRY_AGAIN: i32 = 69;

/// How often a job is tried that nobody kills any more.
const TRIES: u32 = 5;

/// SIGKILL, by its number.
const SIGKILL: i32 = 9;

/// How many kills each job gets of those that are asked for.
fn kills_of(job: &str) -> u32 {
    let all: u32 = std::env::var("DROVER_TEST_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let three_tenths = (all * 3).div_ceil(10);
    if job == "snapshot" { all.saturating_sub(2 * three_tenths) } else { three_tenths }
}

/// One job, the site that it works on, and what has become of it so far.
struct Scene {
    site: Site,
    job: &'static str,
    dice: Dice,
    spool: TempDir,
    /// How long a try takes that nobody disturbs.
    span: Duration,
    kills: u32,
    wanted: u32,
    tally: BTreeMap<&'static str, u32>,
    begun: Instant,
}

impl Scene {
    async fn start(job: &'static str) -> Self {
        let site = Site::start().await;
        let spool = tempfile::tempdir_in(site.testbed.folder()).unwrap();
        let (dice, wanted) = (Dice::of(job), kills_of(job));
        Self {
            site,
            job,
            dice,
            spool,
            span: Duration::ZERO,
            kills: 0,
            wanted,
            tally: BTreeMap::new(),
            begun: Instant::now(),
        }
    }

    /// A job of this name in the environment of a Kubernetes Job: tries of one Job go on with one run.
    fn process(&self, job: &str, of_job: &str) -> Job {
        let spool = self.spool.path().to_str().unwrap();
        let lease = LEASE.as_secs().to_string();
        let job = self.site.job(job).environment("DROVER_LEASE_SECONDS", &lease);
        let job = job.environment("DROVER_SPOOL", spool);
        job.environment("DROVER_JOB_NAME", of_job).environment("DROVER_JOB_UID", of_job)
    }

    /// Starts what `process` makes and kills it, one time or, to hit also the taking over, two times.
    async fn cut_off(&mut self, process: impl Fn(&Self) -> Job, seen: impl AsyncFn(&Self) -> &'static str) {
        let is_twice = self.dice.below(4) == 0;
        let mut span = self.span;
        for _ in 0..=u32::from(is_twice) {
            let running = process(self).start();
            sleep(self.dice.point_of(span)).await;
            let finished = running.kill().await;
            if finished.status.signal() != Some(SIGKILL) {
                assert_eq!(finished.code, 0, "{}", finished.log);
                continue;
            }
            self.kills += 1;
            let hit = seen(self).await;
            *self.tally.entry(hit).or_default() += 1;
            span = self.span + LEASE;
        }
    }

    /// Runs what `process` makes to its good end, as its Job does: what ends with 69 is tried again.
    async fn finish(&self, process: impl Fn(&Self) -> Job) {
        for _ in 1..TRIES {
            let finished = process(self).run().await;
            match finished.code {
                0 => return,
                TRY_AGAIN => eprintln!("{}: ended with 69 and is tried again", self.job),
                code => panic!("{} ended with {code}:\n{}", self.job, finished.log),
            }
        }
        process(self).succeed().await;
    }

    fn is_done(&self) -> bool {
        self.kills >= self.wanted
    }

    async fn end(self) {
        let left: Vec<_> = std::fs::read_dir(self.spool.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        let Self { job, kills, span, tally, begun, .. } = self;
        eprintln!("{job}: {kills} kills in {:?}, of tries that take {span:?}; hit {tally:?}", begun.elapsed());
        self.site.testbed.shutdown().await;
    }
}
