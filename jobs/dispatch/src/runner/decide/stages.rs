//! The stages that take their work from the queue, and the set-up of the queue itself.

use std::borrow::Cow;
use std::collections::BTreeSet;

use drover::job::name::SETUP;
use drover::queue::{Survey, UPLOAD_CONSUMER, Waiting};
use drover::resources::BackupRun;
use drover::runs::{recorded_at, status_of};
use jiff::{SignedDuration, Timestamp};

use super::decision::Decision;
use super::known::World;
use super::obstacles::deaths;
use super::turn::{Work, take_turn};
use crate::runner::pause::Success;
use crate::runner::state::Queue;

/// What a Job of dispatch drains and nothing more: the rest is what the CronJob's own Jobs do.
const DRAIN_ONLY: &str = "--drain-only";

/// How long an archive waits for its upload before it is taken for one that lost its message: the message follows the
/// record that the snapshot is done, and the record that the upload is done follows the message.
const MESSAGE_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// Decides, and gives when the next upload begins, where one waits for its time.
pub(super) fn decide(world: &World<'_>, decision: &mut Decision) -> Option<Timestamp> {
    let survey = survey(world).filter(|_| world.is_ours())?;
    let mut next_upload = None;
    for cron_job in world.state.cron_jobs.iter().filter(|cron_job| !cron_job.is_deleted) {
        let Some(template) = &cron_job.template else { continue };
        let (work, argument) = match cron_job.consumer() {
            Some(name) => of_consumer(world, name, survey.consumers.get(name)),
            None if cron_job.name == SETUP => (set_up_work(survey), None),
            None => continue,
        };
        deaths::of_stage(world, cron_job, decision);
        let next = take_turn(world, decision, cron_job, &work, argument, || Cow::Borrowed(&template.spec));
        if cron_job.consumer() == Some(UPLOAD_CONSUMER) {
            next_upload = next;
        }
    }
    next_upload
}

/// What the queue said, unless a Job has ended since.
fn survey<'a>(world: &World<'a>) -> Option<&'a Survey> {
    match &world.state.queue {
        Queue::Known(known) if known.ends == world.state.ends => Some(&known.survey),
        _ => None,
    }
}

/// The messages of a consumer, or else what has lost them.
fn of_consumer(world: &World<'_>, name: &str, consumer: Option<&Waiting>) -> (Work, Option<&'static str>) {
    let work = consumer_work(consumer);
    if !work.is_wanted && consumer.is_some() && name == UPLOAD_CONSUMER {
        return (lost_messages(world), None);
    }
    (work, Some(DRAIN_ONLY))
}

/// Archives that wait although no message does: NATS lost its volume, say. A whole Job of `upload` sends the messages
/// anew, and finds out what became of the artifacts.
fn lost_messages(world: &World<'_>) -> Work {
    let waiting: Vec<_> = world.awaiting_upload().map(|(_, run)| run).collect();
    Work {
        is_wanted: !waiting.is_empty(),
        marks: waiting.iter().map(|run| format!("run-{}", run.spec.id)).collect(),
        not_before: waiting.iter().filter_map(|run| missed_at(run, world.now)).min(),
        success: Success::Counts,
    }
}

/// When the message of a run that waits for its upload is missed.
fn missed_at(run: &BackupRun, now: Timestamp) -> Option<Timestamp> {
    let snapshot = status_of(run).snapshot?;
    let done = recorded_at(run, &snapshot.ended_at.or(snapshot.started_at)?, now)?;
    done.checked_add(MESSAGE_WITHIN).ok()
}

fn consumer_work(consumer: Option<&Waiting>) -> Work {
    let Some(Waiting { pending, in_flight, stored }) = consumer else { return Work::none(Success::EndsThePause) };
    let is_wanted = pending + in_flight > 0;
    Work { is_wanted, marks: BTreeSet::from([stored.to_string()]), ..Work::none(Success::EndsThePause) }
}

fn set_up_work(survey: &Survey) -> Work {
    let marks = survey.missing.clone();
    Work { is_wanted: !marks.is_empty(), marks, ..Work::none(Success::Counts) }
}
