//! Lists in words.

/// Types that a message names.
const NAMED: usize = 5;

/// The first few of them in words, and how many more there are.
pub(crate) fn first_named(all: &[String]) -> String {
    let named = all.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
