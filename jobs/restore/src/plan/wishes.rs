//! What is asked of a restore, beside putting back the objects of an archive.

use std::time::Duration;

use drover::annotations::{CREDENTIALS_ANNOTATION, EXEMPT_ANNOTATION, PRUNE_ANNOTATION, REQUIRE_ANNOTATION};
use drover::exit::{Exit, Fault};
use drover::resources::Restore;
use jiff::Timestamp;
use kube::ResourceExt;
use snafu::{OptionExt, Snafu};

use crate::apply::exemption::Exempt;
use crate::plan::made_anew::{self, NameRefused, Named, ObjectName};
use crate::report::again::Again;

/// How long a deletion may take before finalizers are removed, where nothing is said: as long as Rancher allows.
pub(crate) const DELETE_TIMEOUT: Duration = Duration::from_secs(10);

/// What the annotation about webhooks may be.
const EXEMPT_VALUES: &str =
    "none, which exempts from nothing, or names of webhook configurations with commas between them";

/// Why it is not known what a Restore asks for.
#[derive(Debug, Eq, PartialEq, Snafu)]
#[snafu(display(
    "failed to read the annotation {annotation:?}: it is {value:?} and can only be {allowed:?}; nothing was changed. \
     Delete the Restore, correct it and apply it again"
))]
pub(crate) struct WishError {
    annotation: &'static str,
    value: String,
    allowed: &'static str,
}

impl Fault for WishError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// What is asked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Wishes {
    /// Delete what the archive's ResourceSet selects and the archive lacks.
    pub(crate) prune: Option<Prune>,
    /// Go on although types are not served, and end well although objects failed.
    pub(crate) ignore_errors: bool,
    /// Write also the Secrets that live Backups, Restores and BackupPolicies name, and those of the default location.
    pub(crate) credentials: bool,
    /// Refuse an archive of which nothing proves who made it.
    pub(crate) require_authentic: bool,
    /// The webhooks that are not asked about what is written.
    pub(crate) exempt: Exempt,
    /// Delete and create again these objects, where they cannot be changed into what the archive has.
    pub(crate) recreate: Named,
    /// How the restore is run once more.
    pub(crate) again: Again,
}

/// How it is deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Prune {
    /// How long a deletion may take before finalizers are removed.
    pub(crate) timeout: Duration,
    /// Whether also what is held back otherwise is deleted.
    pub(crate) everything: bool,
    /// When the restore was asked for, by the API server; none where it did not say.
    pub(crate) asked_at: Option<Timestamp>,
}

impl Wishes {
    /// What a Restore asks.
    ///
    /// # Errors
    ///
    /// When an annotation of drover has a value that means nothing.
    pub(crate) fn of(restore: &Restore) -> Result<Self, WishError> {
        let everything = annotation(restore, PRUNE_ANNOTATION, "all")?;
        let seconds = restore.spec.delete_timeout_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let timeout = seconds.map_or(DELETE_TIMEOUT, Duration::from_secs);
        let asked_at = restore.creation_timestamp().map(|time| time.0);
        Ok(Self {
            prune: restore.prunes().then_some(Prune { timeout, everything, asked_at }),
            ignore_errors: restore.spec.ignore_errors == Some(true),
            credentials: annotation(restore, CREDENTIALS_ANNOTATION, "true")?,
            require_authentic: annotation(restore, REQUIRE_ANNOTATION, "authentic")?,
            exempt: exempt(restore)?,
            recreate: recreate(restore)?,
            again: Again::Restore,
        })
    }
}

/// From which webhooks a Restore is to be exempt.
///
/// # Errors
///
/// Where its annotation means nothing.
pub(crate) fn exempt(restore: &Restore) -> Result<Exempt, WishError> {
    let value = restore.annotations().get(EXEMPT_ANNOTATION).map(String::as_str);
    let value_or_empty = value.unwrap_or_default();
    let refused = WishSnafu { annotation: EXEMPT_ANNOTATION, value: value_or_empty, allowed: EXEMPT_VALUES };
    Exempt::of_annotation(value).context(refused)
}

/// Whether an annotation is there with the one value that it may have.
fn annotation(restore: &Restore, annotation: &'static str, allowed: &'static str) -> Result<bool, WishError> {
    match restore.annotations().get(annotation) {
        None => Ok(false),
        Some(value) if value == allowed => Ok(true),
        Some(value) => WishSnafu { annotation, value, allowed }.fail(),
    }
}

