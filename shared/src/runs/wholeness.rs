use jiff::Timestamp;
use kube::ResourceExt;

use super::losses::open_losses;
use super::progress::{has_counted, is_stored};
use super::words::first_named;
use super::{ALLOW_MISSING_TYPES, Allowed, History, status_of};
use crate::annotations::ALLOW_ANNOTATION;
use crate::archive::Contents;
use crate::conditions::{WHOLE, reason};
use crate::resources::{
    Backup, BackupRun, BackupStatus, ConditionStatus, Conditions, Losses, SnapshotStage, StageState,
};

/// Archives that a message names with the types that they are the last to have.
const ARCHIVES: usize = 10;

/// What the condition [`WHOLE`] says of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wholeness {
    /// Whether the condition holds.
    pub status: ConditionStatus,
    /// Its reason: `Whole`, `MissingTypes` or `ObjectsLost`.
    pub reason: &'static str,
    /// Its message.
    pub message: String,
    /// Objects that no archive can hold, in words, which are in the message too. They make no archive a bad one.
    pub no_place: Option<String>,
}

impl Wholeness {
    /// Of an archive of the Backup `backup` that holds this, and lacks that. What is confirmed is no loss any more.
    #[must_use]
    pub fn of(backup: &str, contents: &Contents, losses: &[Losses], allowed: Allowed<'_>) -> Self {
        let (status, reason, message) = judged(backup, contents, losses, allowed);
        let no_place = contents.without_place();
        let message = [Some(message), no_place.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        Self { status, reason, message, no_place }
    }

    /// The message where something is lacking.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        (self.status != ConditionStatus::True).then_some(self.message.as_str())
    }
}

/// Status, reason and message of the condition.
fn judged(
    backup: &str,
    contents: &Contents,
    losses: &[Losses],
    allowed: Allowed<'_>,
) -> (ConditionStatus, &'static str, String) {
    let open: Vec<_> = losses.iter().filter(|losses| !allowed.confirms(losses)).cloned().collect();
    let missing: Vec<_> =
        contents.missing().map(|left_out| format!("{} ({})", left_out.name, left_out.message)).collect();
    if !missing.is_empty() {
        let mut message = format!(
            "{} could not be read and are missing: {}; the archive is stored, but \"latest\" never means it, and it fills \
                 no place of the retention. Mend what is named, and take {ALLOW_MISSING_TYPES} out of the annotation \
                 {ALLOW_ANNOTATION}",
            missing.len(),
            first_named(&missing)
        );
        if let Some(lost) = lost(backup, &open, allowed) {
            message = [message, lost].join("; ");
        }
        return (ConditionStatus::False, reason::MISSING_TYPES, message);
    }
    match lost(backup, &open, allowed) {
        Some(message) => (ConditionStatus::False, reason::OBJECTS_LOST, message),
        None => (ConditionStatus::True, WHOLE, whole(contents, losses)),
    }
}

/// What is lost, which archives have it, and how somebody says that this is right; none where nothing is.
fn lost(backup: &str, open: &[Losses], allowed: Allowed<'_>) -> Option<String> {
    let named = &open[..open.len().min(ARCHIVES)];
    let each = |losses: &Losses| format!("{losses}, in {:?} ({})", losses.kept, losses.confirmation);
    let lost = named.iter().map(each).collect::<Vec<_>>().join("; ");
    let more = match open.len() - named.len() {
        0 => String::new(),
        more => format!("; and in {more} more archives, which the run tells"),
    };
    let words = named.iter().map(|losses| losses.confirmation.as_str()).collect::<Vec<_>>().join(",");
    let command = allowed.command_for(backup, &words);
    let some = if open.len() > 1 { ", with the words of what is right alone" } else { "" };
    (!open.is_empty()).then(|| {
        format!(
            "fewer objects than before: {lost}{more}. What has them is kept until they are back or somebody confirms{some}. Once \
             it is confirmed, the next prune may delete what has them: {command}"
        )
    })
}

/// What the archives of a Backup lack, in words: the newest one that a place has types that could not be read, or the newest
/// one without such what one before has and nobody has confirmed.
#[must_use]
pub fn lacking(history: &History, backup: &Backup) -> Vec<String> {
    let stored = history.iter().rev().find(|run| is_stored(run));
    let allowed = Allowed::on(backup);
    let losses = lost(&backup.name_any(), &open_losses(history, allowed), allowed);
    stored.and_then(missing_words).into_iter().chain(losses).collect()
}

