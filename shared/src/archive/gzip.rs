//! The bytes of an archive as they come, and what they inflate to.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use crate::digest::Hasher;

/// Bytes of the archive that are read at a time.
const BUFFER: usize = 64 << 10;

/// Reads an archive's bytes, counts them and takes their SHA-256, and remembers whether reading itself failed: a disk
/// that is away must not be taken for an archive that is damaged.
pub(super) struct Source<R> {
    input: R,
    pub(super) hasher: Hasher,
    failed: bool,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.input.read(buffer) {
                Ok(count) => {
                    self.hasher.update(&buffer[..count]);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
            }
        }
    }
}

/// Why no more could be inflated.
pub(super) enum GzipFault {
    /// The input failed.
    Input(io::Error),
    /// The input ended within a member.
    CutOff,
    /// A header, the deflated data, a CRC or a length is wrong.
    Damaged(io::Error),
    /// After a member there is neither the end, nor zeros up to the end, nor another member.
    TrailingGarbage,
}

/// Inflates one gzip member after another to the very end of the input.
///
/// flate2's `MultiGzDecoder` does nearly this. It takes zeros after the last member, with which tapes and block devices
/// pad, for a broken header, and tells garbage there from damage in the middle by a text only.
pub(super) struct Inflate<R: Read> {
    // None once the input was read to its end or failed.
    decoder: Option<GzDecoder<BufReader<Source<R>>>>,
    // Some once the input was read to its end.
    finished: Option<Source<R>>,
}

impl<R: Read> Inflate<R> {
    pub(super) fn new(input: R) -> Self {
        let source = Source { input, hasher: Hasher::default(), failed: false };
        Self { decoder: Some(GzDecoder::new(BufReader::with_capacity(BUFFER, source))), finished: None }
    }

    /// The input, when it was read to its end and all of it was right.
    pub(super) fn finished(&self) -> Option<&Source<R>> {
        self.finished.as_ref()
    }

    /// Reads into a buffer that is not empty; 0 says that all members were read and their CRCs are right.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, GzipFault> {
        while let Some(decoder) = &mut self.decoder {
            match decoder.read(buffer) {
                Ok(0) => self.next_member()?,
                Ok(count) => return Ok(count),
                Err(error) => {
                    let failed = decoder.get_ref().get_ref().failed;
                    return Err(fault(error, failed));
                }
            }
        }
        Ok(0)
    }

    /// Looks at what follows a member.
    fn next_member(&mut self) -> Result<(), GzipFault> {
        let Some(decoder) = self.decoder.take() else { return Ok(()) };
        let mut input = decoder.into_inner();
        match input.fill_buf().map_err(GzipFault::Input)?.first() {
            None => self.finished = Some(input.into_inner()),
            // The first byte of gzip's magic number (RFC 1952).
            Some(0x1f) => self.decoder = Some(GzDecoder::new(input)),
            Some(0) => {
                expect_zeros(&mut input)?;
                self.finished = Some(input.into_inner());
            }
            Some(_) => return Err(GzipFault::TrailingGarbage),
        }
        Ok(())
    }
}

fn expect_zeros(input: &mut impl BufRead) -> Result<(), GzipFault> {
    loop {
        let buffer = input.fill_buf().map_err(GzipFault::Input)?;
        if buffer.is_empty() {
            return Ok(());
        }
        if buffer.iter().any(|byte| *byte != 0) {
            return Err(GzipFault::TrailingGarbage);
        }
        let length = buffer.len();
        input.consume(length);
    }
}

fn fault(error: io::Error, input_failed: bool) -> GzipFault {
    if input_failed {
        GzipFault::Input(error)
    } else if error.kind() == io::ErrorKind::UnexpectedEof {
        GzipFault::CutOff
    } else {
        GzipFault::Damaged(error)
    }
}
