//! The configurations that rancher-webhook registers, both named `rancher.cattle.io`, as its sources of 2026-08 have them.

use serde_json::{Value, json};

/// The name of both configurations.
pub const NAME: &str = "rancher.cattle.io";

/// How the name of each webhook begins.
const PREFIX: &str = "rancher.cattle.io.";

const CREATE: &str = "CREATE";
const UPDATE: &str = "UPDATE";
const DELETE: &str = "DELETE";

const CLUSTER: &str = "Cluster";
const NAMESPACED: &str = "Namespaced";

const AUTHORIZATION: &str = "rbac.authorization.k8s.io";
const INFRASTRUCTURE: &str = "infrastructure.cluster.x-k8s.io";

/// The expression of the only condition that rancher-webhook itself sets.
const SECRETS_CONDITION: &str = "request.operation == 'DELETE' || (object != null && object.type == \
                                 \"provisioning.cattle.io/cloud-credential\" && request.operation == 'CREATE') || \
                                 (object != null && object.metadata.namespace == \"cattle-local-user-passwords\")";

/// A webhook; what most have is not said of each.
struct Hook {
    /// Without what all begin with.
    name: &'static str,
    /// The end of its path, where it is not the name.
    path: &'static str,
    /// Group, version and plural name.
    resource: [&'static str; 3],
    scope: &'static str,
    operations: &'static [&'static str],
    failure: &'static str,
    side_effects: &'static str,
    seconds: u8,
    /// The operator and the names of namespaces.
    namespaces: Option<(&'static str, &'static [&'static str])>,
    /// A label that an object has.
    label: Option<&'static str>,
    /// Name and expression of a matchCondition.
    condition: Option<(&'static str, &'static str)>,
}

impl Hook {
    const fn new(
        name: &'static str,
        resource: [&'static str; 3],
        scope: &'static str,
        operations: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            path: name,
            resource,
            scope,
            operations,
            failure: "Fail",
            side_effects: "None",
            seconds: 10,
            namespaces: None,
            label: None,
            condition: None,
        }
    }

    const fn path(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    /// Where it does not answer it is passed over.
    const fn ignored(mut self) -> Self {
        self.failure = "Ignore";
        self
    }

    const fn only_dry_runs_without_effect(mut self) -> Self {
        self.side_effects = "NoneOnDryRun";
        self
    }

    const fn namespaces(mut self, operator: &'static str, names: &'static [&'static str]) -> Self {
        self.namespaces = Some((operator, names));
        self
    }

    const fn label(mut self, label: &'static str) -> Self {
        self.label = Some(label);
        self
    }

    const fn seconds(mut self, seconds: u8) -> Self {
        self.seconds = seconds;
        self
    }

    const fn condition(mut self, name: &'static str, expression: &'static str) -> Self {
        self.condition = Some((name, expression));
        self
    }

    fn as_registered(&self, kind: &str, client: &dyn Fn(&str) -> Value) -> Value {
        let [group, version, plural] = self.resource;
        let mut hook = json!({
            "admissionReviewVersions": ["v1", "v1beta1"],
            "clientConfig": client(&format!("/v1/webhook/{kind}/{}", self.path)),
            "failurePolicy": self.failure, "matchPolicy": "Equivalent", "name": format!("{PREFIX}{}", self.name),
            "namespaceSelector": self.namespace_selector(), "objectSelector": self.object_selector(),
            "rules": [{"apiGroups": [group], "apiVersions": [version], "operations": self.operations,
                "resources": [plural], "scope": self.scope}],
            "sideEffects": self.side_effects, "timeoutSeconds": self.seconds,
        });
        if kind == "mutation" {
            hook["reinvocationPolicy"] = "Never".into();
        }
        if let Some((name, expression)) = self.condition {
            hook["matchConditions"] = json!([{"name": name, "expression": expression}]);
        }
        hook
    }

    fn namespace_selector(&self) -> Value {
        let Some((operator, names)) = self.namespaces else { return json!({}) };
        json!({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": operator, "values": names}]})
    }

    fn object_selector(&self) -> Value {
        let Some(label) = self.label else { return json!({}) };
        json!({"matchExpressions": [{"key": label, "operator": "Exists"}]})
    }
}

/// A type of Rancher's own group.
const fn management(plural: &'static str) -> [&'static str; 3] {
    ["management.cattle.io", "v3", plural]
}

const fn authorization(plural: &'static str) -> [&'static str; 3] {
    [AUTHORIZATION, "v1", plural]
}

const NAMESPACES: [&str; 3] = ["", "v1", "namespaces"];
const SECRETS: [&str; 3] = ["", "v1", "secrets"];
const PROVISIONED: [&str; 3] = ["provisioning.cattle.io", "v1", "clusters"];
const MACHINE_CONFIGS: [&str; 3] = ["rke-machine-config.cattle.io", "v1", "*"];

const GLOBAL_ROLE_OWNER: &str = "authz.management.cattle.io/gr-owner";
const BINDING_OWNER: &str = "authz.management.cattle.io/grb-owner";

const VALIDATING: [Hook; 33] = [
    Hook::new("features.management.cattle.io", management("features"), CLUSTER, &[UPDATE]).ignored(),
    Hook::new("clusters.management.cattle.io", management("clusters"), CLUSTER, &[CREATE, UPDATE, DELETE]).ignored(),
    Hook::new("rke-machine-config.cattle.io", MACHINE_CONFIGS, NAMESPACED, &[UPDATE]),
    Hook::new("namespaces.delete-namespace", NAMESPACES, CLUSTER, &[DELETE])
        .path("namespaces")
        .namespaces("In", &["fleet-local", "local"]),
    Hook::new("namespaces", NAMESPACES, CLUSTER, &[UPDATE]),
    Hook::new("namespaces.create-non-kubesystem", NAMESPACES, CLUSTER, &[CREATE])
        .path("namespaces")
        .namespaces("NotIn", &["kube-system"]),
    Hook::new("namespaces.create-kubesystem-only", NAMESPACES, CLUSTER, &[CREATE])
        .path("namespaces")
        .namespaces("In", &["kube-system"])
        .ignored(),
    Hook::new(
        "clusterrepos.catalog.cattle.io",
        ["catalog.cattle.io", "v1", "clusterrepos"],
        NAMESPACED,
        &[UPDATE, CREATE],
    ),
    Hook::new(
        "auditpolicies.auditlog.cattle.io",
        ["auditlog.cattle.io", "v1", "auditpolicies"],
        CLUSTER,
        &[CREATE, UPDATE],
    ),
    Hook::new("clusters.provisioning.cattle.io", PROVISIONED, NAMESPACED, &[UPDATE, CREATE, DELETE]),
    Hook::new("clusterproxyconfigs.management.cattle.io", management("clusterproxyconfigs"), NAMESPACED, &[CREATE]),
    Hook::new(
        "podsecurityadmissionconfigurationtemplates.management.cattle.io",
        management("podsecurityadmissionconfigurationtemplates"),
        "*",
        &[UPDATE, CREATE, DELETE],
    )
    .ignored(),
    Hook::new("globalroles.management.cattle.io", management("globalroles"), CLUSTER, &[UPDATE, CREATE, DELETE]),
    Hook::new("globalrolebindings.management.cattle.io", management("globalrolebindings"), CLUSTER, &[CREATE, UPDATE]),
    Hook::new(
        "projectroletemplatebindings.management.cattle.io",
        management("projectroletemplatebindings"),
        NAMESPACED,
        &[UPDATE, CREATE],
    ),
    Hook::new(
        "clusterroletemplatebindings.management.cattle.io",
        management("clusterroletemplatebindings"),
        NAMESPACED,
        &[UPDATE, CREATE],
    ),
    Hook::new("roletemplates.management.cattle.io", management("roletemplates"), CLUSTER, &[UPDATE, CREATE, DELETE]),
    Hook::new("secrets", SECRETS, NAMESPACED, &[DELETE, CREATE, UPDATE]),
    Hook::new("nodedrivers.management.cattle.io", management("nodedrivers"), CLUSTER, &[UPDATE, DELETE]),
    Hook::new("projects.management.cattle.io", management("projects"), NAMESPACED, &[CREATE, UPDATE, DELETE]),
    Hook::new("roles.rbac.authorization.k8s.io", authorization("roles"), NAMESPACED, &[UPDATE])
        .label(GLOBAL_ROLE_OWNER),
    Hook::new("rolebindings.rbac.authorization.k8s.io", authorization("rolebindings"), NAMESPACED, &[UPDATE])
        .label(BINDING_OWNER),
    Hook::new("settings.management.cattle.io", management("settings"), CLUSTER, &[UPDATE, CREATE]).ignored(),
    Hook::new("tokens.management.cattle.io", management("tokens"), CLUSTER, &[UPDATE, CREATE]),
    Hook::new("userattributes.management.cattle.io", management("userattributes"), CLUSTER, &[UPDATE, CREATE]),
    Hook::new("clusterroles.rbac.authorization.k8s.io", authorization("clusterroles"), CLUSTER, &[UPDATE])
        .label(GLOBAL_ROLE_OWNER),
    Hook::new(
        "clusterrolebindings.rbac.authorization.k8s.io",
        authorization("clusterrolebindings"),
        CLUSTER,
        &[UPDATE],
    )
    .label(BINDING_OWNER),
    Hook::new("authconfigs.management.cattle.io", management("authconfigs"), CLUSTER, &[UPDATE, CREATE]),
    Hook::new("users.management.cattle.io", management("users"), CLUSTER, &[CREATE, UPDATE, DELETE]),
    Hook::new(
        "machinedeployments-scale.cluster.x-k8s.io",
        ["cluster.x-k8s.io", "v1beta2", "machinedeployments/scale"],
        NAMESPACED,
        &[UPDATE],
    )
    .only_dry_runs_without_effect(),
    Hook::new("proxyendpoints.management.cattle.io", management("proxyendpoints"), CLUSTER, &[CREATE, UPDATE]),
    Hook::new(
        "awsclusters.infrastructure.cluster.x-k8s.io",
        [INFRASTRUCTURE, "v1beta2", "awsclusters"],
        NAMESPACED,
        &[CREATE, UPDATE],
    ),
    Hook::new(
        "awsclusterstaticidentities.infrastructure.cluster.x-k8s.io",
        [INFRASTRUCTURE, "v1beta2", "awsclusterstaticidentities"],
        CLUSTER,
        &[CREATE, UPDATE],
    ),
];

const MUTATING: [Hook; 8] = [
    Hook::new("clusters.provisioning.cattle.io", PROVISIONED, NAMESPACED, &[CREATE, UPDATE, DELETE])
        .only_dry_runs_without_effect(),
    Hook::new("clusters.management.cattle.io", management("clusters"), CLUSTER, &[CREATE, UPDATE])
        .only_dry_runs_without_effect(),
    Hook::new("rke-machine-config.cattle.io", MACHINE_CONFIGS, NAMESPACED, &[CREATE]).only_dry_runs_without_effect(),
    Hook::new("secrets", SECRETS, NAMESPACED, &[CREATE, DELETE, UPDATE])
        .only_dry_runs_without_effect()
        .seconds(15)
        .condition("filter-by-secret-type-cloud-credential", SECRETS_CONDITION),
    Hook::new("projects.management.cattle.io", management("projects"), NAMESPACED, &[CREATE, UPDATE]),
    Hook::new("globalrolebindings.management.cattle.io", management("globalrolebindings"), CLUSTER, &[CREATE]),
    Hook::new(
        "projectroletemplatebindings.management.cattle.io",
        management("projectroletemplatebindings"),
        NAMESPACED,
        &[CREATE],
    ),
    Hook::new(
        "clusterroletemplatebindings.management.cattle.io",
        management("clusterroletemplatebindings"),
        NAMESPACED,
        &[CREATE],
    ),
];

/// Both configurations, the validating one first; `client` gives the `clientConfig` of a path.
#[must_use]
pub fn configurations(client: &dyn Fn(&str) -> Value) -> [Value; 2] {
    let of = |kind: &str, hooks: &[Hook], path: &str| {
        let hooks: Vec<_> = hooks.iter().map(|hook| hook.as_registered(path, client)).collect();
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": NAME},
            "webhooks": hooks})
    };
    [
        of("ValidatingWebhookConfiguration", &VALIDATING, "validation"),
        of("MutatingWebhookConfiguration", &MUTATING, "mutation"),
    ]
}
