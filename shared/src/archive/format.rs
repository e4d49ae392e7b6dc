//! What writing and reading have in common: the paths of entries that hold no object, how large an entry may be, and how
//! errors show a name.

/// The entry that holds the ResourceSet. Only this whole path is special: an object may well be named `filters`.
pub(super) const RESOURCE_SET_PATH: &str = "filters/filters.json";

/// The entry that says what was listed and what was left out. Rancher's operator passes over every path that holds
/// `filters`, so its restores are not disturbed.
pub(super) const CONTENTS_PATH: &str = "filters/drover.json";

/// The directory of these entries.
pub(super) const FILTERS_DIRECTORY: &str = "filters";

/// Largest object, in bytes, that is written, and that is read unless told otherwise.
///
/// etcd refuses requests above 1.5 MiB unless set otherwise, and the API server objects above 3 MiB in a request; JSON
/// is about twice the protobuf that etcd holds of a built-in type, and an encrypted object a third more in base64. One
/// object is held in memory at a time.
pub(super) const OBJECT_BYTES: u64 = 8 << 20;

/// Largest [`Contents`](super::Contents) in bytes that is written and read: some 16,000 types.
pub(super) const CONTENTS_BYTES: u64 = 4 << 20;

/// Longest path of an entry, in bytes: Linux's `PATH_MAX`, beyond which no archive could be unpacked.
pub(super) const PATH_BYTES: usize = 4096;

/// A name from outside as an error shows it: readable, and not longer than a line or two.
pub(super) fn shown(bytes: &[u8]) -> String {
    const CHARACTERS: usize = 200;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * CHARACTERS)]);
    let mut shown: String = text.chars().take(CHARACTERS).collect();
    if shown.len() < bytes.len() {
        shown.push('…');
    }
    shown
}
