use snafu::Snafu;

use super::Allowed;
use super::allowed::ALLOW_FEWER_OBJECTS;
use crate::exit::{Exit, Fault};

/// Why a snapshot that was written without an error is still not a good backup.
#[derive(Debug, Eq, PartialEq, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Unsound {
    #[snafu(display(
        "failed to find any object that the ResourceSet {resource_set:?} selects; correct its selectors, or install what \
         they select"
    ))]
    Empty { resource_set: String },
    #[snafu(display(
        "failed to find as many objects as before: {objects} now, {before} in the last verified archive; if that is right, \
         allow it, and take the word {ALLOW_FEWER_OBJECTS} out after the next backup, for it lets any number through: {command}"
    ))]
    FarFewer { objects: u64, before: u64, command: String },
}

impl Fault for Unsound {
    fn exit(&self) -> Exit {
        Exit::DataRefused
    }
}

/// Refuses a snapshot that is suspiciously empty: without objects, or with less than half of the last verified count.
///
/// Nothing allows an empty one. One that lacks types has fewer objects for that reason, and is no backup anyway.
///
/// # Errors
/// When it is.
pub fn check_sound(
    objects: u64,
    last_verified: Option<u64>,
    lacks_types: bool,
    resource_set: &str,
    allowed: Allowed<'_>,
) -> Result<(), Unsound> {
    if objects == 0 {
        return EmptySnafu { resource_set }.fail();
    }
    let is_allowed = lacks_types || allowed.has(ALLOW_FEWER_OBJECTS);
    match last_verified {
        Some(before) if objects < before.div_ceil(2) && !is_allowed => {
            FarFewerSnafu { objects, before, command: allowed.command(ALLOW_FEWER_OBJECTS) }.fail()
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(objects: u64, before: Option<u64>, allowed: Option<&str>, is_sound: bool) {
        assert_eq!(
            check_sound(objects, before, false, "set", Allowed::by(allowed)).is_ok(),
            is_sound,
            "{objects} after {before:?}"
        );
    }

    #[test]
    fn half_of_the_last_count_is_the_limit() {
        check(1, None, None, true);
        check(0, None, Some("fewer-objects"), false);
        check(350, Some(700), None, true);
        check(349, Some(700), None, false);
        check(350, Some(701), None, false);
        check(349, Some(700), Some("other-cluster, fewer-objects"), true);
        check(349, Some(700), Some("other"), false);
    }

    #[test]
    fn the_command_that_allows_it_keeps_what_is_allowed_and_the_word_is_to_go_again() {
        let error = check_sound(1, Some(700), false, "set", Allowed::by(Some("loss-1"))).unwrap_err().to_string();
        assert!(error.ends_with(" --overwrite drover.dev/allow=loss-1,fewer-objects"), "{error}");
        assert!(error.contains("take the word fewer-objects out after the next backup"), "{error}");
    }

    #[test]
    fn what_lacks_types_may_be_small_but_not_empty() {
        let of = |objects| check_sound(objects, Some(700), true, "set", Allowed::default());
        assert_eq!(of(1), Ok(()));
        assert!(matches!(of(0), Err(Unsound::Empty { .. })));
    }
}
