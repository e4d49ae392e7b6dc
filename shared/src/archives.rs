//! The archives that lie at a place: by their names, and by what is recorded beside them.

mod latest;
mod stored;
mod wanted;

pub use self::latest::{Latest, LatestError, latest};
pub use self::stored::{Archive, Origin, at, is_verified, labels};
pub use self::wanted::{backup_of, latest_of};
