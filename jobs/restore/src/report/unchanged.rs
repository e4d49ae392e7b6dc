//! That nothing was changed: said of a restore that ends before its first write, whatever it ends for.

use drover::exit::Failure;

const NOTHING: &str = "nothing was changed";

/// A failure before the first write, in words that say so. An earlier try of the same restore may have written.
pub(crate) fn unchanged(failure: &Failure) -> Failure {
    let mut words = failure.to_string();
    if !words.contains(NOTHING) {
        words = format!("{words}; {NOTHING} by this try");
    }
    Failure::new(failure.exit(), words)
}

#[cfg(test)]
mod tests {
    use drover::exit::Exit;

    use super::*;

    #[test]
    fn that_nothing_was_changed_is_said_once() {
        let failed = |words: &str| unchanged(&Failure::new(Exit::Usage, words));
        assert_eq!(
            failed("failed to find the file").to_string(),
            "failed to find the file; nothing was changed by this try"
        );
        assert_eq!(failed("no; nothing was changed. Mend it").to_string(), "no; nothing was changed. Mend it");
        assert_eq!(failed("no").exit(), Exit::Usage);
    }
}
