//! The command line for archives on this machine: a kubeconfig is all that it needs, and `inspect` not even that.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use drover::archive::{Limits, Spool, Unsealing};
use drover::clock::{self, Moment};
use drover::cluster::{self, ApiError, host_name, past_proxies};
use drover::digest::Sha256;
use drover::encryption::{self, Configuration};
use drover::exit::{Exit, Failure, Fault};
use drover::lease::{Holder, Settings};
use drover::resources::DEFAULT_NAMESPACE;
use drover::storage::mac_beside;
use drover::{pipe, task};
use k8s_openapi::api::core::v1::Namespace;
use kube::config::{Config, KubeConfigOptions};
use kube::{Api, Client};
use snafu::{ResultExt, Snafu};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::request::Server;
use crate::apply::controllers::{self, COMMAND_LINE, Hold};
use crate::apply::copies::{self, Copies, When};
use crate::apply::exemption::{self, Exemption};
use crate::command_line::arguments::{Applying, Inspecting, Reading, Reporting, Restoring, Unexempting};
use crate::command_line::output::Output;
use crate::job::exclusive::{self, Taken, Turn};
use crate::plan::wishes::Wishes;
use crate::report::again::Again;
use crate::report::outcome::{Counts, Outcome};
use crate::report::printable::printable;
use crate::report::progress::{self, Progress};
use crate::report::results::{self, Mode, Source};
use crate::report::stored_report::StoredReport;
use crate::report::unchanged::unchanged;
use crate::restoration::{Finished, Restoration};
use crate::survey::archive::authenticity::{AuthenticityError, Mac, Proof};
use crate::survey::archive::inspect::Inspection;
use crate::survey::archive::recorded::{self, Evidence};
use crate::survey::ground::Ground;

/// What stands for standard input where a file is named.
const STANDARD_INPUT: &str = "-";

/// Why a command did not do what it was asked.
#[derive(Debug, Snafu)]
enum LocalError {
    #[snafu(display("failed to open the archive {path:?}"))]
    Open { path: PathBuf, source: io::Error },
    #[snafu(display("failed to wait for the archive {path:?} to be read"))]
    Aborted { path: PathBuf, source: tokio::task::JoinError },
    #[snafu(display(
        "failed to find the cluster; set KUBECONFIG to a kubeconfig file, and --context to one of its contexts"
    ))]
    Configure {
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    #[snafu(transparent)]
    Connect { source: cluster::Error },
    #[snafu(display("failed to write the result to standard output"))]
    Print { source: io::Error },
    #[snafu(display("{failed} of {total} objects failed; each is named above with the reason"))]
    Failed { failed: u32, total: u32 },
    #[snafu(display("stopped by a signal: {done}; run it again to go on"))]
    Stopped { done: String },
    #[snafu(display("failed to see whether the namespace {namespace:?} is there, for the Lease of restores"))]
    FindNamespace { namespace: String, source: ApiError },
    #[snafu(display(
        "failed to begin: {holder:?} restores this cluster now, by the Lease in the namespace {namespace:?}; nothing was \
         changed. Try again when it has ended"
    ))]
    Busy { holder: String, namespace: String },
    #[snafu(display("failed to keep the Lease of restores; whoever took it is at work. Run it again to go on"))]
    LoseLease,
}

impl Fault for LocalError {
    fn exit(&self) -> Exit {
        match self {
            Self::Open { .. } | Self::Configure { .. } => Exit::Usage,
            Self::Connect { source } => source.exit(),
            Self::FindNamespace { source, .. } => source.exit(),
            Self::Busy { .. } | Self::LoseLease => Exit::Unavailable,
            Self::Aborted { .. } | Self::Print { .. } | Self::Failed { .. } | Self::Stopped { .. } => Exit::Failure,
        }
    }
}

/// `restore inspect`.
pub(crate) async fn inspect(inspecting: Inspecting) -> Result<(), Failure> {
    let Inspecting { reading: Reading { file, output, unpacked_limit, encryption_config }, entries } = inspecting;
    let unsealing = unsealing(encryption_config.as_deref(), Unsealing::Keep)?;
    let spool = read(&file, unpacked_limit, unsealing.clone()).await?;
    let mac = Mac::of(mac_of(&file), spool.sha256(), unsealing.configuration());
    let inspection = Inspection::new(&file.to_string_lossy(), &spool, &mac)?;
    print(|out| match output {
        Output::Json => inspection.json(out),
        Output::Text => inspection.text(out, entries),
    })
}

