//! Progress for whoever waits: a bar on a terminal, otherwise a line every few seconds.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far the writing is, for whoever shows it elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    done: AtomicU64,
    total: AtomicU64,
    waits: AtomicBool,
}

impl Gauge {
    /// Objects written, and objects to write.
    pub(crate) fn read(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    /// Whether it is waited until controllers are down.
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// Controllers are waited for, or no longer.
    pub(crate) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }

    /// Another thing of so many steps begins.
    pub(crate) fn begin(&self, total: usize) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total as u64, Ordering::Relaxed);
    }

    /// One more step is done.
    pub(crate) fn advance(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// One thing that takes a while, of `total` steps.
#[derive(Debug)]
pub(crate) struct Progress {
    what: Cow<'static, str>,
    total: u64,
    done: u64,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Progress {
    /// Begins; a `total` of 0 is one that nobody knows.
    pub(crate) fn new(what: impl Into<Cow<'static, str>>, total: usize) -> Self {
        let (what, total) = (what.into(), total as u64);
        let bar = std::io::stderr().is_terminal().then(|| bar(what.clone(), total));
        Self { what, total, done: 0, bar, last_line: Instant::now() }
    }

    /// One more step is done.
    pub(crate) fn advance(&mut self) {
        self.advance_to(self.done + 1);
    }

    /// So many steps are done.
    pub(crate) fn advance_to(&mut self, done: u64) {
        self.done = done;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            match self.total {
                0 => tracing::info!("{}: {done}", self.what),
                total => tracing::info!("{}: {done} of {total}", self.what),
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: Cow<'static, str>, total: u64) -> ProgressBar {
    let (bar, template) = if total == 0 {
        (ProgressBar::new_spinner(), "{spinner} {msg} {human_pos}")
    } else {
        (ProgressBar::new(total), "{msg} [{bar:30}] {human_pos}/{human_len} {per_sec}, {eta} left")
    };
    // The template is a constant; were it wrong, the default would do as well.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message(what)
}
