//! Tasks and threads whose log lines belong to what they work for: the run of a Backup, or a Restore, stands in a span, and
//! what Tokio spawns by itself has none.

use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

/// Spawns a task in the span of the caller.
pub fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(work.in_current_span())
}

/// Does what blocks on a thread of its own, in the span of the caller.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
}

#[cfg(test)]
mod tests {
    use tracing::info_span;

    use super::*;

    #[tokio::test]
    async fn what_is_spawned_works_in_the_span_of_who_spawned_it() {
        // A subscriber that another test set does as well.
        drop(tracing::subscriber::set_global_default(tracing_subscriber::registry()));
        let name = || Span::current().metadata().map(tracing::Metadata::name);
        let (task, thread) = info_span!("run").in_scope(|| (spawn(async move { name() }), spawn_blocking(name)));
        assert_eq!((task.await.unwrap(), thread.await.unwrap()), (Some("run"), Some("run")));
    }
}
