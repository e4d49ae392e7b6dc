use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use drover::archive::{self, Key, TypeName};
use drover::encryption::{self, Configuration};
use drover::exit::{Exit, Fault};
use drover::listing::{self, Body, ListError, Page};
use drover::object::{ListPage, Object, ParseError};
use drover::resources::{PART_OF_LABEL, ResourceSet};
use drover::runs::Encryption;
use drover::selection::{self, DiscoveryError, Plan, PlanError, TypePlan};
use futures::TryStreamExt;
use jiff::Timestamp;
use kube::Client;
use snafu::{ResultExt, Snafu};
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tracing::info;

/// Pages between the listing and the archive's thread: one is in use, one lies ready.
const PAGES_IN_FLIGHT: usize = 1;

/// Why an archive could not be made.
#[derive(Debug, Snafu)]
pub(crate) enum Error {
    /// The ResourceSet cannot be used.
    #[snafu(display("failed to read the ResourceSet {name:?}"))]
    ReadResourceSet {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: PlanError,
    },
    /// The cluster does not say what it serves.
    #[snafu(display("failed to ask the cluster what it serves"))]
    Discover {
        /// Why.
        source: DiscoveryError,
    },
    /// The ResourceSet has no JSON form.
    #[snafu(display("failed to write the ResourceSet into the archive"))]
    EncodeResourceSet {
        /// Why.
        source: serde_json::Error,
    },
    /// A type cannot be listed.
    #[snafu(display("failed to read the cluster's objects"))]
    List {
        /// Which, and why.
        source: ListError,
    },
    /// The server's answer is not what it should be.
    #[snafu(display("failed to read the objects of {resource:?} in the API server's answer"))]
    ReadObjects {
        /// The type.
        resource: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The archive cannot be written.
    #[snafu(display("failed to write the archive"))]
    Write {
        /// Why.
        source: archive::WriteError,
    },
    /// The archive's end cannot be written.
    #[snafu(display("failed to write the end of the archive"))]
    Finish {
        /// Why.
        source: std::io::Error,
    },
    /// The archive's thread is gone.
    #[snafu(display("failed to wait for the archive's thread; this is a fault of drover"))]
    Join {
        /// How it ended.
        source: JoinError,
    },
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::ReadResourceSet { source, .. } => source.exit(),
            Self::Discover { source } => source.exit(),
            Self::List { source } => source.exit(),
            Self::ReadObjects { .. } => Exit::DataRefused,
            Self::EncodeResourceSet { .. } | Self::Write { .. } | Self::Finish { .. } | Self::Join { .. } => {
                Exit::Failure
            }
        }
    }
}

impl Error {
    /// Whether it only says that nobody takes the bytes any more.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if error.downcast_ref().is_some_and(|error: &std::io::Error| error.kind() == ErrorKind::BrokenPipe) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// How far a snapshot is, for whoever shows it.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    objects: AtomicU64,
    encrypted: AtomicU64,
    bytes: AtomicU64,
}

impl Counts {
    pub(crate) fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    /// Objects that are encrypted.
    pub(crate) fn encrypted(&self) -> u64 {
        self.encrypted.load(Ordering::Relaxed)
    }

    /// Compressed bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// What goes into an archive: decided before the first object is asked for.
pub(crate) struct Selected {
    plan: Plan,
    resource_set: Vec<u8>,
}

impl Selected {
    /// Asks the cluster what it serves and decides what of it the ResourceSet selects.
    pub(crate) async fn of(client: &Client, set: &ResourceSet) -> Result<Self, Error> {
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let versions = set.spec.resource_selectors.iter().map(|selector| selector.api_version.as_str());
        let discovery = selection::discover(client, versions).await.context(DiscoverSnafu)?;
        let plan = selection::plan(set, &discovery).context(ReadResourceSetSnafu { name })?;
        let mut stored = set.clone();
        stored.metadata.managed_fields = None;
        Ok(Self { plan, resource_set: serde_json::to_vec(&stored).context(EncodeResourceSetSnafu)? })
    }

    /// Group versions that the ResourceSet names and the cluster does not serve.
    pub(crate) fn not_served(&self) -> &[String] {
        &self.plan.not_served
    }
}

/// Where an archive goes. Only [`Output::finish`] tells a whole archive from one that was cut off.
pub(crate) trait Output: Write + Send + 'static {
    /// What is known of the output when it is whole.
    type Whole: Send + 'static;

    /// Ends the output, on the archive's thread.
    fn finish(self) -> std::io::Result<Self::Whole>;
}

/// An archive that is whole.
pub(crate) struct Made<T> {
    /// What its output knows of it.
    pub(crate) whole: T,
    /// How much of it is encrypted.
    pub(crate) encryption: Encryption,
}

/// Streams the archive of `selected` into `output`, and gives what is known of it when it is whole. What `configuration`
/// names is encrypted.
///
/// The listing runs here and the encoding on a thread of its own; the page after the one that is being encoded is
/// fetched meanwhile. Dropping the future ends both.
pub(crate) async fn write_archive<W>(
    client: Client,
    selected: Selected,
    configuration: Option<Arc<Configuration>>,
    modified: Timestamp,
    output: W,
    counts: Arc<Counts>,
) -> Result<Made<W::Whole>, Error>
where
    W: Output,
{
    let Selected { plan, resource_set } = selected;
    let plan = Arc::new(plan);
    let (sender, receiver) = mpsc::channel(PAGES_IN_FLIGHT);
    let encoder = Encoder::new(Arc::clone(&plan), configuration, modified, output, counts);
    let encoding = tokio::task::spawn_blocking(move || encoder.encode(&resource_set, receiver));
    let listed = send_pages(client, plan, sender).await;
    // When the encoder failed it closed the channel, and its reason is the one to tell.
    let encoded = encoding.await.context(JoinSnafu)?;
    match (listed, encoded) {
        (Err(error), _) | (Ok(()), Err(error)) => Err(error),
        (Ok(()), Ok(made)) => Ok(made),
    }
}

