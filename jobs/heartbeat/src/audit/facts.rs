//! What is known of a Backup: from its status, its runs, its policies, and its archive itself.

use std::sync::Arc;
use std::time::Duration;

use drover::archive::{Entry, Limits, ReadError, Reader, Unsealing};
use drover::clock::{self, is_future};
use drover::conditions::{PRUNED, READY};
use drover::encryption::{self, Configuration};
use drover::exit::{Chain, Failure};
use drover::places::{Target, split, targets};
use drover::policy::{Policies, Settings};
use drover::resources::{Backup, BackupRun, BackupType, ConditionStatus, Place};
use drover::runs::{begun_at, lacking, schedule_of, status_of};
use drover::storage::{Label, Opened, Storage};
use drover::task;
use futures::future::join_all;
use jiff::Timestamp;
use kube::ResourceExt;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::io::SyncIoBridge;

use super::judge::{Archive, Decryption, Facts, Presence, Timing};
use super::sites::Sites;
use crate::context::Context;

/// How long an archive may be read for its first encrypted object, which may lie at its end.
const READING: Duration = Duration::from_mins(2);

/// What is known of a Backup, with the run of its newest verified archive.
pub(super) async fn gather(
    context: &Context,
    policies: &Policies,
    sites: &Sites,
    backup: &Backup,
) -> Result<(Facts, Option<BackupRun>), Failure> {
    let settings = policies.settings(backup);
    let history = context.runs.history(backup).await?;
    let run = history.last_verified().cloned();
    let archive = match &run {
        Some(run) => Some(archive(context, sites, backup, &settings, run).await),
        None => None,
    };
    let timing = match backup.kind_of_backup() {
        BackupType::OneTime => Timing::Once,
        BackupType::Recurring => match schedule_of(backup, &settings) {
            Ok(schedule) => Timing::On(schedule),
            Err(error) => Timing::Unreadable(Chain(&error).to_string()),
        },
    };
    let ready = backup.condition(READY);
    let facts = Facts {
        created: backup.creation_timestamp().map_or_else(clock::now, |time| time.0),
        ready: ready.map(|ready| (ready.status, ready.message.clone().unwrap_or_default())),
        pruned: pruned(backup),
        suspended_by: settings.suspended_by,
        timing,
        archive,
        lacking: lacking(&history, backup),
    };
    Ok((facts, run))
}

/// When the expired archives of a Backup were deleted last, where its condition says that they are. The condition alone is
/// not enough: it stays as it was where the Job of a prune died.
fn pruned(backup: &Backup) -> Option<Timestamp> {
    let condition = backup.condition(PRUNED)?;
    let time = || condition.last_update_time.as_ref()?.parse().ok();
    let pruned = (condition.status == ConditionStatus::True).then(|| time().unwrap_or(Timestamp::MAX));
    // A wrong clock says nothing of when.
    pruned.filter(|time| *time == Timestamp::MAX || !is_future(*time, clock::now()))
}

async fn archive(context: &Context, sites: &Sites, backup: &Backup, settings: &Settings, run: &BackupRun) -> Archive {
    let snapshot = status_of(run).snapshot.unwrap_or_default();
    let bytes = u64::try_from(snapshot.bytes).unwrap_or_default();
    let targets = targets(backup, settings);
    let (verified, _) = split(&targets, run);
    let (own, further): (Vec<_>, Vec<_>) =
        verified.into_iter().map(|(target, _)| target).partition(|target| target.name == Place::DEFAULT);
    let filename = &run.spec.filename;
    let at_own = async {
        let (presence, opened) = at_own(context, sites, own.first().copied(), filename, bytes).await;
        let decryption = match opened {
            None => Decryption::Untried,
            Some(_) if snapshot.encrypted == 0 => Decryption::NotNeeded,
            Some(opened) => decryption(context, backup, opened).await,
        };
        (presence, decryption)
    };
    let elsewhere = further.iter().map(|target| elsewhere(context, sites, target, filename, bytes));
    let ((presence, decryption), elsewhere) = tokio::join!(at_own, join_all(elsewhere));
    Archive {
        number: run.spec.number,
        begun: begun_at(run, clock::now()),
        filename: filename.clone(),
        bytes,
        presence,
        elsewhere,
        decryption,
    }
}

