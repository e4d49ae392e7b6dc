//! A Rancher whose objects hang on one another, as its webhook looks at them: roles, bindings, projects and the namespaces
//! behind them. The definitions have a status subresource where Rancher's own have one.

use drover_testbed::rancher::{self, Type, definition, management, noise};
use drover_tests::{api_of, object};
use kube::Client;
use kube::api::PostParams;
use serde_json::{Value, json};

const MANAGEMENT: &str = "management.cattle.io/v3";
const CREATOR: &str = "field.cattle.io/creatorId";

pub(super) const TYPES: [Type; 17] = [
    management("AuthConfig", "authconfigs", false, false),
    management("Cluster", "clusters", false, true),
    management("ClusterProxyConfig", "clusterproxyconfigs", true, false),
    management("ClusterRoleTemplateBinding", "clusterroletemplatebindings", true, true),
    management("Feature", "features", false, true),
    management("GlobalRole", "globalroles", false, true),
    management("GlobalRoleBinding", "globalrolebindings", false, true),
    management("Project", "projects", true, false),
    management("ProjectRoleTemplateBinding", "projectroletemplatebindings", true, false),
    management("RoleTemplate", "roletemplates", false, false),
    management("Setting", "settings", false, false),
    management("Token", "tokens", false, false),
    management("User", "users", false, false),
    management("UserAttribute", "userattributes", false, false),
    of("catalog.cattle.io", "ClusterRepo", "clusterrepos", false, true),
    of("provisioning.cattle.io", "Cluster", "clusters", true, true),
    of("rke-machine-config.cattle.io", "Amazonec2Config", "amazonec2configs", true, false),
];

const fn of(group: &'static str, kind: &'static str, plural: &'static str, namespaced: bool, status: bool) -> Type {
    Type { group, version: "v1", kind, plural, namespaced, status }
}

/// What of all that is backed up: everything.
pub(super) fn resource_set() -> Value {
    let all = |api_version: &str| json!({"apiVersion": api_version, "kindsRegexp": "."});
    let namespaces = "^cattle-(system|global-data|local-user-passwords)$|^fleet-default$|^local$|^local-|^c-m-";
    json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "rancher"},
    "resourceSelectors": [
        all(MANAGEMENT), all("catalog.cattle.io/v1"), all("provisioning.cattle.io/v1"),
        all("rke-machine-config.cattle.io/v1"),
        {"apiVersion": "apiextensions.k8s.io/v1", "kindsRegexp": ".",
            "resourceNameRegexp": "(management|catalog|provisioning|rke-machine-config)\\.cattle\\.io$"},
        {"apiVersion": "v1", "kindsRegexp": "^namespaces$", "resourceNameRegexp": namespaces},
        {"apiVersion": "v1", "kindsRegexp": "^secrets$|^configmaps$", "namespaceRegexp": namespaces,
            "excludeResourceNameRegexp": "^kube-root-ca.crt$"},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kindsRegexp": "^clusterroles$",
            "resourceNameRegexp": "^cattle-globalrole-"},
    ]})
}

/// The same without Projects, which rancher-webhook fails on for minutes.
pub(super) fn without_projects() -> Value {
    let mut set = resource_set();
    set["metadata"]["name"] = json!("without-projects");
    set["resourceSelectors"][0]["excludeKinds"] = json!(["projects"]);
    set
}

/// The Rancher of the archives.
pub(super) async fn populate(client: &Client) {
    define(client).await;
    make(client, &[namespaces(), roles(false), clusters(), people(), settings(), projects(), bindings(), secrets()])
        .await;
}

