//! The command line against a real API server: archives are made here, the program is run, the cluster is looked at.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows them in test functions; what these share is as much a test"
)]

#[path = "cluster/away.rs"]
mod away;
#[path = "cluster/controllers.rs"]
mod controllers;
#[path = "cluster/copies.rs"]
mod copies;
#[path = "cluster/cut_off.rs"]
mod cut_off;
#[path = "cluster/exemption.rs"]
mod exemption;
#[path = "cluster/namespaces.rs"]
mod namespaces;
#[path = "cluster/owners.rs"]
mod owners;
#[path = "cluster/prune.rs"]
mod prune;
#[path = "cluster/recreate.rs"]
mod recreate;
#[path = "cluster/refusals.rs"]
mod refusals;
#[path = "cluster/rewritten.rs"]
mod rewritten;
#[path = "cluster/round_trip.rs"]
mod round_trip;
#[path = "cluster/rounds.rs"]
mod rounds;
#[path = "cluster/server_owned.rs"]
mod server_owned;
#[path = "cluster/services.rs"]
mod services;
#[path = "cluster/special.rs"]
mod special;
#[path = "cluster/support.rs"]
mod support;
#[path = "cluster/unchangeable.rs"]
mod unchangeable;
#[path = "cluster/unheard.rs"]
mod unheard;
#[path = "cluster/versions.rs"]
mod versions;
#[path = "cluster/volumes.rs"]
mod volumes;
#[path = "cluster/watched.rs"]
mod watched;
#[path = "cluster/webhook.rs"]
mod webhook;