/// `restore plan`.
pub(crate) async fn plan(restoring: Restoring) -> Result<(), Failure> {
    let (begun, output) = (Moment::now(), restoring.reading.output);
    let restoration = prepare(restoring, Again::Plan, begun).await?;
    let finished = progress::telling(&restoration.gauge(), Box::pin(restoration.plan())).await?;
    show(&finished, output, Mode::Plan)?;
    Ok(())
}

/// `restore apply`.
pub(crate) async fn apply(applying: Applying, shutdown: &CancellationToken) -> Result<(), Failure> {
    let begun = Moment::now();
    let Applying { restoring, patience, exempt_webhooks } = applying;
    let (output, ignore_errors) = (restoring.reading.output, restoring.wishes.ignore_errors);
    let (namespace, file) = (restoring.wishes.namespace.clone(), restoring.reading.file.clone());
    let ending = ending_of(restoring.context.as_deref(), &namespace);
    let restoration = prepare(restoring, Again::Command, begun).await.map_err(|failure| unchanged(&failure))?;
    let turn = take_turn(restoration.server().client(), &namespace, shutdown).await;
    let turn = turn.map_err(|failure| unchanged(&failure))?;
    // Before the first write: what one that was killed left behind would exempt this one too, which nobody asked for.
    let passed = match exemption::end_left(restoration.server(), &turn, &exempt_webhooks, &ending).await {
        Ok(passed) => passed,
        Err(failure) => {
            turn.end().await;
            return Err(failure);
        }
    };
    let restoration = put_back_copies(restoration, &turn, &namespace, &file).await;
    restoration.server().take_writes();
    let hold = Hold::of_command_line(patience.for_pods(), turn.lost().clone());
    let exemption = Exemption::of_command_line(exempt_webhooks.clone(), ending, turn.lost().clone());
    let exemption = exemption.shown_by(restoration.gauge());
    let work = Box::pin(restoration.apply(&hold, turn.stop()));
    let work = Box::pin(exemption::during(restoration.server(), exemption, work));
    let (applied, notes) = progress::telling(&restoration.gauge(), work).await;
    let has_written = restoration.server().take_writes();
    let tidied = put_back_others(&restoration, &turn).await;
    let back = copies::put_back_left(restoration.server(), &namespace, &turn, When::AtTheEnd).await;
    let tidied = back.and(tidied);
    let is_lost = turn.lost().is_cancelled();
    turn.end().await;
    let applied = applied.map_err(|failure| if has_written { failure } else { unchanged(&failure) })?;
    let failed = results::told(&applied).filter(|told| told.outcome == Outcome::Failed);
    let missed = exemption::missed(&exempt_webhooks, failed.map(|told| told.reason));
    let finished = applied.noting(passed).noting(notes).noting(missed);
    let counts = show(&finished, output, Mode::Apply)?;
    if let Some(error) = finished.left_down.or(finished.given_up) {
        return Err(error.into());
    }
    if let Some(failure) = finished.failed {
        return Err(failure);
    }
    match finished.lost {
        Some(lost) => Err(Failure::new(Exit::Unavailable, lost)),
        None if is_lost => Err(LocalError::LoseLease.into()),
        None => verdict(&counts, ignore_errors, shutdown).map_err(Failure::from).and(tidied),
    }
}

/// Waits for nobody: whoever restores this cluster now is named. A cluster without drover's namespace has no place for the
/// Lease, and no job that would hold it.
async fn take_turn(client: &Client, namespace: &str, shutdown: &CancellationToken) -> Result<Turn, Failure> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = namespaces.get_metadata_opt(namespace).await.map_err(ApiError::from);
    if found.context(FindNamespaceSnafu { namespace })?.is_none() {
        return Ok(Turn::without_lease(shutdown));
    }
    let identity = format!("restore-apply-on-{}_{}", host_name(), Uuid::now_v7().simple());
    let holder = Holder::new(client.clone(), namespace, &identity, Settings::default());
    match exclusive::take(&holder, Duration::ZERO, shutdown).await? {
        Taken::Ours(turn) => Ok(turn),
        Taken::Busy { holder } => BusySnafu { holder, namespace }.fail().map_err(Failure::from),
    }
}

