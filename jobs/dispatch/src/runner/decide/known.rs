//! What is known, and what follows from that alone.

mod case;
mod place;
mod told;
mod world;

pub(crate) use case::Case;
pub(crate) use place::Place;
pub(crate) use told::{blocking, is_blocked_by, said_stalled, tells_obstacle};
pub(crate) use world::World;
