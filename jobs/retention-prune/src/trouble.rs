use drover::exit::{Exit, Failure};
use drover::{ledger, storage};

/// What failed while a place was pruned.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) failure: Failure,
    /// Whether the place itself does not answer. That the ledger cannot be written says nothing of the place.
    pub(crate) is_away: bool,
}

impl Trouble {
    /// Something failed at the place.
    pub(crate) fn of_place(failure: impl Into<Failure>) -> Self {
        let failure = failure.into();
        Self { is_away: failure.exit() == Exit::Unavailable, failure }
    }
}

impl From<storage::Error> for Trouble {
    fn from(error: storage::Error) -> Self {
        Self::of_place(error)
    }
}

impl From<ledger::Error> for Trouble {
    fn from(error: ledger::Error) -> Self {
        Self { failure: error.into(), is_away: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_place_itself_can_be_away() {
        let away = Trouble::of_place(Failure::new(Exit::Unavailable, "no answer"));
        let refused = Trouble::of_place(Failure::new(Exit::Usage, "denied"));
        assert!(away.is_away && !refused.is_away);
        assert!(!Trouble::from(ledger::Error::NotInstalled).is_away);
    }
}
