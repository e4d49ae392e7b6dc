//! Where the reading of a type is, and how large its next page is: no I/O.

use super::Options;

/// How much faster a page may grow than the last one.
const FASTEST_GROWTH: u32 = 8;

/// How often in a row a token may be expired already when it is first used.
const MOST_EXPIRED: u8 = 5;

/// The place in the list of one type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Cursor {
    /// The server's token for the next page; `None` at the beginning.
    pub(super) token: Option<String>,
    /// How many objects are asked for.
    pub(super) limit: u32,
    /// Whether the request names the one object that matters.
    pub(super) with_name: bool,
    expired: u8,
}

/// What a page means for the list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Advance {
    /// There is a next page.
    More,
    /// It was the last one.
    End,
    /// The server gave the token that it was given, and would do so for ever.
    Stuck,
}

impl Cursor {
    pub(super) fn new(options: &Options) -> Self {
        Self { token: None, limit: options.first_limit, with_name: true, expired: 0 }
    }

    /// Goes on after a page of so many bytes.
    pub(super) fn advance(&mut self, bytes: usize, token: Option<String>, options: &Options) -> Advance {
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Advance::End;
        };
        if self.token.as_ref() == Some(&token) {
            return Advance::Stuck;
        }
        self.token = Some(token);
        self.expired = 0;
        self.limit = next_limit(self.limit, bytes, options);
        Advance::More
    }

    /// Asks for fewer objects after a page that was too large; `false` where it was a single one.
    pub(super) fn shrink(&mut self) -> bool {
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
    pub(super) fn resume(&mut self, token: Option<String>) -> bool {
        let token = token.filter(|token| !token.is_empty());
        self.expired += 1;
        let goes_on = token.is_some() && self.expired <= MOST_EXPIRED;
        if goes_on {
            self.token = token;
        }
        goes_on
    }

    /// Asks without the name, where it was asked with it.
    pub(super) fn drop_name(&mut self) -> bool {
        std::mem::replace(&mut self.with_name, false)
    }
}

/// How many objects the page after one of `limit` objects and `bytes` has.
///
/// A page that another follows has as many objects as were asked for, so they need not be counted. Where a server sends
/// fewer, the next page is larger than it should be, but never more than eight times, and the hard limit holds.
pub(super) fn next_limit(limit: u32, bytes: usize, options: &Options) -> u32 {
    let wanted = (options.page_bytes as u64).saturating_mul(u64::from(limit)) / (bytes.max(1) as u64);
    let most = limit.saturating_mul(FASTEST_GROWTH).min(options.most_limit);
    u32::try_from(wanted).unwrap_or(u32::MAX).clamp(1, most.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_limit(limit: u32, bytes: usize, expected: u32, why: &str) {
        assert_eq!(next_limit(limit, bytes, &Options::default()), expected, "{why}");
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

    fn cursor() -> Cursor {
        Cursor::new(&Options::default())
    }

    #[test]
    fn a_list_ends_without_a_token() {
        assert_eq!(cursor().advance(10, None, &Options::default()), Advance::End);
        assert_eq!(cursor().advance(10, Some(String::new()), &Options::default()), Advance::End);
    }

    #[test]
    fn the_same_token_twice_is_an_endless_list() {
        let mut cursor = cursor();
        assert_eq!(cursor.advance(10, Some("a".to_owned()), &Options::default()), Advance::More);
        assert_eq!(cursor.advance(10, Some("a".to_owned()), &Options::default()), Advance::Stuck);
    }

    #[test]
    fn a_page_that_is_too_large_is_asked_for_again_from_the_same_place() {
        let mut cursor = cursor();
        cursor.advance(270_000, Some("a".to_owned()), &Options::default());
        let limits: Vec<u32> = std::iter::from_fn(|| cursor.shrink().then_some(cursor.limit)).collect();
        assert_eq!(limits, [200, 50, 12, 3, 1]);
        assert_eq!(cursor.token.as_deref(), Some("a"));
    }

    #[test]
    fn an_expired_token_is_replaced_by_the_servers() {
        let mut cursor = cursor();
        cursor.advance(10, Some("old".to_owned()), &Options::default());
        assert!(cursor.resume(Some("new".to_owned())));
        assert_eq!(cursor.token.as_deref(), Some("new"));
        assert!(!cursor.resume(None), "a list that cannot go on is never begun anew in silence");
        assert_eq!(cursor.token.as_deref(), Some("new"));
    }

    #[test]
    fn tokens_that_are_expired_at_once_come_to_an_end() {
        let mut cursor = cursor();
        let count = std::iter::from_fn(|| cursor.resume(Some("new".to_owned())).then_some(())).take(100).count();
        assert_eq!(count, 5);
        cursor.advance(10, Some("next".to_owned()), &Options::default());
        assert!(cursor.resume(Some("new".to_owned())), "a page in between begins the count anew");
    }

    #[test]
    fn the_name_is_dropped_once() {
        let mut cursor = cursor();
        assert!(cursor.drop_name());
        assert!(!cursor.drop_name());
    }
}
