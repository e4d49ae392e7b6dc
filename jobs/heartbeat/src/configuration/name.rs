/// The longest name, in bytes: it stands in the memory of each Backup, which has little room.
pub(crate) const NAME_BYTES: usize = 63;

/// How the names of monitors begin that annotations name.
pub(crate) const ANNOTATED: &str = "secret/";
