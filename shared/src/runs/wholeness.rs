use jiff::Timestamp;
use kube::ResourceExt;

use super::history::is_stored;
use super::{ALLOW_ANNOTATION, ALLOW_MISSING_TYPES, Allowed, History, open_losses, status_of};
use crate::archive::Contents;
use crate::resources::{
    Backup, BackupRun, BackupStatus, ConditionStatus, Conditions, Losses, SnapshotStage, StageState,
};

/// The condition that says whether an archive has all that it should.
pub const WHOLE: &str = "Whole";

/// Types that a message names.
const NAMED: usize = 5;

/// What the condition [`WHOLE`] says of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wholeness {
    /// Whether the condition holds.
    pub status: ConditionStatus,
    /// Its reason: `Whole`, `MissingTypes` or `FewerObjects`.
    pub reason: &'static str,
    /// Its message.
    pub message: String,
}

impl Wholeness {
    /// Of an archive of the Backup `backup` that holds this, and lacks that. What is confirmed is no loss any more.
    #[must_use]
    pub fn of(backup: &str, contents: &Contents, losses: Option<&Losses>, allowed: Allowed<'_>) -> Self {
        let missing: Vec<_> =
            contents.missing().map(|left_out| format!("{} ({})", left_out.name, left_out.message)).collect();
        if !missing.is_empty() {
            let message = format!(
                "{} could not be read and are missing: {}; the archive is stored, but \"latest\" never means it, and it fills \
                 no place of the retention. Mend what is named, and take {ALLOW_MISSING_TYPES} out of the annotation \
                 {ALLOW_ANNOTATION}",
                missing.len(),
                first_named(&missing)
            );
            return Self { status: ConditionStatus::False, reason: "MissingTypes", message };
        }
        match losses.filter(|losses| !allowed.confirms(losses)) {
            Some(losses) => {
                let message = lost(backup, losses, allowed);
                Self { status: ConditionStatus::False, reason: "FewerObjects", message }
            }
            None => Self { status: ConditionStatus::True, reason: WHOLE, message: whole(contents, losses) },
        }
    }

    /// The message where something is lacking.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        (self.status != ConditionStatus::True).then_some(self.message.as_str())
    }
}

/// What is lost, and how somebody says that this is right.
fn lost(backup: &str, losses: &Losses, allowed: Allowed<'_>) -> String {
    let words = allowed.with(&losses.confirmation);
    format!(
        "fewer objects than before: {losses}. {:?}, which has them, is kept until they are back or somebody confirms: kubectl \
         annotate backups.resources.cattle.io {backup} --overwrite {ALLOW_ANNOTATION}={words}",
        losses.kept
    )
}

/// What the archives of a Backup lack, in words: the newest one that a place has types that could not be read, or the newest
/// one without such what one before has and nobody has confirmed.
#[must_use]
pub fn lacking(history: &History, backup: &Backup) -> Vec<String> {
    let stored = history.iter().rev().find(|run| is_stored(run));
    let allowed = Allowed::on(backup);
    let losses = open_losses(history, allowed).map(|losses| lost(&backup.name_any(), &losses, allowed));
    stored.and_then(missing_words).into_iter().chain(losses).collect()
}

/// The losses that the condition [`WHOLE`] names although somebody has confirmed them, and nothing else is open. The condition
/// is of the newest snapshot, and the next one may be a week away.
#[must_use]
pub fn confirmed(history: &History, backup: &Backup) -> Option<Losses> {
    let allowed = Allowed::on(backup);
    let is_of_snapshot = |stage: &SnapshotStage| stage.state == StageState::Completed;
    let newest = history.iter().rev().find_map(|run| status_of(run).snapshot.filter(is_of_snapshot))?;
    let losses = newest.losses.filter(|losses| newest.missing_types.is_empty() && allowed.confirms(losses))?;
    let is_said = names(backup.status.as_ref()?.conditions.as_ref()?, &losses);
    (is_said && open_losses(history, allowed).is_none()).then_some(losses)
}

