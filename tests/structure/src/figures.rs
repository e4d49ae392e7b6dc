//! What is counted.

use crate::source::House;
use crate::{circles, repeated, unused};

/// The longest that a function may be, in lines.
const MAX_LINES: usize = 50;

/// A body of fewer words stands twice by chance: a getter, a call handed on.
const LEAST_WORDS: usize = 30;

/// A count and what was counted.
#[derive(Debug)]
pub struct Figure {
    /// What was counted.
    pub what: String,
    /// How many.
    pub count: usize,
    /// Which, where that can be looked at.
    pub details: Vec<String>,
}

impl Figure {
    fn count(what: impl Into<String>, count: usize) -> Self {
        Self { what: what.into(), count, details: Vec::new() }
    }

    fn list(what: impl Into<String>, details: Vec<String>) -> Self {
        Self { what: what.into(), count: details.len(), details }
    }
}

/// Every figure of the product's code, without its tests.
#[must_use]
pub fn all(house: &House) -> Vec<Figure> {
    let functions = repeated::functions(house);
    let mut lengths: Vec<usize> = functions.iter().map(|function| function.lines).collect();
    lengths.sort_unstable();
    let part = |percent: usize| lengths.get(lengths.len() * percent / 100).copied().unwrap_or_default();
    let long = functions.iter().filter(|function| function.lines > MAX_LINES);
    let one_word = functions.iter().filter(|function| !function.is_method && !function.name.contains('_'));
    let place = |function: &repeated::Function| format!("{} {}", function.place, function.name);
    vec![
        Figure::count("files", house.files.len()),
        Figure::count("lines, those of tests in the same files too", house.files.iter().map(|file| file.lines).sum()),
        Figure::count("functions", functions.len()),
        Figure::count("lines of a function, median", part(50)),
        Figure::count("lines of a function, 95th percentile", part(95)),
        Figure::list(format!("functions of more than {MAX_LINES} lines"), long.map(place).collect()),
        Figure::list("import circles", circles::all(house).iter().map(|circle| format!("{circle}")).collect()),
        Figure::list("open items that nobody names", unused::items(house)),
        Figure::list("bodies of functions that stand more than once", repeated::bodies(&functions, LEAST_WORDS)),
        Figure::list("functions, no methods, with a name of one word", one_word.map(place).collect()),
        Figure::list("type names that are used more than once", repeated::type_names(house)),
    ]
}
