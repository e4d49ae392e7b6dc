//! Every entry of an archive, one by one: they are not held together in memory.

use std::io::{self, Write};

use drover::archive::{EntryId, Spool};
use drover::encryption::Seal;
use serde::ser::{Error, Serialize, SerializeSeq, Serializer};

use crate::report::printable::printable;

/// The objects of an archive, in its order.
pub(crate) struct Entries<'a>(pub(crate) &'a Spool);

/// One entry. Fields are added, never changed.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    /// The path in the archive.
    path: String,
    /// Bytes of the object's JSON; of the entry where it stayed encrypted.
    bytes: u64,
    /// What it is encrypted with in the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<Encryption<'a>>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Encryption<'a> {
    provider: &'a str,
    key: &'a str,
}

impl Entries<'_> {
    /// Writes a line for each.
    pub(crate) fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "Entries")?;
        for id in self.0.ids() {
            let Entry { path, bytes, encryption } = self.entry(id)?;
            write!(out, "  {}  {bytes} bytes", printable(&path))?;
            if let Some(Encryption { provider, key }) = encryption {
                write!(out, "  key {} of {}", printable(&format!("{key:?}")), printable(provider))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn entry(&self, id: EntryId) -> io::Result<Entry<'_>> {
        let encryption = self.0.seal_of(id).map(|Seal { provider, key }| Encryption { provider, key });
        Ok(Entry { path: self.0.key(id)?.path(), bytes: self.0.bytes_of(id), encryption })
    }
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for id in self.0.ids() {
            list.serialize_element(&self.entry(id).map_err(S::Error::custom)?)?;
        }
        list.end()
    }
}
