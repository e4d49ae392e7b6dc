//! Which annotations of drover a Backup or Restore may have: any other one is refused. What nobody reads may have been meant
//! to narrow a restore, which would then do everything.

use kube::{Resource, ResourceExt};
use snafu::Snafu;

use super::{
    ALLOW_ANNOTATION, CLUSTER_ANNOTATION, CREDENTIALS_ANNOTATION, EXEMPT_ANNOTATION, HEARTBEAT_ANNOTATION,
    LATEST_OF_ANNOTATION, PLACE_ANNOTATION, PRUNE_ANNOTATION, RECREATE_ANNOTATION, REQUIRE_ANNOTATION,
    RESOLVED_ANNOTATION, RESOLVED_PLACE_ANNOTATION, is_ours,
};
use crate::exit::{Exit, Fault};
use crate::nearest::Search;
use crate::resources::{Backup, Restore};

/// Who sets an annotation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum SetBy {
    /// Whoever wants a backup or a restore.
    User,
    /// drover itself.
    Drover,
}

/// An annotation, and who sets it.
type Known = (&'static str, SetBy);

/// Those of Backups.
const ON_BACKUPS: &[Known] = &[(ALLOW_ANNOTATION, SetBy::User), (HEARTBEAT_ANNOTATION, SetBy::User)];

/// Those of Restores.
const ON_RESTORES: &[Known] = &[
    (CLUSTER_ANNOTATION, SetBy::User),
    (CREDENTIALS_ANNOTATION, SetBy::User),
    (EXEMPT_ANNOTATION, SetBy::User),
    (LATEST_OF_ANNOTATION, SetBy::User),
    (PLACE_ANNOTATION, SetBy::User),
    (PRUNE_ANNOTATION, SetBy::User),
    (RECREATE_ANNOTATION, SetBy::User),
    (REQUIRE_ANNOTATION, SetBy::User),
    (RESOLVED_ANNOTATION, SetBy::Drover),
    (RESOLVED_PLACE_ANNOTATION, SetBy::Drover),
];

/// An annotation of drover that this version does not know.
#[derive(Clone, Debug, Eq, PartialEq, Snafu)]
#[snafu(display(
    "failed to tell what the annotation {name:?} asks for: this version of drover knows none{near}; {remedy}"
))]
pub struct UnknownAnnotation {
    name: String,
    /// What it may be instead, as the end of a sentence.
    near: String,
    /// What to do.
    remedy: String,
}

