//! What stands recorded beside an archive.
//!
//! A bucket keeps it as metadata of the object. In a folder it is a file in the format of `sha256sum`, so that
//! `sha256sum -c` proves the archive without drover:
//!
//! ```text
//! # objects: 700
//! # lacks types
//! # hmac-sha256: 1f0c3b7e…88d12
//! 4355a46b…39eaa  rancher-daily-….tar.gz
//! ```
//!
//! The second line stands there only where types could not be read when the archive was made, the third only where its
//! Backup names an encryption configuration.

use std::collections::HashMap;

use crate::digest::{Content, Sha256};

/// The name of the metadata that holds the SHA-256 in hexadecimal.
const DIGEST_METADATA: &str = "drover-sha256";

/// The name of the metadata that holds the number of objects.
const OBJECTS_METADATA: &str = "drover-objects";

/// The name of the metadata that an archive has which lacks types.
const LACKS_TYPES_METADATA: &str = "drover-lacks-types";

/// The line of a file beside such an archive.
const LACKS_TYPES_LINE: &str = "# lacks types";

/// What stands before the number of objects in a file.
const OBJECTS_LINE: &str = "# objects: ";

/// The name of the metadata that holds the MAC in hexadecimal.
const MAC_METADATA: &str = "drover-hmac-sha256";

/// What stands before the MAC in a file.
const MAC_LINE: &str = "# hmac-sha256: ";

/// What is recorded with an archive when it is stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parcel {
    /// Its size and digest.
    pub content: Content,
    /// How many objects it holds, where that is known.
    pub objects: Option<u64>,
    /// Whether it lacks types that could not be read, so that it is no backup.
    pub lacks_types: bool,
    /// Its MAC, where it has one.
    pub mac: Option<Sha256>,
}

impl From<Content> for Parcel {
    fn from(content: Content) -> Self {
        Self { content, objects: None, lacks_types: false, mac: None }
    }
}

/// What stands recorded beside an archive. It is what was announced: only reading the archive proves it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Label {
    /// The size of the archive as it lies there, in bytes.
    pub bytes: u64,
    /// Its SHA-256, where one is recorded.
    pub sha256: Option<Sha256>,
    /// How many objects it holds, where that is recorded.
    pub objects: Option<u64>,
    /// It lacks types that could not be read when it was made.
    pub lacks_types: bool,
    /// Its MAC, where one is recorded. Who has the key that made it knows who made the archive.
    pub mac: Option<Sha256>,
    /// It is marked as a bad copy, and not read.
    pub is_bad: bool,
}

/// Digest, number of objects and MAC, as they are recorded; what cannot be read is as good as missing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Recorded {
    pub(super) sha256: Option<Sha256>,
    pub(super) objects: Option<u64>,
    pub(super) lacks_types: bool,
    pub(super) mac: Option<Sha256>,
}

impl From<Parcel> for Recorded {
    fn from(parcel: Parcel) -> Self {
        let Parcel { content, objects, lacks_types, mac } = parcel;
        Self { sha256: Some(content.sha256), objects, lacks_types, mac }
    }
}

impl Recorded {
    /// The text of the file beside the archive `name`.
    pub(super) fn file(parcel: Parcel, name: &str) -> String {
        let objects = parcel.objects.map(|objects| format!("{OBJECTS_LINE}{objects}\n")).unwrap_or_default();
        let lacks_types = if parcel.lacks_types { format!("{LACKS_TYPES_LINE}\n") } else { String::new() };
        let mac = parcel.mac.map(|mac| format!("{MAC_LINE}{mac}\n")).unwrap_or_default();
        format!("{objects}{lacks_types}{mac}{}  {name}\n", parcel.content.sha256)
    }

    /// Reads the file beside the archive `name`, which anybody may have written.
    pub(super) fn of_file(text: &str, name: &str) -> Self {
        let digest = |line: &str| {
            let (digest, named) = line.split_once(' ')?;
            // A space or an asterisk tells how `sha256sum` read the file: as text or as bytes.
            let named = named.strip_prefix([' ', '*'])?;
            if named == name { digest.parse().ok() } else { None }
        };
        Self {
            sha256: text.lines().find_map(digest),
            objects: text.lines().find_map(|line| line.strip_prefix(OBJECTS_LINE)?.trim().parse().ok()),
            lacks_types: text.lines().any(|line| line.trim() == LACKS_TYPES_LINE),
            mac: text.lines().find_map(|line| line.strip_prefix(MAC_LINE)?.trim().parse().ok()),
        }
    }

    /// The metadata of an object.
    pub(super) fn metadata(parcel: Parcel) -> HashMap<String, String> {
        let digest = (DIGEST_METADATA.to_owned(), parcel.content.sha256.to_string());
        let objects = parcel.objects.map(|objects| (OBJECTS_METADATA.to_owned(), objects.to_string()));
        let lacks_types = parcel.lacks_types.then(|| (LACKS_TYPES_METADATA.to_owned(), "true".to_owned()));
        let mac = parcel.mac.map(|mac| (MAC_METADATA.to_owned(), mac.to_string()));
        std::iter::once(digest).chain(objects).chain(lacks_types).chain(mac).collect()
    }

