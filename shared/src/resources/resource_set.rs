use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is backed up, and which controllers a restore scales down.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "resources.cattle.io",
    version = "v1",
    kind = "ResourceSet",
    no_spec,
    derive = "PartialEq",
    doc = "What is backed up, and which controllers a restore scales down."
)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSetContent {
    /// Which objects belong to the set: those that any selector matches.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic", "default" = []))]
    pub resource_selectors: Vec<ResourceSelector>,
    /// Controllers that a restore scales to 0 before its first write, and back afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic", "default" = []))]
    pub controller_references: Vec<ControllerReference>,
}

/// Selects objects of one API version. A list and a regexp of one thing are alternatives; different things all hold.
///
/// Regexps are Go's RE2, searched unanchored.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSelector {
    /// Group and version, such as "apps/v1"; "v1" is the core group.
    pub api_version: String,
    /// Kinds or plural names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub kinds: Vec<String>,
    /// A regexp for kinds or plural names; "." is all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kinds_regexp: String,
    /// Kinds or plural names that the regexp does not take.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub exclude_kinds: Vec<String>,
    /// Names of objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub resource_names: Vec<String>,
    /// A regexp for names of objects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource_name_regexp: String,
    /// A regexp for names that are left out, unless they stand in `resourceNames`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub exclude_resource_name_regexp: String,
    /// Namespaces, for namespaced types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<String>,
    /// A regexp for namespaces, for namespaced types.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace_regexp: String,
    /// Labels that the objects carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selectors: Option<LabelSelector>,
    /// Fields and the values that they have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub field_selectors: BTreeMap<String, String>,
}

/// A controller that a restore scales down.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ControllerReference {
    /// Group and version, such as "apps/v1".
    pub api_version: String,
    /// Plural name, such as "deployments".
    pub resource: String,
    /// Namespace of the controller.
    pub namespace: String,
    /// Name of the controller.
    pub name: String,
    /// The count to scale back to, filled in while a restore runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
}
