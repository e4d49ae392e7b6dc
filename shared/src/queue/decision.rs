//! What a drain does next, as a pure function of what it sees.

use std::time::Duration;

/// How long one request for a message waits at the server. A drain that is asked to end does so after at most this time.
pub(super) const FETCH_WAIT: Duration = Duration::from_secs(1);

/// What a drain sees between two messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// Messages that were never delivered.
    pub(super) pending: u64,
    /// Messages that were delivered, to anybody, and not acknowledged.
    pub(super) in_flight: u64,
    /// Those of them that are ours: held or busy.
    pub(super) ours: u64,
    /// When the next message whose Backup was busy is to be tried again; none where there is no such message.
    pub(super) retry_in: Option<Duration>,
    /// For how long no message has come, and none was worked on.
    pub(super) idle: Duration,
    /// After how long the server gives a silent worker's message to another one.
    pub(super) ack_wait: Duration,
}

/// What to do next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Ask the server for a message.
    Fetch,
    /// Try the message again whose Backup was busy.
    Retry,
    /// Do nothing for this long: only a busy message is left, and it is not yet time.
    Wait(Duration),
    /// End.
    End,
}

/// Decides. New messages come first; then those that were busy, so that whoever kept them so has time to finish; and the
/// messages of other workers are waited for as long as it takes to see whether those live.
pub(super) fn next_step(view: View) -> Step {
    let awaited = view.pending > 0 || view.in_flight > view.ours;
    let may_come = awaited && view.idle < view.ack_wait;
    let is_due = view.retry_in.is_some_and(|wait| wait.is_zero());
    match view.retry_in {
        _ if view.pending > 0 && may_come => Step::Fetch,
        Some(_) if is_due => Step::Retry,
        _ if may_come => Step::Fetch,
        Some(wait) => Step::Wait(wait.min(FETCH_WAIT)),
        None => Step::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK_WAIT: Duration = Duration::from_mins(1);

    /// A view of pending and in-flight messages, of which so many are ours, idle for so many seconds.
    fn view(pending: u64, in_flight: u64, ours: u64, idle: u64) -> View {
        View { pending, in_flight, ours, retry_in: None, idle: Duration::from_secs(idle), ack_wait: ACK_WAIT }
    }

    fn busy(view: View, retry_in: u64) -> View {
        View { retry_in: Some(Duration::from_secs(retry_in)), ..view }
    }

    #[track_caller]
    fn check(view: View, expected: Step) {
        assert_eq!(next_step(view), expected, "{view:?}");
    }

    #[test]
    fn an_empty_queue_ends_the_drain() {
        check(view(0, 0, 0, 0), Step::End);
    }

    #[test]
    fn held_messages_do_not_keep_the_drain_going() {
        check(view(0, 3, 3, 0), Step::End);
    }

    #[test]
    fn pending_messages_are_fetched() {
        check(view(1, 0, 0, 0), Step::Fetch);
        check(view(1, 3, 3, 59), Step::Fetch);
    }

    #[test]
    fn messages_in_flight_at_others_are_awaited_for_ack_wait() {
        check(view(0, 4, 3, 0), Step::Fetch);
        check(view(0, 4, 3, 59), Step::Fetch);
        check(view(0, 4, 3, 60), Step::End);
    }

    #[test]
    fn pending_messages_that_do_not_come_end_the_drain_after_ack_wait() {
        check(view(1, 1000, 1000, 60), Step::End);
    }

    #[test]
    fn a_busy_message_is_tried_again_when_it_is_time_and_nothing_new_waits() {
        check(busy(view(1, 1, 1, 0), 0), Step::Fetch);
        check(busy(view(0, 1, 1, 0), 0), Step::Retry);
        check(busy(view(0, 2, 1, 0), 0), Step::Retry);
        check(busy(view(0, 2, 1, 0), 5), Step::Fetch);
        check(busy(view(1, 2, 1, 60), 0), Step::Retry);
    }

    #[test]
    fn a_busy_message_that_is_not_due_is_waited_for_in_short_steps() {
        check(busy(view(0, 1, 1, 0), 5), Step::Wait(FETCH_WAIT));
        check(busy(view(0, 2, 1, 60), 5), Step::Wait(FETCH_WAIT));
    }
}
