//! Prune: what the archive's ResourceSet selects and the archive lacks is deleted, and what would take others' things
//! with it is held back.
//!
//! ```text
//! live lists ──▶ candidates ─────────┐
//! usage (pods, volumes, …) ──────────┤
//! doubts (type not told of, too new) ┴─▶ decide (pure) ──▶ stages, owned before owners ──▶ deleted, finalizers late
//!                                                         └── a Namespace is looked into once more ([`inside`])
//! ```

mod candidate;
mod deletion;
mod doubts;
mod execute;
mod inside;
pub(crate) mod plan;
mod together;
mod usage;
mod verdict;

pub(crate) use self::candidate::Candidate;
pub(crate) use self::doubts::Doubts;
pub(crate) use self::execute::{execute, foreseen};
pub(crate) use self::usage::Usage;
pub(crate) use crate::prune::plan::PrunePlan;
