//! Where the reading of a list is, and what each answer means for it: no I/O.

use bytes::Bytes;
use kube::api::ListParams;
use snafu::{ResultExt, Snafu};

use super::error::request_error::BuildSnafu;
use super::{RequestError, continuation};

/// How much faster a page may grow than the last one: the first objects of a type may be its small ones.
const FASTEST_GROWTH: u32 = 8;

/// How often in a row a token may be expired already when it is first used.
const MOST_EXPIRED: u8 = 5;

/// How much larger than any page a single object may be, which cannot be asked for in smaller pieces.
const SINGLE_OBJECT_FACTOR: usize = 8;

/// How large pages are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PageSizes {
    /// How large a page should be, in bytes.
    pub page_bytes: usize,
    /// How large a page may be, in bytes; one that is larger is dropped and asked for again with fewer objects.
    pub most_page_bytes: usize,
    /// How many objects the first page has.
    pub first_limit: u32,
    /// How many objects a page has at most.
    pub most_limit: u32,
}

/// The place in a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cursor {
    sizes: PageSizes,
    /// The server's token for the next page; `None` at the beginning.
    token: Option<String>,
    /// How many objects are asked for.
    limit: u32,
    expired: u8,
}

/// What an answer brought.
#[derive(Debug)]
pub enum Taken {
    /// A page.
    Page {
        /// The list of its objects.
        body: Bytes,
        /// Whether no other follows.
        is_last: bool,
    },
    /// Nothing: it would be too large, and fewer objects are asked for.
    TooLarge,
    /// Nothing: the token was expired, and the list goes on at its present state.
    Expired,
}

/// Why a list does not go on.
#[derive(Debug, Snafu)]
pub enum PageError {
    /// There is no answer.
    #[snafu(transparent)]
    Ask {
        /// The cause.
        source: RequestError,
    },
    /// The answer is no list of Kubernetes.
    #[snafu(display("failed to read a list"))]
    Read {
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The server gave the token that it was given, and would do so for ever.
    #[snafu(display("the server repeats one page for ever"))]
    Repeat,
}

impl Cursor {
    /// The beginning of a list.
    #[must_use]
    pub const fn new(sizes: PageSizes) -> Self {
        Self { sizes, token: None, limit: sizes.first_limit, expired: 0 }
    }

    /// The path of the next page of the list at `path`, of what these parameters select.
    ///
    /// # Errors
    /// When no request can be made of them.
    pub fn path(&self, path: &str, selecting: ListParams) -> Result<String, RequestError> {
        let page = ListParams { limit: Some(self.limit), continue_token: self.token.clone(), ..selecting };
        let request = kube::core::Request::new(path).list(&page).context(BuildSnafu { path })?;
        Ok(request.uri().to_string())
    }

    /// How large the next page may be.
    #[must_use]
    pub const fn most_bytes(&self) -> usize {
        let factor = if self.limit == 1 { SINGLE_OBJECT_FACTOR } else { 1 };
        self.sizes.most_page_bytes.saturating_mul(factor)
    }

