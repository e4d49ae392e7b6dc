//! The one layer of an image: a tar archive that is the same for the same files.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Result, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::recipe::Recipe;

/// The blob that was written.
pub(super) struct Blob {
    pub(super) digest: String,
    pub(super) bytes: u64,
}

impl Blob {
    pub(super) fn of(content: &[u8]) -> Self {
        Self { digest: hex::encode(Sha256::digest(content)), bytes: content.len() as u64 }
    }
}

/// Writes the layer of a recipe to a file.
pub(super) fn write(recipe: &Recipe, path: &Path) -> Result<Blob> {
    let mut builder = Builder::new(Hashing { file: File::create(path)?, hash: Sha256::new(), bytes: 0 });
    for folder in folders(recipe) {
        builder.append_data(&mut header(EntryType::Directory, 0o755, 0), folder, std::io::empty())?;
    }
    builder.append_data(&mut header(EntryType::Directory, 0o1777, 0), "tmp", std::io::empty())?;
    for (place, source) in &recipe.files {
        let file = File::open(source)?;
        let mut header = header(EntryType::Regular, 0o755, file.metadata()?.len());
        builder.append_data(&mut header, place.trim_start_matches('/'), file)?;
    }
    for (place, target) in &recipe.links {
        builder.append_link(&mut header(EntryType::Symlink, 0o777, 0), place.trim_start_matches('/'), target)?;
    }
    let Hashing { hash, bytes, .. } = builder.into_inner()?;
    Ok(Blob { digest: hex::encode(hash.finalize()), bytes })
}

/// The folders that the files lie in, those above first.
fn folders(recipe: &Recipe) -> BTreeSet<String> {
    let places = recipe.files.keys().chain(recipe.links.keys());
    let above = places.flat_map(|place| Path::new(place.trim_start_matches('/')).ancestors().skip(1));
    above.map(|folder| folder.display().to_string()).filter(|folder| !folder.is_empty() && folder != "tmp").collect()
}

fn header(kind: EntryType, mode: u32, bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(bytes);
    header
}

/// Hashes what it writes.
struct Hashing {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, buffer: &[u8]) -> Result<usize> {
        let written = self.file.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}
