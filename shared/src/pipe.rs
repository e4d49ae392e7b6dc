//! Standard output and standard error, which end the program when nobody reads them any more: `dispatch 2>&1 | head`.
//!
//! Rust ignores SIGPIPE, so that a write to a closed pipe fails with an error, which a logger swallows, or answers by writing
//! to the same pipe. To have the signal back would take `unsafe` code; and it would end the program wherever a pipe is
//! closed, also one to another program. So the two streams that somebody may close on purpose are watched here.

use std::io::{self, ErrorKind, Stderr, StdoutLock, Write};

use crate::exit::Exit;

/// A stream whose reader may go.
#[derive(Debug)]
pub struct Pipe<W>(W);

/// Standard output, until it is dropped.
#[must_use]
pub fn stdout() -> Pipe<StdoutLock<'static>> {
    Pipe(io::stdout().lock())
}

/// Standard error.
#[must_use]
pub fn stderr() -> Pipe<Stderr> {
    Pipe(io::stderr())
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_closed(self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_closed(self.0.flush())
    }
}

/// What came of a write; the program ends where it was one for nobody.
fn unless_closed<T>(written: io::Result<T>) -> io::Result<T> {
    if written.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        #[expect(clippy::exit, reason = "nobody hears what else there is to say")]
        std::process::exit(i32::from(Exit::Failure.code()));
    }
    written
}
