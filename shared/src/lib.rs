//! drover backs up the Kubernetes objects that make a cluster what it is, restores them, and proves beforehand that it
//! can. This crate holds what two of its jobs need:
//!
//! ```text
//! Backup ──▶ snapshot ──artifact──▶ upload ──▶ S3 or volume ──▶ restore ──▶ cluster
//!              │ selection, listing,   │ storage                  │ archive::reader
//!              │ archive::writer       │
//!              └── runs, artifacts, events (NATS JetStream) ──────┘
//! ```
//!
//! Deciding is apart from doing: selection, schedules, the plan of a restore and what a run may do next are pure
//! functions of their inputs and of `now`.

pub mod annotations;
pub mod api;
pub mod archive;
pub mod archives;
pub mod artifacts;
pub mod clock;
pub mod cluster;
pub mod coexistence;
pub mod conditions;
pub mod digest;
pub mod encryption;
pub mod events;
pub mod exit;
pub mod installation;
pub mod job;
pub mod labels;
pub mod lease;
pub mod ledger;
pub mod listing;
pub mod nearest;
pub mod no_proxy;
pub mod object;
pub mod pipe;
pub mod places;
pub mod policy;
pub mod progress;
pub mod queue;
pub mod resources;
pub mod restores;
pub mod retention;
pub mod runs;
pub mod schedule;
pub mod selection;
pub mod status;
pub mod storage;
pub mod task;
pub mod telemetry;
