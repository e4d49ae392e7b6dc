//! Long steps, shown on stderr while they run.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// How often a step tells that it still runs where stderr is no terminal.
const REPEAT: Duration = Duration::from_secs(30);

/// One long step: a line with a clock on a terminal, else a line now and then.
pub(crate) struct Progress {
    message: String,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn start(message: String) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| spinner(message.clone()));
        if bar.is_none() {
            say(&message);
        }
        Self { message, started: Instant::now(), bar }
    }

    /// Waits for the step's work and tells from time to time that it still runs.
    pub(crate) async fn watch<Work: Future>(&self, work: Work) -> Work::Output {
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(REPEAT, &mut work).await {
                Ok(output) => return output,
                Err(_) if self.bar.is_none() => say(&format!("{} ({})", self.message, self.elapsed())),
                Err(_) => {}
            }
        }
    }

    /// Ends the step with a line that stays.
    pub(crate) fn finish(self, message: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        say(&format!("{message} ({})", self.elapsed()));
    }

    fn elapsed(&self) -> HumanDuration {
        HumanDuration(self.started.elapsed())
    }
}

fn spinner(message: String) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {msg} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style).with_message(message);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A line for people on stderr. Nothing is lost for the work when nobody can read it.
pub(crate) fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
