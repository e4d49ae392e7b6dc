//! What each job may do at NATS: the one place where a subject is opened to somebody.
//!
//! A job may send to and receive from the subjects that stand here, and nothing else. What keeps archives from others is
//! that only `upload` may ask for messages of the object store's stream, that nobody may make a consumer of it or
//! subscribe to its subjects, and that answers come to inboxes which their job alone may read.
//!
//! `setup` reads no artifact either, but it does lay down how streams are made, and so could have them copied: its key is
//! as good as an administrator's of the queue, and no other job has it.

use super::names::{
    BACKUP_EVENTS, DEAD_PREFIX, HEARTBEAT_CONSUMER, RESTORE_EVENTS, RETENTION_PRUNE_CONSUMER, STREAM, UPLOAD_CONSUMER,
};
use crate::artifacts::{self, BUCKET};
use crate::events::{Kind, encode_token};
use crate::job::name::{DISPATCH, HEARTBEAT, RESTORE, RETENTION_PRUNE, SETUP, SNAPSHOT, UPLOAD};

/// A job as a user of NATS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Name of the job.
    pub job: &'static str,
    /// Where it may send to.
    pub publish: Vec<Permission>,
    /// What it may receive.
    pub subscribe: Vec<Permission>,
}

/// A subject, or a pattern of subjects, that is open to a job.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Permission {
    /// The subject.
    pub subject: String,
    /// What the job needs it for.
    pub reason: &'static str,
}

/// The jobs that use NATS.
pub const JOBS: [&str; 7] = [SNAPSHOT, UPLOAD, RETENTION_PRUNE, RESTORE, HEARTBEAT, DISPATCH, SETUP];

/// Every user, in the order of [`JOBS`].
#[must_use]
pub fn users() -> Vec<User> {
    vec![snapshot(), upload(), retention_prune(), restore(), heartbeat(), dispatch(), setup()]
}

fn snapshot() -> User {
    User::of(SNAPSHOT)
        .tells([Kind::BackupStarted, Kind::BackupSnapshotted, Kind::BackupFailed])
        .sends(format!("$O.{BUCKET}.C.*"), "chunks of an artifact")
        .sends(format!("$O.{BUCKET}.M.*"), "the description that makes an artifact exist")
        .asks(&format!("STREAM.INFO.{}", artifacts::STREAM), "whether there is an object store")
        .asks(&format!("STREAM.PURGE.{}", artifacts::STREAM), "to purge what a failed put left")
}

fn upload() -> User {
    User::of(UPLOAD)
        // A run whose message was lost has it sent again by the upload's sweep.
        .tells([Kind::BackupSnapshotted, Kind::BackupUploaded, Kind::BackupFailed])
        .drains(UPLOAD_CONSUMER)
        .asks(&format!("STREAM.INFO.{}", artifacts::STREAM), "whether there is an object store, and what lies in it")
        .asks(&format!("STREAM.MSG.GET.{}", artifacts::STREAM), "for an artifact's description, from the leader")
        .asks(&format!("DIRECT.GET.{}", artifacts::STREAM), "for an artifact's chunks")
        .asks(
            &format!("STREAM.PURGE.{}", artifacts::STREAM),
            "to drop an artifact that is stored, or that no run knows",
        )
}

fn retention_prune() -> User {
    User::of(RETENTION_PRUNE).tells([Kind::BackupPruned, Kind::BackupFailed]).drains(RETENTION_PRUNE_CONSUMER)
}

fn restore() -> User {
    User::of(RESTORE).tells([Kind::RestoreStarted, Kind::RestoreCompleted, Kind::RestoreFailed])
}

/// It tells nobody in here anything.
fn heartbeat() -> User {
    User::of(HEARTBEAT).drains(HEARTBEAT_CONSUMER)
}

fn dispatch() -> User {
    User::of(DISPATCH)
        // For a Job that died without a word.
        .tells([Kind::BackupFailed, Kind::RestoreFailed])
        .asks(&format!("STREAM.INFO.{STREAM}"), "whether the queue is as it should be")
        .asks(&format!("STREAM.INFO.{}", artifacts::STREAM), "whether the object store is as it should be")
        .asks(&format!("CONSUMER.INFO.{STREAM}.*"), "how much there is to do")
        .hears(BACKUP_EVENTS, "to look at the queue when something happens")
        .hears(RESTORE_EVENTS, "to look at the Restores when something happens")
}

fn setup() -> User {
    let user = [STREAM, artifacts::STREAM].into_iter().fold(User::of(SETUP), |user, stream| {
        user.asks(&format!("STREAM.INFO.{stream}"), "how the stream is made")
            .asks(&format!("STREAM.CREATE.{stream}"), "to make it")
            .asks(&format!("STREAM.UPDATE.{stream}"), "to change it")
    });
    user.asks(&format!("CONSUMER.INFO.{STREAM}.*"), "how a consumer is made")
        .asks(&format!("CONSUMER.CREATE.{STREAM}.>"), "to make or change it")
}

