//! What is known of the archive.

pub(crate) mod account;
pub(crate) mod authenticity;
pub(crate) mod entries;
pub(crate) mod facts;
pub(crate) mod file_name;
pub(crate) mod inspect;
pub(crate) mod part;
pub(crate) mod recorded;
pub(crate) mod twins;
pub(crate) mod unselected;
