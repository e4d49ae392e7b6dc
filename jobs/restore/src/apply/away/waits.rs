//! How often one that does not answer is waited for: pure.

/// A part of what is written, one after the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// The definitions, before anything that could bring the server back.
    Definitions,
    /// All else; what would answer may be among it.
    Others,
}

/// What one was waited for, for as long as it may be.
#[derive(Debug, Default)]
pub(super) struct Waits(Vec<Part>);

impl Waits {
    /// Whether it may be waited for: once in a restore, but that a wait of the definitions, which come before the server's
    /// own Deployment, leaves all else a wait of its own.
    pub(super) fn may_begin(&self, part: Part) -> bool {
        match part {
            Part::Definitions => self.0.is_empty(),
            Part::Others => !self.0.contains(&part),
        }
    }

    /// It was waited for.
    pub(super) fn end(&mut self, part: Part) {
        if self.may_begin(part) {
            self.0.push(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_definitions_waited_for_in_vain_all_else_waits_for_once() {
        let mut waits = Waits::default();
        assert!(waits.may_begin(Part::Definitions));
        waits.end(Part::Definitions);
        assert!(!waits.may_begin(Part::Definitions) && waits.may_begin(Part::Others));
        waits.end(Part::Others);
        assert!(!waits.may_begin(Part::Definitions) && !waits.may_begin(Part::Others));
    }

    #[test]
    fn what_all_else_waited_for_no_definition_waits_for() {
        let mut waits = Waits::default();
        waits.end(Part::Others);
        assert!(!waits.may_begin(Part::Definitions) && !waits.may_begin(Part::Others));
    }
}
