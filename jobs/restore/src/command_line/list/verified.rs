use drover::archives::{self, Archive};
use drover::ledger::Known;
use drover::storage::Label;
use serde::Serialize;

/// Whether an archive was seen to be whole where it lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verified {
    /// drover's ledger has it, with this size.
    Yes,
    /// No ledger was asked or has any of its Backup, and a SHA-256 is recorded beside it, which anybody may have written.
    Recorded,
    /// One of both, but it lacks types that could not be read when it was made.
    Partial,
    /// Nothing is recorded, or only beside it: somebody else put it there.
    Unknown,
    /// It was read back and differed, or has another size than when it was verified.
    Bad,
}

impl Verified {
    /// What lies beside an archive anybody may have written there, so it says something only where there is no ledger.
    pub(super) fn of(archive: &Archive, label: Option<&Label>, known: Option<&Known<'_>>, has_no_ledger: bool) -> Self {
        match known {
            _ if archive.file.is_bad => Self::Bad,
            Some(known) if known.bytes() != archive.file.bytes => Self::Bad,
            Some(known) if known.lacks_types() => Self::Partial,
            Some(_) => Self::Yes,
            None if has_no_ledger => Self::by_label(label),
            None => Self::Unknown,
        }
    }

    fn by_label(label: Option<&Label>) -> Self {
        match label.filter(|label| archives::is_verified(label)) {
            Some(label) if label.lacks_types => Self::Partial,
            Some(_) => Self::Recorded,
            None => Self::Unknown,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Recorded => "recorded",
            Self::Partial => "lacks types",
            Self::Unknown => "unknown",
            Self::Bad => "BAD",
        }
    }
}

#[cfg(test)]
mod tests {
    use drover::resources::{ArchivePlace, BackupArchive, BackupArchiveSpec};
    use drover::storage::Listed as File;

    use super::*;

    #[test]
    fn only_what_the_ledger_has_is_verified() {
        let file = File { name: "a".to_owned(), bytes: 9, modified: None, is_bad: false };
        let archive = Archive::new(file);
        let label = Label {
            bytes: 9,
            sha256: Some([7; 32].into()),
            objects: None,
            lacks_types: false,
            mac: None,
            is_bad: false,
        };
        let place = ArchivePlace::default();
        let of_ledger = |bytes, missing: &[&str]| {
            let missing_types = missing.iter().map(|name| (*name).to_owned()).collect();
            let spec = BackupArchiveSpec { bytes, missing_types, ..BackupArchiveSpec::default() };
            let line = BackupArchive::new("a", spec);
            Verified::of(&archive, Some(&label), Some(&Known { archive: &line, place: &place }), false)
        };
        assert_eq!((of_ledger(9, &[]), of_ledger(8, &[])), (Verified::Yes, Verified::Bad));
        assert_eq!(of_ledger(9, &["things.a.io"]), Verified::Partial);
        assert_eq!(Verified::of(&archive, Some(&label), None, false), Verified::Unknown);
        assert_eq!(Verified::of(&archive, Some(&label), None, true), Verified::Recorded);
    }
}
