//! The controllers that must not run while a restore writes: the archive's ResourceSet names them.
//!
//! ```text
//! find ──▶ scale down (count noted on the object) ──▶ pods gone ──▶ everything is written ──▶ counts put back
//!                                                         ▲                │
//!                                                         └── came up: scaled down again
//! ```
//!
//! The count lies where no crash reaches it: one merge patch sets it to 0 and notes what it was on the object itself, in
//! the annotation `drover.dev/replicas-before-restore`, with the label `drover.dev/scaled-down-by` of whoever did it. One
//! merge patch puts it back and takes both away. So whenever a process is killed, each controller either runs or says
//! what it is to get back, and the next job finds it by its label: [`scaled_down`].
//!
//! Others may scale one up in the middle: a GitOps tool that heals what it takes for a drift, an autoscaler, a person. From
//! the moment that it is down until all is written a [`Guard`] looks at it.

mod controller;
mod error;
mod hold;
mod pods;
mod recovery;
mod scaling;
pub(crate) mod state;
mod watch;

pub(crate) use self::controller::Controller;
pub(crate) use self::error::ControllersError;
pub(crate) use self::hold::Hold;
pub(crate) use self::recovery::{ScaledDown, put_all_back, scaled_down};
use self::scaling::put_back;
pub(crate) use self::scaling::{Controllers, Foreseen, resource_set};
pub(crate) use self::state::COMMAND_LINE;
pub(crate) use self::watch::{Guard, Watched};
