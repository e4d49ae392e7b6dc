//! Progress of long work: a bar on a terminal, a log line every few seconds elsewhere.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::info;

/// How often work that is not watched on a terminal says how far it is.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Tells how far a piece of work is.
pub struct Progress {
    what: &'static str,
    bar: ProgressBar,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// Progress of `what`, such as "reading objects"; with a total it shows how much is left.
    #[must_use]
    pub fn new(what: &'static str, total: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
        let template = match total {
            Some(_) => "{msg} {wide_bar} {human_pos}/{human_len} {eta}",
            None => "{msg} {spinner} {human_pos} in {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self { what, bar, last_line: Mutex::new(Instant::now()) }
    }

    /// Sets how many are done.
    pub fn set(&self, done: u64) {
        self.bar.set_position(done);
        if self.bar.is_hidden() && self.is_time_for_a_line() {
            if let Some(total) = self.bar.length() {
                info!(done, total, "{}", self.what);
            } else {
                info!(done, "{}", self.what);
            }
        }
    }

    fn is_time_for_a_line(&self) -> bool {
        let Ok(mut last) = self.last_line.lock() else { return false };
        let is_time = last.elapsed() >= REPORT_EVERY;
        if is_time {
            *last = Instant::now();
        }
        is_time
    }
}

impl Drop for Progress {
    /// Leaves the terminal clean, however the work ended.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
