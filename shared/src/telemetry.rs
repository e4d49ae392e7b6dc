//! Logs: one line for each thing done, readable or JSON, on standard error.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use snafu::{ResultExt, Snafu};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::exit::{Exit, Fault};
use crate::pipe;

/// The log's options, the same in every job.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logging")]
pub struct TelemetryOptions {
    /// What is logged: error, warn, info, debug, trace, or a filter such as "info,drover=debug".
    #[arg(long, env = "DROVER_LOG_LEVEL", default_value = "info", value_name = "FILTER", global = true)]
    pub log_level: String,

    /// How a log line is written.
    #[arg(long, env = "DROVER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log_format: LogFormat,
}

/// What libraries log where a level alone is given. kube warns with the whole answer where it cannot read one, which may be
/// a Secret.
const OTHERS: &str = "async_nats=warn,kube_client::client=error,kube_client::client::builder=off";

/// How a log line is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Why logging could not start.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display(
        "failed to read the log filter {filter:?}; write a level such as \"info\" or \"info,drover=debug\""
    ))]
    ParseFilter { filter: String, source: tracing_subscriber::filter::ParseError },
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// Starts logging to standard error; once nobody reads that, the work is asked to end. A logger that is there already, as in a test
/// process, stays.
///
/// # Errors
/// When the filter cannot be read.
pub fn start(options: &TelemetryOptions) -> Result<(), Error> {
    // A level alone concerns drover; what async-nats says of its connection at "info", and kube of each answer that is an
    // error, is said by the jobs themselves, with what it was about.
    let is_level = !options.log_level.contains(['=', ',']);
    let filter = if is_level { format!("{},{OTHERS}", options.log_level) } else { options.log_level.clone() };
    let filter = EnvFilter::try_new(filter).context(ParseFilterSnafu { filter: &options.log_level })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(pipe::stderr).with_target(false);
    let started = match options.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    drop(started);
    Ok(())
}
