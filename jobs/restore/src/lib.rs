//! The restore job: puts the objects of an archive back into a cluster.
//!
//! ```text
//! archive ──▶ Spool (checked whole, on disk) ──▶ facts ─┐
//! cluster ──▶ lists, page by page ──▶ live ─────────────┴─▶ plan ──▶ stages ──▶ results
//! ```
//!
//! `plan` is a pure function of what was gathered; `restore plan` prints what it says and `restore apply` carries it out.
//! Only differences are written, so a restore that was cut off goes on where it was when it is run again.
//!
//! Memory holds a few bytes for each object of the archive and no list of objects: they lie in the spool's temporary file.

mod api;
mod apply;
mod command_line;
mod job;
mod objects;
mod plan;
mod prune;
mod report;
mod restoration;
mod survey;

use drover::exit::Failure;
use tokio_util::sync::CancellationToken;

pub use crate::command_line::arguments::Args;
use crate::command_line::arguments::Command;
use crate::command_line::{list, local};
use crate::job::cluster_job;

/// Does what the command line says, until it is done or `shutdown` is cancelled.
///
/// # Errors
///
/// Whatever makes the job end with another exit code than 0; objects that failed are one.
pub async fn run(args: Args, shutdown: CancellationToken) -> Result<(), Failure> {
    let Args { command, job, telemetry: _ } = args;
    match command {
        Some(Command::Inspect(inspecting)) => local::inspect(inspecting).await,
        Some(Command::Plan(restoring)) => local::plan(restoring).await,
        Some(Command::Apply(applying)) => local::apply(applying, &shutdown).await,
        Some(Command::List(listing)) => list::list(listing).await,
        Some(Command::Report(reporting)) => local::report(reporting).await,
        Some(Command::Unexempt(unexempting)) => local::unexempt(unexempting, &shutdown).await,
        None => cluster_job::restore_all(job, &shutdown).await,
    }
}
