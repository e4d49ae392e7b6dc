//! A temporary file that is noise to all but this process: decrypted Secrets lie in it, and it lies on the disk of a node.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use aes::Aes256Enc;
use aes::cipher::array::Array;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherSeek};
use ctr::{Ctr64BE, CtrCore, flavors};
use zeroize::Zeroizing;

/// Bytes that are written at a time.
const BUFFER: usize = 256 << 10;

/// A file without a name, encrypted with a key that is in this process' memory alone: it is gone with the process however
/// that ends, and what a disk keeps of it nobody can read.
///
/// AES-256 in counter mode, so that any part can be read by itself. Nothing tells that bytes were changed, as nothing did of
/// a file in clear: who can write to this one can write to the process. Each file has a key of its own, so one nonce does
/// for all.
pub(super) struct Scratch {
    file: File,
    cipher: Aes256Enc,
}

impl Scratch {
    /// An empty one in this folder.
    pub(super) fn create_in(folder: &Path) -> io::Result<Self> {
        let mut key = Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *key)?;
        Ok(Self { file: tempfile::tempfile_in(folder)?, cipher: Aes256Enc::new((&*key).into()) })
    }

    /// Reads what was written there; many threads may do so at once.
    pub(super) fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)?;
        self.apply_keystream(bytes, offset)
    }

    /// Turns what lies at `offset` in clear into what stands in the file, and back.
    fn apply_keystream(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let nonce = Array::from([0_u8; 16]);
        let core = CtrCore::<&Aes256Enc, flavors::Ctr64BE>::inner_iv_init(&self.cipher, &nonce);
        let mut keystream = Ctr64BE::from_core(core);
        keystream.try_seek(offset).and_then(|()| keystream.try_apply_keystream(bytes)).map_err(io::Error::other)
    }
}

/// Fills a [`Scratch`] from its beginning.
pub(super) struct ScratchWriter {
    scratch: Scratch,
    buffer: Vec<u8>,
    written: u64,
}

impl ScratchWriter {
    pub(super) fn new(scratch: Scratch) -> Self {
        Self { scratch, buffer: Vec::with_capacity(BUFFER), written: 0 }
    }

    /// Where the next byte comes to lie.
    pub(super) fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (fitting, rest) = bytes.split_at(bytes.len().min(BUFFER - self.buffer.len()));
            self.buffer.extend_from_slice(fitting);
            bytes = rest;
            if self.buffer.len() == BUFFER {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// What was written, to be read.
    pub(super) fn finish(mut self) -> io::Result<Scratch> {
        self.flush()?;
        Ok(self.scratch)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.scratch.apply_keystream(&mut self.buffer, self.written)?;
        self.scratch.file.write_all_at(&self.buffer, self.written)?;
        self.written = self.position();
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than one buffer, none of it at the edge of a block.
    fn content() -> Vec<u8> {
        (0..BUFFER + 5_000).map(|index| b'a' + u8::try_from(index % 23).unwrap()).collect()
    }

    /// The content, written in pieces of this size.
    fn filled(piece: usize) -> Scratch {
        let mut writer = ScratchWriter::new(Scratch::create_in(&std::env::temp_dir()).unwrap());
        for (index, bytes) in content().chunks(piece).enumerate() {
            assert_eq!(writer.position(), (index * piece) as u64);
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap()
    }

    fn on_disk(scratch: &Scratch) -> Vec<u8> {
        let mut bytes = vec![0; content().len()];
        scratch.file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn any_part_reads_back_as_it_was_written() {
        let content = content();
        for piece in [1_000, 4_096, BUFFER, BUFFER + 5_000] {
            let scratch = filled(piece);
            for (offset, length) in
                [(0, 1), (0, content.len()), (1, 15), (15, 2), (16, 16), (333, 70_001), (BUFFER - 3, 7), (BUFFER, 0)]
            {
                let mut bytes = vec![0; length];
                scratch.read_exact_at(&mut bytes, offset as u64).unwrap();
                assert_eq!(bytes, content[offset..offset + length], "{piece} {offset} {length}");
            }
        }
    }

    #[test]
    fn what_lies_on_the_disk_says_nothing_and_each_time_something_else() {
        let [first, second] = [filled(1_000), filled(1_000)].map(|scratch| on_disk(&scratch));
        assert_ne!(first[..64], second[..64]);
        let content = content();
        let alike = first.iter().zip(&content).filter(|(one, other)| one == other).count();
        // By chance one byte of 256 is as it was.
        assert!(alike < content.len() / 100, "{alike} of {}", content.len());
    }

    #[test]
    fn what_was_never_written_cannot_be_read() {
        let scratch = filled(1_000);
        let end = content().len() as u64;
        assert!(scratch.read_exact_at(&mut [0; 2], end - 1).is_err());
    }
}
