//! What the mutating webhooks change.

use serde_json::{Value, json};

use super::{CREATOR, Changes, NO_CREATOR};
use crate::rancher_webhook::cache::Known;
use crate::rancher_webhook::review::{Review, annotation, text};
use crate::rancher_webhook::words::{bad, not_found};
use crate::webhook::Answer;

const VERSION_MANAGEMENT: &str = "rancher.io/imported-cluster-version-management";
const ROLE_BINDINGS: &str = "authz.management.cattle.io/creator-role-bindings";
const PASSWORD_HASH: &str = "cattle.io/password-hash";
const CLOUD_CREDENTIAL: &str = "provisioning.cattle.io/cloud-credential";

/// Whoever creates something is noted on it.
pub(super) fn creator(review: Review<'_>) -> Vec<Value> {
    if !review.creates() || annotation(review.object(), NO_CREATOR).is_some() {
        return Vec::new();
    }
    vec![annotate(review.object(), CREATOR, review.user())]
}

/// A Cluster says whether Rancher manages its version.
pub(super) fn version_management(review: Review<'_>) -> Vec<Value> {
    let is_said = annotation(review.object(), VERSION_MANAGEMENT).is_some_and(|value| !value.is_empty());
    if is_said { Vec::new() } else { vec![annotate(review.object(), VERSION_MANAGEMENT, "system-default")] }
}

/// A GlobalRoleBinding is owned by its role.
pub(super) fn owner_of_binding(review: Review<'_>, known: &Known) -> Changes {
    let binding = review.object();
    let name = text(binding, "/globalRoleName");
    let Some(role) = known.find("globalroles", name) else {
        return Err(not_found("globalrolebinding.globalRoleName", review.name()));
    };
    let owner = json!({"apiVersion": "management.cattle.io/v3", "kind": "GlobalRole", "name": name,
        "uid": role["metadata"]["uid"]});
    let mut owners = binding["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
    if owners.iter().any(|one| one["uid"] == owner["uid"]) {
        return Ok(Vec::new());
    }
    owners.push(owner);
    Ok(vec![put(binding, &["metadata", "ownerReferences"], Value::Array(owners))])
}

/// A new Project gets a namespace of its cluster's name and its own, which nobody has; an older one had its own name.
pub(super) fn backing_namespace(review: Review<'_>, known: &Known) -> Changes {
    let project = review.object();
    let place = ["status", "backingNamespace"];
    if !review.creates() {
        let is_there = !text(project, "/status/backingNamespace").is_empty();
        return Ok(if is_there { Vec::new() } else { vec![put(project, &place, review.name().into())] });
    }
    let namespace = format!("{}-{}", text(project, "/spec/clusterName"), review.name().to_lowercase());
    if known.find("namespaces", &namespace).is_some() {
        let words = format!("failed to create project namespace : namespace {namespace} already exists");
        return Err(Answer::Broken(words));
    }
    Ok(vec![annotate(project, ROLE_BINDINGS, &role_bindings(known)), put(project, &place, namespace.into())])
}

/// The roles that whoever creates a Project gets in it.
fn role_bindings(known: &Known) -> String {
    let given = known.all("roletemplates").filter(|role| role["projectCreatorDefault"] == true);
    let names: Vec<_> = given.map(|role| text(role, "/metadata/name")).collect();
    if names.is_empty() { "{}".to_owned() } else { json!({"required": names}).to_string() }
}

/// A cloud credential says who made it; the password of a user is hashed once.
pub(super) fn secret(review: Review<'_>, known: &Known) -> Changes {
    let secret = review.object();
    if review.creates() && text(secret, "/type") == CLOUD_CREDENTIAL {
        return Ok(creator(review));
    }
    let is_password = review.namespace() == "cattle-local-user-passwords" && !review.deletes();
    if !is_password || annotation(secret, PASSWORD_HASH).is_some() {
        return Ok(Vec::new());
    }
    let name = review.name();
    if known.find("users", name).is_none() {
        return Err(bad(format!("user {name} does not exist. User must be created before the secret")));
    }
    Ok(vec![annotate(secret, PASSWORD_HASH, "pbkdf2sha3512")])
}

fn annotate(object: &Value, name: &str, value: &str) -> Value {
    put(object, &["metadata", "annotations", name], value.into())
}

/// The operation that puts a value there, with the maps around it where they are missing.
fn put(object: &Value, place: &[&str], value: Value) -> Value {
    let (mut at, mut depth) = (object, 1);
    for token in place.iter().take(place.len().saturating_sub(1)) {
        let Some(member) = at.get(*token).filter(|member| member.is_object()) else { break };
        (at, depth) = (member, depth + 1);
    }
    let value = place.iter().skip(depth).rev().fold(value, |value, token| json!({ (*token): value }));
    let path: Vec<_> = place.iter().take(depth).map(|token| token.replace('~', "~0").replace('/', "~1")).collect();
    json!({"op": "add", "path": format!("/{}", path.join("/")), "value": value})
}
