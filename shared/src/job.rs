//! The few steps that every job begins and ends with.

pub mod name;
mod options;
mod store;

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use clap::{Command, Parser};
use snafu::Snafu;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use self::options::StageOptions;
pub use self::store::connect_to_store;
use crate::cluster;
use crate::exit::{Exit, Failure};
use crate::pipe;
use crate::storage::install_tls_provider;
use crate::telemetry::{self, TelemetryOptions};

/// Why a job ended whose log has no reader.
const UNHEARD: &str = "nobody reads the log any more";

/// The arguments of a job.
pub trait JobArguments: Parser {
    /// The log's options.
    fn telemetry(&self) -> &TelemetryOptions;

    /// Where they say nothing of what is to be done: the argument that asks for what the job then does in a pod. Elsewhere it
    /// does nothing unasked, for a person who only looks what it is would have it act on whatever their kubeconfig names.
    fn unsaid(&self) -> Option<&'static str>;

    /// Whether the arguments ask for a command that a person reads, where the line about the build would only be noise.
    fn is_interactive(&self) -> bool {
        false
    }
}

/// Runs a job: reads its arguments, starts its log, passes SIGTERM and SIGINT on as `shutdown`, reports how it ended.
///
/// A second signal ends the process at once. That the terminal is gone (SIGHUP), or whoever read the log, is passed on as
/// the first one. Whoever does not say what is to be done is shown the help, but in a pod.
pub fn execute<A, R, F>(name: &'static str, version: &'static str, run: R) -> ExitCode
where
    A: JobArguments,
    R: FnOnce(A, CancellationToken) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    let arguments = match A::command().version(version).try_get_matches().and_then(|m| A::from_arg_matches(&m)) {
        Ok(arguments) => arguments,
        Err(error) => return refuse_arguments(&error),
    };
    if let Some(argument) = arguments.unsaid().filter(|_| !cluster::is_in_pod()) {
        return show_help(&mut A::command().version(version), argument);
    }
    let outcome = telemetry::start(arguments.telemetry()).map_err(Failure::from).and_then(|()| {
        install_tls_provider();
        if !arguments.is_interactive() {
            info!(job = name, version, "started");
        }
        block_on(run, arguments)
    });
    match outcome {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            error!(exit = failure.exit().code(), "{failure}");
            failure.exit().into()
        }
    }
}

fn block_on<A, R, F>(run: R, arguments: A) -> Result<(), Failure>
where
    R: FnOnce(A, CancellationToken) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    // Two workers: one talks to the API server while the other talks to NATS or a bucket; what computes runs apart.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| Error::StartRuntime { source })?;
    let outcome = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        pipe::ends_by(shutdown.clone());
        watch_signals(shutdown.clone())?;
        let done = run(arguments, shutdown).await;
        if pipe::is_unheard() { done.and(Err(Failure::new(Exit::Failure, UNHEARD))) } else { done }
    });
    // A blocking read of a dead peer must not hold back the exit of a job that has decided how it ends.
    runtime.shutdown_background();
    outcome
}

/// Usage errors end with 64, as all wrong usage does; clap's own code for them is 2.
fn refuse_arguments(error: &clap::Error) -> ExitCode {
    drop(error.print());
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}

/// The help as an answer to what is no order.
fn show_help(command: &mut Command, argument: &str) -> ExitCode {
    let (help, name) = (command.render_help(), command.get_name().to_owned());
    let words = format!(
        "{help}\nerror: outside of a pod {name:?} does nothing unasked; \"{name} {argument}\" does what it does in one\n"
    );
    // Nobody is left to be told where it cannot be written.
    drop(std::io::stderr().write_all(words.as_bytes()));
    Exit::Usage.into()
}

/// Why a job could not start.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display("failed to start the runtime"))]
    StartRuntime { source: std::io::Error },
    #[snafu(display("failed to listen for signals"))]
    ListenForSignals { source: std::io::Error },
}

impl crate::exit::Fault for Error {
    fn exit(&self) -> Exit {
        Exit::Failure
    }
}

fn watch_signals(shutdown: CancellationToken) -> Result<(), Error> {
    let listen = |kind| signal(kind).map_err(|source| Error::ListenForSignals { source });
    let hang_up = if is_hang_up_ignored() { None } else { Some(listen(SignalKind::hangup())?) };
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} () = hung_up(hang_up) => {} }
        // What is logged may not reach anybody any more.
        shutdown.cancel();
        warn!("asked to end: finishing what is in work; a second signal ends at once");
        // A terminal that is closed says so more than once, for its shell and for itself.
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        #[expect(clippy::exit, reason = "the second signal means now")]
        std::process::exit(i32::from(Exit::Failure.code()));
    });
    Ok(())
}

/// Waits for SIGHUP, where it is listened for. It is caught from then on, also where nobody waits.
async fn hung_up(signals: Option<Signal>) {
    match signals {
        Some(mut signals) => {
            signals.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether whoever started the program wants it to outlive the terminal, as `nohup` does. To ask the system takes `unsafe`
/// code; what it shows of the process does not.
fn is_hang_up_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hang_up(&status))
}

/// Whether SIGHUP, the first bit, is among the signals that a process ignores, by what Linux shows of it.
fn ignores_hang_up(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|ignored| u64::from_str_radix(ignored.trim(), 16).ok());
    ignored.is_some_and(|ignored| ignored & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_to_outlive_the_terminal_is_known() {
        let status =
            |ignored: &str| format!("Name:\tdrover\nSigBlk:\t0000000000000001\n{ignored}SigCgt:\t0000000000000001\n");
        for (ignored, expected) in [
            ("SigIgn:\t0000000000000001\n", true),
            ("SigIgn:\t0000000000001001\n", true),
            ("SigIgn:\t0000000000001000\n", false),
            ("SigIgn:\tnothing\n", false),
            ("", false),
        ] {
            assert_eq!(ignores_hang_up(&status(ignored)), expected, "{ignored:?}");
        }
    }
}
