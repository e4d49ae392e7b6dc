//! The archive: a tar.gz in the format of the Rancher backup operator, written and read as a stream.
//!
//! ```text
//! secrets.#v1/                           <plural>.<group>#<version>, the core group is empty
//! secrets.#v1/cattle-system/             a namespace
//! secrets.#v1/cattle-system/tls.json     an object, compact JSON
//! clusterroles.rbac.authorization.k8s.io#v1/u-4h2k4:view.json
//! filters/filters.json                   the ResourceSet that selected them
//! filters/drover.json                    what was listed and what was left out: see [`Contents`]
//! ```
//!
//! An encrypted object is a JSON string in the place of the object; see [`crate::encryption`].
//!
//! [`Writer`] writes one entry after another and keeps 16 bytes of each. [`Reader`] takes every byte for hostile and
//! says of an archive that it was whole only at its end; [`Spool`] is what a restore reads into before it changes
//! anything. All three block: they belong on a thread of their own (`tokio::task::spawn_blocking`).

mod content;
mod contents;
mod error;
mod format;
mod gzip;
mod header;
mod key;
mod reader;
mod scratch;
mod sealed;
mod seen;
mod spool;
mod stream;
mod writer;

#[cfg(test)]
mod tests;

pub use self::content::ContentError;
pub use self::contents::{Contents, LeftOut, ListedType, Metadata, Reason};
pub use self::error::ReadError;
pub use self::key::{Key, PathError, TypeName};
pub use self::reader::{Entry, Limits, Reader};
pub use self::sealed::Unsealing;
pub use self::spool::{EntryId, Loaded, Progress, Spool, TypeSummary};
pub use self::writer::{GZIP_LEVEL, Totals, WriteError, Writer};
