//! One controller: what it is called, how it is looked at and written.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use drover::api::RequestError;
use drover::archive::Key;
use drover::resources::ControllerReference;

use super::state::State;
use crate::api::request::Server;
use crate::objects::special_cases::OURS;
use crate::survey::ground::Ground;
use crate::survey::types::{Type, Types};

/// How often an object that somebody else keeps changing is looked at and patched again: a controller that rolls out
/// writes its status every few hundred milliseconds.
const CONFLICTS: ConstantBuilder = ConstantBuilder::new().with_delay(Duration::from_millis(50)).with_max_times(20);

/// An object with a count of replicas.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Controller {
    pub(super) known: Arc<Type>,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// A controller as it was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Live {
    /// Its count when nobody holds it down.
    pub(super) count: i64,
    /// The count that it wants now.
    pub(super) replicas: i64,
    /// Who holds it down, if anybody does.
    pub(super) holder: Option<String>,
}

impl Live {
    /// Whether this holder holds it down.
    pub(super) fn is_held_by(&self, holder: &str) -> bool {
        self.replicas == 0 && self.holder.as_deref() == Some(holder)
    }
}

/// What is found where a reference points to.
pub(super) enum Found {
    /// It is there.
    Live(Live),
    /// It is not there.
    Absent,
    /// It is there and left as it is, for this reason.
    NotToBeScaled(&'static str),
}

/// As people read it: `deployments.apps "cattle-system/rancher"`.
impl fmt::Display for Controller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.namespace.is_empty() { String::new() } else { format!("{}/", self.namespace) };
        write!(formatter, "{} {:?}", self.known.resource.type_name(), format!("{place}{}", self.name))
    }
}

impl Controller {
    /// Group, plural name, namespace and name.
    pub(crate) fn parts(&self) -> [&str; 4] {
        [&self.known.group, &self.known.plural, &self.namespace, &self.name]
    }

    pub(super) fn path(&self) -> String {
        self.known.object(&self.namespace, &self.name)
    }

    /// Which object it is, as results name it.
    pub(super) fn key(&self) -> Key {
        self.known.key(&self.namespace, &self.name)
    }

    /// What a person types to scale it.
    pub(super) fn command(&self) -> String {
        let Self { namespace, name, .. } = self;
        format!("kubectl --namespace {namespace} scale {}/{name} --replicas=COUNT", self.known.resource.type_name())
    }

    /// The live object; none where there is none.
    pub(super) async fn look(&self, server: &Server) -> Result<Option<State>, RequestError> {
        match server.get(&self.path()).await {
            // What is no object of Kubernetes has no count either.
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).unwrap_or_default())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether it is there and to be scaled.
    pub(super) async fn find(&self, server: &Server, ground: &Ground) -> Result<Found, RequestError> {
        let state = if self.known.served { self.look(server).await? } else { None };
        Ok(state.map_or(Found::Absent, |state| scales(&state, ground).map_or_else(Found::NotToBeScaled, Found::Live)))
    }

    /// Looks and writes what `patch` says until nobody comes in between. Gives the count of what was written; none where
    /// there is nothing to write.
    pub(super) async fn change(
        &self,
        server: &Server,
        patch: impl Fn(&State) -> Option<serde_json::Value>,
    ) -> Result<Option<i64>, RequestError> {
        let once = async || {
            let Some(state) = self.look(server).await? else { return Ok(None) };
            let Some(body) = patch(&state) else { return Ok(None) };
            match server.merge_patch(&self.path(), body.to_string().into_bytes()).await {
                Err(error) if error.is_not_found() => Ok(None),
                written => written.map(|_| Some(state.count())),
            }
        };
        once.retry(CONFLICTS).when(RequestError::is_conflict).await
    }

    /// Puts the count back, if it is still `holder` who holds it down.
    pub(super) async fn put_back(&self, server: &Server, holder: &str) -> Result<Option<i64>, RequestError> {
        self.change(server, |state| (state.holder() == Some(holder)).then(|| state.put_back())).await
    }
}

