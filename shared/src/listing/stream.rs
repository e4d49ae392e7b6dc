//! The pages of a plan, fetched ahead.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use kube::Client;
use kube::api::ListParams;
use snafu::ResultExt;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::error::FinishSnafu;
use super::{Body, ListError, Options, Page};
use crate::api::{Cursor, Limits, RequestError, RestClient, Taken};
use crate::selection::{Plan, Request, TypePlan, field_condition};
use crate::task;

/// How large a first page that is read ahead may be: several wait at a time, so they stay small. Most types of Rancher
/// have a handful of objects, and a snapshot of them takes as long as its round trips.
const MOST_BYTES_AHEAD: usize = 1 << 20;

/// The pages of all types of a plan, type by type in the plan's order, until the first error. Dropping it ends what is
/// under way.
#[derive(Debug)]
pub struct Pages {
    pages: mpsc::Receiver<Result<Page, ListError>>,
    _task: AbortOnDropHandle<()>,
}

impl Stream for Pages {
    type Item = Result<Page, ListError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pages.poll_recv(context)
    }
}

/// Begins to read all types of a plan. It must be called within a Tokio runtime.
#[must_use]
pub fn pages(client: Client, plan: Arc<Plan>, options: Options) -> Pages {
    // One page waits here while the one before it is used and the one after it is read.
    let (sender, receiver) = mpsc::channel(1);
    // Those that are asked for ahead, and the one that is read.
    let in_flight = u32::try_from(options.types_ahead).unwrap_or(u32::MAX).saturating_add(1);
    let reader = Reader { client: RestClient::new(client, in_flight), plan, options };
    let task = task::spawn(async move {
        if let Err(error) = reader.read_types(&sender).await {
            // Whoever is gone needs no error.
            let _ = sender.send(Err(error)).await;
        }
    });
    Pages { pages: receiver, _task: AbortOnDropHandle::new(task) }
}

#[derive(Clone)]
struct Reader {
    client: RestClient,
    plan: Arc<Plan>,
    options: Options,
}

/// What was read ahead of a type.
enum Beginning {
    /// Its first page, and where the next one begins.
    Page(Bytes, Option<Place>),
    /// Nothing.
    None,
}

/// Where the reading of a type is.
struct Place {
    cursor: Cursor,
    /// Whether the request names the one object that matters.
    with_name: bool,
}

type Sender = mpsc::Sender<Result<Page, ListError>>;

impl Reader {
    async fn read_types(&self, sender: &Sender) -> Result<(), ListError> {
        // Each beginning is a task of its own, so that it is read while the pages of another type are.
        let begin = |index: usize| {
            let reader = self.clone();
            AbortOnDropHandle::new(task::spawn(async move { reader.begin(index).await }))
        };
        let ahead = self.options.types_ahead.max(1);
        let mut beginnings = futures::stream::iter(0..self.plan.types.len()).map(begin).buffered(ahead).enumerate();
        while let Some((index, beginning)) = beginnings.next().await {
            let resource = &self.plan.types[index].resource;
            let beginning = beginning.with_context(|_| FinishSnafu { resource: resource.type_name() })?;
            let is_wanted = match beginning {
                Ok(beginning) => self.read_type(index, beginning, sender).await,
                Err(error) => Err(error),
            };
            let is_wanted = match is_wanted {
                Err(error) if self.options.goes_on && error.is_of_one_type() => {
                    send(sender, index, Body::Refused(Box::new(error))).await
                }
                is_wanted => is_wanted?,
            };
            if !is_wanted {
                break;
            }
        }
        Ok(())
    }

    /// The first page, where it is small.
    async fn begin(&self, index: usize) -> Result<Beginning, ListError> {
        let type_plan = &self.plan.types[index];
        if matches!(type_plan.request, Request::Get { .. }) {
            return Ok(Beginning::None);
        }
        let mut place = self.start();
        let page = self.page(type_plan, &mut place, Some(MOST_BYTES_AHEAD)).await?;
        Ok(page.map_or(Beginning::None, |(body, is_last)| Beginning::Page(body, (!is_last).then_some(place))))
    }

