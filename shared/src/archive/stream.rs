//! The inflated archive as tar's blocks, within a limit.

use std::io::Read;

use super::error::ReadError;
use super::gzip::{GzipFault, Inflate, Source};

/// tar's unit: headers are one block, contents are padded to whole ones.
pub(super) const BLOCK: usize = 512;

/// Bytes by which the buffer of a content grows: what a header says of a size is believed only as its bytes come.
const STEP: usize = 64 << 10;

/// Reads tar's blocks.
pub(super) struct Blocks<R: Read> {
    inflate: Inflate<R>,
    read: u64,
    limit: u64,
    /// Where reading has come to, for errors: the last entry that was begun.
    pub(super) near: String,
}

impl<R: Read> Blocks<R> {
    pub(super) fn new(input: R, limit: u64) -> Self {
        Self { inflate: Inflate::new(input), read: 0, limit, near: "the start".to_owned() }
    }

    /// The input, when it was read to its end and all of it was right.
    pub(super) fn finished(&self) -> Option<&Source<R>> {
        self.inflate.finished()
    }

    /// The next block.
    pub(super) fn block(&mut self) -> Result<[u8; BLOCK], ReadError> {
        let mut block = [0; BLOCK];
        self.exactly(&mut block)?;
        Ok(block)
    }

    /// Reads a content of `size` bytes, and its padding, into `content`, which is cleared.
    pub(super) fn content(&mut self, size: usize, content: &mut Vec<u8>) -> Result<(), ReadError> {
        content.clear();
        while content.len() < size {
            let start = content.len();
            content.resize(size.min(start + STEP), 0);
            self.exactly(&mut content[start..])?;
        }
        let padding = size.next_multiple_of(BLOCK) - size;
        self.exactly(&mut [0; BLOCK][..padding])
    }

    /// Reads what follows the end of the tar, all of it zeros, to the end of the input.
    pub(super) fn expect_zeros(&mut self) -> Result<(), ReadError> {
        let mut buffer = [0; 8 * BLOCK];
        loop {
            match self.some(&mut buffer)? {
                0 => return Ok(()),
                count if buffer[..count].iter().all(|byte| *byte == 0) => {}
                _ => return Err(ReadError::DataAfterEnd { near: self.near.clone() }),
            }
        }
    }

    /// Fills the buffer. An end before that is never the end of an archive, which has its own mark.
    fn exactly(&mut self, buffer: &mut [u8]) -> Result<(), ReadError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.some(&mut buffer[filled..])? {
                0 => return Err(ReadError::CutOff { near: self.near.clone() }),
                count => filled += count,
            }
        }
        Ok(())
    }

    fn some(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let count = self.inflate.read(buffer).map_err(|fault| self.refused(fault))?;
        self.read += count as u64;
        if self.read > self.limit {
            return Err(ReadError::ArchiveTooLarge { near: self.near.clone(), limit: self.limit });
        }
        Ok(count)
    }

    fn refused(&self, fault: GzipFault) -> ReadError {
        let near = self.near.clone();
        match fault {
            GzipFault::Input(source) => ReadError::Input { near, source },
            GzipFault::CutOff => ReadError::CutOff { near },
            GzipFault::Damaged(source) => ReadError::Damaged { near, source },
            GzipFault::TrailingGarbage => ReadError::TrailingGarbage,
        }
    }
}
