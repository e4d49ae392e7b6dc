//! Runs of a Backup: what is open, what comes next, what is kept.
//!
//! A [`BackupRun`] is the truth about a run; messages only point to it. What is decided here is decided from the runs
//! alone, by pure functions; the jobs carry it out under the Lease of the Backup.

mod again;
mod allowed;
mod begun;
mod due;
mod encryption;
mod history;
mod losses;
mod messages;
mod naming;
mod progress;
pub mod report;
mod room;
mod sound;
mod store;
mod wholeness;
mod words;

pub use again::again;
pub use allowed::{ALLOW_MISSING_TYPES, ALLOW_UNKNOWN_ARCHIVES, Allowed};
pub use begun::{begun_at, recorded_at};
pub use due::{Due, due, expected_at, schedule_of};
pub use encryption::{Encryption, KeysInClear};
pub use history::{History, Opening};
pub use losses::{Counted, holds, holds_of, is_over, losses};
pub use messages::{event, failed_event};
pub use naming::{
    ArchiveName, NameTooLong, archive_name, artifact_name, check_archive_name, check_backup_name, is_artifact_name,
    parse_archive_name, run_name, split_archive_name,
};
pub use progress::is_awaiting_upload;
pub use room::{Known, Spare, WAITING_RUNS, room_for, spare_artifacts};
pub use sound::{Unsound, check_sound};
pub use store::{Error, RunStore, now_text, set_backup_status, status_of};
pub use wholeness::{Wholeness, confirmed, lacking, missing_words, with_confirmed};
pub(crate) use words::first_named;
