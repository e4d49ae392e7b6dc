use jiff::Timestamp;

/// An archive in a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// Its name, without the folder.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was written, where the place tells.
    pub modified: Option<Timestamp>,
    /// It is marked as a bad copy, and not read.
    pub is_bad: bool,
}
