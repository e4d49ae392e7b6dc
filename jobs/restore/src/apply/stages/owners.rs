//! Names owners in objects that were written before these were there.

use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::run::after_owners;
use crate::apply::write::{WriteError, Writer};
use crate::report::outcome::Results;
use crate::survey::archive::facts::Position;

/// Has these objects name their owners, at most `at_once` at a time; nothing else of them is written. Gives why it ended
/// early, if the server stopped answering.
///
/// When `shutdown` is cancelled or the server stops answering, what is being written is still finished and nothing more is
/// begun.
pub(crate) async fn name_owners(
    writer: &Writer,
    positions: Vec<Position>,
    results: &mut Results,
    at_once: usize,
    shutdown: &CancellationToken,
) -> Option<WriteError> {
    let (stop, mut lost) = (shutdown.child_token(), None);
    let attempts = stream::iter(positions)
        .take_until(stop.cancelled())
        .map(|position| async move { (position, writer.name_owners(position).await) })
        .buffer_unordered(at_once);
    let mut attempts = std::pin::pin!(attempts);
    while let Some((position, attempt)) = attempts.next().await {
        match attempt {
            Ok(attempt) => {
                let first = (results.outcome(position), results.reason(position));
                let result = after_owners(attempt.result, first, false);
                results.set(position, result);
            }
            Err(error) => {
                stop.cancel();
                lost.get_or_insert(error);
            }
        }
    }
    lost
}
