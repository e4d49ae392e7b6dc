use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::decision::{Action, Decision};
use super::known::World;
use super::obstacles::starting;
use crate::runner::facts::CronJob;
use crate::runner::names::job_name;
use crate::runner::pause::{Pause, Success, length};
use crate::runner::template;

/// Work for the Jobs of a CronJob.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) is_wanted: bool,
    /// What it consists of: what no Job was started for yet is new, and waits for no pause.
    pub(super) marks: BTreeSet<String>,
    /// Not before, new or not.
    pub(super) not_before: Option<Timestamp>,
    /// What a Job means that ended well while there still is work.
    pub(super) success: Success,
}

impl Work {
    pub(super) fn none(success: Success) -> Self {
        Self { is_wanted: false, marks: BTreeSet::new(), not_before: None, success }
    }
}

/// Whose turn it is.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// There is nothing to do.
    Nothing,
    /// A Job is at work.
    AtWork,
    /// A Job is to be started then.
    At(Timestamp),
    /// A Job is to be started.
    Now,
}

/// Whose turn it is, and the pause as it now is.
fn turn(world: &World<'_>, decision: &mut Decision, cron_job: &CronJob, work: &Work) -> (Turn, Pause) {
    let jobs = world.jobs_of(cron_job);
    let pause = Pause::read(&cron_job.annotations).counting(jobs, work.success, world.now);
    if !work.is_wanted {
        return (Turn::Nothing, pause.over());
    }
    if jobs.iter().any(|job| job.is_active() && !starting::is_left_over(world, decision, cron_job, job)) {
        return (Turn::AtWork, pause);
    }
    let refusal = world.state.refusals.get(&cron_job.name);
    let after_refusal = refusal.and_then(|refusal| refusal.at.checked_add(length(refusal.count)).ok());
    let paused = pause.next.filter(|_| !pause.is_new(&work.marks));
    let earliest = [paused, work.not_before, after_refusal].into_iter().flatten().max();
    let turn = match earliest {
        Some(time) if time > world.now => Turn::At(time),
        _ => Turn::Now,
    };
    (turn, pause)
}

/// Starts a Job of `cron_job` when it is its turn, and has the pause noted. `spec` is what the Job is made of. Gives when the
/// next one is started, where that is later.
pub(super) fn take_turn<'s>(
    world: &World<'_>,
    decision: &mut Decision,
    cron_job: &CronJob,
    work: &Work,
    argument: Option<&str>,
    spec: impl FnOnce() -> Cow<'s, Value>,
) -> Option<Timestamp> {
    starting::delete_left_over(world, decision, cron_job);
    let (turn, pause) = turn(world, decision, cron_job, work);
    match turn {
        Turn::Nothing | Turn::AtWork => {}
        Turn::At(time) => decision.wake_at(time),
        Turn::Now => {
            decision.act(start(world, cron_job, &spec(), argument, &work.marks));
        }
    }
    if pause.differs(&Pause::read(&cron_job.annotations)) {
        let (name, uid) = (cron_job.name.clone(), cron_job.uid.clone());
        decision.act(Action::Note { name, uid, annotations: pause.annotations() });
    }
    if let Turn::At(time) = turn { Some(time) } else { None }
}

fn start(
    world: &World<'_>,
    cron_job: &CronJob,
    spec: &Value,
    argument: Option<&str>,
    marks: &BTreeSet<String>,
) -> Action {
    let last = world.jobs_of(cron_job).last().map(|job| job.uid.as_str());
    let name = job_name(&cron_job.name, &cron_job.uid, last);
    let manifest = Box::new(template::job(&name, cron_job, spec, argument, marks));
    Action::Start { cron_job: cron_job.name.clone(), name, manifest }
}
