//! What was put aside, for another server stands before it and does not answer: it is tried again when all else is written,
//! that server's own Deployment among it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::{Run, Turn};
use crate::away::Which;

/// How long those that do not answer are waited for, all together and each of them once in a restore, beside the wait of
/// definitions: a pod that was restored a moment ago pulls its image and starts in that time.
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);
/// Between two looks at them.
const ASK_PAUSE: Duration = Duration::from_secs(1);

impl Run<'_> {
    /// Waits for the servers that do not answer, with one object of each at a time: another one each time, for a webhook
    /// may fail over one object alone. Once one is taken, all others follow.
    pub(in crate::stages) async fn wait_for_those_away(&mut self) {
        let waited_for: Vec<Which> = self.aside.keys().copied().collect();
        let deadline = Instant::now() + self.time_for_those_away();
        let mut is_helped = false;
        loop {
            let away: Vec<Which> = self.aside.keys().copied().collect();
            for which in away {
                is_helped |= self.ask(which).await;
            }
            if self.aside.is_empty() || Instant::now() >= deadline || !self.pause(ASK_PAUSE).await {
                break;
            }
        }
        // A wait that was cut short, for a controller came up, is none: whoever goes on waits anew.
        for which in waited_for.into_iter().filter(|_| !self.stop.is_cancelled()) {
            self.writer.away.end_wait(which, self.writer.part);
        }
        for (which, left) in &self.aside {
            tracing::warn!("{} does not answer: {} objects were not written", self.writer.away.who(*which), left.len());
        }
        if is_helped {
            self.mend_owners().await;
            self.rounds().await;
        }
    }

    /// How long they are waited for, which is said; none where all of them were waited for before.
    fn time_for_those_away(&self) -> Duration {
        let (away, part) = (&self.writer.away, self.writer.part);
        let news = self.aside.iter().filter(|(which, _)| away.may_be_waited_for(**which, part));
        let waited: Vec<String> =
            news.map(|(which, left)| format!("{} ({} objects)", away.who(*which), left.len())).collect();
        if waited.is_empty() {
            return Duration::ZERO;
        }
        tracing::info!("all else is written; waiting up to {} s for {}", ANSWERS_WITHIN.as_secs(), waited.join(", "));
        ANSWERS_WITHIN
    }

    /// Tries one object that waits for this server and, where it answers, all of them. Gives whether it does.
    async fn ask(&mut self, which: Which) -> bool {
        let Some(asked) = self.aside.get_mut(&which).and_then(VecDeque::pop_front) else {
            self.aside.remove(&which);
            return false;
        };
        self.writer.away.forget(which);
        self.batch(vec![asked], Turn::Again).await;
        if self.stop.is_cancelled() || self.aside.get(&which).and_then(VecDeque::back) == Some(&asked) {
            return false;
        }
        let others: Vec<_> = self.aside.remove(&which).into_iter().flatten().collect();
        tracing::info!("{} answers; {} more objects are written now", self.writer.away.who(which), others.len());
        self.batch(others, Turn::Again).await;
        true
    }
}
