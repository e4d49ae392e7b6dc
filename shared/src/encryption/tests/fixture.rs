use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::encryption::{Configuration, Provider, Seal, Sealer, Unopened, UnsealError, Unsealer};

/// An object's path as its cipher sees it.
pub(super) const PATH: &str = "cattle-system#tls";

/// A key of so many bytes; other seeds, other keys.
pub(super) fn secret(seed: u8, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| seed.wrapping_mul(31).wrapping_add(u8::try_from(index).unwrap())).collect()
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// An entry of `providers` with these keys, each a name and its secret.
pub(super) fn provider(provider: Provider, keys: &[(&str, Vec<u8>)]) -> String {
    let keys: Vec<_> =
        keys.iter().map(|(name, secret)| format!("{{name: {name:?}, secret: {:?}}}", base64(secret))).collect();
    format!("{{{}: {{keys: [{}]}}}}", provider.name(), keys.join(", "))
}

/// A configuration of these rules, each its resources and its providers.
pub(super) fn document(rules: &[(&str, &[String])]) -> String {
    let rules: Vec<_> = rules
        .iter()
        .map(|(resources, providers)| {
            format!("- {{resources: [{resources}], providers: [{}]}}\n", providers.join(", "))
        })
        .collect();
    format!("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n{}", rules.concat())
}

#[track_caller]
pub(super) fn parse(yaml: &str) -> Arc<Configuration> {
    Arc::new(Configuration::parse(yaml).unwrap())
}

/// A configuration that encrypts everything with the first of these keys of one provider.
pub(super) fn everything(of: Provider, keys: &[(&str, Vec<u8>)]) -> Arc<Configuration> {
    parse(&document(&[("\"*.*\"", &[provider(of, keys)])]))
}

/// The string that a Secret becomes.
#[track_caller]
pub(super) fn seal(configuration: &Arc<Configuration>, path: &str, object: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    assert!(Sealer::new(Arc::clone(configuration)).seal(("secrets", ""), path, object, &mut text).unwrap());
    text
}

/// What the string held, and with which key.
pub(super) fn unseal(
    configuration: &Arc<Configuration>,
    path: &str,
    text: &[u8],
) -> Result<(Vec<u8>, Seal), UnsealError> {
    let mut unsealer = Unsealer::new(Arc::clone(configuration));
    match unsealer.unseal(("secrets", ""), path, text, |_| Ok::<_, Infallible>(())) {
        Ok(seal) => Ok((unsealer.object().to_vec(), (*seal).clone())),
        Err(Unopened::Sealed(error)) => Err(error),
        Err(Unopened::Content { error, .. }) => match error {},
    }
}

/// The bytes behind the prefix of a string: nonce and ciphertext.
pub(super) fn body(text: &[u8], provider: Provider, name: &str) -> Vec<u8> {
    let inner = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap();
    let sealed = STANDARD.decode(inner).unwrap();
    let prefix = format!("k8s:enc:{}:v1:{name}:", provider.name());
    sealed.strip_prefix(prefix.as_bytes()).unwrap().to_vec()
}

/// The string of any bytes.
pub(super) fn string(bytes: &[u8]) -> Vec<u8> {
    format!("\"{}\"", base64(bytes)).into_bytes()
}
