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

use super::cursor::{Advance, Cursor};
use super::error::{AdvanceSnafu, FinishSnafu, ReadSnafu};
use super::{Body, Limits, ListError, Options, Page, RequestError, ask, continuation};
use crate::selection::{Plan, Request, ResourceType, TypePlan, field_condition};
use crate::task;

/// How large a first page that is read ahead may be: several wait at a time, so they stay small. Most types of Rancher
/// have a handful of objects, and a snapshot of them takes as long as its round trips.
const MOST_BYTES_AHEAD: usize = 1 << 20;

/// How much larger than any page a single object may be, which cannot be asked for in smaller pieces.
const SINGLE_OBJECT_FACTOR: usize = 8;

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
    let reader = Reader { client, plan, options };
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
    client: Client,
    plan: Arc<Plan>,
    options: Options,
}

/// What was read ahead of a type.
enum Beginning {
    /// Its first page, and where the next one begins.
    Page(Bytes, Option<Cursor>),
    /// Nothing.
    None,
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
        let mut cursor = Cursor::new(&self.options);
        match self.page(type_plan, &mut cursor, MOST_BYTES_AHEAD).await? {
            Some((body, more)) => Ok(Beginning::Page(body, more.then_some(cursor))),
            None => Ok(Beginning::None),
        }
    }

    /// Reads a type to its end; `false` when nobody takes the pages any more.
    async fn read_type(&self, index: usize, beginning: Beginning, sender: &Sender) -> Result<bool, ListError> {
        let type_plan = &self.plan.types[index];
        if let Request::Get { objects } = &type_plan.request {
            return self.get_objects(index, objects, sender).await;
        }
        let mut next = match beginning {
            Beginning::None => Some(Cursor::new(&self.options)),
            Beginning::Page(body, next) => {
                if !send(sender, index, Body::List(body)).await {
                    return Ok(false);
                }
                next
            }
        };
        while let Some(mut cursor) = next {
            let (body, more) = self.whole_page(type_plan, &mut cursor).await?;
            next = more.then_some(cursor);
            if !send(sender, index, Body::List(body)).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next page, in pieces as small as it takes, and whether another follows.
    async fn whole_page(&self, type_plan: &TypePlan, cursor: &mut Cursor) -> Result<(Bytes, bool), ListError> {
        loop {
            let single = if cursor.limit == 1 { SINGLE_OBJECT_FACTOR } else { 1 };
            let most_bytes = self.options.most_page_bytes.saturating_mul(single);
            if let Some(page) = self.page(type_plan, cursor, most_bytes).await? {
                return Ok(page);
            }
            if !cursor.shrink() {
                return Err(self.error(&type_plan.resource, "list", RequestError::Hold { bytes: most_bytes }));
            }
        }
    }

    /// The next page and whether another follows; `None` where it is larger than it may be.
    async fn page(
        &self,
        type_plan: &TypePlan,
        cursor: &mut Cursor,
        most_bytes: usize,
    ) -> Result<Option<(Bytes, bool)>, ListError> {
        let resource = &type_plan.resource;
        let limits = Limits { most_bytes, ..self.options.limits.clone() };
        loop {
            let (path, parameters) = list_request(type_plan, cursor);
            match ask(&self.client, &path, Some(&parameters), &limits).await {
                Ok(body) => return self.accept(type_plan, cursor, body).map(Some),
                Err(RequestError::Hold { .. }) => return Ok(None),
                Err(RequestError::Refuse { code: 410, token, .. }) if cursor.resume(token.clone()) => {
                    tracing::info!(
                        resource = resource.type_name(),
                        "the list is expired; going on at its present state"
                    );
                }
                Err(RequestError::Refuse { code: 400, .. }) if drops_name(type_plan, cursor) => {}
                Err(error) => return Err(self.error(resource, "list", error)),
            }
        }
    }

    fn accept(&self, type_plan: &TypePlan, cursor: &mut Cursor, body: Bytes) -> Result<(Bytes, bool), ListError> {
        let resource = || type_plan.resource.type_name();
        let token = continuation::token(&body).with_context(|_| ReadSnafu { resource: resource() })?;
        match cursor.advance(body.len(), token, &self.options) {
            Advance::More => Ok((body, true)),
            Advance::End => Ok((body, false)),
            Advance::Stuck => AdvanceSnafu { resource: resource() }.fail(),
        }
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
            let body = match ask(&self.client, &path, None, &self.options.limits).await {
                Ok(body) => body,
                Err(error) if error.code() == Some(404) => continue,
                Err(error) => return Err(self.error(resource, "get", error)),
            };
            if !send(sender, index, Body::Object(body)).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn error(&self, resource: &ResourceType, verb: &'static str, source: RequestError) -> ListError {
        ListError::new(resource, verb, self.options.account.as_ref(), source)
    }
}

/// `false` when nobody takes pages any more.
async fn send(sender: &Sender, type_index: usize, body: Body) -> bool {
    sender.send(Ok(Page { type_index, body })).await.is_ok()
}

/// Whether the next try is without the name that the server may not take as a field selector.
fn drops_name(type_plan: &TypePlan, cursor: &mut Cursor) -> bool {
    matches!(&type_plan.request, Request::List { name: Some(_), .. }) && cursor.drop_name()
}

fn list_request(type_plan: &TypePlan, cursor: &Cursor) -> (String, ListParams) {
    let Request::List { namespace, name, label_selector, field_selector } = &type_plan.request else {
        return (type_plan.resource.list_path(None), ListParams::default());
    };
    let name = name.as_ref().filter(|_| cursor.with_name).map(|name| field_condition("metadata.name", name));
    let fields: Vec<String> = field_selector.iter().cloned().chain(name).collect();
    let parameters = ListParams {
        label_selector: label_selector.clone(),
        field_selector: (!fields.is_empty()).then(|| fields.join(",")),
        limit: Some(cursor.limit),
        continue_token: cursor.token.clone(),
        ..ListParams::default()
    };
    (type_plan.resource.list_path(namespace.as_deref()), parameters)
}
