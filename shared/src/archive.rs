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

/// The entry that holds the ResourceSet. Only this whole path is special: an object may well be named `filters`.
const RESOURCE_SET_PATH: &str = "filters/filters.json";

/// The entry that says what was listed and what was left out. Rancher's operator passes over every path that holds
/// `filters`, so its restores are not disturbed.
const CONTENTS_PATH: &str = "filters/drover.json";

/// The directory of these entries.
const FILTERS_DIRECTORY: &str = "filters";

/// Largest object, in bytes, that is written, and that is read unless told otherwise.
///
/// etcd refuses requests above 1.5 MiB unless set otherwise, and the API server objects above 3 MiB in a request; JSON
/// is about twice the protobuf that etcd holds of a built-in type, and an encrypted object a third more in base64. One
/// object is held in memory at a time.
const OBJECT_BYTES: u64 = 8 << 20;

/// Largest [`Contents`] in bytes that is written and read: some 16,000 types.
const CONTENTS_BYTES: u64 = 4 << 20;

/// Longest path of an entry, in bytes: Linux's `PATH_MAX`, beyond which no archive could be unpacked.
const PATH_BYTES: usize = 4096;

/// A name from outside as an error shows it: readable, and not longer than a line or two.
fn shown(bytes: &[u8]) -> String {
    const CHARACTERS: usize = 200;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * CHARACTERS)]);
    let mut shown: String = text.chars().take(CHARACTERS).collect();
    if shown.len() < bytes.len() {
        shown.push('…');
    }
    shown
}