    fn start(&self) -> Place {
        Place { cursor: Cursor::new(self.options.sizes), with_name: true }
    }

    /// Reads a type to its end; `false` when nobody takes the pages any more.
    async fn read_type(&self, index: usize, beginning: Beginning, sender: &Sender) -> Result<bool, ListError> {
        let type_plan = &self.plan.types[index];
        if let Request::Get { objects } = &type_plan.request {
            return self.get_objects(index, objects, sender).await;
        }
        let mut next = match beginning {
            Beginning::None => Some(self.start()),
            Beginning::Page(body, next) => {
                if !send(sender, index, Body::List(body)).await {
                    return Ok(false);
                }
                next
            }
        };
        while let Some(mut place) = next {
            let Some((body, is_last)) = self.page(type_plan, &mut place, None).await? else { break };
            next = (!is_last).then_some(place);
            if !send(sender, index, Body::List(body)).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next page and whether it is the last one. `None` where it is larger than `most_bytes`; where there is no such
    /// limit it comes in pieces as small as it takes.
    async fn page(
        &self,
        type_plan: &TypePlan,
        place: &mut Place,
        most_bytes: Option<usize>,
    ) -> Result<Option<(Bytes, bool)>, ListError> {
        let (resource, account) = (&type_plan.resource, self.options.account.as_ref());
        loop {
            let answer = self.ask(type_plan, place, most_bytes).await;
            match &answer {
                Err(RequestError::TooLarge { .. }) if most_bytes.is_some() => return Ok(None),
                Err(error) if error.code() == Some(400) && drops_name(type_plan, place) => continue,
                _ => {}
            }
            let taken = place.cursor.take(answer).map_err(|error| ListError::of_list(resource, account, error))?;
            match taken {
                Taken::Page { body, is_last } => return Ok(Some((body, is_last))),
                Taken::TooLarge => {}
                Taken::Expired => {
                    let resource = resource.type_name();
                    tracing::info!(resource, "the list is expired; going on at its present state");
                }
            }
        }
    }

    async fn ask(&self, type_plan: &TypePlan, place: &Place, most_bytes: Option<usize>) -> Result<Bytes, RequestError> {
        let (path, selecting) = list_request(type_plan, place.with_name);
        let path = place.cursor.path(&path, selecting)?;
        let most_bytes = most_bytes.unwrap_or_else(|| place.cursor.most_bytes());
        self.client.get(&path, &Limits { most_bytes, ..self.options.limits.clone() }).await
    }

    async fn get_objects(
        &self,
        index: usize,
        objects: &[(Option<String>, String)],
        sender: &Sender,
    ) -> Result<bool, ListError> {
        let resource = &self.plan.types[index].resource;
        for (namespace, name) in objects {
            let path = resource.object_path(namespace.as_deref(), name);
            let body = match self.client.get(&path, &self.options.limits).await {
                Ok(body) => body,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(ListError::new(resource, "get", self.options.account.as_ref(), error)),
            };
            if !send(sender, index, Body::Object(body)).await {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// `false` when nobody takes pages any more.
async fn send(sender: &Sender, type_index: usize, body: Body) -> bool {
    sender.send(Ok(Page { type_index, body })).await.is_ok()
}

/// Whether the next try is without the name that the server may not take as a field selector.
fn drops_name(type_plan: &TypePlan, place: &mut Place) -> bool {
    matches!(&type_plan.request, Request::List { name: Some(_), .. }) && std::mem::take(&mut place.with_name)
}

/// Path and selectors of a list.
fn list_request(type_plan: &TypePlan, with_name: bool) -> (String, ListParams) {
    let Request::List { namespace, name, label_selector, field_selector } = &type_plan.request else {
        return (type_plan.resource.list_path(None), ListParams::default());
    };
    let name = name.as_ref().filter(|_| with_name).map(|name| field_condition("metadata.name", name));
    let fields: Vec<String> = field_selector.iter().cloned().chain(name).collect();
    let selecting = ListParams {
        label_selector: label_selector.clone(),
        field_selector: (!fields.is_empty()).then(|| fields.join(",")),
        ..ListParams::default()
    };
    (type_plan.resource.list_path(namespace.as_deref()), selecting)
}
