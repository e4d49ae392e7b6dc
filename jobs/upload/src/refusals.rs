//! Places that refused in this job: where a bucket is gone or keys are old, the archives that wait for it would each be
//! fetched from the object store only to be refused again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use drover::exit::{Exit, Failure};
use drover::places::Target;
use drover::storage;

/// How many archives a place refuses before no other one is brought to it. One alone may be refused for its own sake: a
/// bucket may let nobody write over what is there.
const ARCHIVES: u32 = 2;

/// What is known of places that refused.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Vec<Refusal>>);

#[derive(Debug)]
struct Refusal {
    target: Target,
    why: String,
    archives: u32,
}

impl Refusals {
    /// Why a place takes nothing for the rest of this job; none where it may.
    pub(crate) fn why(&self, target: &Target) -> Option<String> {
        let known = self.known();
        let refusal = known.iter().find(|refusal| refusal.target == *target)?;
        (refusal.archives >= ARCHIVES).then(|| refusal.why.clone())
    }

    /// A place could not be opened: it is the same for every archive.
    pub(crate) fn not_opened(&self, target: &Target, failure: &Failure) {
        if failure.exit() == Exit::Usage {
            self.add(target, failure, ARCHIVES);
        }
    }

    /// An archive was brought to a place, or refused by it.
    pub(crate) fn tried(&self, target: &Target, outcome: Result<(), &Failure>) {
        match outcome {
            Ok(()) => self.known().retain(|known| known.target != *target),
            // What is not the place's own word, such as that a record could not be written, says nothing of it.
            Err(failure) if failure.exit() == Exit::Usage && failure.find::<storage::Error>().is_some() => {
                self.add(target, failure, 1);
            }
            Err(_) => {}
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Refusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, target: &Target, failure: &Failure, archives: u32) {
        let mut known = self.known();
        match known.iter_mut().find(|refusal| refusal.target == *target) {
            Some(refusal) => refusal.archives += archives,
            None => known.push(Refusal { target: target.clone(), why: failure.to_string(), archives }),
        }
    }
}

#[cfg(test)]
mod tests {
    use drover::places::targets;
    use drover::policy::Settings;
    use drover::resources::{Backup, BackupSpec, FurtherLocation, LocalLocation};

    use super::*;

    fn further(name: &str, volume: &str) -> Target {
        let local = Some(LocalLocation { volume: Some(volume.to_owned()) });
        let location = FurtherLocation { name: name.to_owned(), s3: None, local };
        let settings = Settings { further_locations: vec![location], ..Settings::default() };
        targets(&Backup::new("daily", BackupSpec::default()), &settings).remove(1)
    }

    /// What a place says of an archive.
    fn refused() -> Failure {
        storage::Error::UseName { name: String::new(), source: storage::NameProblem::Empty }.into()
    }

    #[test]
    fn a_place_that_cannot_be_opened_is_left_alone_at_once_and_no_other_one() {
        let refusals = Refusals::default();
        let (near, far) = (further("near", "nas"), further("far", "tape"));
        refusals.not_opened(&near, &Failure::new(Exit::Unavailable, "away"));
        assert_eq!(refusals.why(&near), None);
        refusals.not_opened(&near, &Failure::new(Exit::Usage, "no volume"));
        assert_eq!(refusals.why(&near).as_deref(), Some("no volume"));
        assert_eq!((refusals.why(&far), refusals.why(&further("near", "tape"))), (None, None));
        let own = targets(&Backup::new("daily", BackupSpec::default()), &Settings::default());
        assert_eq!(refusals.why(&own[0]), None);
    }

    #[test]
    fn a_place_is_left_alone_when_it_has_refused_two_archives_and_taken_none_since() {
        let (refusals, near) = (Refusals::default(), further("near", "nas"));
        refusals.tried(&near, Err(&refused()));
        refusals.tried(&near, Err(&Failure::new(Exit::Usage, "the run could not be recorded")));
        refusals.tried(&near, Err(&Failure::new(Exit::DataRefused, "other bytes came back")));
        assert_eq!(refusals.why(&near), None);
        refusals.tried(&near, Ok(()));
        refusals.tried(&near, Err(&refused()));
        assert_eq!(refusals.why(&near), None);
        refusals.tried(&near, Err(&refused()));
        assert_eq!(refusals.why(&near), Some(refused().to_string()));
    }
}
