//! What was put aside, for another server stands before it and does not answer: it is tried again when all else is written,
//! that server's own Deployment among it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::{Run, Turn};
use crate::apply::away::Which;
use crate::report::progress::Wait;

/// How long those that do not answer are waited for, all together and each of them once in a restore, beside the wait of
/// definitions: a pod that was restored a moment ago pulls its image and starts in that time.
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);
/// Between two looks at them.
const ASK_PAUSE: Duration = Duration::from_secs(1);

impl Run<'_> {
    /// Waits for the servers that do not answer, with one object of each at a time: another one each time, for a webhook
    /// may fail over one object alone. Once one is taken, all others follow. Each is asked once at least, and where one
    /// answers the others are asked after it however long its objects took: they may have waited for those.
    pub(in crate::apply::stages) async fn wait_for_those_away(&mut self) {
        let waited_for: Vec<Which> = self.aside.keys().copied().collect();
        let deadline = Instant::now() + self.time_for_those_away();
        let (mut is_helped, mut asks_all) = (false, true);
        loop {
            let _wait = self.tell_of_those_away();
            let away: Vec<Which> = self.aside.keys().copied().collect();
            for which in away {
                // A webhook that hangs takes its whole timeout.
                if !asks_all && Instant::now() >= deadline {
                    break;
                }
                let answers = self.ask(which).await;
                (is_helped, asks_all) = (is_helped || answers, asks_all || answers);
            }
            asks_all = false;
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

    /// Says who is waited for.
    fn tell_of_those_away(&self) -> Option<Wait> {
        let (which, objects) = self.aside.first_key_value()?;
        let words = waited_for(&self.writer.away.who(*which), objects.len(), self.aside.len() - 1);
        Some(self.writer.gauge.wait(words))
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

/// What is said while one that does not answer is waited for: who, for how many objects, and how many others there are.
fn waited_for(who: &str, objects: usize, others: usize) -> String {
    let others = if others == 0 { String::new() } else { format!(", and {others} more") };
    format!("{who} to answer ({objects} objects wait for it){others}; see that its server runs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_named_with_what_stands_behind_it() {
        let expected = "the webhook \"w\" to answer (3 objects wait for it); see that its server runs";
        assert_eq!(waited_for("the webhook \"w\"", 3, 0), expected);
        assert!(waited_for("the webhook \"w\"", 3, 2).contains("(3 objects wait for it), and 2 more; see"));
    }
}
