//! Standard output and standard error, which end the program when nobody reads them any more: `dispatch 2>&1 | head`.
//!
//! Rust ignores SIGPIPE, so that a write to a closed pipe fails with an error, which a logger swallows, or answers by writing
//! to the same pipe. To have the signal back would take `unsafe` code; and it would end the program wherever a pipe is
//! closed, also one to another program. So the two streams that somebody may close on purpose are watched here.
//!
//! What is printed is the last that a command does, so its end is the program's. A log is written in the middle of the work,
//! so its end asks for that of the work, as a signal does: `restore apply 2>&1 | tee log`, and SIGINT ends `tee` too.

use std::io::{self, ErrorKind, Stderr, StdoutLock, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// What ends when nobody reads the log any more.
static ENDING: OnceLock<Ending> = OnceLock::new();

/// The work of a job, to which a log that nobody reads any more is a reason to end.
#[derive(Debug)]
struct Ending {
    shutdown: CancellationToken,
    is_unheard: AtomicBool,
}

/// A stream whose reader may go.
#[derive(Debug)]
pub struct Pipe<W>(W);

/// Standard output, until it is dropped.
#[must_use]
pub fn stdout() -> Pipe<StdoutLock<'static>> {
    Pipe(io::stdout().lock())
}

/// A log whose reader may go.
#[derive(Debug)]
pub struct Log<'a, W> {
    stream: W,
    ending: Option<&'a Ending>,
}

/// Standard error.
#[must_use]
pub fn stderr() -> Log<'static, Stderr> {
    Log { stream: io::stderr(), ending: ENDING.get() }
}

/// From now on a log that nobody reads any more does not end the program, but asks for the end of its work.
pub fn ends_by(shutdown: CancellationToken) {
    // A process has one job.
    drop(ENDING.set(Ending::of(shutdown)));
}

/// Whether it came to that.
#[must_use]
pub fn is_unheard() -> bool {
    ENDING.get().is_some_and(Ending::is_unheard)
}

impl Ending {
    const fn of(shutdown: CancellationToken) -> Self {
        Self { shutdown, is_unheard: AtomicBool::new(false) }
    }

    fn is_unheard(&self) -> bool {
        self.is_unheard.load(Ordering::Relaxed)
    }

    fn ask(&self) {
        self.is_unheard.store(true, Ordering::Relaxed);
        self.shutdown.cancel();
    }
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_closed(self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_closed(self.0.flush())
    }
}

impl<W: Write> Write for Log<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes);
        self.or_unheard(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stream.flush();
        self.or_unheard(flushed, ())
    }
}

impl<W> Log<'_, W> {
    /// What came of a write; `unheard`, where it was one for nobody and the work is yet to end.
    fn or_unheard<T>(&self, written: io::Result<T>, unheard: T) -> io::Result<T> {
        match (written, self.ending) {
            // The terminal is gone. Whether the work goes on without one is said by SIGHUP.
            (Err(error), _) if Errno::from_io_error(&error) == Some(Errno::IO) => Ok(unheard),
            (Err(error), Some(ending)) if is_closed(&error) => {
                ending.ask();
                Ok(unheard)
            }
            (written, _) => unless_closed(written),
        }
    }
}

/// What came of a write; the program ends where it was one for nobody.
fn unless_closed<T>(written: io::Result<T>) -> io::Result<T> {
    if written.as_ref().is_err_and(is_closed) {
        #[expect(clippy::exit, reason = "nobody hears what else there is to say")]
        std::process::exit(i32::from(Exit::Failure.code()));
    }
    written
}

fn is_closed(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream of which every use fails.
    struct Broken(Errno);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    /// Whether a log with such a stream asks for the end; what it is told is taken for written.
    fn asks(error: Errno) -> bool {
        let ending = Ending::of(CancellationToken::new());
        let mut log = Log { stream: Broken(error), ending: Some(&ending) };
        log.write_all(b"a line\n").unwrap();
        log.flush().unwrap();
        assert_eq!(ending.is_unheard(), ending.shutdown.is_cancelled());
        ending.is_unheard()
    }

    #[test]
    fn a_log_that_nobody_reads_asks_for_the_end_and_fails_nothing() {
        assert!(asks(Errno::PIPE));
    }

    #[test]
    fn a_terminal_that_is_gone_leaves_that_to_the_signal() {
        assert!(!asks(Errno::IO));
    }

    #[test]
    fn what_else_keeps_a_log_from_being_written_is_an_error() {
        let ending = Ending::of(CancellationToken::new());
        let mut log = Log { stream: Broken(Errno::NOSPC), ending: Some(&ending) };
        assert!(log.write(b"a line\n").is_err() && log.flush().is_err() && !ending.is_unheard());
    }
}