/// The objects that are named to be made anew, with commas between them.
fn recreate(restore: &Restore) -> Result<Named, WishError> {
    let annotation = made_anew::ANNOTATION;
    let Some(value) = restore.annotations().get(annotation) else { return Ok(Named::default()) };
    let read = |word: &str| {
        let refused = |NameRefused { allowed }| WishSnafu { annotation, value: word, allowed }.build();
        word.parse::<ObjectName>().map_err(refused)
    };
    value.split(',').map(str::trim).map(read).collect::<Result<_, _>>().map(Named::new)
}

#[cfg(test)]
mod tests {
    use drover::resources::RestoreSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn restore(spec: RestoreSpec, annotations: &[(&str, &str)]) -> Restore {
        let mut restore = Restore::new("r", spec);
        let annotations = annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        restore.annotations_mut().extend(annotations);
        restore
    }

    #[test]
    fn a_restore_prunes_unless_it_says_otherwise() {
        let prune = |spec| Wishes::of(&restore(spec, &[])).unwrap().prune;
        let plain = Prune { timeout: DELETE_TIMEOUT, everything: false, asked_at: None };
        assert_eq!(prune(RestoreSpec::default()), Some(plain));
        assert_eq!(prune(RestoreSpec { prune: Some(false), ..RestoreSpec::default() }), None);
        let timed = RestoreSpec { delete_timeout_seconds: Some(3), ..RestoreSpec::default() };
        assert_eq!(prune(timed).unwrap().timeout, Duration::from_secs(3));
    }

    #[test]
    fn a_restore_was_asked_for_when_the_api_server_stamped_it() {
        let mut restore = restore(RestoreSpec::default(), &[]);
        restore.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        assert_eq!(Wishes::of(&restore).unwrap().prune.unwrap().asked_at, Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn annotations_widen_what_it_does() {
        let annotations = [(PRUNE_ANNOTATION, "all"), (CREDENTIALS_ANNOTATION, "true")];
        let wishes = Wishes::of(&restore(RestoreSpec::default(), &annotations)).unwrap();
        assert!(wishes.credentials && wishes.prune.unwrap().everything && !wishes.require_authentic);
    }

    #[test]
    fn an_annotation_asks_for_an_authentic_archive() {
        let required = |value| Wishes::of(&restore(RestoreSpec::default(), &[(REQUIRE_ANNOTATION, value)]));
        assert!(required("authentic").unwrap().require_authentic);
        for value in ["", "true", "Authentic"] {
            assert_eq!(required(value).unwrap_err().annotation, REQUIRE_ANNOTATION, "{value:?}");
        }
    }

    #[test]
    fn objects_are_named_to_be_made_anew() {
        let named = |value: &str| Wishes::of(&restore(RestoreSpec::default(), &[(made_anew::ANNOTATION, value)]));
        let names = ["deployments.apps/home/web", "storageclasses.storage.k8s.io/fast"];
        let expected = Named::new(names.map(|name| name.parse::<ObjectName>().unwrap()).into());
        assert_eq!(named(&names.join(", ")).unwrap().recreate, expected);
        for (value, word) in [("", ""), ("web", "web"), ("secrets/a/b,", ""), ("secrets/a/b,all", "all")] {
            let error = named(value).unwrap_err();
            assert_eq!((error.annotation, error.value.as_str()), (made_anew::ANNOTATION, word), "{value:?}");
        }
        let error = named("namespaces/a").unwrap_err().to_string();
        assert!(error.contains("no Namespace"), "{error}");
    }

    #[test]
    fn a_value_that_means_nothing_is_refused() {
        let error = Wishes::of(&restore(RestoreSpec::default(), &[(PRUNE_ANNOTATION, "yes")])).unwrap_err();
        assert_eq!((error.annotation, error.value.as_str(), error.exit()), (PRUNE_ANNOTATION, "yes", Exit::Usage));
        let error = Wishes::of(&restore(RestoreSpec::default(), &[(EXEMPT_ANNOTATION, "none,a.io")])).unwrap_err();
        assert!(error.to_string().contains("\"none,a.io\" and can only be \"none, which"), "{error}");
        assert!(error.to_string().contains("or names of webhook configurations"), "{error}");
        let error = Wishes::of(&restore(RestoreSpec::default(), &[(EXEMPT_ANNOTATION, "false")])).unwrap_err();
        assert!(
            error.to_string().contains("\"false\"") && error.to_string().contains("nothing was changed"),
            "{error}"
        );
    }

    #[test]
    fn a_restore_is_exempt_from_the_webhooks_of_rancher_unless_it_says_otherwise() {
        let exempt =
            |annotations: &[(&str, &str)]| Wishes::of(&restore(RestoreSpec::default(), annotations)).unwrap().exempt;
        assert_eq!(exempt(&[]), Exempt::Rancher);
        assert_eq!(exempt(&[(EXEMPT_ANNOTATION, "none")]), Exempt::Nothing);
    }
}