/// The losses that the condition [`WHOLE`] names although somebody has confirmed all of them, and nothing else is open; empty
/// where there are none. The condition is of the newest snapshot that counted, and the next one may be a week away.
#[must_use]
pub fn confirmed(history: &History, backup: &Backup) -> Vec<Losses> {
    let allowed = Allowed::on(backup);
    let is_of_snapshot = |stage: &SnapshotStage| stage.state == StageState::Completed;
    let mut counted = history.iter().rev().filter(|run| has_counted(run));
    let newest = counted.find_map(|run| status_of(run).snapshot.filter(is_of_snapshot)).unwrap_or_default();
    let is_said = backup.conditions().is_some_and(|conditions| names(conditions, &newest.losses));
    let is_all = newest.missing_types.is_empty() && newest.losses.iter().all(|losses| allowed.confirms(losses));
    if is_said && is_all && open_losses(history, allowed).is_empty() { newest.losses } else { Vec::new() }
}

/// Says in the condition [`WHOLE`] that these losses are confirmed, where it names them.
#[must_use]
pub fn with_confirmed(mut status: BackupStatus, losses: &[Losses], now: Timestamp) -> BackupStatus {
    let message = confirmed_words(losses);
    if let Some(conditions) = status.conditions.as_mut().filter(|conditions| names(conditions, losses)) {
        conditions.set(WHOLE, ConditionStatus::True, reason::CONFIRMED, &message, now);
    }
    status
}

fn confirmed_words(losses: &[Losses]) -> String {
    let named: Vec<_> = losses.iter().take(ARCHIVES).map(ToString::to_string).collect();
    format!("confirmed: {}", named.join("; "))
}

/// Whether the condition [`WHOLE`] asks to confirm any of these losses.
fn names(conditions: &Conditions, losses: &[Losses]) -> bool {
    let said = conditions.get(WHOLE).filter(|whole| whole.status == ConditionStatus::False);
    let words = said.and_then(|whole| whole.message.as_deref()).unwrap_or_default();
    losses.iter().any(|losses| words.contains(&losses.confirmation))
}