impl User {
    fn of(job: &'static str) -> Self {
        let inbox = Permission { subject: format!("_INBOX_{}.>", encode_token(job)), reason: "answers" };
        Self { job, publish: Vec::new(), subscribe: vec![inbox] }
    }

    fn sends(mut self, subject: String, reason: &'static str) -> Self {
        self.publish.push(Permission { subject, reason });
        self
    }

    /// Sends events of these kinds, about any Backup or Restore.
    fn tells<const N: usize>(self, kinds: [Kind; N]) -> Self {
        kinds.iter().fold(self, |user, kind| user.sends(kind.subject_filter(), "events"))
    }

    /// Asks JetStream this.
    fn asks(self, what: &str, reason: &'static str) -> Self {
        self.sends(format!("$JS.API.{what}"), reason)
    }

    /// Takes the messages of a consumer.
    fn drains(self, consumer: &str) -> Self {
        self.sends(format!("{DEAD_PREFIX}>"), "copies of messages that could not be worked on")
            .asks(&format!("CONSUMER.INFO.{STREAM}.{consumer}"), "how much there is to do")
            .asks(&format!("CONSUMER.MSG.NEXT.{STREAM}.{consumer}"), "for the next message")
            .sends(format!("$JS.ACK.{STREAM}.{consumer}.>"), "what became of a message")
            .sends(format!("$JS.ACK.*.*.{STREAM}.{consumer}.>"), "the same, in the form of servers to come")
    }

    fn hears(mut self, subject: &str, reason: &'static str) -> Self {
        self.subscribe.push(Permission { subject: subject.to_owned(), reason });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_send(subject: &str) -> Vec<&'static str> {
        let may = |user: &User| user.publish.iter().any(|permission| covers(&permission.subject, subject));
        users().iter().filter(|user| may(user)).map(|user| user.job).collect()
    }

    fn may_hear(subject: &str) -> Vec<&'static str> {
        let may = |user: &User| user.subscribe.iter().any(|permission| covers(&permission.subject, subject));
        users().iter().filter(|user| may(user)).map(|user| user.job).collect()
    }

    /// Whether a pattern of NATS covers a subject.
    fn covers(pattern: &str, subject: &str) -> bool {
        let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
        loop {
            match (pattern.next(), subject.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(left), Some(right)) if left == right => {}
                _ => return false,
            }
        }
    }

    #[test]
    fn every_job_is_a_user() {
        assert_eq!(users().iter().map(|user| user.job).collect::<Vec<_>>(), JOBS);
    }

    #[test]
    fn only_upload_asks_for_messages_of_the_object_store() {
        for question in ["STREAM.MSG.GET.OBJ_drover-artifacts", "DIRECT.GET.OBJ_drover-artifacts"] {
            assert_eq!(may_send(&format!("$JS.API.{question}")), ["upload"], "{question}");
        }
        for question in [
            "CONSUMER.CREATE.OBJ_drover-artifacts",
            "CONSUMER.CREATE.OBJ_drover-artifacts.spy.$O.drover-artifacts.C.>",
            "CONSUMER.DURABLE.CREATE.OBJ_drover-artifacts.spy",
            "CONSUMER.MSG.NEXT.OBJ_drover-artifacts.spy",
            "DIRECT.GET.OBJ_drover-artifacts.$O.drover-artifacts.C.1",
            "STREAM.SNAPSHOT.OBJ_drover-artifacts",
            "STREAM.CREATE.SPY",
            "STREAM.DELETE.OBJ_drover-artifacts",
            "STREAM.MSG.DELETE.OBJ_drover-artifacts",
        ] {
            assert_eq!(may_send(&format!("$JS.API.{question}")), [""; 0], "{question}");
        }
    }

    #[test]
    fn nobody_hears_artifacts_or_the_answers_to_others() {
        for subject in
            ["$O.drover-artifacts.C.1", "$O.drover-artifacts.M.a", "$JS.FC.OBJ_drover-artifacts.1", "_INBOX.a"]
        {
            assert_eq!(may_hear(subject), [""; 0], "{subject}");
        }
        for job in JOBS {
            assert_eq!(may_hear(&format!("_INBOX_{job}.a.1")), [job]);
        }
        assert_eq!(may_hear("drover.backup.snapshotted.daily"), ["dispatch"]);
    }

    #[test]
    fn each_event_is_told_by_its_stages() {
        for (kind, expected) in [
            (Kind::BackupStarted, &["snapshot"] as &[&str]),
            (Kind::BackupSnapshotted, &["snapshot", "upload"]),
            (Kind::BackupUploaded, &["upload"]),
            (Kind::BackupPruned, &["retention-prune"]),
            (Kind::BackupFailed, &["snapshot", "upload", "retention-prune", "dispatch"]),
            (Kind::RestoreStarted, &["restore"]),
            (Kind::RestoreCompleted, &["restore"]),
            (Kind::RestoreFailed, &["restore", "dispatch"]),
        ] {
            assert_eq!(may_send(&kind.subject("daily")), expected, "{kind:?}");
        }
    }
}