    /// Reads the metadata of an object.
    pub(super) fn of_metadata(metadata: &HashMap<String, String>) -> Self {
        let text = |key: &str| metadata.get(key).map(|text| text.trim());
        Self {
            sha256: text(DIGEST_METADATA).and_then(|text| text.parse().ok()),
            objects: text(OBJECTS_METADATA).and_then(|text| text.parse().ok()),
            lacks_types: text(LACKS_TYPES_METADATA).is_some(),
            mac: text(MAC_METADATA).and_then(|text| text.parse().ok()),
        }
    }

    /// Whether all that is to be recorded of this parcel is.
    pub(super) fn covers(self, parcel: Parcel) -> bool {
        self.sha256 == Some(parcel.content.sha256)
            && (parcel.objects.is_none() || self.objects == parcel.objects)
            && self.lacks_types == parcel.lacks_types
            && (parcel.mac.is_none() || self.mac == parcel.mac)
    }

    pub(super) const fn label(self, bytes: u64, is_bad: bool) -> Label {
        let Self { sha256, objects, lacks_types, mac } = self;
        Label { bytes, sha256, objects, lacks_types, mac, is_bad }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(objects: Option<u64>) -> Parcel {
        Parcel { content: Content { bytes: 7, sha256: [0xab; 32].into() }, objects, lacks_types: false, mac: None }
    }

    #[test]
    fn what_is_recorded_is_read_again() {
        let mac = Some([0xcd; 32].into());
        for (objects, lacks_types, mac) in
            [(None, false, None), (Some(0), true, mac), (Some(700), false, mac), (None, true, None)]
        {
            let parcel = Parcel { lacks_types, mac, ..parcel(objects) };
            let text = Recorded::file(parcel, "a b.tar.gz");
            for read in [
                Recorded::of_file(&text, "a b.tar.gz"),
                Recorded::of_metadata(&Recorded::metadata(parcel)),
                Recorded::from(parcel),
            ] {
                let expected = Recorded { sha256: Some([0xab; 32].into()), objects, lacks_types, mac };
                assert_eq!(read, expected, "{text}");
                assert!(read.covers(parcel));
            }
        }
    }

    #[test]
    fn a_number_of_objects_that_is_not_known_takes_none_away() {
        let recorded = Recorded::from(parcel(Some(700)));
        assert!(recorded.covers(parcel(None)) && !recorded.covers(parcel(Some(699))));
        assert!(!Recorded::from(parcel(None)).covers(parcel(Some(700))));
    }

    #[test]
    fn a_mac_that_is_missing_or_another_is_recorded_anew_and_none_takes_none_away() {
        let with = |mac: Option<Sha256>| Parcel { mac, ..parcel(None) };
        let (one, other) = (Some([0xcd; 32].into()), Some([0xce; 32].into()));
        assert!(Recorded::from(with(one)).covers(with(one)) && Recorded::from(with(one)).covers(with(None)));
        assert!(!Recorded::from(with(None)).covers(with(one)) && !Recorded::from(with(other)).covers(with(one)));
    }

    #[test]
    fn the_file_is_that_of_sha256sum() {
        let expected = format!("# objects: 700\n{}  a.tar.gz\n", "ab".repeat(32));
        assert_eq!(Recorded::file(parcel(Some(700)), "a.tar.gz"), expected);
        let expected = format!("# hmac-sha256: {}\n{}  a.tar.gz\n", "cd".repeat(32), "ab".repeat(32));
        assert_eq!(Recorded::file(Parcel { mac: Some([0xcd; 32].into()), ..parcel(None) }, "a.tar.gz"), expected);
    }

    #[test]
    fn what_cannot_be_read_is_as_good_as_missing() {
        let digest = "ab".repeat(32);
        for text in [
            String::new(),
            "# objects: many\n".to_owned(),
            "# objects: -1\nab  a.tar.gz\n".to_owned(),
            format!("# hmac-sha256: {}\n", &digest[1..]),
            format!("{digest}  b.tar.gz\n"),
            format!("{digest}0  a.tar.gz\n"),
            format!("{digest} a.tar.gz\n"),
        ] {
            assert_eq!(Recorded::of_file(&text, "a.tar.gz"), Recorded::default(), "{text:?}");
        }
        assert!(Recorded::of_file(&format!("{digest} *a.tar.gz\n"), "a.tar.gz").sha256.is_some());
        let metadata = [DIGEST_METADATA, MAC_METADATA].map(|name| (name.to_owned(), "x".to_owned()));
        let metadata = HashMap::from(metadata);
        assert_eq!(Recorded::of_metadata(&metadata), Recorded::default());
    }
}
