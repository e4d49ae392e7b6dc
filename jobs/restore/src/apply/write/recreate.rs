//! Objects that the server lets nobody change into what is wanted: they are deleted and created again.
//!
//! Nothing is deleted before the server agreed, on trial, to create what is wanted, and before there is a [copy](crate::apply::copies)
//! of what is deleted. A restore that is killed in between loses nothing: the next run puts that back, before it plans.

use std::borrow::Cow;
use std::time::Duration;

use drover::api::RequestError;
use drover::exit::Chain;
use serde_json::{Value, json};
use snafu::ResultExt;
use tokio::time::Instant;

use super::error::{RequestSnafu, StillThereSnafu, WriteError};
use super::{GONE_WITHIN, Job, Written, held, parse};
use crate::apply::copies::{KeptCopy, Original, Standing, put_back};
use crate::apply::finalizers::waited_for;
use crate::objects::compare::same;
use crate::objects::server_owned::{leave_to_server, without_what_is_had};
use crate::objects::shape::{Identity, Shape};
use crate::plan::made_anew::{Loss, loss, way_out};
use crate::report::outcome::Outcome;

/// Between two looks at an object that is going; but for a Service it has no finalizers of its own, and goes within moments.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the API server may take to hear that a class is gone.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// Where nothing is deleted for what the server says.
const NOT_DELETED: &str = "it cannot be changed, and to delete and create it again was refused, so it is as it was";

/// The type of a Secret that names none.
const OPAQUE: &str = "Opaque";

/// Why an object cannot be changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Obstacle {
    /// `immutable: true` on a Secret or ConfigMap.
    Immutable,
    /// The type of a Secret.
    SecretType,
    /// The role of a RoleBinding or ClusterRoleBinding.
    RoleRef,
    /// Something of a type of which nothing is lost.
    OfType,
    /// Something that somebody named to be made anew all the same.
    Named(Cascade),
}

/// What becomes of what a deleted object owns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cascade {
    /// It stays, and the object that is made anew takes it up again.
    Orphan,
    /// It goes too: the new object would not take it up.
    Background,
}

impl Cascade {
    /// What has to become of what the live object owns. The type is given as group and plural name.
    ///
    /// A Job selects its pods by its own UID. The pods of other controllers are taken up by labels, so those of another
    /// selector would run on for ever, and those of a StatefulSet stand in the way of new ones of the same names.
    fn of(kind: (&str, &str), wanted: &Shape<'_>, live: &Shape<'_>) -> Self {
        let other_pods = match kind {
            ("batch", "jobs") => true,
            ("apps", _) => selector(wanted) != selector(live),
            _ => false,
        };
        if other_pods { Self::Background } else { Self::Orphan }
    }

    /// The word of the API.
    const fn policy(self) -> &'static str {
        match self {
            Self::Orphan => "Orphan",
            Self::Background => "Background",
        }
    }
}

fn selector(shape: &Shape<'_>) -> Option<Value> {
    let mut spec: Value = serde_json::from_str(shape.member("spec")?.get()).ok()?;
    spec.get_mut("selector").map(Value::take)
}

impl Obstacle {
    /// What stands between a live object and what is wanted, if it is something that a new object would not have.
    /// The type is given as group and plural name.
    pub(super) fn between(kind: (&str, &str), wanted: &Shape<'_>, live: &Shape<'_>) -> Option<Self> {
        let is_immutable = || live.member("immutable").is_some_and(|value| value.get() == "true");
        let secret_type = |shape: &Shape<'_>| shape.text("type").unwrap_or(OPAQUE.into()).into_owned();
        match kind {
            ("", "secrets" | "configmaps") if is_immutable() => Some(Self::Immutable),
            ("", "secrets") if secret_type(wanted) != secret_type(live) => Some(Self::SecretType),
            ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
                let roles = wanted.member("roleRef").zip(live.member("roleRef"));
                roles.is_some_and(|(wanted, live)| !same(wanted, live)).then_some(Self::RoleRef)
            }
            _ => None,
        }
    }

    /// What is said of an object that was made anew.
    const fn note(self) -> &'static str {
        match self {
            Self::Immutable => "deleted and created again: it is immutable",
            Self::SecretType => "deleted and created again: the type of a Secret cannot be changed",
            Self::RoleRef => "deleted and created again: its roleRef cannot be changed",
            Self::OfType => "deleted and created again: it cannot be changed, and nothing is lost with it",
            Self::Named(_) => "deleted and created again: it cannot be changed, and was named for it",
        }
    }

    /// What becomes of what the object owns.
    const fn cascade(self) -> Cascade {
        match self {
            Self::Named(cascade) => cascade,
            Self::Immutable | Self::SecretType | Self::RoleRef | Self::OfType => Cascade::Orphan,
        }
    }
}

