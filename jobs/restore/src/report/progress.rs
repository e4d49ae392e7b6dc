//! Progress for whoever waits: a bar on a terminal, otherwise a line every few seconds.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::MissedTickBehavior;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far a restore is, and what it waits for, for whoever shows it elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Gauge(Mutex<Reading>);

/// What a [`Gauge`] shows.
#[derive(Debug, Default)]
struct Reading {
    steps: Steps,
    /// What is done in between, in place of them; they go on meanwhile.
    between: Option<Doing>,
    /// What is waited for, each under a number of its own.
    waits: BTreeMap<u64, String>,
    /// The next such number.
    next: u64,
}

/// How far one thing is that a restore does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Steps {
    /// What is done.
    doing: Doing,
    /// Steps that are done.
    done: usize,
    /// Steps in all.
    total: usize,
}

/// What a restore does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Doing {
    /// It fetches the archive.
    Fetching,
    /// It compares what is live with the archive.
    #[default]
    Comparing,
    /// It asks the server about updates, on trial.
    Trying,
    /// It waits until controllers are down.
    ScalingDown,
    /// It puts in the exemption from webhooks.
    Exempting,
    /// It writes objects.
    Writing,
    /// It waits until the cluster serves what the archive's definitions define.
    Establishing,
    /// It waits for namespaces that are being deleted, and makes those that are missing.
    MakingNamespaces,
    /// It deletes what the archive lacks.
    Pruning,
    /// It puts the counts of controllers back.
    ScalingUp,
    /// It waits for what serves webhooks and APIs.
    WaitingForServers,
    /// It ends the exemption from webhooks.
    Ending,
    /// It stores the report.
    Reporting,
}

impl Doing {
    /// Whether its steps are counted.
    const fn is_counted(self) -> bool {
        matches!(self, Self::Trying | Self::Writing | Self::Pruning)
    }
}

/// As people read it in a status.
impl fmt::Display for Gauge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reading = self.lock();
        write!(formatter, "{}", reading.shown())?;
        reading.waits.values().next().map_or(Ok(()), |first| write!(formatter, "; waits for {first}"))
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { doing, done, total } = self;
        match doing {
            Doing::Fetching => formatter.write_str("fetching the archive"),
            Doing::Comparing => formatter.write_str("comparing with what is live"),
            Doing::Trying => write!(formatter, "{done} of {total} updates tried"),
            Doing::ScalingDown => formatter.write_str("scaling controllers down and waiting until their pods are gone"),
            Doing::Exempting => {
                formatter.write_str("putting in the exemption from webhooks, and waiting until it is in force")
            }
            Doing::Writing if done == total => {
                write!(
                    formatter,
                    "{done} of {total} tried; trying again what was refused, and waiting for what is away"
                )
            }
            // What was refused is among them.
            Doing::Writing => write!(formatter, "{done} of {total} tried"),
            Doing::Establishing => formatter.write_str("waiting until the definitions of the archive are served"),
            Doing::MakingNamespaces => {
                formatter.write_str("making namespaces, and waiting for those that are being deleted")
            }
            Doing::Pruning => write!(formatter, "{done} of {total} pruned"),
            Doing::ScalingUp => formatter.write_str("scaling controllers back up"),
            Doing::WaitingForServers => formatter.write_str("waiting for what serves webhooks and APIs"),
            Doing::Ending => formatter.write_str("ending the exemption from webhooks"),
            Doing::Reporting => formatter.write_str("storing the report"),
        }
    }
}

/// Something is waited for, until this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Wait {
    gauge: Arc<Gauge>,
    number: u64,
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.gauge.lock().waits.remove(&self.number);
    }
}

/// Something is done in between, until this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Interlude(Arc<Gauge>);

impl Drop for Interlude {
    fn drop(&mut self) {
        self.0.lock().between = None;
    }
}

impl Reading {
    /// What is shown of the steps.
    fn shown(&self) -> Steps {
        self.between.map_or(self.steps, |doing| Steps { doing, ..Steps::default() })
    }
}

impl Gauge {
    /// That this is done, whose steps nobody counts.
    pub(crate) fn of(doing: Doing) -> Self {
        let steps = Steps { doing, ..Steps::default() };
        Self(Mutex::new(Reading { steps, ..Reading::default() }))
    }

    /// How far it is.
    fn steps(&self) -> Steps {
        self.lock().shown()
    }

    /// Another thing of so many steps begins. What is counted and has none is over at once, and not shown.
    pub(crate) fn begin(&self, doing: Doing, total: usize) {
        if total > 0 || !doing.is_counted() {
            self.lock().steps = Steps { doing, done: 0, total };
        }
    }

    /// This is done in between, without steps that anybody counts, until what is given is dropped.
    pub(crate) fn interrupt(self: &Arc<Self>, doing: Doing) -> Interlude {
        self.lock().between = Some(doing);
        Interlude(Arc::clone(self))
    }