/// Says in the condition [`WHOLE`] that these losses are confirmed, where it names them.
#[must_use]
pub fn with_confirmed(mut status: BackupStatus, losses: &Losses, now: Timestamp) -> BackupStatus {
    if let Some(conditions) = status.conditions.as_mut().filter(|conditions| names(conditions, losses)) {
        conditions.set(WHOLE, ConditionStatus::True, "Confirmed", &format!("confirmed: {losses}"), now);
    }
    status
}

/// Whether the condition [`WHOLE`] asks to confirm these losses.
fn names(conditions: &Conditions, losses: &Losses) -> bool {
    let said = conditions.get(WHOLE).filter(|whole| whole.status == ConditionStatus::False);
    let words = said.and_then(|whole| whole.message.as_deref());
    words.is_some_and(|words| words.contains(&losses.confirmation))
}

fn whole(contents: &Contents, confirmed: Option<&Losses>) -> String {
    let types = contents.types.iter().filter(|listed| listed.objects > 0).count();
    let instead = contents.types.iter().filter(|listed| !listed.named.is_empty());
    let instead =
        instead.map(|listed| format!("{} in {} for {}", listed.name, listed.version, listed.named.join(", ")));
    let instead: Vec<_> = instead.collect();
    let instead = (!instead.is_empty()).then(|| {
        let first = first_named(&instead);
        format!("in a version that is served for the one that the ResourceSet names: {first}")
    });
    let confirmed = confirmed.map(|losses| format!("confirmed: {losses}"));
    [Some(format!("{types} types")), instead, confirmed].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The types that a run's archive lacks, in words; none where it lacks none.
#[must_use]
pub fn missing_words(run: &BackupRun) -> Option<String> {
    let missing = &run.status.as_ref()?.snapshot.as_ref()?.missing_types;
    (!missing.is_empty()).then(|| {
        let (filename, types) = (&run.spec.filename, first_named(missing));
        format!("{filename:?} is stored, but no backup: it lacks what could not be read: {types}")
    })
}

/// The first few of them in words, and how many more there are.
pub(crate) fn first_named(all: &[String]) -> String {
    let named = all.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::{backup, run};
    use super::*;
    use crate::archive::{LeftOut, ListedType, Reason};
    use crate::resources::{LossReason, RunState, TypeLoss};

    #[track_caller]
    fn check(wholeness: &Wholeness, reason: &str, words: &[&str]) {
        assert_eq!(wholeness.reason, reason, "{wholeness:?}");
        assert_eq!(wholeness.warning().is_some(), reason != WHOLE, "{wholeness:?}");
        assert!(words.iter().all(|words| wholeness.message.contains(words)), "{}", wholeness.message);
    }

    #[test]
    fn the_condition_says_what_is_lacking_and_what_to_do() {
        let named = vec!["v1beta2".to_owned()];
        let clusters = ListedType {
            name: "clusters.a.io".into(),
            version: "v1beta1".into(),
            named,
            objects: 2,
            ..ListedType::default()
        };
        let mut contents = Contents { types: vec![clusters], ..Contents::default() };
        let instead = "clusters.a.io in v1beta1 for v1beta2";
        check(&Wholeness::of("daily", &contents, None, Allowed::default()), WHOLE, &["1 types", instead]);

        let loss = TypeLoss { type_: "things.b.io".into(), before: 5, now: 0, reason: LossReason::NotServed };
        let losses =
            Losses { kept: "a.tar.gz".into(), confirmation: "loss-01234567".into(), count: 1, types: vec![loss] };
        let of = |words| Wholeness::of("daily", &contents, Some(&losses), Allowed::by(words));
        let command = "kubectl annotate backups.resources.cattle.io daily --overwrite drover.dev/allow=loss-01234567";
        check(&of(None), "FewerObjects", &["things.b.io (5 before, 0 now", "\"a.tar.gz\"", command]);
        check(&of(Some("other")), "FewerObjects", &["drover.dev/allow=other,loss-01234567"]);
        check(&of(Some("other,loss-01234567")), WHOLE, &["confirmed: things.b.io"]);

        let message = "503".to_owned();
        contents.left_out = vec![LeftOut { name: "down.io/v1".into(), reason: Reason::NotListed, message }];
        let missing = Wholeness::of("daily", &contents, Some(&losses), Allowed::default());
        check(&missing, "MissingTypes", &["down.io/v1 (503)", "latest"]);
    }

    fn losses_of(word: &str) -> Losses {
        let loss = TypeLoss { type_: "things.b.io".into(), before: 5, now: 0, reason: LossReason::NotServed };
        Losses { kept: "a.tar.gz".into(), confirmation: word.into(), count: 1, types: vec![loss] }
    }

    /// A stored run that lost this, and lacks these types.
    fn lossy(number: i64, losses: &Losses, missing: &[&str]) -> BackupRun {
        let mut run = run(number, RunState::Completed, true);
        let snapshot = run.status.as_mut().unwrap().snapshot.as_mut().unwrap();
        snapshot.losses = Some(losses.clone());
        snapshot.missing_types = missing.iter().map(|name| (*name).to_owned()).collect();
        run
    }

    /// A Backup whose condition says `said` of these losses, and whose annotation has these words.
    fn annotated(said: &str, losses: &Losses, words: &str) -> Backup {
        let mut backup = backup();
        backup.metadata.annotations = Some([(ALLOW_ANNOTATION.to_owned(), words.to_owned())].into());
        let mut conditions = Conditions::default();
        let message = lost("daily", losses, Allowed::default());
        conditions.set(WHOLE, ConditionStatus::False, said, &message, Timestamp::UNIX_EPOCH);
        backup.status = Some(BackupStatus { conditions: Some(conditions), ..BackupStatus::default() });
        backup
    }

    #[test]
    fn the_condition_follows_a_confirmation_before_the_next_snapshot() {
        let (losses, other) = (losses_of("loss-1"), losses_of("loss-2"));
        let found = |runs: Vec<BackupRun>, said: &Losses, words: &str| {
            let backup = annotated("FewerObjects", said, words);
            confirmed(&History::of(&backup, runs), &backup)
        };
        let told = found(vec![lossy(1, &losses, &[])], &losses, "fewer-objects,loss-1").unwrap();
        assert_eq!(told, losses);
        assert_eq!(found(vec![lossy(1, &losses, &[])], &losses, "loss-2"), None);
        assert_eq!(found(vec![lossy(1, &losses, &[])], &other, "loss-1"), None, "it names other losses");
        assert_eq!(found(vec![lossy(1, &losses, &["down.io/v1"])], &losses, "loss-1"), None, "types are missing");
        assert_eq!(found(vec![lossy(1, &losses, &[]), lossy(2, &other, &[])], &losses, "loss-1"), None);
        assert_eq!(found(vec![run(1, RunState::Completed, true)], &losses, "loss-1"), None);

        let status = annotated("FewerObjects", &losses, "loss-1").status.unwrap();
        assert_eq!(with_confirmed(status.clone(), &other, Timestamp::UNIX_EPOCH), status);
        let status = with_confirmed(status, &losses, Timestamp::UNIX_EPOCH);
        let conditions = status.conditions.as_ref().unwrap();
        let whole = conditions.get(WHOLE).unwrap();
        assert!(conditions.is_true(WHOLE) && whole.reason.as_deref() == Some("Confirmed"), "{whole:?}");
        assert!(whole.message.as_ref().unwrap().starts_with("confirmed: things.b.io"), "{whole:?}");
        assert_eq!(with_confirmed(BackupStatus::default(), &losses, Timestamp::UNIX_EPOCH), BackupStatus::default());
    }
}
