//! The few steps that every job begins and ends with.

mod options;
mod store;

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use clap::{Command, Parser};
use snafu::Snafu;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use self::options::StageOptions;
pub use self::store::connect_to_store;
use crate::cluster;
use crate::exit::{Exit, Failure};
use crate::storage::install_tls_provider;
use crate::telemetry::{self, TelemetryOptions};

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
/// A second signal ends the process at once. Whoever does not say what is to be done is shown the help, but in a pod.
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
        watch_signals(shutdown.clone())?;
        run(arguments, shutdown).await
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
pub enum Error {
    /// The runtime.
    #[snafu(display("failed to start the runtime"))]
    StartRuntime {
        /// What the system said.
        source: std::io::Error,
    },
    /// The signals.
    #[snafu(display("failed to listen for signals"))]
    ListenForSignals {
        /// What the system said.
        source: std::io::Error,
    },
}

impl crate::exit::Fault for Error {
    fn exit(&self) -> Exit {
        Exit::Failure
    }
}

fn watch_signals(shutdown: CancellationToken) -> Result<(), Error> {
    let listen = |kind| signal(kind).map_err(|source| Error::ListenForSignals { source });
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        warn!("asked to end: finishing what is in work; a second signal ends at once");
        shutdown.cancel();
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        #[expect(clippy::exit, reason = "the second signal means now")]
        std::process::exit(i32::from(Exit::Failure.code()));
    });
    Ok(())
}
