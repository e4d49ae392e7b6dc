//! What the webhook refuses and changes: the rules of rancher-webhook that a restore runs into, in words of its own
//! answers. What it asks of the rights of whoever asks is left out, for that refuses no administrator.

mod bindings;
mod changes;
mod clusters;
mod namespaces;
mod others;
mod projects;
mod roles;
mod users;

use serde_json::Value;

use super::cache::Known;
use super::review::Review;
use super::words::invalid;
use crate::webhook::Answer;

/// Nothing lets a request pass.
type Verdict = Result<(), Answer>;

type Rule = fn(Review<'_>, &Known) -> Verdict;

/// What is to be changed, as operations of a JSON patch.
type Changes = Result<Vec<Value>, Answer>;

/// Answers a request at this path.
pub(super) fn answer(path: &str, review: Review<'_>, known: &Known) -> Answer {
    match path.strip_prefix("/v1/webhook/").and_then(|path| path.split_once('/')) {
        Some(("validation", of)) => validate(of, review, known),
        Some(("mutation", of)) => change(of, review, known),
        _ => Answer::Broken(format!("nothing is served at {path:?}")),
    }
}

fn validate(of: &str, review: Review<'_>, known: &Known) -> Answer {
    rule(of).map_or(Answer::Allowed, |rule| rule(review, known).err().unwrap_or(Answer::Allowed))
}

/// The rule of a path; none for what refuses no object of an archive.
fn rule(of: &str) -> Option<Rule> {
    let rule: Rule = match of {
        "auditpolicies.auditlog.cattle.io" => others::audit_policy,
        "authconfigs.management.cattle.io" => others::auth_config,
        "clusterproxyconfigs.management.cattle.io" => others::cluster_proxy_config,
        "clusterrepos.catalog.cattle.io" => others::cluster_repo,
        "clusters.management.cattle.io" => clusters::managed,
        "clusters.provisioning.cattle.io" => clusters::provisioned,
        "clusterrolebindings.rbac.authorization.k8s.io" | "rolebindings.rbac.authorization.k8s.io" => {
            roles::owned_binding
        }
        "clusterroles.rbac.authorization.k8s.io" | "roles.rbac.authorization.k8s.io" => roles::owned_role,
        "clusterroletemplatebindings.management.cattle.io" => bindings::of_cluster,
        "features.management.cattle.io" => others::feature,
        "globalrolebindings.management.cattle.io" => bindings::global,
        "globalroles.management.cattle.io" => roles::global_role,
        "namespaces" => namespaces::namespace,
        "projectroletemplatebindings.management.cattle.io" => bindings::of_project,
        "projects.management.cattle.io" => projects::project,
        "rke-machine-config.cattle.io" => clusters::machine_config,
        "roletemplates.management.cattle.io" => roles::role_template,
        "secrets" => others::secret,
        "settings.management.cattle.io" => others::setting,
        "tokens.management.cattle.io" => users::token,
        "userattributes.management.cattle.io" => users::attributes,
        "users.management.cattle.io" => users::user,
        _ => return None,
    };
    Some(rule)
}

fn change(of: &str, review: Review<'_>, known: &Known) -> Answer {
    let changes = match of {
        "clusters.management.cattle.io" => Ok(changes::version_management(review)),
        "clusters.provisioning.cattle.io" | "rke-machine-config.cattle.io" => Ok(changes::creator(review)),
        "globalrolebindings.management.cattle.io" => changes::owner_of_binding(review, known),
        "projects.management.cattle.io" => changes::backing_namespace(review, known),
        "secrets" => changes::secret(review, known),
        _ => Ok(Vec::new()),
    };
    match changes {
        Err(answer) => answer,
        Ok(changes) if changes.is_empty() => Answer::Allowed,
        Ok(changes) => Answer::Changed(Value::Array(changes)),
    }
}

const ANNOTATIONS: &str = "metadata.annotations";
const CREATOR: &str = "field.cattle.io/creatorId";
const CREATOR_PRINCIPAL: &str = "field.cattle.io/creator-principal-name";
const NO_CREATOR: &str = "field.cattle.io/no-creator-rbac";

/// Members that keep the value that they once had: `is_fixed` whatever it was, else as soon as it was not empty.
fn keeps(review: Review<'_>, field: &str, members: &[&str], is_fixed: bool) -> Verdict {
    for member in members {
        let [old, new] = [review.old(), review.object()].map(|object| object[*member].as_str().unwrap_or_default());
        if old != new && (is_fixed || !old.is_empty()) {
            return Err(invalid(&format!("{field}.{member}"), new, "field is immutable"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rancher_webhook::configurations::configurations;

    #[track_caller]
    fn check(path: &str, request: &Value, known: &Known, expected: &Answer) {
        assert_eq!(answer(&format!("/v1/webhook/{path}"), Review::of(request), known), *expected);
    }

    fn creation(object: &Value) -> Value {
        json!({"operation": "CREATE", "userInfo": {"username": "ada"}, "object": object,
            "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"]})
    }

    #[track_caller]
    fn refuses(of: &str, object: &Value, known: &Known, code: u16, words: &str) {
        check(&format!("validation/{of}"), &creation(object), known, &Answer::Refused(code, words.to_owned()));
    }

    #[test]
    fn no_rule_is_of_a_path_that_no_webhook_has() {
        let [validating, mutating] = configurations(&|path| json!(path));
        let paths = |configuration: &Value| -> Vec<String> {
            let hooks = configuration["webhooks"].as_array().unwrap().clone();
            hooks.iter().map(|hook| hook["clientConfig"].as_str().unwrap().to_owned()).collect()
        };
        let (validating, mutating) = (paths(&validating), paths(&mutating));
        let ruled = validating.iter().filter(|path| rule(path.rsplit('/').next().unwrap()).is_some());
        // Four webhooks share the path of namespaces.
        assert_eq!((validating.len(), mutating.len(), ruled.count()), (33, 8, 27));
    }

    #[test]
    fn roles_are_refused_in_the_words_of_rancher() {
        let (known, builtin) = (Known::default(), json!({"metadata": {"name": "a"}, "builtin": true}));
        let words = "roletemplate: Forbidden: creating new builtIn RoleTemplates is forbidden";
        refuses("roletemplates.management.cattle.io", &builtin, &known, 400, words);
        let words = "globalrole: Forbidden: cannot create builtin GlobalRoles";
        refuses("globalroles.management.cattle.io", &builtin, &known, 400, words);
    }

    #[test]
    fn bindings_name_what_is_known() {
        let cluster = json!({"metadata": {"name": "c"}});
        let project = json!({"metadata": {"name": "p", "namespace": "c"}, "spec": {"clusterName": "c"}});
        let template = json!({"metadata": {"name": "member"}, "context": "project"});
        let bound = json!({"metadata": {"name": "one", "namespace": "p"}, "roleTemplateName": "member", "userName": "u",
            "projectName": "c:p"});
        let of = "projectroletemplatebindings.management.cattle.io";
        let words = "projectroletemplatebinding.roleTemplateName: Invalid value: \"member\": the referenced role template was not found";
        refuses(of, &bound, &Known::default(), 400, words);
        let mut objects = vec![("roletemplates", "member", template), ("clusters", "c", cluster)];
        let words =
            "projectroletemplatebinding.projectName: Invalid value: \"c:p\": specified project p not found in c";
        refuses(of, &bound, &Known::of(&objects), 400, words);
        objects.push(("projects", "c/p", project));
        check(&format!("validation/{of}"), &creation(&bound), &Known::of(&objects), &Answer::Allowed);
        objects.push(("projectroletemplatebindings", "p/one", bound.clone()));
        let mut second = bound;
        second["metadata"]["name"] = json!("two");
        refuses(of, &second, &Known::of(&objects), 409, "duplicate prtb not allowed");
    }

    #[test]
    fn a_project_gets_a_namespace_and_fails_where_that_is_there() {
        let project = json!({"metadata": {"name": "p", "namespace": "c"}, "spec": {"clusterName": "c"}});
        let path = "mutation/projects.management.cattle.io";
        let expected = json!([
            {"op": "add", "path": "/metadata/annotations",
                "value": {"authz.management.cattle.io/creator-role-bindings": "{}"}},
            {"op": "add", "path": "/status", "value": {"backingNamespace": "c-p"}},
        ]);
        check(path, &creation(&project), &Known::default(), &Answer::Changed(expected));
        let known = Known::of(&[("namespaces", "c-p", json!({}))]);
        let words = "failed to create project namespace : namespace c-p already exists";
        check(path, &creation(&project), &known, &Answer::Broken(words.to_owned()));
        let words = "project.spec.clusterName: Invalid value: \"c\": cluster not found";
        refuses("projects.management.cattle.io", &project, &Known::default(), 400, words);
    }

    #[test]
    fn what_is_immutable_stays() {
        let update = |old: &Value, new: &Value| json!({"operation": "UPDATE", "oldObject": old, "object": new});
        let (old, new) = (json!({"principalIds": ["local://a"]}), json!({"principalIds": ["local://b"]}));
        let words = "user.principalIds: Invalid value: [\"local://b\"]: field is immutable";
        let path = "validation/users.management.cattle.io";
        check(path, &update(&old, &new), &Known::default(), &Answer::Refused(400, words.to_owned()));
        let (old, new) = (json!({"status": {"backingNamespace": "a"}}), json!({"status": {"backingNamespace": "b"}}));
        let words = "project.spec.backingNamespace: Invalid value: \"b\": field is immutable";
        let path = "validation/projects.management.cattle.io";
        check(path, &update(&old, &new), &Known::default(), &Answer::Refused(400, words.to_owned()));
    }

    #[test]
    fn whoever_asks_is_noted_as_the_creator() {
        let config = json!({"metadata": {"name": "m", "annotations": {"a": "b"}}});
        let path = format!("/metadata/annotations/{}", CREATOR.replace('/', "~1"));
        let expected = Answer::Changed(json!([{"op": "add", "path": path, "value": "ada"}]));
        check("mutation/rke-machine-config.cattle.io", &creation(&config), &Known::default(), &expected);
    }
}
