//! How the commands of the testbed end: by a signal, and with an exit code.

use std::process::ExitCode;

use snafu::CleanedErrorText;
use tokio::signal::unix::{SignalKind, signal};

use crate::progress::say;

/// The exit code of a command; an error is said, each of its causes once.
pub(crate) fn exit_code<E: std::error::Error + 'static>(outcome: Result<(), E>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    let chain: Vec<String> = CleanedErrorText::new(&error).map(|(_, text, _)| text).collect();
    say(&format!("error: {}", chain.join(": ")));
    ExitCode::FAILURE
}

/// Completes with the first Ctrl-C or SIGTERM from now on.
pub(crate) fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