impl Job<'_> {
    /// What stands between the live object and what is wanted, where the server refused what is wanted, and the object is
    /// made anew for it; else the error, which says what somebody can do. What a policy refuses is made anew for nobody.
    pub(super) async fn obstacle(
        &self,
        error: WriteError,
        wanted: &Shape<'_>,
        live: &Shape<'_>,
    ) -> Result<Obstacle, WriteError> {
        let source = match error {
            WriteError::Request { step: "", source } if source.is_invalid() && !is_of_policy(&source) => source,
            other => return Err(other),
        };
        let kind = self.kind();
        if let Some(obstacle) = Obstacle::between(kind, wanted, live) {
            return Ok(obstacle);
        }
        if loss(kind) == Loss::Nothing {
            return Ok(Obstacle::OfType);
        }
        if self.writer.named.contains(&self.position) {
            return Ok(Obstacle::Named(Cascade::of(kind, wanted, live)));
        }
        Err(self.unchangeable(source, live).await)
    }

    /// The server's refusal, with the way out where it is the change that it refuses, and not the object.
    async fn unchangeable(&self, refusal: RequestError, live: &Shape<'_>) -> WriteError {
        if self.is_there_and_would_be_created(live).await.unwrap_or(false) {
            let way_out = way_out(self.writer.again, self.kind(), &self.namespace, &self.name);
            return WriteError::Unchangeable { way_out, source: refusal };
        }
        WriteError::Request { step: "", source: refusal }
    }

    /// Deletes the live object and creates what is wanted; puts back what was there if that is refused.
    pub(super) async fn recreate(
        &self,
        obstacle: Obstacle,
        live: &Shape<'_>,
        live_bytes: &[u8],
    ) -> Result<Written, WriteError> {
        let is_there = self.is_there_and_would_be_created(live).await?;
        if is_there && obstacle == Obstacle::RoleRef {
            self.refuse_own_rights(live).await?;
        }
        if is_there && self.writer.server.is_on_trial() {
            let note = Cow::Borrowed(obstacle.note());
            return Ok(Written { outcome: Outcome::Updated, note, dropped_owners: 0 });
        }
        let taken = if is_there {
            // Boxed, for it is seldom under way and large.
            Some(Box::pin(self.take_away(obstacle, live, live_bytes)).await?)
        } else {
            None
        };
        // Boxed, as the creation of what turns out to be there replaces it.
        match (Box::pin(self.create_again()).await, taken) {
            (Ok(written), taken) => {
                if let Some((_, copy)) = taken {
                    copy.remove(&self.writer.server).await;
                }
                Ok(Written { outcome: Outcome::Updated, note: noted(obstacle, &written), ..written })
            }
            (Err(error), None) => Err(error),
            (Err(error), Some(taken)) => Err(Box::pin(self.undo(taken, error)).await),
        }
    }

    /// Deletes the live object once there is a copy of it; where it does not go, it is as it was.
    async fn take_away(
        &self,
        obstacle: Obstacle,
        live: &Shape<'_>,
        live_bytes: &[u8],
    ) -> Result<(Original, KeptCopy), WriteError> {
        let original = self.original(live, live_bytes)?;
        let copy = self.writer.copies.keep(&self.writer.server, &original).await?;
        match self.delete_and_wait(live, obstacle.cascade()).await {
            Ok(()) => Ok((original, copy)),
            Err(error) => Err(self.undo((original, copy), error).await),
        }
    }

    async fn delete_and_wait(&self, live: &Shape<'_>, cascade: Cascade) -> Result<(), WriteError> {
        let identity = self.without_finalizers(live, cascade).await?;
        self.delete(&identity, cascade, &json!([])).await?;
        self.until_gone(&identity).await
    }

    /// The live object as it would be created again.
    fn original(&self, live: &Shape<'_>, live_bytes: &[u8]) -> Result<Original, WriteError> {
        let left = leave_to_server(self.kind(), live_bytes, None);
        let bytes = left.as_deref().unwrap_or(live_bytes);
        let body = self.body(&parse(bytes, "the live object")?, bytes, &live.owner_references(), None)?;
        Ok(Original { path: self.path(), uid: live.identity().uid, body })
    }

    /// Puts back what was there, after this error, and says what came of it. The copy stays as long as it is needed.
    async fn undo(&self, (original, copy): (Original, KeptCopy), error: WriteError) -> WriteError {
        let Original { path, uid, body } = original;
        if error.is_unreachable() {
            tracing::warn!(
                "{path:?} was to be deleted and created again: the next run of the restore does it; {copy} holds it"
            );
            return error;
        }
        match put_back(&self.writer.server, &path, &uid, Some(&body)).await {
            Ok(Standing::Leaving) => {
                copy.note_leaving(&self.writer.server).await;
                error
            }
            Ok(Standing::There) => {
                copy.remove(&self.writer.server).await;
                error
            }
            Ok(Standing::PutBack(answer)) => {
                copy.remove(&self.writer.server).await;
                match (self.identity(&answer), error) {
                    (Ok(_), WriteError::Request { source, .. }) => WriteError::PutBack { source },
                    (Ok(_), error) | (Err(error), _) => error,
                }
            }
            Err(old) => {
                let old = format!("{}; {copy} holds it", Chain(&old));
                tracing::warn!("{path:?} was not put back: {old}");
                match error {
                    WriteError::Request { source, .. } => WriteError::Lost { old, again: self.writer.again, source },
                    error => error,
                }
            }
        }
    }

    /// Asks the server, on trial, to create what is wanted. It looks for an object of that name last, so when it finds
    /// one, it has nothing against what is wanted: validation and admission have passed.
    async fn is_there_and_would_be_created(&self, live: &Shape<'_>) -> Result<bool, WriteError> {
        let path = format!("{}?dryRun=All", self.known.list_path(Some(&self.namespace)));
        match self.writer.server.create(&path, self.trial(live)?).await {
            Err(error) if error.is_already_exists() => Ok(true),
            other => other.map(|_| false).context(RequestSnafu { step: NOT_DELETED }),
        }
    }

    /// The body that creates the object, on trial.
    fn trial(&self, live: &Shape<'_>) -> Result<Vec<u8>, WriteError> {
        let wanted = self.wanted(None)?;
        let wanted = without_what_is_had(self.kind(), &wanted, live).map_or(wanted, Cow::Owned);
        let shape = parse(&wanted, "the object of the archive")?;
        self.body(&shape, &wanted, &self.owners(&shape).0, None)
    }

    /// Creates what was deleted. A class that is gone is the default one to the API server for a moment more, until it hears
    /// of its end, and it has no second one.
    async fn create_again(&self) -> Result<Written, WriteError> {
        let deadline = Instant::now() + HEARD_WITHIN;
        loop {
            match self.create().await {
                Err(WriteError::Request { source, .. }) if is_second_default(&source) && Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }

    /// Takes the object's finalizers away. Nobody is to clean up after what comes back at once, with its finalizers, and
    /// whoever would do it may be scaled down: the object would wait for the end of the restore, and then be gone. Those of
    /// a type that has something outside of the cluster stay, see [`has_something_outside`].
    async fn without_finalizers(&self, live: &Shape<'_>, cascade: Cascade) -> Result<Identity, WriteError> {
        let identity = live.identity();
        if live.finalizers().is_empty() || has_something_outside(self.kind()) {
            return Ok(identity);
        }
        self.delete(&identity, cascade, &json!(["All"])).await?;
        let version = &identity.resource_version;
        let patch = json!({"metadata": {"finalizers": null, "uid": identity.uid, "resourceVersion": version}});
        let answer = self.writer.server.merge_patch(&self.path(), patch.to_string().into_bytes()).await;
        let answer = answer.context(RequestSnafu { step: NOT_DELETED })?;
        Ok(parse(&answer, "the server's answer")?.identity())
    }

    /// Deletes the very object that was seen; on trial where `dry_run` says so.
    ///
    /// What it owns is orphaned as a rule: in the other ways Kubernetes would delete all that names the old UID, also what
    /// the archive lacks. Its garbage collector takes these references away before the object goes. What the archive holds
    /// of the owned gets a reference with the new UID, see [`OwnerUids::take_outdated`](super::OwnerUids::take_outdated);
    /// what it lacks stays, without one.
    async fn delete(&self, identity: &Identity, cascade: Cascade, dry_run: &Value) -> Result<(), WriteError> {
        let options = json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": cascade.policy(), "dryRun": dry_run,
            "preconditions": {"uid": identity.uid, "resourceVersion": identity.resource_version},
        });
        match self.writer.server.delete(&self.path(), options.to_string().into_bytes()).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(drop).context(RequestSnafu { step: NOT_DELETED }),
        }
    }

    async fn until_gone(&self, identity: &Identity) -> Result<(), WriteError> {
        let deadline = Instant::now() + GONE_WITHIN;
        loop {
            let live = match self.writer.server.get(&self.path()).await {
                Err(error) if error.is_not_found() => return Ok(()),
                live => live.context(RequestSnafu { step: "" })?,
            };
            let live = parse(&live, "the live object")?;
            if live.identity().uid != identity.uid {
                return Ok(());
            }
            let held = held(&live);
            if Instant::now() >= deadline {
                return StillThereSnafu { held, again: self.writer.again }.fail();
            }
            let held = format!("it was deleted to be created again, and waits for {held}");
            let _wait = self.writer.gauge.wait(waited_for(&self.label(), &held, 0));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether finalizers of a type, given as group and plural name, wait for something outside of the cluster to be taken down:
/// the load balancer of a Service. The new object knows nothing of it, so nobody would ever do it.
fn has_something_outside(kind: (&str, &str)) -> bool {
    kind == ("", "services")
}

/// Whether another PriorityClass is the default one, to the API server.
fn is_second_default(refusal: &RequestError) -> bool {
    refusal.to_string().contains("is already marked as default")
}

/// Whether somebody's policy refused the change: it is not evaded, and says itself what is wrong.
fn is_of_policy(refusal: &RequestError) -> bool {
    let words = refusal.to_string();
    ["admission webhook", "ValidatingAdmissionPolicy"].into_iter().any(|of| words.contains(of))
}

/// What is said of an object that was made anew.
fn noted(obstacle: Obstacle, written: &Written) -> Cow<'static, str> {
    if written.note.is_empty() {
        return Cow::Borrowed(obstacle.note());
    }
    Cow::Owned(format!("{}; {}", obstacle.note(), written.note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: (&str, &str), wanted: &Value, live: &Value, expected: Option<Obstacle>) {
        let (wanted, live) = (wanted.to_string(), live.to_string());
        let (wanted, live) = (Shape::split(wanted.as_bytes()).unwrap(), Shape::split(live.as_bytes()).unwrap());
        assert_eq!(Obstacle::between(kind, &wanted, &live), expected, "{kind:?}");
    }

    #[test]
    fn pods_that_a_new_object_would_not_take_up_go() {
        let spec =
            |app: &str| json!({"spec": {"selector": {"matchLabels": {"app": app}}, "serviceName": app}}).to_string();
        let (one, other) = (spec("one"), spec("other"));
        let [one, other] = [&one, &other].map(|spec| Shape::split(spec.as_bytes()).unwrap());
        for (kind, wanted, expected) in [
            (("apps", "statefulsets"), &one, Cascade::Orphan),
            (("apps", "deployments"), &other, Cascade::Background),
            (("batch", "jobs"), &one, Cascade::Background),
            (("", "services"), &other, Cascade::Orphan),
        ] {
            assert_eq!(Cascade::of(kind, wanted, &one), expected, "{kind:?}");
        }
        assert_eq!(Obstacle::Named(Cascade::Background).cascade(), Cascade::Background);
        assert_eq!(Obstacle::OfType.cascade(), Cascade::Orphan);
    }

    #[test]
    fn what_is_outside_of_the_cluster_is_taken_down_first() {
        assert!(has_something_outside(("", "services")));
        assert!(
            !has_something_outside(("", "configmaps")) && !has_something_outside(("serving.knative.dev", "services"))
        );
    }

    #[test]
    fn what_cannot_be_changed() {
        let (fixed, free) = (json!({"immutable": true}), json!({"immutable": false}));
        let role = |name: &str| json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "name": name}});
        let rbac = "rbac.authorization.k8s.io";
        for (kind, wanted, live, expected) in [
            (("", "secrets"), &free, &fixed, Some(Obstacle::Immutable)),
            (("", "configmaps"), &json!({}), &fixed, Some(Obstacle::Immutable)),
            (("", "configmaps"), &fixed, &free, None),
            (("", "configmaps"), &fixed, &json!({"immutable": null}), None),
            (("", "services"), &free, &fixed, None),
            (("a.io", "secrets"), &free, &fixed, None),
            (("", "secrets"), &json!({"type": "a"}), &json!({"type": "b"}), Some(Obstacle::SecretType)),
            (("", "secrets"), &json!({"type": "a"}), &json!({}), Some(Obstacle::SecretType)),
            (("", "secrets"), &json!({}), &json!({"type": OPAQUE}), None),
            (("", "configmaps"), &json!({"type": "a"}), &json!({"type": "b"}), None),
            ((rbac, "rolebindings"), &role("a"), &role("b"), Some(Obstacle::RoleRef)),
            ((rbac, "clusterrolebindings"), &role("a"), &role("b"), Some(Obstacle::RoleRef)),
            ((rbac, "clusterrolebindings"), &role("a"), &role("a"), None),
            ((rbac, "clusterroles"), &role("a"), &role("b"), None),
            (("a.io", "rolebindings"), &role("a"), &role("b"), None),
        ] {
            check(kind, wanted, live, expected);
        }
    }
}