impl Fault for UnknownAnnotation {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// Refuses a Backup with an annotation of drover that is none.
///
/// # Errors
/// With the first such annotation, the names nearest to it, and what to do.
pub fn check_backup(backup: &Backup) -> Result<(), UnknownAnnotation> {
    let Some(name) = first_unknown(backup, ON_BACKUPS) else { return Ok(()) };
    let near = near(&name, ON_BACKUPS, ON_RESTORES, "Restore");
    let remedy = format!(
        "no backup is made before it is correct, or gone: kubectl annotate backups.resources.cattle.io {} {name}-",
        backup.name_any()
    );
    Err(UnknownAnnotation { name, near, remedy })
}

/// Refuses a Restore with an annotation of drover that is none.
///
/// # Errors
/// As [`check_backup`].
pub fn check_restore(restore: &Restore) -> Result<(), UnknownAnnotation> {
    let Some(name) = first_unknown(restore, ON_RESTORES) else { return Ok(()) };
    let near = near(&name, ON_RESTORES, ON_BACKUPS, "Backup");
    let remedy = "nothing was changed; correct it, delete this Restore and apply it again".to_owned();
    Err(UnknownAnnotation { name, near, remedy })
}

fn first_unknown<K: Resource>(object: &K, known: &[Known]) -> Option<String> {
    let mut ours = object.annotations().keys().filter(|name| is_ours(name));
    ours.find(|name| !has(known, name)).cloned()
}

fn has(known: &[Known], name: &str) -> bool {
    known.iter().any(|(known, _)| *known == name)
}

/// The names nearest to one that is not known, of those that a person sets; or that it is one of the other kind's.
fn near(name: &str, known: &[Known], others: &[Known], other: &str) -> String {
    if has(others, name) {
        return format!(" here, it is one of a {other}");
    }
    let mut search = Search::for_name(name);
    for (known, _) in known.iter().filter(|(_, set_by)| *set_by == SetBy::User) {
        search.see((*known).to_owned());
    }
    search.end().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{BackupSpec, RestoreSpec};

    fn backup(annotation: &str) -> Backup {
        let mut backup = Backup::new("daily", BackupSpec::default());
        backup.annotations_mut().insert(annotation.to_owned(), String::new());
        backup
    }

    fn restore(annotation: &str) -> Restore {
        let mut restore = Restore::new("back", RestoreSpec::default());
        restore.annotations_mut().insert(annotation.to_owned(), String::new());
        restore
    }

    #[test]
    fn each_kind_takes_its_own_annotations_and_those_of_others() {
        for (name, _) in ON_BACKUPS {
            assert_eq!(check_backup(&backup(name)), Ok(()), "{name}");
        }
        for (name, _) in ON_RESTORES {
            assert_eq!(check_restore(&restore(name)), Ok(()), "{name}");
        }
        for name in
            ["kubectl.kubernetes.io/last-applied-configuration", "example.io/drover.dev", "drover.development/a"]
        {
            assert_eq!((check_backup(&backup(name)), check_restore(&restore(name))), (Ok(()), Ok(())), "{name}");
        }
    }

    #[test]
    fn a_typo_is_refused_with_the_nearest_name_first() {
        for (typo, nearest) in [
            ("drover.dev/prunes", PRUNE_ANNOTATION),
            ("drover.dev/Prune", PRUNE_ANNOTATION),
            ("Drover.dev/prune", PRUNE_ANNOTATION),
            ("drover.dev/latest-off", LATEST_OF_ANNOTATION),
            ("drover.dev/restore-credential", CREDENTIALS_ANNOTATION),
        ] {
            let error = check_restore(&restore(typo)).unwrap_err();
            let words = error.to_string();
            assert!(words.contains(&format!("{typo:?}")), "{words}");
            assert!(words.contains(&format!("none; the nearest there: {nearest:?}")), "{words}");
            assert!(words.ends_with("delete this Restore and apply it again"), "{words}");
            assert_eq!(error.exit(), Exit::Usage);
        }
    }

    #[test]
    fn what_narrows_a_restore_in_another_version_never_means_everything() {
        for name in ["drover.dev/only", "drover.dev/plan", "drover.dev/"] {
            assert!(check_restore(&restore(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn a_backup_is_told_how_to_take_the_typo_away() {
        let words = check_backup(&backup("drover.dev/alow")).unwrap_err().to_string();
        assert!(words.contains("the nearest there: \"drover.dev/allow\""), "{words}");
        assert!(words.ends_with("kubectl annotate backups.resources.cattle.io daily drover.dev/alow-"), "{words}");
    }

    #[test]
    fn an_annotation_of_the_other_kind_is_told_as_such() {
        let words = check_restore(&restore(ALLOW_ANNOTATION)).unwrap_err().to_string();
        assert!(words.contains("knows none here, it is one of a Backup; "), "{words}");
        let words = check_backup(&backup(PRUNE_ANNOTATION)).unwrap_err().to_string();
        assert!(words.contains("it is one of a Restore; "), "{words}");
    }

    #[test]
    fn what_drover_sets_itself_is_offered_to_nobody() {
        let words = check_restore(&restore("drover.dev/backup-filenam")).unwrap_err().to_string();
        assert!(!words.contains(&format!("{RESOLVED_ANNOTATION:?}")), "{words}");
    }
}
