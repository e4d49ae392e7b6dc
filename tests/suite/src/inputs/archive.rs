//! Archives as the Rancher backup operator makes them, by code that shares nothing with drover's own writer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover::encryption::CONFIGURATION_KEY;
use drover::resources::{DEFAULT_NAMESPACE, definitions};
use dryoc::classic::crypto_secretbox::crypto_secretbox_easy;
use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::small_rancher::{self, archived_uid};
use crate::{key_of, object};

/// The key of every archive here.
const KEY: [u8; 32] = *b"a harbour with a lock and a key.";

/// Where the ResourceSet lies in an archive.
const SET: &str = "filters/filters.json";

/// The three kinds of archive, by what encrypts it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Nothing.
    Plain,
    /// `aescbc`, the Secrets alone.
    AesCbc,
    /// `secretbox`, every object.
    Secretbox,
}

impl Kind {
    /// As files and configurations name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::AesCbc => "aescbc",
            Self::Secretbox => "secretbox",
        }
    }

    /// Whether an object at this path is encrypted.
    #[must_use]
    pub fn encrypts(self, path: &str) -> bool {
        match self {
            Self::Plain => false,
            Self::AesCbc => path.starts_with("secrets.#v1/"),
            Self::Secretbox => true,
        }
    }

    /// The name of the key, as the configuration has it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Plain | Self::AesCbc => "key1",
            Self::Secretbox => "box",
        }
    }

    /// The file's content for an object: as it is, or a JSON string of what Kubernetes would store.
    fn content(self, path: &str, object: &[u8]) -> Vec<u8> {
        if !self.encrypts(path) {
            return object.to_vec();
        }
        let prefix = format!("k8s:enc:{}:v1:{}:", self.name(), self.key());
        let stored = [prefix.as_bytes(), &self.seal(Sha256::digest(path).as_slice(), object)].concat();
        json!(STANDARD.encode(stored)).to_string().into_bytes()
    }

    /// Nonce and ciphertext. The nonce comes of the path, so that an archive is the same each time.
    fn seal(self, noise: &[u8], object: &[u8]) -> Vec<u8> {
        if self == Self::Secretbox {
            let nonce = noise[..24].try_into().unwrap();
            let mut sealed = vec![0; object.len() + 16];
            crypto_secretbox_easy(&mut sealed, object, &nonce, &KEY).unwrap();
            return [&nonce[..], &sealed].concat();
        }
        let cipher = cbc::Encryptor::<aes::Aes256>::new_from_slices(&KEY, &noise[..16]).unwrap();
        let mut padded = [object, &[0; 16]].concat();
        [&noise[..16], cipher.encrypt_padded::<Pkcs7>(&mut padded, object.len()).unwrap()].concat()
    }
}

/// The configuration that decrypts an archive of this kind.
pub(super) fn configuration(kind: Kind) -> String {
    let resources = if kind == Kind::Secretbox { "*.*" } else { "secrets" };
    let keys = json!([{"name": kind.key(), "secret": STANDARD.encode(KEY)}]);
    let rule = json!({"resources": [resources], "providers": [{kind.name(): {"keys": keys}}, {"identity": {}}]});
    let name = "EncryptionConfiguration";
    json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": name, "resources": [rule]}).to_string()
}

/// The objects of every archive here, by path, as the API server of their cluster had them.
pub(super) fn objects(sets: &[Value]) -> BTreeMap<String, Value> {
    let objects = [small_rancher::definitions(), small_rancher::selected(), of_the_operators_cluster(), sets.to_vec()];
    objects.concat().into_iter().map(|object| (format!("{}.json", key_of(&object)), as_stored(object))).collect()
}

