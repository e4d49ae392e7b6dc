pub(crate) mod error;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use drover::archive::{self, Contents, Key, ListedType, PathError, TypeName, WriteError};
use drover::encryption::{self, Configuration};
use drover::exit::Chain;
use drover::labels::{DROVER, PART_OF_LABEL, is_ours};
use drover::listing::{self, Body, ListError, Page};
use drover::object::{ListPage, Object};
use drover::runs::{Counted, Encryption};
use drover::selection::{Plan, ResourceType};
use drover::task;
use futures::TryStreamExt;
use jiff::Timestamp;
use kube::Client;
use snafu::ResultExt;
use tokio::sync::mpsc;
use tracing::{info, warn};

use error::{Error, FinishSnafu, JoinSnafu, ReadObjectsSnafu, WriteSnafu};

use crate::no_place::NoPlace;
use crate::selected::{MissingTypes, Selected, tallies};

/// Pages between the listing and the archive's thread: one is in use, one lies ready.
const PAGES_IN_FLIGHT: usize = 1;

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
    /// What it says of itself: what was listed and what was left out.
    pub(crate) contents: Contents,
    /// The same as the next snapshot is measured by it.
    pub(crate) counted: Counted,
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
    let mut selected = selected;
    let plan = Arc::new(std::mem::take(&mut selected.plan));
    let missing = selected.missing.clone();
    let (sender, receiver) = mpsc::channel(PAGES_IN_FLIGHT);
    let encoder = Encoder::new(Arc::clone(&plan), selected, configuration, modified, output, counts);
    let encoding = task::spawn_blocking(move || encoder.encode(receiver));
    let listed = send_pages(client, plan, missing, sender).await;
    // When the encoder failed it closed the channel, and its reason is the one to tell.
    let encoded = encoding.await.context(JoinSnafu)?;
    match (listed, encoded) {
        (Err(error), _) | (Ok(()), Err(error)) => Err(error),
        (Ok(()), Ok(made)) => Ok(made),
    }
}

async fn send_pages(
    client: Client,
    plan: Arc<Plan>,
    missing: MissingTypes,
    sender: mpsc::Sender<Message>,
) -> Result<(), Error> {
    let account = missing.account.clone();
    let options = listing::Options { goes_on: missing.are_allowed, account, ..listing::Options::default() };
    let mut pages = std::pin::pin!(listing::pages(client, plan, options));
    while let Some(page) = pages.try_next().await.map_err(|source| list_error(&missing, source))? {
        if sender.send(Message::Page(page)).await.is_err() {
            return Ok(());
        }
    }
    drop(sender.send(Message::End).await);
    Ok(())
}

fn list_error(missing: &MissingTypes, source: ListError) -> Error {
    if source.is_of_one_type() { Error::ListType { how: missing.how.clone(), source } } else { Error::List { source } }
}

/// What the listing tells the encoder. An archive is finished only after `End`: a channel that closes without it means
/// that the listing failed.
enum Message {
    Page(Page),
    End,
}

struct Encoder<W: Write> {
    plan: Arc<Plan>,
    selected: Selected,
    /// What was found of each type of the plan.
    tallies: Vec<ListedType>,
    /// The types that could not be read to their end.
    refused: BTreeMap<usize, Box<ListError>>,
    /// The types with objects that no archive can hold.
    no_place: BTreeMap<usize, NoPlace>,
    writer: archive::Writer<Counting<W>>,
    counts: Arc<Counts>,
    encryption: Encryption,
    buffer: Vec<u8>,
}

