//! Frees an object that is being deleted and does not go.

use drover::exit::Chain;

use super::Writer;
use crate::apply::finalizers;
use crate::report::causes::Causes;
use crate::survey::archive::facts::Position;

impl Writer {
    /// Takes away the finalizers that keep the object of that position from going, but for those of Kubernetes; gives
    /// which ones. What cannot be freed is still waited for, and is one of the `failed`.
    pub(crate) async fn free(&self, position: Position, failed: &mut Causes) -> Vec<String> {
        let Ok(job) = self.job(position).await else { return Vec::new() };
        match finalizers::remove(&self.server, &job.path(), None).await {
            Ok(removed) => removed,
            Err(error) => {
                failed.add(&job.known.key(&job.namespace, &job.name), &Chain(&error).to_string());
                Vec::new()
            }
        }
    }
}
