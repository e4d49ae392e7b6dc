//! Writes on trial: the API server judges them as any other, and keeps nothing.

use std::borrow::Cow;

/// What makes a write one on trial.
const OPTION: &str = "dryRun=All";

/// The path of the same write on trial.
pub(super) fn path(path: &str) -> Cow<'_, str> {
    if is_path(path) {
        return Cow::Borrowed(path);
    }
    let separator = if path.contains('?') { '&' } else { '?' };
    Cow::Owned(format!("{path}{separator}{OPTION}"))
}

/// Whether it is that of a write on trial.
pub(super) fn is_path(path: &str) -> bool {
    path.contains(OPTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_on_trial_says_so_once() {
        for (of, expected) in [
            ("/api/v1/namespaces", "/api/v1/namespaces?dryRun=All"),
            ("/api/v1/namespaces?a=b", "/api/v1/namespaces?a=b&dryRun=All"),
            ("/api/v1/namespaces?dryRun=All", "/api/v1/namespaces?dryRun=All"),
        ] {
            assert_eq!(path(of), expected);
        }
    }
}
