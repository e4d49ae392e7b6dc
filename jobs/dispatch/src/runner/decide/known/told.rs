//! What conditions tell of obstacles.

use drover::conditions::{BLOCKED, STALLED};
use drover::resources::Conditions;

/// Whether `Ready` says what the obstacle is that is told now.
pub(crate) fn tells_obstacle(conditions: &Conditions) -> bool {
    blocking(conditions).is_some_and(|message| conditions.detail().starts_with(&message))
}

/// Whether an obstacle is told now that has this reason.
pub(crate) fn is_blocked_by(conditions: &Conditions, reason: &str) -> bool {
    conditions.is_true(BLOCKED) && conditions.get(BLOCKED).is_some_and(|told| told.reason.as_deref() == Some(reason))
}

/// The message of the obstacle that is told now.
pub(crate) fn blocking(conditions: &Conditions) -> Option<String> {
    conditions.get(BLOCKED).filter(|_| conditions.is_true(BLOCKED))?.message.clone()
}

/// Whether `Stalled` is what was said of that obstacle.
pub(crate) fn said_stalled(conditions: &Conditions) -> bool {
    conditions.is_true(STALLED)
        && conditions.get(STALLED).and_then(|stalled| stalled.message.clone()) == blocking(conditions)
}
