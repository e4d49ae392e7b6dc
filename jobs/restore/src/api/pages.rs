//! All live objects of a type, page by page, through the limiter with all other requests of a restore.

use std::time::Duration;

use bytes::Bytes;
use drover::api::{Cursor, PageError, PageSizes, Request, RequestError, Taken};
use drover::listing::ListError;
use drover::selection::ResourceType;
use futures::{Stream, stream};
use kube::api::ListParams;

use crate::api::request::Server;
use crate::apply::away::is_of_another_server;
use crate::survey::types::Type;

/// The first page is no trouble even with the largest objects (1.5 MiB), and one of more than a thousand objects is hardly
/// quicker (measured with objects of 2.7 kB).
const SIZES: PageSizes =
    PageSizes { page_bytes: 2 << 20, most_page_bytes: 32 << 20, first_limit: 20, most_limit: 1_000 };

/// The pauses before a page is asked for again where it takes another server that does not answer: one that restarts is
/// back then, and one that is away is told of within seconds.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];

/// The pages of all objects of a type, in whatever namespace.
pub(crate) fn pages<'a>(server: &'a Server, known: &Type) -> impl Stream<Item = Result<Bytes, ListError>> + use<'a> {
    pages_at(server, known.resource.clone(), known.list_path(None))
}

/// The pages of all objects of a type in one namespace.
pub(crate) fn pages_in<'a>(
    server: &'a Server,
    known: &Type,
    namespace: &str,
) -> impl Stream<Item = Result<Bytes, ListError>> + use<'a> {
    pages_at(server, known.resource.clone(), known.list_path(Some(namespace)))
}

fn pages_at(server: &Server, resource: ResourceType, path: String) -> impl Stream<Item = Result<Bytes, ListError>> {
    Box::pin(stream::try_unfold(Some(Cursor::new(SIZES)), move |cursor| {
        let (resource, path) = (resource.clone(), path.clone());
        async move {
            let Some(mut cursor) = cursor else { return Ok(None) };
            let page = page(server, &path, &mut cursor).await;
            let (page, is_last) = page.map_err(|error| not_listed(&resource, error))?;
            Ok(Some((page, (!is_last).then_some(cursor))))
        }
    }))
}

/// The next page, and whether it is the last one.
async fn page(server: &Server, path: &str, cursor: &mut Cursor) -> Result<(Bytes, bool), PageError> {
    loop {
        let answer = patiently(server, &cursor.path(path, ListParams::default())?, cursor.most_bytes()).await;
        if let Taken::Page { body, is_last } = cursor.take(answer)? {
            return Ok((body, is_last));
        }
    }
}

async fn patiently(server: &Server, path: &str, most_bytes: usize) -> Result<Bytes, RequestError> {
    for pause in PAUSES {
        match server.read(Request::get(path), most_bytes).await {
            Err(error) if is_of_another_server(&error) => tokio::time::sleep(pause).await,
            other => return other,
        }
    }
    server.read(Request::get(path), most_bytes).await
}

/// Why there is no list. It is asked for without selectors, so none of them is wrong.
fn not_listed(resource: &ResourceType, error: PageError) -> ListError {
    match ListError::of_list(resource, None, error) {
        ListError::Select { resource, source } => ListError::Ask { resource, verb: "list", source },
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use drover::exit::{Exit, Fault};

    use super::*;
    use crate::apply::namespaces::NamespacesError;
    use crate::survey::live::LiveError;

    fn refused(code: u16) -> ListError {
        let (reason, message) = (String::new(), "no".to_owned());
        let error = RequestError::Refused { code, reason, message, retry_after: None, continue_token: None };
        not_listed(&ResourceType::default(), error.into())
    }

    #[test]
    fn a_list_that_is_refused_for_good_ends_a_restore_as_it_ends_a_snapshot() {
        let (failure, usage, unavailable) = (Exit::Failure, Exit::Usage, Exit::Unavailable);
        for (code, expected) in [(400, failure), (403, usage), (429, unavailable), (503, unavailable)] {
            assert_eq!(LiveError::from(refused(code)).exit(), expected, "{code}");
            assert_eq!(NamespacesError::from(refused(code)).exit(), expected, "{code}");
            assert_eq!(refused(code).request().and_then(RequestError::code), Some(code));
        }
    }
}