impl<W: Output> Encoder<W> {
    fn new(
        plan: Arc<Plan>,
        selected: Selected,
        configuration: Option<Arc<Configuration>>,
        modified: Timestamp,
        output: W,
        counts: Arc<Counts>,
    ) -> Self {
        let output = Counting { output, counts: Arc::clone(&counts) };
        let encryption = Encryption { is_configured: configuration.is_some(), ..Encryption::default() };
        let writer = archive::Writer::new(output, modified).encrypting(configuration);
        let (tallies, refused, no_place, buffer) = (tallies(&plan), BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { plan, selected, tallies, refused, no_place, writer, counts, encryption, buffer }
    }

    fn encode(mut self, mut pages: mpsc::Receiver<Message>) -> Result<Made<W::Whole>, Error> {
        self.writer.resource_set(&self.selected.resource_set).context(WriteSnafu)?;
        while let Some(message) = pages.blocking_recv() {
            match message {
                Message::Page(page) => self.page(page)?,
                Message::End => return self.finish(),
            }
        }
        // The listing failed and says why; this error is never seen beside it.
        Err(Error::Finish { source: std::io::ErrorKind::UnexpectedEof.into() })
    }

    fn finish(self) -> Result<Made<W::Whole>, Error> {
        let Self { selected, tallies, refused, no_place, mut writer, mut encryption, .. } = self;
        let own_secrets: u64 = tallies.iter().map(|listed| listed.of_drover).sum();
        if own_secrets > 0 {
            info!(secrets = own_secrets, "left out: Secrets of drover itself, labelled {PART_OF_LABEL}={DROVER}");
        }
        let (contents, counted) = selected.holding(tallies, &refused, &no_place);
        if let Some(words) = contents.without_place() {
            warn!("{words}");
        }
        writer.contents(&contents).context(WriteSnafu)?;
        let (counting, totals) = writer.finish().context(WriteSnafu)?;
        let whole = counting.output.finish().context(FinishSnafu)?;
        (encryption.objects, encryption.encrypted) = (totals.objects, totals.encrypted);
        Ok(Made { whole, encryption, contents, counted })
    }

    fn page(&mut self, page: Page) -> Result<(), Error> {
        let (plan, index) = (Arc::clone(&self.plan), page.type_index);
        let resource = &plan.types[index].resource;
        match page.body {
            Body::List(body) => {
                let list = ListPage::parse(&body).context(ReadObjectsSnafu { resource: &resource.plural })?;
                list.items.iter().try_for_each(|item| self.object(index, item.get().as_bytes()))
            }
            Body::Object(body) => self.object(index, &body),
            Body::Refused(error) => {
                warn!(resource = resource.type_name(), "left out: {}", Chain(error.as_ref()));
                self.refused.insert(index, error);
                Ok(())
            }
        }
    }

    fn object(&mut self, index: usize, json: &[u8]) -> Result<(), Error> {
        let (plan, tally) = (Arc::clone(&self.plan), &mut self.tallies[index]);
        let type_plan = &plan.types[index];
        let resource = &type_plan.resource;
        let object = Object::parse(json).context(ReadObjectsSnafu { resource: &resource.plural })?;
        if !type_plan.selects(&object) {
            return Ok(());
        }
        if object.is_vanishing(&resource.kind) {
            tally.being_deleted += 1;
            return Ok(());
        }
        let is_encrypted = self.writer.encrypts(&resource.plural, &resource.group);
        if resource.plural == "secrets" && resource.group.is_empty() {
            if is_own(&object) {
                tally.of_drover += 1;
                return Ok(());
            }
            if !is_encrypted && encryption::holds_configuration(&object) {
                self.encryption.keys_in_clear.note(object.namespace(), object.name());
            }
        }
        self.buffer.clear();
        object.write_archived(&resource.api_version(), &resource.kind, &mut self.buffer);
        let key = key_of(resource, &object);
        match self.writer.append(&key, &self.buffer) {
            Err(WriteError::Path { source, .. }) if !matches!(source, PathError::Type { .. }) => {
                self.no_place.entry(index).or_default().note(&key, &source);
                return Ok(());
            }
            appended => appended.context(WriteSnafu)?,
        }
        tally.objects += 1;
        self.counts.objects.fetch_add(1, Ordering::Relaxed);
        self.counts.encrypted.fetch_add(is_encrypted.into(), Ordering::Relaxed);
        Ok(())
    }
}

fn key_of(resource: &ResourceType, object: &Object<'_>) -> Key {
    let type_name =
        TypeName { plural: resource.plural.clone(), group: resource.group.clone(), version: resource.version.clone() };
    Key { type_name, namespace: object.namespace().map(str::to_owned), name: object.name().to_owned() }
}

/// Whether the object is part of drover. Labels that cannot be read say nothing.
fn is_own(object: &Object<'_>) -> bool {
    object.labels().is_ok_and(|labels| is_ours(|name| labels.get(name)))
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