/// What a cluster of the operator's has and one of drover's has not, or has in another shape.
fn of_the_operators_cluster() -> Vec<Value> {
    let keys = [("enc-aescbc", Kind::AesCbc), ("enc-aesgcm", Kind::AesCbc), ("enc-secretbox", Kind::Secretbox)];
    let secret = |(name, kind): (&str, Kind)| {
        let data = json!({CONFIGURATION_KEY: STANDARD.encode(configuration(kind))});
        let content = json!({"type": "Opaque", "data": data});
        object("v1", "Secret", &format!("{DEFAULT_NAMESPACE}/{name}"), content)
    };
    let certificate = |namespace: &str| {
        let content = json!({"data": {"ca.crt": "the certificate of a cluster that is no more"}});
        object("v1", "ConfigMap", &format!("{namespace}/kube-root-ca.crt"), content)
    };
    let certificates = ["cattle-fleet-system", "cattle-system", "fleet-default", "fleet-local"].map(certificate);
    keys.into_iter().map(secret).chain(certificates).chain(operators_definitions()).collect()
}

/// The operator's definitions demand an endpoint, and drover's do not.
fn operators_definitions() -> Vec<Value> {
    let of_the_operator = definitions().into_iter().filter(|definition| definition.spec.group == "resources.cattle.io");
    let demanding = |definition: CustomResourceDefinition| {
        let mut definition = serde_json::to_value(definition).unwrap();
        definition["metadata"]["annotations"] = json!({"example.com/of": "the operator"});
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/storageLocation/properties/s3";
        if let Some(location) = definition.pointer_mut(spec) {
            location["required"] = json!(["bucketName", "endpoint"]);
        }
        definition
    };
    of_the_operator.map(demanding).collect()
}

/// An object with what an API server adds to it.
fn as_stored(mut object: Value) -> Value {
    match object["kind"].as_str().unwrap() {
        "Namespace" => {
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = object["metadata"]["name"].clone();
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
        "CustomResourceDefinition" => {
            object["spec"]["conversion"] = json!({"strategy": "None"});
            let condition = |of: &str, reason: &str, message: &str| {
                json!({"type": of, "status": "True", "reason": reason, "message": message,
                    "lastTransitionTime": "2026-02-01T02:00:00Z"})
            };
            object["status"] = json!({
                "acceptedNames": object["spec"]["names"],
                "conditions": [
                    condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                    condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
                ],
                "storedVersions": [object["spec"]["versions"][0]["name"]],
            });
        }
        _ => {}
    }
    object
}

/// Writes an archive of these objects. A folder has an entry of its own before what lies in it, and no slash at its end;
/// the ResourceSet has what the operator drops from every other object.
pub(super) fn write(file: &Path, kind: Kind, objects: &BTreeMap<String, Value>, set: &Value) {
    let mut set = set.clone();
    set["metadata"]["uid"] = archived_uid("ResourceSet", "of the archive").into();
    set["metadata"]["resourceVersion"] = "1237".into();
    set["metadata"]["creationTimestamp"] = "2026-02-01T01:00:00Z".into();
    let mut files: BTreeMap<&str, Vec<u8>> = BTreeMap::from([(SET, set.to_string().into_bytes())]);
    files.extend(objects.iter().map(|(path, object)| (&**path, kind.content(path, object.to_string().as_bytes()))));
    let mut archive = Builder::new(GzEncoder::new(File::create(file).unwrap(), Compression::default()));
    let mut folders = BTreeSet::new();
    for (path, content) in files {
        for (end, _) in path.match_indices('/') {
            if folders.insert(&path[..end]) {
                append(&mut archive, EntryType::Directory, &path[..end], &[]);
            }
        }
        append(&mut archive, EntryType::Regular, path, &content);
    }
    archive.into_inner().unwrap().finish().unwrap();
}

fn append(archive: &mut Builder<GzEncoder<File>>, of: EntryType, path: &str, content: &[u8]) {
    let mut header = Header::new_ustar();
    header.set_entry_type(of);
    header.set_mode(if of == EntryType::Directory { 0o755 } else { 0o644 });
    header.set_size(content.len() as u64);
    header.set_mtime(1_769_911_200);
    archive.append_data(&mut header, path, content).unwrap();
}