/// A Rancher that was just installed, of a newer version: roles of its own, and an administrator under another name.
pub(super) async fn populate_freshly(client: &Client) {
    define(client).await;
    let names = ["cattle-system", "cattle-global-data", "cattle-local-user-passwords", "fleet-default", "local"];
    let namespaces: Vec<_> = names.map(|name| object("v1", "Namespace", name, json!({}))).into();
    let local = json!({"spec": {"displayName": "local", "fleetWorkspaceName": "fleet-local"}});
    let admin = json!({"username": "admin", "principalIds": ["local://user-9k2fx"], "enabled": true});
    let binding = json!({"globalRoleName": "admin", "userName": "user-9k2fx"});
    let own = vec![
        object(MANAGEMENT, "Cluster", "local", local),
        object(MANAGEMENT, "User", FRESH[0].1, admin),
        object(MANAGEMENT, "GlobalRoleBinding", FRESH[1].1, binding),
        object(MANAGEMENT, "Setting", "server-url", json!({"value": ""})),
        object(MANAGEMENT, "Setting", "cacerts", json!({"value": "a certificate of a new Rancher"})),
    ];
    let builtin: Vec<_> = roles(true).into_iter().filter(|role| role["builtin"] == true).collect();
    make(client, &[namespaces, builtin, own]).await;
}

/// What a Rancher that was just installed has and the archives have not: paths in an archive, and names.
pub(super) const FRESH: [(&str, &str); 2] = [
    ("users.management.cattle.io#v3/user-9k2fx.json", "user-9k2fx"),
    ("globalrolebindings.management.cattle.io#v3/globalrolebinding-9k2fx.json", "globalrolebinding-9k2fx"),
];

async fn define(client: &Client) {
    for definition in TYPES.iter().map(definition) {
        rancher::make(client, &definition).await.unwrap();
    }
    rancher::wait_until_served(client, &TYPES).await.unwrap();
}

async fn make(client: &Client, steps: &[Vec<Value>]) {
    for object in steps.iter().flatten() {
        let has_subresource = TYPES.iter().any(|of| of.status && object["kind"] == of.kind);
        if object.get("status").is_some() && !has_subresource {
            let plain = serde_json::from_value(object.clone()).unwrap();
            api_of(client, object).create(&PostParams::default(), &plain).await.unwrap();
        } else {
            rancher::make(client, object).await.unwrap();
        }
    }
}

fn namespaces() -> Vec<Value> {
    let names = ["cattle-system", "cattle-global-data", "cattle-local-user-passwords", "fleet-default", "local"];
    let of_rancher = names.into_iter().chain(["c-m-harbour"]).map(|name| object("v1", "Namespace", name, json!({})));
    let behind = |(cluster, project): &(&str, &str)| {
        let limits = json!({"requestsCpu": "100m", "limitsCpu": "1"}).to_string();
        let annotations = json!({"field.cattle.io/projectId": format!("{cluster}:{project}"),
            "field.cattle.io/containerDefaultResourceLimit": limits});
        let content = json!({"metadata": {"annotations": annotations}});
        object("v1", "Namespace", &format!("{cluster}-{project}"), content)
    };
    of_rancher.chain(PROJECTS.iter().map(behind)).collect()
}

/// Roles; where they are newer, built-in ones have another name.
fn roles(newer: bool) -> Vec<Value> {
    let rules = json!([{"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get", "list"]}]);
    let role = |kind: &str, name: &str, builtin: bool, context: &str| {
        let title = if newer { format!("{name} of a newer Rancher") } else { format!("{name} – für alle 団") };
        let mut role = json!({"builtin": builtin, "displayName": title, "rules": rules});
        if !context.is_empty() {
            role["context"] = context.into();
        }
        object(MANAGEMENT, kind, name, role)
    };
    let template = |name: &str, builtin: bool, context: &str| role("RoleTemplate", name, builtin, context);
    let mut owner = template("project-owner", true, "project");
    owner["projectCreatorDefault"] = true.into();
    vec![
        role("GlobalRole", "admin", true, ""),
        role("GlobalRole", "user", true, ""),
        role("GlobalRole", "tower-watch", false, ""),
        role("GlobalRole", "quay-clerk", false, ""),
        template("cluster-owner", true, "cluster"),
        owner,
        template("project-member", true, "project"),
        template("read-only", true, "project"),
        template("crane-driver", false, "project"),
        template("quay-guard", false, "project"),
        template("harbour-master", false, "cluster"),
        object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            "cattle-globalrole-tower-watch",
            json!({"metadata": {"labels": {"authz.management.cattle.io/gr-owner": "tower-watch"}}, "rules": rules}),
        ),
    ]
}