/// The controller that a reference names; the error says why it is none to scale.
pub(super) fn named(types: &Types, reference: &ControllerReference) -> Result<Controller, &'static str> {
    let ControllerReference { api_version, resource, namespace, name, replicas: _ } = reference;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    // The same object, whichever of its versions the reference names.
    let known = types.by_plural(resource, group, version).or_else(|| types.served_as(resource, group));
    let known = known.ok_or("the cluster does not serve its type")?;
    if name.is_empty() || [namespace, name].iter().any(|part| part.contains(['/', '%'])) {
        return Err("no object can have that name");
    }
    if !known.scales {
        return Err("its type has no replicas to scale");
    }
    let namespace = if known.namespaced { namespace.clone() } else { String::new() };
    Ok(Controller { known: Arc::clone(known), namespace, name: name.clone() })
}

/// A live controller as it is; the error says why it is none to scale.
fn scales(state: &State, ground: &Ground) -> Result<Live, &'static str> {
    if state.is_ours() {
        return Err(OURS);
    }
    if !state.namespace().is_empty() && state.namespace() == ground.namespace() {
        return Err("it lies in the namespace that drover runs in");
    }
    let replicas = state.replicas().ok_or("it has no spec.replicas")?;
    Ok(Live { count: state.count(), replicas, holder: state.holder().map(str::to_owned) })
}

#[cfg(test)]
impl Controller {
    /// The Deployment of Rancher.
    pub(super) fn rancher() -> Self {
        let known = Type { scales: true, ..Type::for_tests("apps", "deployments", "Deployment", true) };
        Self { known: known.into(), namespace: "cattle-system".to_owned(), name: "rancher".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_its_user_keeps_at_zero_is_held_by_nobody() {
        let live = |replicas, holder: Option<&str>| Live { count: 1, replicas, holder: holder.map(str::to_owned) };
        assert!(live(0, Some("us")).is_held_by("us"));
        for other in [live(0, None), live(0, Some("them")), live(1, Some("us"))] {
            assert!(!other.is_held_by("us"), "{other:?}");
        }
    }

    fn deployments(scales: bool) -> Type {
        Type { scales, ..Type::for_tests("apps", "deployments", "Deployment", true) }
    }

    fn reference(api_version: &str, resource: &str) -> ControllerReference {
        ControllerReference {
            api_version: api_version.to_owned(),
            resource: resource.to_owned(),
            namespace: "cattle-system".to_owned(),
            name: "rancher".to_owned(),
            replicas: None,
        }
    }

    #[test]
    fn references_name_controllers_of_types_with_replicas() {
        let types = Types::new(vec![deployments(true)], &[]);
        for (api_version, resource, expected) in [
            ("apps/v1", "deployments", Ok("deployments.apps \"cattle-system/rancher\"".to_owned())),
            ("apps/v1beta1", "deployments", Ok("deployments.apps \"cattle-system/rancher\"".to_owned())),
            ("v1", "deployments", Err("the cluster does not serve its type")),
        ] {
            let found = named(&types, &reference(api_version, resource)).map(|controller| controller.to_string());
            assert_eq!(found, expected, "{api_version}");
        }
        let types = Types::new(vec![deployments(false)], &[]);
        assert_eq!(named(&types, &reference("apps/v1", "deployments")), Err("its type has no replicas to scale"));
    }

    #[test]
    fn what_drover_stands_on_and_what_has_no_count_is_not_scaled() {
        let scales = |object: Value| {
            let state: State = serde_json::from_value(object).unwrap();
            scales(&state, &Ground::of_namespace("home".to_owned()))
        };
        let object = |namespace: &str, labels: Value| json!({"metadata": {"namespace": namespace, "labels": labels}, "spec": {"replicas": 3}});
        assert_eq!(scales(object("a", json!({}))), Ok(Live { count: 3, replicas: 3, holder: None }));
        let reason = |object: Value| scales(object).unwrap_err();
        assert!(reason(object("a", json!({"app.kubernetes.io/part-of": "drover"}))).contains("label"));
        assert!(reason(object("home", json!({}))).contains("namespace"));
        assert!(reason(json!({"metadata": {"namespace": "a"}, "spec": {}})).contains("spec.replicas"));
    }
}
