//! Marks: what work consists of, as annotations of Jobs and CronJobs hold it.

use std::collections::BTreeSet;

/// Marks as an annotation holds them.
pub(crate) fn text_of(marks: &BTreeSet<String>) -> String {
    marks.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// Marks out of an annotation.
pub(crate) fn marks_of(text: &str) -> BTreeSet<String> {
    text.split(',').filter(|mark| !mark.is_empty()).map(str::to_owned).collect()
}