async fn send_pages(client: Client, plan: Arc<Plan>, sender: mpsc::Sender<Message>) -> Result<(), Error> {
    let mut pages = std::pin::pin!(listing::pages(client, plan, listing::Options::default()));
    while let Some(page) = pages.try_next().await.context(ListSnafu)? {
        if sender.send(Message::Page(page)).await.is_err() {
            return Ok(());
        }
    }
    drop(sender.send(Message::End).await);
    Ok(())
}

/// What the listing tells the encoder. An archive is finished only after `End`: a channel that closes without it means
/// that the listing failed.
enum Message {
    Page(Page),
    End,
}

struct Encoder<W: Write> {
    plan: Arc<Plan>,
    writer: archive::Writer<Counting<W>>,
    counts: Arc<Counts>,
    encryption: Encryption,
    /// Secrets of drover itself, which stay out of every archive: a restore must not bring older ones back.
    own_secrets: u64,
    buffer: Vec<u8>,
}

impl<W: Output> Encoder<W> {
    fn new(
        plan: Arc<Plan>,
        configuration: Option<Arc<Configuration>>,
        modified: Timestamp,
        output: W,
        counts: Arc<Counts>,
    ) -> Self {
        let output = Counting { output, counts: Arc::clone(&counts) };
        let encryption = Encryption { is_configured: configuration.is_some(), ..Encryption::default() };
        let writer = archive::Writer::new(output, modified).encrypting(configuration);
        Self { plan, writer, counts, encryption, own_secrets: 0, buffer: Vec::new() }
    }

    fn encode(mut self, resource_set: &[u8], mut pages: mpsc::Receiver<Message>) -> Result<Made<W::Whole>, Error> {
        self.writer.resource_set(resource_set).context(WriteSnafu)?;
        while let Some(message) = pages.blocking_recv() {
            match message {
                Message::Page(page) => self.page(&page)?,
                Message::End => return self.finish(),
            }
        }
        // The listing failed and says why; this error is never seen beside it.
        Err(Error::Finish { source: std::io::ErrorKind::UnexpectedEof.into() })
    }

    fn finish(self) -> Result<Made<W::Whole>, Error> {
        let Self { writer, mut encryption, own_secrets, .. } = self;
        let (counting, totals) = writer.finish().context(WriteSnafu)?;
        let whole = counting.output.finish().context(FinishSnafu)?;
        (encryption.objects, encryption.encrypted) = (totals.objects, totals.encrypted);
        if own_secrets > 0 {
            info!(secrets = own_secrets, "left out: Secrets of drover itself, labelled {PART_OF_LABEL}=drover");
        }
        Ok(Made { whole, encryption })
    }

    fn page(&mut self, page: &Page) -> Result<(), Error> {
        let plan = Arc::clone(&self.plan);
        let type_plan = &plan.types[page.type_index];
        let resource = &type_plan.resource.plural;
        match &page.body {
            Body::List(body) => {
                let list = ListPage::parse(body).context(ReadObjectsSnafu { resource })?;
                list.items.iter().try_for_each(|item| self.object(type_plan, item.get().as_bytes()))
            }
            Body::Object(body) => self.object(type_plan, body),
        }
    }

    fn object(&mut self, type_plan: &TypePlan, json: &[u8]) -> Result<(), Error> {
        let resource = &type_plan.resource;
        let object = Object::parse(json).context(ReadObjectsSnafu { resource: &resource.plural })?;
        if object.is_vanishing(&resource.kind) || !type_plan.selects(&object) {
            return Ok(());
        }
        let is_encrypted = self.writer.encrypts(&resource.plural, &resource.group);
        if resource.plural == "secrets" && resource.group.is_empty() {
            if is_own(&object) {
                self.own_secrets += 1;
                return Ok(());
            }
            if !is_encrypted && encryption::holds_configuration(&object) {
                self.encryption.keys_in_clear.note(object.namespace(), object.name());
            }
        }
        self.buffer.clear();
        object.write_archived(&resource.api_version(), &resource.kind, &mut self.buffer);
        let key = Key {
            type_name: TypeName {
                plural: resource.plural.clone(),
                group: resource.group.clone(),
                version: resource.version.clone(),
            },
            namespace: object.namespace().map(str::to_owned),
            name: object.name().to_owned(),
        };
        self.writer.append(&key, &self.buffer).context(WriteSnafu)?;
        self.counts.objects.fetch_add(1, Ordering::Relaxed);
        self.counts.encrypted.fetch_add(is_encrypted.into(), Ordering::Relaxed);
        Ok(())
    }
}

/// Whether the object is part of drover. Labels that cannot be read say nothing.
fn is_own(object: &Object<'_>) -> bool {
    object.labels().is_ok_and(|labels| labels.get(PART_OF_LABEL).is_some_and(|part_of| part_of == "drover"))
}

/// Counts the bytes that pass.
struct Counting<W> {
    output: W,
    counts: Arc<Counts>,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.counts.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.output.flush()
    }
}
