//! Why an object was not written, and what may help.

use drover::api::RequestError;
use snafu::Snafu;

use super::{CONFLICTS, GONE_WITHIN};
use crate::apply::away::Which;
use crate::apply::copies::KeepError;
use crate::report::again::Again;

/// Why an object was not written.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub(crate) enum WriteError {
    #[snafu(display("{step}"))]
    Request {
        /// What was tried; empty where the server's words are enough.
        step: &'static str,
        source: RequestError,
    },
    #[snafu(display("failed to read it from the archive"))]
    Load { source: std::io::Error },
    #[snafu(display("failed to wait for its bytes"))]
    Aborted { source: tokio::task::JoinError },
    #[snafu(display("failed to read {what}"))]
    Parse { what: &'static str, source: serde_json::Error },
    #[snafu(display("its type is not served"))]
    NotServed,
    #[snafu(display("it is being deleted and waits for {held}; when it is gone (kubectl get shows it), {again}"))]
    BeingDeleted { held: String, again: Again },
    #[snafu(display(
        "somebody else changed it {CONFLICTS} times while it was being replaced; stop what writes it, then {again}"
    ))]
    Contended { again: Again },
    /// The server would create what is wanted, and does not let the live object be changed into it.
    #[snafu(display("it cannot be changed into what the archive has: {way_out}"))]
    Unchangeable { way_out: String, source: RequestError },
    #[snafu(display(
        "its roleRef cannot be changed, and it was not deleted to be created again: it gives rights to {user:?}, whom \
         the restore runs as and who may then not be allowed to create it; delete it as another user, then {again}"
    ))]
    OwnRights { user: String, again: Again },
    /// There is no copy of it, so it was not deleted.
    #[snafu(transparent)]
    NotKept { source: KeepError },
    #[snafu(display(
        "it was deleted to be created again and is still there after {} s: it waits for {held}; see that the garbage \
         collector (kube-controller-manager) and whoever does what finalizers stand for run, and that no admission \
         webhook that is away refuses them, for they are not exempt; it may take them minutes to try again. Then {again}",
        GONE_WITHIN.as_secs()
    ))]
    StillThere { held: String, again: Again },
    #[snafu(display(
        "failed to create it again after it was deleted, for it cannot be changed; what was there before was put back"
    ))]
    PutBack {
        /// Why what is wanted was refused.
        source: RequestError,
    },
    #[snafu(display(
        "failed to create it again after it was deleted, for it cannot be changed, and to put back what was there \
         before ({old}); the archive has it: when the server takes it, {again}"
    ))]
    Lost {
        /// Why what was there before could not be created, and where it lies.
        old: String,
        again: Again,
        /// Why what is wanted was refused.
        source: RequestError,
    },
}

/// What may help an object that was not written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Then {
    /// Nothing, or nothing needs to.
    Settled,
    /// To try it again when other objects are written: it may need one of them.
    TryAgain,
    /// To wait until it is gone.
    Wait,
    /// To try it again once another server answers, which stands before it.
    PutAside(Which),
}

impl WriteError {
    /// Whether the server does not answer at all.
    pub(crate) const fn is_unreachable(&self) -> bool {
        match self {
            Self::Request { source, .. } => source.is_unreachable(),
            Self::NotKept { source } => source.is_unreachable(),
            _ => false,
        }
    }

    /// Whether the object changed, or came into being, since it was looked at.
    pub(super) fn is_outdated(&self) -> bool {
        matches!(self, Self::Request { source, .. } if source.is_conflict() || source.is_already_exists())
    }

    /// What may help.
    pub(super) const fn then(&self) -> Then {
        match self {
            Self::Request { .. } | Self::Unchangeable { .. } | Self::Contended { .. } | Self::NotKept { .. } => {
                Then::TryAgain
            }
            Self::BeingDeleted { .. } => Then::Wait,
            Self::Load { .. }
            | Self::Aborted { .. }
            | Self::Parse { .. }
            | Self::NotServed
            | Self::OwnRights { .. }
            | Self::StillThere { .. }
            | Self::PutBack { .. }
            | Self::Lost { .. } => Then::Settled,
        }
    }
}
