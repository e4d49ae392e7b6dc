//! A real Kubernetes cluster, NATS and MinIO on this machine.
//!
//! ```text
//! Testbed (in the test)  ── stdin and stdout, JSON lines ──▶  supervisor  ──▶  etcd, kube-apiserver, …, nats, minio
//!                                                                 └▶  namespaces: containerd, kubelet, …, pods
//! ```
//! [`Testbed::start`] decides everything: ports, certificates, arguments, readiness.
//! The supervisor, a process of its own, only starts and stops what it is told to.
//! It owns all processes and the temporary folder, and ends them when its stdin closes, so an owner that was killed
//! leaves nothing behind. The programs themselves are built once from pinned Go modules, see [`programs`].
//!
//! There are two tiers. A control plane alone, which makes Jobs and pods that never run, needs neither root nor
//! containers. With [`Service::Node`] it runs pods, which takes Linux and root ([`Testbed::can_run_pods`] tells): the
//! whole cluster lives in process, network and mount namespaces of its own, linked with this machine by one pair of
//! virtual interfaces. The kernel ends the namespaces with the supervisor, also one that is killed, and with them every
//! container, mount, link and packet filter rule. Only empty cgroups and the temporary folder are left by a killed
//! supervisor, and the next start removes those. [`images`] are made of programs of this machine; nothing is pulled.
//!
//! `DROVER_TEST_KUBECONFIG` names another cluster that may be broken, to take the place of the node, and
//! `DROVER_TEST_IMAGE` an image of drover that it can pull.

mod ability;
pub mod aggregated;
pub mod binaries;
mod certificates;
pub mod cli;
pub mod compare;
mod control_plane;
pub mod damage;
pub mod demo;
mod ending;
mod external;
mod folder;
pub mod forward;
pub mod images;
mod kubeconfig;
mod log;
mod minio;
mod nats;
mod network;
mod node;
mod options;
mod packages;
mod part;
mod ports;
pub mod prepare;
mod processes;
pub mod programs;
mod progress;
mod prometheus;
pub mod proxy;
pub mod rancher;
pub mod rancher_webhook;
mod readiness;
mod s3;
mod seconds;
pub mod supervisor;
mod testbed;
mod versitygw;
pub mod webhook;

pub use ability::Reason;
pub use images::Image;
pub use minio::DOMAIN as MINIO_DOMAIN;
pub use options::{Options, Service};
pub use part::Part;
pub use prometheus::Prometheus;
pub use s3::{S3, Session};
pub use seconds::seconds_pass;
pub use testbed::{Error, Testbed};
