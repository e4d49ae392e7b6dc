//! Expired archives go, at every place, and take no backup with them.

mod chain;
mod denied;
mod histories;
mod keeping;
mod ledger;
mod policies;
mod rounds;
mod stamps;
mod unknown;
