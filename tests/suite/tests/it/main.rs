//! The integration tests: drover's parts and its jobs, as processes, on a real API server, NATS and MinIO. Nothing here
//! is a mock.
//!
//! Tests that keep to names of their own share one site; those that need an empty cluster, or that stop parts of it,
//! start their own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "clippy allows them in test functions, and not in what those share"
)]

mod artifacts;
mod asked;
mod authentic;
mod backup;
mod bare;
mod charge;
mod clocks;
mod closed;
mod closed_pipe;
mod connection;
mod controllers;
mod dispatch;
mod drain;
mod encryption;
mod ended;
mod exemption;
mod faults;
mod faulty_places;
mod ground;
mod heartbeat;
mod items;
mod kill;
mod kubectl;
mod large;
mod late_place;
mod lease;
mod listing;
mod local;
mod made_anew;
mod manifests;
mod missing;
mod monitoring;
mod nats;
mod operators_archives;
mod places;
mod populate;
mod previous;
mod proxied;
mod prune;
mod queue;
mod rancher;
mod rancher_webhook;
mod refusals;
mod reports;
mod resource_sets;
mod retention;
mod sealed;
mod storage;
mod waits;
