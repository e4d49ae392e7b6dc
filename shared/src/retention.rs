//! Which archives of a Backup expire: a pure function of what lies at a place, of what the ledger knows of it, of the policy
//! and of `now`.
//!
//! ```text
//! names at a place ──▶ of this Backup? ──▶ of this cluster, or of an adopted one? ──▶ in the ledger: fills places of the policy
//!                       no: not seen       no: kept              │                   ├─ flawed, or of the future: does not
//!                                                                │                   └─ promised: kept whatever it says
//!                                                                └─▶ unknown: older than the ledger, beside it; newer, kept
//! ```
//!
//! Archives of the ledger are judged among themselves: whatever else lies there takes no place from them. Unknown ones of
//! before the ledger are judged together with them, and keep the places that are left over.
//!
//! What a plan never deletes, whatever the policy says: the newest verified archive; while none is known to be verified,
//! any; one that an unfinished Restore names; the two archives between which the number of objects fell sharply; one whose
//! time is in the future, or was when it was made; another cluster's; an unknown one that is newer than the ledger's first
//! line, or of which nothing can be read; one that has what a later one lacks, until somebody confirms; one that a former
//! policy kept, for a day. What is left after a plan was carried out is what the same plan keeps: it deletes nothing more,
//! however often it is made.

mod change;
mod circumstances;
mod interval;
mod judge;
mod judged;
mod policy;
mod reason;
mod tier;

pub use self::change::{Change, change};
pub use self::circumstances::{Circumstances, Former, Found, Restoring};
pub use self::judge::plan;
pub use self::judged::{Judged, Plan};
pub use self::policy::{DEFAULT_COUNT, Policy, PolicyError, rule_of};
pub use self::reason::{Expired, Flaw, Keep, Verdict};
pub use self::tier::Tier;

#[cfg(test)]
mod tests;