    /// Something begins to be waited for: which object, and what holds it.
    pub(crate) fn wait(self: &Arc<Self>, what: String) -> Wait {
        let mut reading = self.lock();
        let number = reading.next;
        reading.next += 1;
        reading.waits.insert(number, what);
        Wait { gauge: Arc::clone(self), number }
    }

    /// One more step is done.
    pub(crate) fn advance(&self) {
        self.lock().steps.done += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Reading> {
        // Numbers and words are sound whatever happened to who held the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does the work, and says what is done as long as that takes, but for the steps that a bar shows.
pub(crate) async fn telling<T>(gauge: &Gauge, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(LINE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let (mut before, has_bars) = (gauge.steps(), has_bars());
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => {
                let now = gauge.steps();
                if is_untold(before, now, has_bars) {
                    tracing::info!("{gauge}");
                }
                before = now;
            }
        }
    }
}

/// Whether nothing else tells what this reading says: a bar moves with the steps that are done.
fn is_untold(before: Steps, now: Steps, has_bars: bool) -> bool {
    !has_bars || now.done == 0 || now == before
}

/// Whether bars can be seen.
fn has_bars() -> bool {
    std::io::stderr().is_terminal()
}

/// One thing that takes a while, of `total` steps.
#[derive(Debug)]
pub(crate) struct Progress {
    what: Cow<'static, str>,
    done: u64,
    /// Whether lines tell of it where there is no bar: what has a total is told by a [`Gauge`].
    has_lines: bool,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Progress {
    /// Begins; a `total` of 0 is one that nobody knows.
    pub(crate) fn new(what: impl Into<Cow<'static, str>>, total: usize) -> Self {
        let (what, total) = (what.into(), total as u64);
        let bar = has_bars().then(|| bar(what.clone(), total));
        Self { what, done: 0, has_lines: total == 0, bar, last_line: Instant::now() }
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
        } else if self.has_lines && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            tracing::info!("{}: {done}", self.what);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_says_what_is_done_and_how_far_it_is() {
        let gauge = Gauge::default();
        assert_eq!(gauge.to_string(), "comparing with what is live");
        gauge.begin(Doing::Writing, 3);
        gauge.advance();
        assert_eq!(gauge.to_string(), "1 of 3 tried");
        gauge.advance();
        gauge.advance();
        assert!(gauge.to_string().starts_with("3 of 3 tried; trying again"));
        gauge.begin(Doing::Pruning, 2);
        assert_eq!(gauge.to_string(), "0 of 2 pruned");
        gauge.begin(Doing::Writing, 0);
        assert_eq!(gauge.to_string(), "0 of 2 pruned", "nothing is written of nothing");
        gauge.begin(Doing::ScalingUp, 0);
        assert_eq!(gauge.to_string(), "scaling controllers back up");
        assert_eq!(Gauge::of(Doing::Reporting).to_string(), "storing the report");
    }

    #[test]
    fn what_is_done_in_between_is_shown_as_long_as_it_is() {
        let gauge = Arc::<Gauge>::default();
        gauge.begin(Doing::Writing, 3);
        gauge.advance();
        let between = gauge.interrupt(Doing::Exempting);
        assert!(gauge.to_string().starts_with("putting in the exemption from webhooks"), "{gauge}");
        gauge.advance();
        drop(between);
        assert_eq!(gauge.to_string(), "2 of 3 tried");
    }

    #[test]
    fn all_is_told_but_what_a_bar_shows() {
        let steps = |doing, done| Steps { doing, done, total: 9 };
        for (before, now, beside_bars) in [
            (steps(Doing::Comparing, 0), steps(Doing::Comparing, 0), true),
            (steps(Doing::Writing, 9), steps(Doing::Writing, 9), true),
            (steps(Doing::Writing, 9), steps(Doing::ScalingUp, 0), true),
            (steps(Doing::Comparing, 0), steps(Doing::Writing, 4), false),
            (steps(Doing::Writing, 3), steps(Doing::Writing, 4), false),
        ] {
            assert_eq!(is_untold(before, now, true), beside_bars, "{before:?} {now:?}");
            assert!(is_untold(before, now, false), "{before:?} {now:?}");
        }
    }

    #[tokio::test]
    async fn who_tells_of_work_gives_what_it_comes_to() {
        assert_eq!(telling(&Gauge::default(), async { 7 }).await, 7);
    }

    #[test]
    fn a_gauge_says_what_is_waited_for_as_long_as_it_is() {
        let gauge = Arc::<Gauge>::default();
        gauge.begin(Doing::Writing, 3);
        let first = gauge.wait("\"a\" to go".to_owned());
        let second = gauge.wait("\"b\" to go".to_owned());
        assert_eq!(gauge.to_string(), "0 of 3 tried; waits for \"a\" to go");
        drop(first);
        assert_eq!(gauge.to_string(), "0 of 3 tried; waits for \"b\" to go");
        drop(second);
        assert_eq!(gauge.to_string(), "0 of 3 tried");
    }
}
