use std::path::Path;

use drover::archive::{Key, TypeName, Writer};
use drover_testbed::rancher;
use kube::api::DynamicObject;
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::Value;

/// Which object it is.
///
/// # Panics
/// When it has no apiVersion, kind or name.
#[must_use]
pub fn key_of(object: &Value) -> Key {
    let api_version = object["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let (group, version) = (group.to_owned(), version.to_owned());
    let plural = rancher::plural_of(object["kind"].as_str().unwrap());
    Key {
        type_name: TypeName { plural, group, version },
        namespace: object["metadata"]["namespace"].as_str().map(str::to_owned),
        name: object["metadata"]["name"].as_str().unwrap().to_owned(),
    }
}

/// The objects of an object's type, in its namespace where it has one.
///
/// # Panics
/// As [`key_of`].
#[must_use]
pub fn api_of(client: &Client, object: &Value) -> Api<DynamicObject> {
    let Key { type_name: TypeName { plural, group, version }, namespace, .. } = key_of(object);
    let kind = GroupVersionKind::gvk(&group, &version, object["kind"].as_str().unwrap());
    let resource = ApiResource::from_gvk_with_plural(&kind, &plural);
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Writes an archive of these objects, and of the ResourceSet that a prune goes by.
///
/// # Panics
/// When it cannot be written.
pub fn write_archive(path: &Path, objects: &[Value], resource_set: &Value) {
    let mut writer = Writer::new(std::fs::File::create(path).unwrap(), jiff::Timestamp::UNIX_EPOCH);
    for object in objects {
        writer.append(&key_of(object), object.to_string().as_bytes()).unwrap();
    }
    writer.resource_set(resource_set.to_string().as_bytes()).unwrap();
    writer.finish().unwrap();
}
