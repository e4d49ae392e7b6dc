//! How long an exemption takes to be in force, and to be unseen.

use std::time::Duration;

/// How long API servers may take to learn of the exemption: so long after it was put in, what a webhook refuses all the
/// same is tried again. One clock for all requests.
pub(crate) const IN_FORCE_WITHIN: Duration = Duration::from_secs(20);
/// How long is waited where no trial can show that the exemption is in force.
pub(crate) const UNSEEN: Duration = Duration::from_secs(3);