/// Clusters: annotated as a restore annotates them, so that they come back as they were.
fn clusters() -> Vec<Value> {
    let cluster = |name: &str| {
        json!({"metadata": {"annotations": {"io.cattle.agent.force.deploy": "true"}},
            "spec": {"displayName": name, "fleetWorkspaceName": "fleet-default"},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    };
    let created = |mut content: Value| {
        content["metadata"] = json!({"annotations": {CREATOR: "u-ada"}});
        content
    };
    let provisioned =
        json!({"spec": {"kubernetesVersion": "v1.34.4+rke2r1", "rkeConfig": {}}, "status": {"ready": true}});
    let repository = json!({"spec": {"url": "https://charts.example.com"}, "status": {"downloadTime": "never"}});
    vec![
        object(MANAGEMENT, "Cluster", "local", cluster("local")),
        object(MANAGEMENT, "Cluster", "c-m-harbour", cluster("harbour")),
        object(MANAGEMENT, "ClusterProxyConfig", "c-m-harbour/clusterproxyconfig", json!({"enabled": true})),
        object("provisioning.cattle.io/v1", "Cluster", "fleet-default/harbour", created(provisioned)),
        object(
            "rke-machine-config.cattle.io/v1",
            "Amazonec2Config",
            "fleet-default/nc-harbour",
            created(json!({"region": "eu-central-1"})),
        ),
        object("catalog.cattle.io/v1", "ClusterRepo", "charts", repository),
    ]
}

fn people() -> Vec<Value> {
    let mut objects = Vec::new();
    for (id, username) in [("u-ada", "admin"), ("u-ben", "ben"), ("u-cid", "cid"), ("u-dot", "dot")] {
        let user = json!({"username": username, "principalIds": [format!("local://{id}")], "enabled": true});
        let token = json!({"userId": id, "lastUsedAt": "2026-02-01T02:00:00Z", "ttl": 0});
        objects.push(object(MANAGEMENT, "User", id, user));
        objects.push(object(MANAGEMENT, "Token", &format!("token-{username}"), token));
    }
    let seen = json!({"lastLogin": "2026-02-01T02:00:00Z"});
    objects.push(object(MANAGEMENT, "UserAttribute", "u-ada", seen));
    let directory = json!({"type": "openLdapConfig", "enabled": true, "servers": ["ldap.example.com"]});
    objects.push(object(MANAGEMENT, "AuthConfig", "openldap", directory));
    objects
}

/// The Settings that a test may change.
pub(super) const SETTINGS: [&str; 6] =
    ["server-url", "telemetry-opt", "ui-brand", "ui-pl", "password-min-length", "hide-local-auth-provider"];

fn settings() -> Vec<Value> {
    let setting =
        |name: &str| object(MANAGEMENT, "Setting", name, json!({"value": format!("the {name}"), "source": "db"}));
    let mut objects: Vec<_> = SETTINGS.into_iter().chain(["cacerts"]).map(setting).collect();
    let session = json!({"value": "960", "default": "960"});
    objects.push(object(MANAGEMENT, "Setting", "auth-user-session-ttl-minutes", session));
    objects.push(object(MANAGEMENT, "Feature", "fleet", json!({"spec": {"value": true}, "status": {"default": true}})));
    objects
}

/// The projects: cluster and name.
pub(super) const PROJECTS: [(&str, &str); 3] =
    [("c-m-harbour", "p-crane"), ("c-m-harbour", "p-quay"), ("local", "p-tower")];

fn projects() -> Vec<Value> {
    let project = |(cluster, name): &(&str, &str)| {
        let annotations =
            json!({"authz.management.cattle.io/creator-role-bindings": "{\"required\":[\"project-owner\"]}"});
        let content = json!({"metadata": {"annotations": annotations}, "spec": {"clusterName": cluster, "displayName": name},
            "status": {"backingNamespace": format!("{cluster}-{name}")}});
        object(MANAGEMENT, "Project", &format!("{cluster}/{name}"), content)
    };
    PROJECTS.iter().map(project).collect()
}

/// The bindings of global roles: name, role and user.
pub(super) const GLOBAL_BINDINGS: [(&str, &str, &str); 6] = [
    ("grb-1", "admin", "u-ada"),
    ("grb-2", "user", "u-ben"),
    ("grb-3", "user", "u-cid"),
    ("grb-4", "tower-watch", "u-ben"),
    ("grb-5", "quay-clerk", "u-cid"),
    ("grb-6", "user", "u-dot"),
];

/// The roles that each project gives.
const GIVEN: [(&str, &str); 3] = [("project-owner", "u-ada"), ("crane-driver", "u-ben"), ("read-only", "u-cid")];

/// Namespace and name of each binding of a project.
pub(super) fn project_bindings() -> Vec<(String, String)> {
    let of = |(cluster, project): &(&str, &str)| {
        let namespace = format!("{cluster}-{project}");
        GIVEN.map(|(role, _)| (namespace.clone(), format!("prtb-{project}-{role}")))
    };
    PROJECTS.iter().flat_map(of).collect()
}

fn bindings() -> Vec<Value> {
    let global = GLOBAL_BINDINGS.map(|(name, role, user)| {
        object(MANAGEMENT, "GlobalRoleBinding", name, json!({"globalRoleName": role, "userName": user}))
    });
    let of_cluster =
        [("crtb-ada", "cluster-owner", "u-ada"), ("crtb-ben", "harbour-master", "u-ben")].map(|(name, role, user)| {
            let content = json!({"clusterName": "c-m-harbour", "roleTemplateName": role, "userName": user});
            object(MANAGEMENT, "ClusterRoleTemplateBinding", &format!("c-m-harbour/{name}"), content)
        });
    let of_project = PROJECTS.iter().flat_map(|(cluster, project)| {
        GIVEN.map(|(role, user)| {
            let place = format!("{cluster}-{project}/prtb-{project}-{role}");
            let content =
                json!({"projectName": format!("{cluster}:{project}"), "roleTemplateName": role, "userName": user});
            object(MANAGEMENT, "ProjectRoleTemplateBinding", &place, content)
        })
    });
    global.into_iter().chain(of_cluster).chain(of_project).collect()
}

fn secrets() -> Vec<Value> {
    let secret = |place: &str, of: &str, annotations: Value, data: Value| {
        object("v1", "Secret", place, json!({"type": of, "metadata": {"annotations": annotations}, "data": data}))
    };
    let credential = "provisioning.cattle.io/cloud-credential";
    let plan = json!({"plan": "e30="});
    let map = |name: &str| object("v1", "ConfigMap", &format!("cattle-system/{name}"), json!({"data": {"of": name}}));
    vec![
        secret("cattle-global-data/cc-harbour", credential, json!({CREATOR: "u-ada"}), json!({"key": noise(1, 40)})),
        secret("cattle-system/tls-rancher", "Opaque", json!({}), json!({"tls.key": noise(2, 1200)})),
        secret(
            "cattle-local-user-passwords/u-ada",
            "Opaque",
            json!({"cattle.io/password-hash": "pbkdf2sha3512"}),
            json!({"password": noise(3, 64)}),
        ),
        secret("fleet-default/harbour-machine-plan", "rke.cattle.io/machine-plan", json!({}), plan),
        map("first"),
        map("second"),
    ]
}
