//! Leases: one run of a Backup, one restore of a cluster at a time.
//!
//! A lease is a `coordination.k8s.io/v1` Lease, held in the way of client-go's leader election, so that a person reads
//! it with `kubectl get leases` and Rancher's operator respects it:
//!
//! - The holder renews it every third of its duration, and gives it up by itself ([`Lease::lost`]) after two thirds
//!   without a renewal: before anybody else may take it.
//! - A candidate watches the record. Only when it has not changed for the holder's duration *by the candidate's own
//!   clock* is the holder dead. Clocks of two machines are never compared.
//! - Every write is guarded by the resource version that was read: of two candidates one gets a conflict.
//!
//! Own code, since the crates for it judge by comparing the holder's `renewTime` with the local clock, so a clock that
//! is wrong by the duration gives one lease to two holders (kube-lease-manager 0.13, `LeaseState::sync`;
//! kube-leader-election 0.44, `has_lease_expired`), and none of them names the dead holder that was taken over.

mod acquire;
mod candidate;
mod error;
mod held;
mod holder;
mod name;
mod observation;
mod onlooker;
mod record;
mod renewal;
mod settings;

pub use self::acquire::Wait;
pub use self::candidate::Candidate;
pub use self::error::LeaseError;
pub use self::held::{Acquired, Lease};
pub use self::holder::Holder;
pub use self::name::{DISPATCH, RESTORES, of_backup, of_monitors};
pub use self::onlooker::{Onlooker, Sight, Version};
pub use self::settings::Settings;
