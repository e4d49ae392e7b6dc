//! A real Kubernetes control plane, NATS and MinIO on this machine, without containers and without root.
//!
//! ```text
//! Testbed (in the test)  ── stdin and stdout, JSON lines ──▶  supervisor  ──▶  etcd, kube-apiserver, …, nats, minio
//! ```
//! [`Testbed::start`] decides everything: ports, certificates, arguments, readiness.
//! The supervisor, a process of its own, only starts and stops what it is told to.
//! It owns all processes and the temporary folder, and ends them when its stdin closes, so an owner that was killed
//! leaves nothing behind. The programs themselves are built once from pinned Go modules, see [`programs`].

pub mod binaries;
mod certificates;
pub mod cli;
pub mod compare;
mod control_plane;
pub mod demo;
mod ending;
mod folder;
mod kubeconfig;
mod log;
mod minio;
mod nats;
mod options;
mod part;
mod ports;
pub mod prepare;
pub mod programs;
mod progress;
pub mod proxy;
pub mod rancher;
mod readiness;
mod s3;
pub mod supervisor;
mod testbed;
pub mod webhook;

pub use options::{Options, Service};
pub use part::Part;
pub use s3::S3;
pub use testbed::{Error, Testbed};
