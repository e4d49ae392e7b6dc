//! The command line of the `testbed` binary.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use snafu::{ResultExt, Snafu};

use crate::ending::{exit_code, stop_signal};
use crate::images::Image;
use crate::options::{Options, Service};
use crate::part::Part;
use crate::prepare::{self, prepare};
use crate::programs::{self, Program};
use crate::progress::say;
use crate::testbed::{self, Testbed};

/// A Kubernetes cluster, NATS and MinIO on this machine, to try drover with.
///
/// Nothing but the node needs root or a container runtime. The programs are taken from the PATH or built once from their
/// Go modules, which takes Go 1.26 or newer and some minutes, and kept in the user's cache folder (DROVER_CACHE moves it).
#[derive(Debug, Parser)]
#[command(name = "testbed")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts everything, prints the environment to use it with, and stays until Ctrl-C.
    ///
    /// All processes, all data and the temporary folder are gone afterwards, even if this process is killed.
    Up {
        /// Starts only these services, and what they stand on.
        #[arg(long, value_enum, value_delimiter = ',', value_name = "SERVICE")]
        only: Vec<Service>,

        /// Starts a node that runs pods too, which takes Linux and root. It is made of containerd, runc and CNI plugins
        /// from the distribution, which are installed on Debian and its kin, and lives in namespaces of its own.
        #[arg(long)]
        node: bool,

        /// Gives the node only these images instead of all, which have the tag "testbed" and need no registry.
        #[arg(long, value_enum, value_delimiter = ',', value_name = "IMAGE")]
        images: Option<Vec<Image>>,
    },
    /// Builds every program that is neither on the PATH nor in the cache folder, and starts nothing.
    Build,
}

/// Why the command did not do its work.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(transparent)]
    Programs { source: programs::Error },
    #[snafu(transparent)]
    Testbed { source: testbed::Error },
    #[snafu(transparent)]
    Prepare { source: prepare::Error },
    #[snafu(display("failed to keep the testbed up: its supervisor has ended"))]
    SupervisorEnded,
    #[snafu(display("failed to {what}"))]
    UseTerminal { what: &'static str, source: std::io::Error },
}

impl Args {
    /// Does what the command line says; the exit code tells whether it could.
    pub async fn parse_and_run() -> ExitCode {
        exit_code(Self::parse().run().await)
    }

    async fn run(self) -> Result<(), Error> {
        match self.command {
            Command::Up { only, node, images } => up(options(only, node, images)).await,
            Command::Build => build().await,
        }
    }
}

fn options(only: Vec<Service>, node: bool, images: Option<Vec<Image>>) -> Options {
    let options = if only.is_empty() { Options::default() } else { Options::only(only) };
    let options = options.and(node.then_some(Service::Node));
    match images {
        Some(images) => options.images(images),
        None => options,
    }
}

async fn build() -> Result<(), Error> {
    for (program, path) in programs::locate(Program::ALL).await? {
        say(&format!("{}: {}", program.name(), path.display()));
    }
    Ok(())
}

async fn up(options: Options) -> Result<(), Error> {
    let mut stop = std::pin::pin!(stop_signal().context(UseTerminalSnafu { what: "listen for signals" })?);
    let testbed = tokio::select! {
        testbed = start(&options) => testbed?,
        () = &mut stop => return Ok(()),
    };
    tokio::select! {
        () = &mut stop => testbed.shutdown().await,
        () = testbed.ended() => return SupervisorEndedSnafu.fail(),
    }
    say("Everything has ended.");
    Ok(())
}

/// Starts a testbed and tells how to use it, once it is ready for that.
async fn start(options: &Options) -> Result<Testbed, Error> {
    let names: Vec<&str> = options.parts().map(Part::name).collect();
    say(&format!("Starting {}.", names.join(", ")));
    let started = Instant::now();
    let testbed = Testbed::start(options.clone()).await?;
    prepare(&testbed).await?;
    say(&format!("Ready in {:.1} s. Paste these lines into another terminal:", started.elapsed().as_secs_f64()));
    print_environment(&testbed).context(UseTerminalSnafu { what: "print the environment" })?;
    if testbed.kubeconfig().is_ok() {
        let kubectl = programs::locate([Program::Kubectl]).await?;
        let command = kubectl.into_values().next().map(|path| kubectl_command(&path));
        say(&format!("There, try:  {} get ns", command.unwrap_or_default()));
    }
    say(&format!("Logs are in {}/logs. Ctrl-C here ends and removes everything.", testbed.folder().display()));
    Ok(testbed)
}

fn print_environment(testbed: &Testbed) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    for (name, value) in testbed.environment() {
        writeln!(output, "export {name}={value}")?;
    }
    output.flush()
}

/// What to type: its name where a shell finds it, else its path.
fn kubectl_command(path: &Path) -> String {
    let on_path = std::env::var_os("PATH")
        .is_some_and(|folders| std::env::split_paths(&folders).any(|folder| Some(folder.as_path()) == path.parent()));
    if on_path { Program::Kubectl.name().to_owned() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_program_on_the_path_is_called_by_its_name() {
        assert_eq!(kubectl_command(Path::new("/nowhere/bin/kubectl")), "/nowhere/bin/kubectl");
    }
}
