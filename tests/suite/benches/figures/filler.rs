//! Fills the cluster with what the figures are about: objects of 2.7 kB, half Secrets, half ConfigMaps.

use std::collections::BTreeMap;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{self, TryStreamExt};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

/// How many namespaces they lie in.
const NAMESPACES: usize = 100;

/// Random bytes of each object; as base64, 2,000 characters. Real Secrets hardly shrink either.
const RANDOM_BYTES: usize = 1_500;

/// Makes the objects of these numbers, the namespaces first where it is the beginning, with this many requests at once.
pub(crate) async fn fill(client: &Client, numbers: Range<usize>, at_once: usize) {
    if numbers.start == 0 {
        let names = (0..NAMESPACES).map(|number| Ok::<_, kube::Error>(namespace_name(number)));
        let made = stream::iter(names).try_for_each_concurrent(at_once, |name| make_namespace(client, name));
        made.await.unwrap();
    }
    let numbers = stream::iter(numbers.map(Ok::<_, kube::Error>));
    numbers.try_for_each_concurrent(at_once, |number| make_object(client, number)).await.unwrap();
}

async fn make_namespace(client: &Client, name: String) -> Result<(), kube::Error> {
    let metadata = ObjectMeta { name: Some(name), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.map(drop)
}

async fn make_object(client: &Client, number: usize) -> Result<(), kube::Error> {
    let namespace = namespace_name(number % NAMESPACES);
    let labels = [("app", "bulk".to_owned()), ("shard", (number % 7).to_string())];
    let metadata = ObjectMeta {
        name: Some(format!("bulk-{number}")),
        labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
        ..ObjectMeta::default()
    };
    let random = random_bytes(number);
    if number % 2 == 1 {
        let data = BTreeMap::from([("blob".to_owned(), ByteString(random))]);
        let secret = Secret { metadata, type_: Some("Opaque".to_owned()), data: Some(data), ..Secret::default() };
        Api::namespaced(client.clone(), &namespace).create(&PostParams::default(), &secret).await.map(drop)
    } else {
        let data = [("blob", STANDARD.encode(random)), ("conf", "key: value\n".repeat(20))];
        let data = data.map(|(key, value)| (key.to_owned(), value)).into();
        let config_map = ConfigMap { metadata, data: Some(data), ..ConfigMap::default() };
        Api::namespaced(client.clone(), &namespace).create(&PostParams::default(), &config_map).await.map(drop)
    }
}

fn namespace_name(number: usize) -> String {
    format!("cattle-bulk-{number}")
}

/// Bytes that no compression shrinks, always the same for one number (SplitMix64).
fn random_bytes(number: usize) -> Vec<u8> {
    let mut state = (number as u64).wrapping_mul(0xD134_2543_DE82_EF95);
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    });
    words.flat_map(u64::to_le_bytes).take(RANDOM_BYTES).collect()
}
