//! Objects that are deleted and created again, since the server lets nobody change them into what the archive has: of which
//! types that loses nothing, and which ones somebody named.

mod loss;
mod name;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

pub(crate) use drover::annotations::RECREATE_ANNOTATION as ANNOTATION;
use drover::archive::TypeName;
use drover::exit::{Exit, Failure, Fault};
use drover::nearest::{Nearest, Search};
use drover::task;
use snafu::{ResultExt, Snafu};

pub(crate) use self::loss::{Loss, loss};
pub(crate) use self::name::{NameRefused, ObjectName};
use crate::report::again::Again;
use crate::report::outcome::{Outcome, Result as ObjectResult, Results};
use crate::survey::archive::facts::{Facts, Position};
use crate::survey::archive::part::Archive;

/// How it is said of an object that it was made anew; why follows.
pub(crate) const MADE_ANEW: &str = "deleted and created again";

/// How it is said of an object that was named and could be changed, or was as it should be.
pub(crate) const NOT_NEEDED: &str = "it was named to be made anew, and need not be";

/// How somebody gets an object that cannot be changed into what the archive has, where it is not made anew unasked.
pub(crate) fn way_out(again: Again, kind: (&str, &str), namespace: &str, name: &str) -> String {
    let named = ObjectName::new(kind, namespace, name);
    match loss(kind) {
        Loss::TooMuch(lost) => {
            format!("it is never deleted to be created again, for {lost}; change it by hand, or leave it as it is")
        }
        Loss::Nothing => "see what keeps it from being deleted and created again".to_owned(),
        Loss::Something(lost) => {
            let annotation = format!("the annotation {ANNOTATION}:");
            let asking = again.asking(&annotation, "--recreate");
            format!("{again} with {asking} {named}, and it is deleted and created again; {lost}")
        }
    }
}

/// The objects that somebody named.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Named(Vec<ObjectName>);

/// Why a restore that names objects does not begin.
#[derive(Debug, Snafu)]
pub(crate) enum NamedError {
    #[snafu(display(
        "failed to find {name:?} in the archive, which is named to be made anew ({ANNOTATION}, --recreate){nearest}; \
         nothing was changed. Correct the name, or leave it out, then {again}"
    ))]
    Unknown { name: String, nearest: Nearest, again: Again },
    #[snafu(display("failed to read an object back from the temporary file; is its disk in order?"))]
    Load { source: io::Error },
    #[snafu(display("failed to wait for the objects that are named to be found"))]
    Aborted { source: tokio::task::JoinError },
}

impl Fault for NamedError {
    fn exit(&self) -> Exit {
        match self {
            Self::Unknown { .. } => Exit::DataRefused,
            Self::Load { .. } | Self::Aborted { .. } => Exit::Failure,
        }
    }
}

impl Named {
    /// These.
    pub(crate) const fn new(names: Vec<ObjectName>) -> Self {
        Self(names)
    }

    /// Refuses a name that no part of the archive has: it is a slip, and what was meant would not be made anew.
    ///
    /// # Errors
    ///
    /// Where there is such a name, or the archive cannot be read.
    pub(crate) async fn check(&self, parts: [&Arc<Archive>; 2], again: Again) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        let (named, parts) = (self.clone(), parts.map(Arc::clone));
        let search = task::spawn_blocking(move || -> io::Result<Option<(String, Nearest)>> {
            let Some(name) = named.first_missing(&parts)? else { return Ok(None) };
            Ok(Some((name.to_string(), nearest(&name.to_string(), &parts)?)))
        });
        match search.await.context(AbortedSnafu)?.context(LoadSnafu)? {
            Some((name, nearest)) => Err(NamedError::Unknown { name, nearest, again }.into()),
            None => Ok(()),
        }
    }

    /// Reads the objects of the named types alone; blocks.
    fn first_missing(&self, parts: &[Arc<Archive>]) -> io::Result<Option<ObjectName>> {
        let mut missing: BTreeSet<&ObjectName> = self.0.iter().collect();
        for archive in parts {
            for position in (0..).take(archive.len()) {
                let type_name = archive.type_of(position);
                if missing.iter().any(|name| name.is_of(type_name)) {
                    let key = archive.load(position)?.key;
                    missing.retain(|name| !name.names(&key));
                }
            }
        }
        Ok(missing.into_iter().next().cloned())
    }

    /// Where in a part of the archive they are.
    pub(crate) fn positions(&self, facts: &Facts) -> HashMap<Position, ObjectName> {
        let found = self.0.iter().filter_map(|name| Some((name.find(facts)?, name.clone())));
        found.collect()
    }
}

