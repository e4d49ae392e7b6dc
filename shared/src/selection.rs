//! What a ResourceSet selects of what a cluster serves.
//!
//! Of which types a cluster serves ([`Discovery`]) [`plan()`] decides which are listed and how, and [`TypePlan::selects`]
//! which of the objects that come belong to the set. Nothing here asks anybody. The rules are those of the Rancher backup
//! operator, but that each type is listed once at most, that `excludeKinds` holds without `kinds` too, and that a type which
//! is not served in the version that a selector names is taken in one that is: the version is a form of the objects, and
//! says nothing of which are meant. A snapshot and the prune of a restore both decide by [`plan()`] alone.

mod discovery;
mod error;
mod facts;
mod labels;
mod matcher;
mod pattern;
mod plan;
mod resource_type;
#[cfg(test)]
mod tests;

pub use discovery::{Discovery, Unavailable, group_of};
pub use error::PlanError;
pub use facts::Facts;
pub use pattern::{Pattern, PatternError};
pub use plan::{Plan, Request, TypePlan, Unknown, plan};
pub use resource_type::{ResourceType, segment};

pub(crate) use error::excerpt;
pub(crate) use matcher::is_api_version;
pub(crate) use plan::field_condition;