/// Puts back what another restore deleted to create it again and did not come to, before this one plans; what fails is
/// logged, and tried again at the end. A cluster without drover has no place for copies, so they lie beside the archive.
async fn put_back_copies(restoration: Restoration, turn: &Turn, namespace: &str, archive: &Path) -> Restoration {
    if !turn.is_alone() {
        return restoration.keeping(Copies::beside(archive).await);
    }
    drop(copies::put_back_left(restoration.server(), namespace, turn, When::BeforePlans).await);
    restoration
}

/// Puts back what another command left scaled down: while the Lease is held, none is at work.
async fn put_back_others(restoration: &Restoration, turn: &Turn) -> Result<(), Failure> {
    if turn.is_alone() {
        let mut left = controllers::scaled_down(restoration.server()).await?;
        left.retain(|left| left.holder() == COMMAND_LINE);
        controllers::put_all_back(restoration.server(), &left).await?;
    }
    Ok(())
}

/// The command that ends the exemption of one that was killed.
fn ending_of(context: Option<&str>, namespace: &str) -> String {
    let context = context.map(|context| format!(" --context {context}")).unwrap_or_default();
    let namespace =
        if namespace == DEFAULT_NAMESPACE { String::new() } else { format!(" --drover-namespace {namespace}") };
    format!("restore unexempt{context}{namespace}")
}

/// `restore unexempt`.
pub(crate) async fn unexempt(unexempting: Unexempting, shutdown: &CancellationToken) -> Result<(), Failure> {
    let Unexempting { context, namespace, force } = unexempting;
    let server = connect(context, 1).await?;
    let turn = if force {
        Turn::without_lease(shutdown)
    } else {
        let turn = take_turn(server.client(), &namespace, shutdown).await;
        turn.map_err(|failure| Failure::new(failure.exit(), format!("{failure}; --force asks for no Lease")))?
    };
    let done = exemption::take_out_all(&server).await;
    turn.end().await;
    let done = done?;
    print(|out| match done.as_slice() {
        [] => writeln!(out, "nobody is exempt from webhooks by a restore"),
        done => done.iter().try_for_each(|one| writeln!(out, "ended in {}", printable(&one.to_string()))),
    })
}

/// `restore report`.
pub(crate) async fn report(reporting: Reporting) -> Result<(), Failure> {
    let Reporting { name, output, context, namespace } = reporting;
    let server = connect(context, 1).await?;
    let stored = StoredReport::fetch(server.client(), &namespace, &name).await?;
    print(|out| tell(out, &stored, output, Mode::Apply))
}

/// Reads and checks the archive, and finds the cluster, for a command that began at this moment.
async fn prepare(restoring: Restoring, again: Again, begun: Moment) -> Result<Restoration, Failure> {
    let Restoring { reading, context, concurrency, wishes } = restoring;
    let Reading { file, output: _, unpacked_limit, encryption_config } = reading;
    let unsealing = unsealing(encryption_config.as_deref(), Unsealing::Refuse)?;
    let spool = read(&file, unpacked_limit, unsealing.clone()).await?;
    let server = connect(context, concurrency).await?;
    let ground = Ground::survey(&server, &wishes.namespace, wishes.restore_credentials, None).await?;
    // The server has answered by now, and said what time it is.
    let wished = Wishes { again, ..wishes.wishes(clock::of_server_at(begun)) };
    let filename = name_of(&file);
    let proof = prove(server.client(), &file, spool.sha256(), unsealing.configuration()).await?;
    let note = proof.told();
    // What a plan prints follows at once; what an apply prints comes when all is written.
    if let (Some(note), Again::Command) = (&note, again) {
        tracing::warn!("{note}");
    }
    proof.demand(&filename, wished.require_authentic.then(|| "--require".to_owned()))?;
    Ok(Restoration::new(server, spool, wished, ground, concurrency).noting(note))
}