/// What is found at the Backup's own place, open for reading where it is whole.
async fn at_own(
    context: &Context,
    sites: &Sites,
    own: Option<&Target>,
    filename: &str,
    bytes: u64,
) -> (Presence, Option<Opened>) {
    let Some(own) = own else { return (Presence::Missing, None) };
    match sites.ask(&own.site(), Box::pin(open(context, own, filename))).await {
        Ok(Some(opened)) if opened.size() == bytes => (Presence::Whole, Some(opened)),
        Ok(Some(opened)) => (Presence::OtherSize(opened.size()), None),
        Ok(None) => (Presence::Missing, None),
        Err(failure) => (Presence::Unknown(failure.to_string()), None),
    }
}

/// What is found at a further place of the policy where the run's archive was verified, with the place's name.
async fn elsewhere(
    context: &Context,
    sites: &Sites,
    target: &Target,
    filename: &str,
    bytes: u64,
) -> (String, Presence) {
    let presence = match sites.ask(&target.site(), Box::pin(label(context, target, filename))).await {
        Ok(Some(Label { is_bad: true, .. })) => Presence::Unknown("it is marked as a bad copy".to_owned()),
        Ok(Some(label)) if label.bytes == bytes => Presence::Whole,
        Ok(Some(label)) => Presence::OtherSize(label.bytes),
        Ok(None) => Presence::Missing,
        Err(failure) => Presence::Unknown(failure.to_string()),
    };
    (target.name.clone(), presence)
}

async fn label(context: &Context, target: &Target, filename: &str) -> Result<Option<Label>, Failure> {
    Ok(storage(context, target).await?.label(filename).await?)
}

/// Opens a run's archive; none where it is missing.
async fn open(context: &Context, own: &Target, filename: &str) -> Result<Option<Opened>, Failure> {
    match storage(context, own).await?.open_archive(filename).await {
        Err(error) if error.is_missing() => Ok(None),
        opened => Ok(Some(opened?)),
    }
}

async fn storage(context: &Context, target: &Target) -> Result<Storage, Failure> {
    target.open(&context.client, &context.options.namespace, &context.storage).await
}

/// Whether the Secret that the Backup names now opens the first object of its archive that is encrypted.
async fn decryption(context: &Context, backup: &Backup, opened: Opened) -> Decryption {
    let Some(secret) = backup.encryption_secret() else {
        return Decryption::Fails("the Backup names no encryption configuration any more".to_owned());
    };
    let configuration = encryption::from_secret(&context.client, &context.options.namespace, secret).await;
    let configuration = match configuration {
        Ok(configuration) => configuration,
        Err(error) => return Decryption::Fails(Chain(&error).to_string()),
    };
    let runtime = Handle::current();
    let reading = task::spawn_blocking(move || {
        let reader = SyncIoBridge::new_with_handle(opened.into_reader(), runtime);
        first_encrypted(reader, configuration)
    });
    // A thread that reads on after that ends with its connection, or with the job.
    let Ok(read) = timeout(READING, reading).await else {
        let limit = READING.as_secs();
        return Decryption::Fails(format!(
            "its place gave no encrypted object within {limit} s; check that it is there"
        ));
    };
    match read {
        Ok(Ok(true)) => Decryption::Works,
        Ok(Ok(false)) => Decryption::Fails("no object in it is encrypted, and its run says that some are".to_owned()),
        Ok(Err(error)) => Decryption::Fails(format!("the Secret {secret:?} does not open it: {}", Chain(&error))),
        Err(error) => Decryption::Fails(format!("the attempt was cut off: {error}")),
    }
}

/// Reads up to the first object that was decrypted; false where none was. Blocking.
fn first_encrypted(input: impl std::io::Read, configuration: Arc<Configuration>) -> Result<bool, ReadError> {
    let mut reader = Reader::with_unsealing(input, Limits::default(), Unsealing::Decrypt(configuration));
    while let Some(entry) = reader.next_entry()? {
        if matches!(entry, Entry::Object { seal: Some(_), .. }) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use drover::resources::BackupSpec;
    use drover::runs::report;

    use super::*;

    #[test]
    fn a_prune_went_well_where_its_condition_says_so_and_when_it_was_renewed() {
        let mut backup = Backup::new("daily", BackupSpec::default());
        assert_eq!(pruned(&backup), None);
        for (is_done, time) in
            [(true, "2026-11-23T02:00:00Z"), (true, "2026-11-23T03:00:00Z"), (false, "2026-11-23T04:00:00Z")]
        {
            let time: Timestamp = time.parse().unwrap();
            backup.status = Some(report::pruned(&backup, is_done, "Pruned", "deleted", time));
            assert_eq!(pruned(&backup), is_done.then_some(time));
        }
    }
}
