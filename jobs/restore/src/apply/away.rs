//! Servers beside the API server that do not answer: admission webhooks, conversion webhooks and aggregated APIs.
//!
//! ```text
//! refusal ──▶ Away (pure, from the server's words) ──▶ Register: named once, with its Service ──▶ its objects are put aside
//!                                          all else is written ──▶ one wait, one object tried at a time ──▶ all, or none
//! ```
//!
//! Each object that such a server stands before would be refused for the same reason, and each try may take as long as a
//! webhook's timeout. So the first refusal stands for all of the same kind, and what is put aside is tried again where its
//! server may answer by then: when everything else, the server's own Deployment among it, is written.

mod cause;
mod guard;
mod hindered;
mod name;
mod register;
mod unseen;
mod waits;

pub(crate) use self::cause::{Away, is_of_another_server};
pub(crate) use self::guard::Subject;
pub(crate) use self::register::{Register, Which};
pub(crate) use self::unseen::Unseen;
pub(crate) use self::waits::Part;
