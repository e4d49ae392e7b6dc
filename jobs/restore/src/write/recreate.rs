//! Objects that the server lets nobody change into what is wanted: they are deleted and created again.
//!
//! Nothing is deleted before the server agreed, on trial, to create what is wanted. A restore that is killed in between
//! loses nothing: the archive has the object, and the next run creates it.

use std::time::Duration;

use drover::exit::Chain;
use serde_json::{Value, json};
use snafu::ResultExt;
use tokio::time::Instant;

use super::error::{RequestSnafu, StillThereSnafu, WriteError};
use super::{GONE_WITHIN, Job, Written, parse};
use crate::compare::same;
use crate::outcome::Outcome;
use crate::shape::{Identity, Shape};

/// Between two looks at an object that is going; it has no finalizers of its own, so it goes within moments.
const PAUSE: Duration = Duration::from_millis(100);

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
        }
    }
}

impl Job<'_> {
    /// Deletes the live object and creates what is wanted; puts back what was there if that is refused.
    pub(super) async fn recreate(
        &self,
        obstacle: Obstacle,
        live: &Shape<'_>,
        live_bytes: &[u8],
    ) -> Result<Written, WriteError> {
        if self.is_there_and_would_be_created().await? {
            if obstacle == Obstacle::RoleRef {
                self.refuse_own_rights(live).await?;
            }
            let identity = self.without_finalizers(live).await?;
            self.delete(&identity, &json!([])).await?;
            self.until_gone(&identity).await?;
        }
        // Boxed, as the creation of what turns out to be there replaces it.
        match Box::pin(self.create()).await {
            Ok(written) => Ok(Written { outcome: Outcome::Updated, note: Some(obstacle.note()), ..written }),
            Err(error) if error.is_unreachable() => {
                tracing::warn!("{:?} was deleted and is to be created again: run the restore again", self.path());
                Err(error)
            }
            // Whoever was quicker is looked at again.
            Err(error) if error.is_outdated() => Err(error),
            Err(WriteError::Request { source, .. }) => match self.put_back(live, live_bytes).await {
                Ok(()) => Err(WriteError::PutBack { source }),
                Err(error) => Err(WriteError::Lost { old: Chain(&error).to_string(), source }),
            },
            Err(error) => Err(error),
        }
    }

    /// Asks the server, on trial, to create what is wanted. It looks for an object of that name last, so when it finds
    /// one, it has nothing against what is wanted: validation and admission have passed.
    async fn is_there_and_would_be_created(&self) -> Result<bool, WriteError> {
        let path = format!("{}?dryRun=All", self.known.collection(&self.namespace));
        match self.writer.server.create(&path, self.creation()?).await {
            Err(error) if error.is_already_exists() => Ok(true),
            other => other.map(|_| false).context(RequestSnafu { step: NOT_DELETED }),
        }
    }

    /// Takes the object's finalizers away. Nobody is to clean up after what comes back at once, with its finalizers, and
    /// whoever would do it may be scaled down: the object would wait for the end of the restore, and then be gone.
    async fn without_finalizers(&self, live: &Shape<'_>) -> Result<Identity, WriteError> {
        let identity = live.identity();
        if live.finalizers().is_empty() {
            return Ok(identity);
        }
        self.delete(&identity, &json!(["All"])).await?;
        let version = &identity.resource_version;
        let patch = json!({"metadata": {"finalizers": null, "uid": identity.uid, "resourceVersion": version}});
        let answer = self.writer.server.merge_patch(&self.path(), patch.to_string().into_bytes()).await;
        let answer = answer.context(RequestSnafu { step: NOT_DELETED })?;
        Ok(parse(&answer, "the server's answer")?.identity())
    }

    /// Deletes the very object that was seen; on trial where `dry_run` says so.
    ///
    /// What it owns is orphaned: in the other ways Kubernetes would delete all that names the old UID, also what the
    /// archive lacks. Its garbage collector takes these references away before the object goes. What the archive holds
    /// of the owned gets a reference with the new UID, see [`OwnerUids::take_outdated`](super::OwnerUids::take_outdated);
    /// what it lacks stays, without one.
    async fn delete(&self, identity: &Identity, dry_run: &Value) -> Result<(), WriteError> {
        let options = json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Orphan", "dryRun": dry_run,
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
            match self.writer.server.get(&self.path()).await {
                Err(error) if error.is_not_found() => return Ok(()),
                live => {
                    let live = live.context(RequestSnafu { step: "" })?;
                    if parse(&live, "the live object")?.identity().uid != identity.uid {
                        return Ok(());
                    }
                }
            }
            if Instant::now() >= deadline {
                return StillThereSnafu.fail();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn put_back(&self, live: &Shape<'_>, live_bytes: &[u8]) -> Result<(), WriteError> {
        let body = self.body(live, live_bytes, &live.owner_references(), None)?;
        let created = self.writer.server.create(&self.known.collection(&self.namespace), body).await;
        self.identity(&created.context(RequestSnafu { step: "" })?).map(drop)
    }
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