fn whole(contents: &Contents, confirmed: &[Losses]) -> String {
    let types = contents.types.iter().filter(|listed| listed.objects > 0).count();
    let instead = contents.types.iter().filter(|listed| !listed.named.is_empty());
    let instead =
        instead.map(|listed| format!("{} in {} for {}", listed.name, listed.version, listed.named.join(", ")));
    let instead: Vec<_> = instead.collect();
    let instead = (!instead.is_empty()).then(|| {
        let first = first_named(&instead);
        format!("in a version that is served for the one that the ResourceSet names: {first}")
    });
    let confirmed = (!confirmed.is_empty()).then(|| confirmed_words(confirmed));
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
        check(&Wholeness::of("daily", &contents, &[], Allowed::default()), WHOLE, &["1 types", instead]);

        let loss = TypeLoss { type_: "things.b.io".into(), before: 5, now: 0, reason: LossReason::NotServed };
        let losses =
            Losses { kept: "a.tar.gz".into(), confirmation: "loss-01234567".into(), count: 1, types: vec![loss] };
        let other = Losses { kept: "b.tar.gz".into(), confirmation: "loss-89abcdef".into(), ..losses.clone() };
        let losses = [losses, other];
        let of = |words| Wholeness::of("daily", &contents, &losses[..1], Allowed::by(words));
        let command = "kubectl annotate backups.resources.cattle.io daily --overwrite drover.dev/allow=loss-01234567";
        check(&of(None), "ObjectsLost", &["things.b.io (5 before, 0 now", "\"a.tar.gz\"", command]);
        check(&of(Some("other")), "ObjectsLost", &["drover.dev/allow=other,loss-01234567"]);
        check(&of(Some("other,loss-01234567")), WHOLE, &["confirmed: things.b.io"]);
        let both = |words| Wholeness::of("daily", &contents, &losses, Allowed::by(words));
        let each = ["in \"a.tar.gz\" (loss-01234567)", "in \"b.tar.gz\" (loss-89abcdef)"];
        check(&both(None), "ObjectsLost", &each);
        check(&both(None), "ObjectsLost", &["drover.dev/allow=loss-01234567,loss-89abcdef"]);
        check(&both(Some("loss-01234567")), "ObjectsLost", &each[1..]);
        assert!(!both(Some("loss-01234567")).message.contains(each[0]), "it was confirmed");
        check(&both(Some("loss-01234567,loss-89abcdef")), WHOLE, &["confirmed: things.b.io"]);
        let many: Vec<_> = std::iter::repeat_n(losses[0].clone(), 13).collect();
        let many = Wholeness::of("daily", &contents, &many, Allowed::default());
        check(&many, "ObjectsLost", &["in 3 more archives"]);

        let message = "1 with names: \"a/b\"".to_owned();
        contents.left_out = vec![LeftOut { name: "roles.a.io".into(), reason: Reason::NoPlace, message }];
        let words = "left out of roles.a.io: 1 with names: \"a/b\"";
        let no_place = Wholeness::of("daily", &contents, &[], Allowed::default());
        check(&no_place, WHOLE, &["1 types", words]);
        assert_eq!(no_place.no_place.as_deref(), Some(words));
        check(&Wholeness::of("daily", &contents, &losses[..1], Allowed::default()), "ObjectsLost", &[command, words]);

        let message = "503".to_owned();
        contents.left_out = vec![LeftOut { name: "down.io/v1".into(), reason: Reason::NotListed, message }];
        let missing = Wholeness::of("daily", &contents, &losses, Allowed::default());
        check(&missing, "MissingTypes", &["down.io/v1 (503)", "latest", each[0], each[1]]);
    }

    fn losses_of(word: &str) -> Losses {
        let loss = TypeLoss { type_: "things.b.io".into(), before: 5, now: 0, reason: LossReason::NotServed };
        Losses { kept: "a.tar.gz".into(), confirmation: word.into(), count: 1, types: vec![loss] }
    }

    /// A stored run that lost this, and lacks these types.
    fn lossy(number: i64, losses: &[Losses], missing: &[&str]) -> BackupRun {
        let mut run = run(number, RunState::Completed, true);
        let snapshot = run.status.as_mut().unwrap().snapshot.as_mut().unwrap();
        snapshot.losses = losses.to_vec();
        snapshot.missing_types = missing.iter().map(|name| (*name).to_owned()).collect();
        run
    }

    /// A Backup whose condition says `said` of these losses, and whose annotation has these words.
    fn annotated(said: &str, losses: &[Losses], words: &str) -> Backup {
        let mut backup = backup();
        backup.metadata.annotations = Some([(ALLOW_ANNOTATION.to_owned(), words.to_owned())].into());
        let mut conditions = Conditions::default();
        let message = lost("daily", losses, Allowed::default()).unwrap();
        conditions.set(WHOLE, ConditionStatus::False, said, &message, Timestamp::UNIX_EPOCH);
        backup.status = Some(BackupStatus { conditions: Some(conditions), ..BackupStatus::default() });
        backup
    }

    #[test]
    fn the_condition_follows_a_confirmation_before_the_next_snapshot() {
        let (one, other) = ([losses_of("loss-1")], [losses_of("loss-2")]);
        let both = [losses_of("loss-1"), losses_of("loss-2")];
        let found = |runs: Vec<BackupRun>, said: &[Losses], words: &str| {
            let backup = annotated("ObjectsLost", said, words);
            confirmed(&History::of(&backup, runs), &backup)
        };
        assert_eq!(found(vec![lossy(1, &one, &[])], &one, "fewer-objects,loss-1"), one);
        assert_eq!(found(vec![lossy(1, &both, &[])], &both, "loss-2,loss-1"), both);
        let unknown = run(2, RunState::Completed, true);
        assert_eq!(found(vec![lossy(1, &one, &[]), unknown], &one, "loss-1"), one, "an earlier version counts nothing");
        assert_eq!(found(vec![lossy(1, &one, &[])], &one, "loss-2"), []);
        assert_eq!(found(vec![lossy(1, &both, &[])], &both, "loss-1"), [], "one word confirms no other");
        assert_eq!(found(vec![lossy(1, &one, &[])], &other, "loss-1"), [], "it names other losses");
        assert_eq!(found(vec![lossy(1, &one, &["down.io/v1"])], &one, "loss-1"), [], "types are missing");
        assert_eq!(found(vec![lossy(1, &one, &[]), lossy(2, &other, &[])], &one, "loss-1"), []);
        assert_eq!(found(vec![run(1, RunState::Completed, true)], &one, "loss-1"), []);

        let status = annotated("ObjectsLost", &one, "loss-1").status.unwrap();
        assert_eq!(with_confirmed(status.clone(), &other, Timestamp::UNIX_EPOCH), status);
        let status = with_confirmed(status, &one, Timestamp::UNIX_EPOCH);
        let conditions = status.conditions.as_ref().unwrap();
        let whole = conditions.get(WHOLE).unwrap();
        assert!(conditions.is_true(WHOLE) && whole.reason.as_deref() == Some("Confirmed"), "{whole:?}");
        assert!(whole.message.as_ref().unwrap().starts_with("confirmed: things.b.io"), "{whole:?}");
        assert_eq!(with_confirmed(BackupStatus::default(), &one, Timestamp::UNIX_EPOCH), BackupStatus::default());
    }
}
