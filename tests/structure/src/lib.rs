//! Reads the code of a workspace and says how it is built: which file imports which, in which circles, how long its functions
//! are, and what stands twice or is used by nobody. Tests are no part of it, nor are crates whose folder is `tests`.

pub mod circles;
pub mod figures;
mod imports;
mod names;
mod repeated;
mod source;
mod unused;

pub use source::{Error, File, House};
