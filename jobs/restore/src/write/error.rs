//! Why an object was not written, and what may help.

use snafu::Snafu;

use super::{CONFLICTS, GONE_WITHIN};
use crate::again::Again;
use crate::away::Which;
use crate::copies::KeepError;
use crate::request::RequestError;

/// Why an object was not written.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub(crate) enum WriteError {
    /// The server refused it or did not answer.
    #[snafu(display("{step}"))]
    Request {
        /// What was tried; empty where the server's words are enough.
        step: &'static str,
        /// The cause.
        source: RequestError,
    },
    /// The object cannot be taken from the archive.
    #[snafu(display("failed to read it from the archive"))]
    Load {
        /// The cause.
        source: std::io::Error,
    },
    /// The thread that read it from the archive ended early.
    #[snafu(display("failed to wait for its bytes"))]
    Aborted {
        /// The cause.
        source: tokio::task::JoinError,
    },
    /// The object, or what the server answered, is not what it must be.
    #[snafu(display("failed to read {what}"))]
    Parse {
        /// What was read.
        what: &'static str,
        /// The cause.
        source: serde_json::Error,
    },
    /// The type is gone since the plan.
    #[snafu(display("its type is not served"))]
    NotServed,
    /// It is on its way out.
    #[snafu(display("it is being deleted and waits for {held}; when it is gone (kubectl get shows it), {again}"))]
    BeingDeleted {
        /// What holds it.
        held: String,
        /// How the restore is run once more.
        again: Again,
    },
    /// Others changed it all the time.
    #[snafu(display(
        "somebody else changed it {CONFLICTS} times while it was being replaced; stop what writes it, then {again}"
    ))]
    Contended {
        /// How the restore is run once more.
        again: Again,
    },
    /// The server would create what is wanted, and does not let the live object be changed into it.
    #[snafu(display("it cannot be changed into what the archive has: {way_out}"))]
    Unchangeable {
        /// What somebody can do.
        way_out: String,
        /// Which part cannot be changed.
        source: RequestError,
    },
    /// It binds a role to the user that the restore runs as.
    #[snafu(display(
        "its roleRef cannot be changed, and it was not deleted to be created again: it gives rights to {user:?}, whom \
         the restore runs as and who may then not be allowed to create it; delete it as another user, then {again}"
    ))]
    OwnRights {
        /// The user.
        user: String,
        /// How the restore is run once more.
        again: Again,
    },
    /// There is no copy of it, so it was not deleted.
    #[snafu(transparent)]
    NotKept {
        /// Why.
        source: KeepError,
    },
    /// It was deleted to be created again, and does not go.
    #[snafu(display(
        "it was deleted to be created again and is still there after {} s: it waits for {held}; see that the garbage \
         collector (kube-controller-manager) and whoever does what finalizers stand for run, then {again}",
        GONE_WITHIN.as_secs()
    ))]
    StillThere {
        /// What holds it.
        held: String,
        /// How the restore is run once more.
        again: Again,
    },
    /// It was deleted, what is wanted was refused, and what was there is there again.
    #[snafu(display(
        "failed to create it again after it was deleted, for it cannot be changed; what was there before was put back"
    ))]
    PutBack {
        /// Why what is wanted was refused.
        source: RequestError,
    },
    /// It was deleted, and neither what is wanted nor what was there could be created.
    #[snafu(display(
        "failed to create it again after it was deleted, for it cannot be changed, and to put back what was there \
         before ({old}); the archive has it: when the server takes it, {again}"
    ))]
    Lost {
        /// Why what was there before could not be created, and where it lies.
        old: String,
        /// How the restore is run once more.
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
