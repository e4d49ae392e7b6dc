//! The ledger: which archives were stored here and verified, as this cluster itself has noted it.
//!
//! What lies at a place anybody may have put there who can write there, and what is recorded beside it was announced by
//! whoever put it. So retention goes by the ledger: a `BackupArchive` for each archive, kept apart from runs, of which few
//! are remembered, and from the Backup, which may be made again.
//!
//! ```text
//! upload: read back and matched ──▶ record ──▶ BackupArchive ◀── lines ── retention-prune, restore
//!                                              (place: Verified, Damaged, Missing, Expired, Retained, Deleted)
//! ```
//!
//! A Backup's first line stays as long as any: archives of before it drover cannot know, and later ones it must.

mod gone;
mod left;
mod line;
mod lines;
mod store;

pub use self::line::{held_of, is_ahead, line_name, places_of, seen};
pub use self::lines::{Known, Lines, Site};
pub use self::store::{Error, Ledger};

#[cfg(test)]
mod tests;
