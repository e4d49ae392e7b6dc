//! Which names are nearest to one that is not there.

use std::fmt;

/// How many names are told.
const MOST: usize = 3;

/// The names that are nearest to one that is not there, the nearest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Nearest(Vec<String>);

impl fmt::Display for Nearest {
    /// Continues a sentence that says what is missing.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(|name| format!("{name:?}")).collect();
        if names.is_empty() { Ok(()) } else { write!(formatter, "; the nearest there: {}", names.join(", ")) }
    }
}

/// The names seen so far that are nearest to the wanted one.
#[derive(Debug)]
pub struct Search<'a> {
    wanted: &'a str,
    /// Distance and name, in order.
    found: Vec<(usize, String)>,
}

impl<'a> Search<'a> {
    /// None was seen yet.
    #[must_use]
    pub const fn for_name(wanted: &'a str) -> Self {
        Self { wanted, found: Vec::new() }
    }

    /// Looks at a name. One of which more than half is different is no help.
    pub fn see(&mut self, name: String) {
        let distance = strsim::levenshtein(self.wanted, &name);
        if distance * 2 <= self.wanted.len().max(name.len()) {
            let place = self.found.partition_point(|known| (known.0, &known.1) <= (distance, &name));
            self.found.insert(place, (distance, name));
            self.found.truncate(MOST);
        }
    }

    /// What was found.
    #[must_use]
    pub fn end(self) -> Nearest {
        Nearest(self.found.into_iter().map(|(_, name)| name).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wanted: &str, names: &[&str], expected: &[&str]) {
        let mut search = Search::for_name(wanted);
        for name in names {
            search.see((*name).to_owned());
        }
        assert_eq!(search.end().0, expected, "{wanted:?}");
    }

    #[test]
    fn three_names_at_most_are_told_the_nearest_first() {
        let names = ["daily-4.tar.gz", "daily-1.tar.gz.enc", "daily-2.tar.gz", "daily-11.tar.gz", "weekly-31.tar"];
        check("daily-1.tar.gz", &names, &["daily-11.tar.gz", "daily-2.tar.gz", "daily-4.tar.gz"]);
        check("x", &names, &[]);
        check("daily-1.tar.gz", &[], &[]);
    }

    #[test]
    fn names_are_quoted_and_none_says_nothing() {
        let nearest = Nearest(vec!["a".to_owned(), "b\"".to_owned()]);
        assert_eq!(nearest.to_string(), "; the nearest there: \"a\", \"b\\\"\"");
        assert_eq!(Nearest::default().to_string(), "");
    }
}