/// What proves who made an archive of this machine: its MAC or, where that does not, the cluster that it is restored into.
async fn prove(
    client: &Client,
    file: &Path,
    sha256: Sha256,
    configuration: Option<&Configuration>,
) -> Result<Proof, AuthenticityError> {
    let (filename, mac) = (name_of(file), mac_of(file));
    let by_mac = Proof::of(&filename, sha256, Evidence { is_recorded: false, mac }, configuration);
    if matches!(by_mac, Ok(Proof::Mac(_))) || !recorded::is_recorded(client, &filename, sha256).await {
        return by_mac;
    }
    Proof::of(&filename, sha256, Evidence { is_recorded: true, mac }, configuration)
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The MAC that lies beside the file; none where the archive comes from standard input.
fn mac_of(file: &Path) -> Option<Sha256> {
    if file == Path::new(STANDARD_INPUT) { None } else { mac_beside(file) }
}

fn verdict(counts: &Counts, ignore_errors: bool, shutdown: &CancellationToken) -> Result<(), LocalError> {
    if shutdown.is_cancelled() && counts.of(Outcome::Untouched) > 0 {
        return StoppedSnafu { done: counts.in_words() }.fail();
    }
    match counts.of(Outcome::Failed) {
        0 => Ok(()),
        _ if ignore_errors => Ok(()),
        failed => {
            FailedSnafu { failed, total: Outcome::ALL.into_iter().map(|outcome| counts.of(outcome)).sum::<u32>() }
                .fail()
        }
    }
}

/// What becomes of encrypted objects; `otherwise`, where no configuration is named.
fn unsealing(encryption_config: Option<&Path>, otherwise: Unsealing) -> Result<Unsealing, Failure> {
    let configuration = encryption_config.map(encryption::from_file).transpose()?;
    Ok(configuration.map_or(otherwise, Unsealing::Decrypt))
}

/// Reads and checks the whole archive before anything else is done.
async fn read(path: &Path, unpacked_limit: Option<u64>, unsealing: Unsealing) -> Result<Arc<Spool>, Failure> {
    let owned = path.to_owned();
    let reading = task::spawn_blocking(move || {
        let limits = Limits { bytes: unpacked_limit.unwrap_or(Limits::default().bytes), ..Limits::default() };
        let mut progress = Progress::new("objects read from the archive", 0);
        let mut on_progress = |read: drover::archive::Progress| progress.advance_to(read.objects);
        let spool = Spool::read_in(&std::env::temp_dir(), open(&owned)?, &limits, unsealing, &mut on_progress);
        spool.map_err(Failure::from)
    });
    Ok(Arc::new(reading.await.with_context(|_| AbortedSnafu { path: path.to_owned() })??))
}

fn open(path: &Path) -> Result<Box<dyn Read>, LocalError> {
    if path == Path::new(STANDARD_INPUT) {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(File::open(path).with_context(|_| OpenSnafu { path: path.to_owned() })?))
}

/// A client of the cluster that a command means.
pub(crate) async fn connect_to(context: Option<String>) -> Result<Client, Failure> {
    Ok(connect(context, 1).await?.client().clone())
}

async fn connect(context: Option<String>, concurrency: u32) -> Result<Arc<Server>, LocalError> {
    let config = match context {
        Some(context) => {
            let options = KubeConfigOptions { context: Some(context), ..KubeConfigOptions::default() };
            Config::from_kubeconfig(&options).await.map_err(kube::Error::InferKubeconfig)
        }
        None => Config::infer().await.map_err(kube::Error::InferConfig),
    };
    let mut config = past_proxies(config.context(ConfigureSnafu)?);
    // The server's 429 must come through to the limiter, and not be retried on the way.
    config.default_retry = false;
    Ok(Arc::new(Server::new(cluster::client_of(config)?, concurrency)))
}

fn show(finished: &Finished, output: Output, mode: Mode) -> Result<Counts, Failure> {
    print(|out| tell(out, finished, output, mode))?;
    Ok(results::counts(finished))
}

fn tell(out: &mut dyn Write, source: &dyn Source, output: Output, mode: Mode) -> io::Result<()> {
    match output {
        Output::Json => results::json(out, source),
        Output::Text => results::text(out, source, mode),
    }
}

pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(pipe::stdout());
    Ok(write(&mut out).and_then(|()| out.flush()).context(PrintSnafu)?)
}