    /// Goes on after the answer to a request for the next page.
    ///
    /// # Errors
    /// When the list cannot go on.
    pub fn take(&mut self, answer: Result<Bytes, RequestError>) -> Result<Taken, PageError> {
        match answer {
            Ok(body) => self.advance(body),
            Err(RequestError::TooLarge { .. }) if self.shrink() => Ok(Taken::TooLarge),
            Err(RequestError::Refused { code: 410, continue_token, .. }) if self.resume(continue_token.as_ref()) => {
                Ok(Taken::Expired)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn advance(&mut self, body: Bytes) -> Result<Taken, PageError> {
        let token = continuation::token(&body).context(ReadSnafu)?.filter(|token| !token.is_empty());
        let is_last = token.is_none();
        if !is_last {
            if self.token == token {
                return RepeatSnafu.fail();
            }
            self.token = token;
            self.expired = 0;
            self.limit = next_limit(self.limit, body.len(), &self.sizes);
        }
        Ok(Taken::Page { body, is_last })
    }

    /// Asks for fewer objects after a page that was too large; `false` where it was a single one.
    fn shrink(&mut self) -> bool {
        let smaller = (self.limit / 4).max(1);
        let shrunk = smaller < self.limit;
        self.limit = smaller;
        shrunk
    }

    /// Goes on after the server said that the token is expired (410), with the token that it gave in its place.
    ///
    /// That token leads on from the last object that was returned, in the order of the keys, at the present state: what
    /// existed all the time is neither lost nor doubled. `false` where there is none, which kube-apiserver does not do:
    /// then the list cannot go on. It is not begun anew, since that would need the key of every object that went out
    /// already, for a case that only foreign servers could bring about; the run fails and is repeated.
    fn resume(&mut self, token: Option<&String>) -> bool {
        let token = token.filter(|token| !token.is_empty());
        self.expired += 1;
        let goes_on = token.is_some() && self.expired <= MOST_EXPIRED;
        if goes_on {
            self.token = token.cloned();
        }
        goes_on
    }
}

/// How many objects the page after one of `limit` objects and `bytes` has.
///
/// A page that another follows has as many objects as were asked for, so they need not be counted. Where a server sends
/// fewer, the next page is larger than it should be, but never more than eight times, and the hard limit holds.
fn next_limit(limit: u32, bytes: usize, sizes: &PageSizes) -> u32 {
    let wanted = (sizes.page_bytes as u64).saturating_mul(u64::from(limit)) / (bytes.max(1) as u64);
    let most = limit.saturating_mul(FASTEST_GROWTH).min(sizes.most_limit);
    u32::try_from(wanted).unwrap_or(u32::MAX).clamp(1, most.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of a snapshot.
    const SIZES: PageSizes =
        PageSizes { page_bytes: 15 << 18, most_page_bytes: 8 << 20, first_limit: 100, most_limit: 5_000 };

    #[track_caller]
    fn check_limit(limit: u32, bytes: usize, expected: u32, why: &str) {
        assert_eq!(next_limit(limit, bytes, &SIZES), expected, "{why}");
    }

    #[test]
    fn pages_adapt_to_the_size_of_the_objects() {
        check_limit(100, 270_000, 800, "small objects: eight times as many");
        check_limit(800, 2_160_000, 1_456, "as many as make nearly four MiB");
        check_limit(1_456, 3_931_200, 1_456, "and it stays there");
        check_limit(5_000, 100_000, 5_000, "never over the maximum");
        check_limit(100, 80_000_000, 4, "large objects: fewer");
        check_limit(1, 1_500_000, 2, "objects at etcd's limit");
        check_limit(1, 6_000_000, 1, "never none");
        check_limit(100, 0, 800, "an empty body divides nothing");
        check_limit(u32::MAX, 1, 5_000, "no overflow");
    }

    /// What a page with this token comes to.
    fn take_page(cursor: &mut Cursor, token: &str) -> Result<Taken, PageError> {
        cursor.take(Ok(format!(r#"{{"metadata":{{"continue":"{token}"}},"items":[]}}"#).into()))
    }

    fn expired(token: Option<&str>) -> Result<Bytes, RequestError> {
        let (reason, message, continue_token) = (String::new(), String::new(), token.map(str::to_owned));
        Err(RequestError::Refused { code: 410, reason, message, retry_after: None, continue_token })
    }

    fn too_large() -> Result<Bytes, RequestError> {
        Err(RequestError::TooLarge { path: "/p".to_owned(), bytes: 1 })
    }

    fn is_last(taken: &Result<Taken, PageError>) -> Option<bool> {
        if let Ok(Taken::Page { is_last, .. }) = taken { Some(*is_last) } else { None }
    }

    #[test]
    fn a_list_goes_on_until_there_is_no_token() {
        let mut cursor = Cursor::new(SIZES);
        let all = || ListParams::default();
        assert_eq!(cursor.path("/p", all()).unwrap(), "/p?&limit=100");
        assert_eq!(is_last(&take_page(&mut cursor, "abc_-")), Some(false));
        let selecting = all().labels("a=b");
        assert_eq!(cursor.path("/p", selecting).unwrap(), "/p?&labelSelector=a%3Db&limit=800&continue=abc_-");
        assert_eq!(is_last(&take_page(&mut cursor, "")), Some(true));
        assert!(matches!(cursor.take(Ok("{}".into())), Err(PageError::Read { .. })));
    }

    #[test]
    fn the_same_token_twice_is_an_endless_list() {
        let mut cursor = Cursor::new(SIZES);
        assert_eq!(is_last(&take_page(&mut cursor, "a")), Some(false));
        assert!(matches!(take_page(&mut cursor, "a"), Err(PageError::Repeat)));
    }

    #[test]
    fn a_page_that_is_too_large_is_asked_for_again_from_the_same_place() {
        let mut cursor = Cursor { limit: 800, token: Some("a".to_owned()), ..Cursor::new(SIZES) };
        let mut limits = Vec::new();
        while let Ok(Taken::TooLarge) = cursor.take(too_large()) {
            limits.push((cursor.limit, cursor.most_bytes() >> 20));
        }
        assert_eq!(limits, [(200, 8), (50, 8), (12, 8), (3, 8), (1, 64)]);
        assert_eq!(cursor.token.as_deref(), Some("a"));
    }

    #[test]
    fn an_expired_token_is_replaced_by_the_servers() {
        let mut cursor = Cursor { token: Some("old".to_owned()), ..Cursor::new(SIZES) };
        assert!(matches!(cursor.take(expired(Some("new"))), Ok(Taken::Expired)));
        assert_eq!(cursor.token.as_deref(), Some("new"));
        assert!(cursor.take(expired(None)).is_err(), "a list that cannot go on is never begun anew in silence");
        assert_eq!(cursor.token.as_deref(), Some("new"));
    }

    #[test]
    fn tokens_that_are_expired_at_once_come_to_an_end() {
        let mut cursor = Cursor::new(SIZES);
        let resumes = |cursor: &mut Cursor| cursor.take(expired(Some("new"))).is_ok();
        assert_eq!((0..100).take_while(|_| resumes(&mut cursor)).count(), 5);
        assert_eq!(is_last(&take_page(&mut cursor, "next")), Some(false));
        assert!(resumes(&mut cursor), "a page in between begins the count anew");
    }
}
