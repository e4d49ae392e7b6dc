//! What became of it, as people and programs read it.

pub(crate) mod again;
pub(crate) mod causes;
pub(crate) mod outcome;
pub(crate) mod printable;
pub(crate) mod progress;
pub(crate) mod results;
pub(crate) mod stored_report;
pub(crate) mod told;
pub(crate) mod unchanged;
