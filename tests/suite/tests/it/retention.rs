//! Expired archives go, at every place, and take no backup with them.

mod chain;
mod denied;
mod keeping;
mod policies;
mod rounds;