/// The objects of the archive whose names are nearest to one that it lacks, of those that may be named: the type may be the
/// slip, so all are looked at.
fn nearest(name: &str, parts: &[Arc<Archive>]) -> io::Result<Nearest> {
    let mut search = Search::for_name(name);
    for archive in parts {
        let may_be_named = |position: &Position| {
            let TypeName { group, plural, .. } = archive.type_of(*position);
            !matches!(loss((group, plural)), Loss::TooMuch(_))
        };
        for position in (0..).take(archive.len()).filter(may_be_named) {
            search.see(ObjectName::of(&archive.load(position)?.key).to_string());
        }
    }
    Ok(search.end())
}

/// Says of the objects that were named, and neither refused nor made anew, that they need not be named.
pub(crate) fn say_unneeded(results: &mut Results, named: &HashMap<Position, ObjectName>) {
    for (position, name) in named {
        let (outcome, reason) = (results.outcome(*position), results.reason(*position));
        let is_there = matches!(outcome, Outcome::Created | Outcome::Updated | Outcome::Unchanged);
        if is_there && !reason.contains(MADE_ANEW) {
            tracing::info!("{name}: {NOT_NEEDED}");
            let result = ObjectResult::noted(outcome, [reason, NOT_NEEDED]);
            results.set(*position, result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::made_anew::loss::{LOSSES, PODS, UNKNOWN};

    #[test]
    fn each_type_is_in_the_table_once() {
        let types: BTreeSet<_> = LOSSES.iter().map(|(kind, _)| kind).collect();
        assert_eq!(types.len(), LOSSES.len());
    }

    #[test]
    fn what_is_lost_with_an_object() {
        for (kind, expected) in [
            (("scheduling.k8s.io", "priorityclasses"), Loss::Nothing),
            (("storage.k8s.io", "storageclasses"), Loss::Nothing),
            (("apps", "deployments"), PODS),
            (("a.io", "deployments"), UNKNOWN),
        ] {
            assert_eq!(loss(kind), expected, "{kind:?}");
        }
        assert!(matches!(loss(("batch", "jobs")), Loss::Something(lost) if lost.contains("runs again")));
        for kind in ["namespaces", "persistentvolumes", "persistentvolumeclaims", "nodes"] {
            assert!(matches!(loss(("", kind)), Loss::TooMuch(_)), "{kind}");
        }
    }

    #[test]
    fn the_way_out_is_named_with_what_is_lost() {
        let words = |again| way_out(again, ("apps", "deployments"), "home", "web");
        let (command, restore) = (words(Again::Command), words(Again::Restore));
        assert!(command.starts_with("run the restore again with --recreate deployments.apps/home/web, "), "{command}");
        let expected = "delete this Restore and apply it again with the annotation drover.dev/recreate: deployments.apps/home/web, ";
        assert!(restore.starts_with(expected) && restore.contains("its pods"), "{restore}");
        let words = way_out(Again::Restore, ("", "persistentvolumeclaims"), "home", "data");
        assert!(words.contains("never") && !words.contains(ANNOTATION), "{words}");
    }

    #[test]
    fn what_was_named_for_nothing_is_said() {
        let mut results = Results::new(4);
        let set = |results: &mut Results, position, outcome, reason: &str| {
            results.set(position, ObjectResult::new(outcome, reason.to_owned()));
        };
        set(&mut results, 0, Outcome::Unchanged, "");
        set(&mut results, 1, Outcome::Updated, "deleted and created again: why");
        set(&mut results, 2, Outcome::Failed, "no");
        set(&mut results, 3, Outcome::Updated, "note");
        let name: ObjectName = "secrets/a/b".parse().unwrap();
        say_unneeded(&mut results, &(0..4).map(|position| (position, name.clone())).collect());
        let noted = format!("note; {NOT_NEEDED}");
        let reasons = [NOT_NEEDED, "deleted and created again: why", "no", noted.as_str()];
        assert_eq!([0, 1, 2, 3].map(|position| results.reason(position)), reasons);
    }
}
