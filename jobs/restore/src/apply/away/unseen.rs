//! Types whose objects cannot be looked at, for another server is away. They are unknown, and never none: nothing of them
//! is written or pruned.

use std::sync::Arc;

use crate::survey::types::Type;

/// Types that could not be looked at, each with why.
#[derive(Debug, Default)]
pub(crate) struct Unseen(Vec<(Arc<Type>, Arc<str>)>);

impl Unseen {
    /// A type cannot be looked at, in whatever version.
    pub(crate) fn add(&mut self, known: &Arc<Type>, why: Arc<str>) {
        if self.why(known).is_none() {
            self.0.push((Arc::clone(known), why));
        }
    }

    /// Whether all can be looked at.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Why a type cannot be looked at, if it cannot.
    pub(crate) fn why(&self, known: &Type) -> Option<&Arc<str>> {
        let mut all = self.0.iter();
        all.find(|(unseen, _)| unseen.group == known.group && unseen.plural == known.plural).map(|(_, why)| why)
    }

    /// Why it is not known what lies in a namespace; none where it is.
    pub(crate) fn in_namespaces(&self) -> Option<String> {
        let (known, why) = self.0.iter().find(|(known, _)| known.namespaced)?;
        Some(format!("it may hold {} that cannot be seen: {why}", known.plural))
    }

    /// Says that nothing is pruned of these types.
    pub(crate) fn warn_of_not_pruning(&self) {
        let names: Vec<&str> = self.0.iter().map(|(known, _)| known.plural.as_str()).collect();
        if !names.is_empty() {
            tracing::warn!(
                "nothing of these types is pruned, for what there is of them cannot be seen: {}",
                names.join(", ")
            );
        }
    }
}
