//! All live objects of a type, page by page.
//!
//! Apart from `drover::listing`, which reads what a ResourceSet selects: these requests go through the limiter with all
//! others.

use std::time::Duration;

use bytes::Bytes;
use drover::exit::{Exit, Fault};
use drover::object::ListPage;
use futures::{Stream, stream};
use snafu::{ResultExt, Snafu};

use crate::request::{RequestError, Server};
use crate::types::Type;

/// Objects of the first page: even of the largest objects (1.5 MiB) a page is no trouble then.
const FIRST_LIMIT: usize = 20;
/// Objects of any page; a larger one is hardly quicker (measured with 2.7 kB objects).
const LARGEST_LIMIT: usize = 1_000;
/// How large a page is to be, in bytes; the next limit is guessed from the objects of the last page.
const PAGE_BYTES: usize = 2 << 20;

/// The pauses before a page is asked for again where it takes another server that does not answer: one that restarts is
/// back then, and one that is away is told of within seconds.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];

/// Why a type could not be listed.
#[derive(Debug, Snafu)]
pub(crate) enum PagesError {
    /// The server refused.
    #[snafu(display("failed to list {plural:?}; may this user list it?"))]
    List {
        /// Its plural name.
        plural: String,
        /// The cause.
        source: RequestError,
    },
    /// The server sent something else.
    #[snafu(display("failed to read the server's list of {plural:?}"))]
    Read {
        /// Its plural name.
        plural: String,
        /// The cause.
        source: drover::object::ParseError,
    },
}

impl PagesError {
    /// What the server said, where it refused.
    pub(crate) const fn request(&self) -> Option<&RequestError> {
        match self {
            Self::List { source, .. } => Some(source),
            Self::Read { .. } => None,
        }
    }
}

impl Fault for PagesError {
    fn exit(&self) -> Exit {
        match self {
            Self::List { source, .. } if source.is_unreachable() => Exit::Unavailable,
            Self::List { .. } | Self::Read { .. } => Exit::Failure,
        }
    }
}

/// Where a list goes on.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Cursor {
    limit: usize,
    token: String,
}

/// The pages of all objects of a type, in whatever namespace.
pub(crate) fn pages<'a>(server: &'a Server, known: &Type) -> impl Stream<Item = Result<Bytes, PagesError>> + use<'a> {
    pages_at(server, known.plural.clone(), known.list())
}

/// The pages of all objects of a type in one namespace.
pub(crate) fn pages_in<'a>(
    server: &'a Server,
    known: &Type,
    namespace: &str,
) -> impl Stream<Item = Result<Bytes, PagesError>> + use<'a> {
    pages_at(server, known.plural.clone(), known.collection(namespace))
}

fn pages_at(server: &Server, plural: String, path: String) -> impl Stream<Item = Result<Bytes, PagesError>> {
    let first = Cursor { limit: FIRST_LIMIT, token: String::new() };
    Box::pin(stream::try_unfold(Some(first), move |cursor| {
        let (plural, path) = (plural.clone(), path.clone());
        async move {
            let Some(cursor) = cursor else { return Ok(None) };
            let page = page(server, &path, &cursor).await.with_context(|_| ListSnafu { plural: plural.clone() })?;
            let next = cursor.after(&page).context(ReadSnafu { plural })?;
            Ok(Some((page, next)))
        }
    }))
}

/// Reads a page. Where the token has expired, the server gives one that goes on behind the last object that was read.
async fn page(server: &Server, path: &str, cursor: &Cursor) -> Result<Bytes, RequestError> {
    match patiently(server, &cursor.path(path)).await {
        Err(RequestError::Refused { code: 410, continue_token: Some(token), .. }) => {
            server.get(&Cursor { limit: cursor.limit, token }.path(path)).await
        }
        other => other,
    }
}

async fn patiently(server: &Server, path: &str) -> Result<Bytes, RequestError> {
    for pause in PAUSES {
        match server.get(path).await {
            Err(error) if error.is_of_another_server() => tokio::time::sleep(pause).await,
            other => return other,
        }
    }
    server.get(path).await
}

impl Cursor {
    /// Tokens are base64 for URLs, so they stand in one as they are.
    fn path(&self, path: &str) -> String {
        format!("{path}?limit={}&continue={}", self.limit, self.token)
    }

    fn after(&self, page: &[u8]) -> Result<Option<Self>, drover::object::ParseError> {
        let list = ListPage::parse(page)?;
        let limit = next_limit(self.limit, list.items.len(), page.len());
        Ok(list.continue_token.map(|token| Self { limit, token: token.into_owned() }))
    }
}

/// At most ten times the last limit: the first objects of a type may be its small ones.
fn next_limit(last: usize, objects: usize, bytes: usize) -> usize {
    let fitting = PAGE_BYTES * objects.max(1) / bytes.max(1);
    fitting.clamp(1, (last * 10).min(LARGEST_LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_follow_the_size_of_the_objects() {
        for (last, objects, bytes, expected) in [
            (20, 20, 20 * 2_700, 200),
            (200, 200, 200 * 2_700, 776),
            (776, 776, 776 * 200, 1_000),
            (20, 20, 20 << 20, 2),
            (2, 2, 6 << 20, 1),
            (20, 0, 0, 200),
        ] {
            assert_eq!(next_limit(last, objects, bytes), expected, "{last} {objects} {bytes}");
        }
    }

    #[test]
    fn a_list_goes_on_until_there_is_no_token() {
        let cursor = Cursor { limit: 20, token: String::new() };
        let after = |page: &str| cursor.after(page.as_bytes()).unwrap().map(|next| next.path("/p"));
        let page = r#"{"metadata":{"continue":"abc_-"},"items":[]}"#;
        assert_eq!(after(page).as_deref(), Some("/p?limit=200&continue=abc_-"));
        assert_eq!(after(r#"{"metadata":{},"items":[]}"#), None);
        assert!(cursor.after(b"{}").is_err());
    }
}
