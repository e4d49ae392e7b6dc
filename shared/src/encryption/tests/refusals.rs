//! Configurations that are refused, each with its reason and its place.

use super::fixture::{base64, document, provider, secret};
use crate::encryption::{Configuration, Provider};
use crate::exit::{Exit, Fault};

#[track_caller]
fn refused(yaml: &str, variant: &str, words: &str) {
    let error = Configuration::parse(yaml).unwrap_err();
    let debug = format!("{error:?}");
    assert!(debug.starts_with(variant), "{debug}: {error}");
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(error.exit(), Exit::Usage);
}

/// A configuration with one rule for Secrets and this list of providers.
fn providers(text: &str) -> String {
    format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  \
         providers: {text}\n"
    )
}

/// A configuration with this list of resources.
fn resources(text: &str) -> String {
    document(&[(text, &["{identity: {}}".to_owned()])])
}

/// A configuration with these keys of aescbc.
fn keys(text: &str) -> String {
    providers(&format!("[{{identity: {{}}}}, {{aescbc: {{keys: {text}}}}}]"))
}

fn key() -> String {
    base64(&secret(1, 32))
}

const KEYS: &str = "resources[0].providers[1].aescbc.keys";

#[test]
fn what_is_no_configuration_is_refused() {
    refused("", "OtherType", "all of the configuration: it is not a map");
    refused("[]", "OtherType", "it is not a map");
    refused("{}", "Missing", "apiVersion");
    let kind = |version: &str, kind: &str| format!("apiVersion: {version}\nkind: {kind}\nresources: []\n");
    refused(&kind("v1", "EncryptionConfiguration"), "OtherKind", "its apiVersion is \"v1\" and should be");
    let later = "its apiVersion is \"apiserver.config.k8s.io/v1\" and should be \"v1\"";
    refused(&kind("apiserver.config.k8s.io/v1", "EncryptionConfig"), "OtherKind", later);
    refused(&kind("apiserver.config.k8s.io/v1", "Secret"), "OtherKind", "its kind is \"Secret\"");
    refused(&kind("apiserver.config.k8s.io/v1", "1"), "OtherType", "kind of the configuration: it is not a text");
    refused(&kind("apiserver.config.k8s.io/v1", "EncryptionConfiguration"), "Missing", "find resources");
    let extra = format!("{}metadata: {{}}\n", resources("secrets"));
    refused(&extra, "UnknownField", "\"metadata\"");
    refused("a: b\n a: c\n", "Yaml", "line 2");
    refused(&format!("{0}{0}", resources("secrets")), "Yaml", "line");
    refused(&resources("*.*"), "Yaml", "quotes");
}

#[test]
fn rules_without_resources_or_providers_are_refused() {
    refused(&resources(""), "Missing", "resources[0].resources");
    refused(&providers("[]"), "Missing", "resources[0].providers");
    refused(&providers("{}"), "OtherType", "resources[0].providers of the configuration: it is not a list");
    refused(&providers("[{}]"), "NoProvider", "resources[0].providers[0]");
    refused(&providers("[{identity: null}]"), "NoProvider", "resources[0].providers[0]");
    refused(&providers("[identity]"), "OtherType", "resources[0].providers[0]");
    refused(&providers("[{identity: {a: 1}}]"), "UnknownField", "resources[0].providers[0].identity");
    refused(&providers("[{identity: true}]"), "OtherType", "resources[0].providers[0].identity");
    let two = format!("[{{identity: {{}}, aesgcm: {{keys: [{{name: a, secret: {}}}]}}}}]", key());
    refused(&providers(&two), "SeveralProviders", "resources[0].providers[0]");
    let rule = resources("secrets").replace("providers:", "provider:");
    refused(&rule, "UnknownField", "resources[0] of the configuration: it has \"provider\"");
}

#[test]
fn providers_that_are_not_there_are_refused() {
    refused(&providers("[{aesctr: {}}]"), "UnknownProvider", "\"aesctr\", which is none of aescbc, aesgcm, secretbox");
    refused(&providers("[{AESCBC: {}}]"), "UnknownProvider", "\"AESCBC\"");
    let kms = "{kms: {name: a, endpoint: 'unix:///tmp/x', apiVersion: v2}}";
    refused(&providers(&format!("[{kms}, {{identity: {{}}}}]")), "Kms", "resources[0].providers[0].kms");
    let two = kms.replace("{kms", "{identity: {}, kms");
    refused(&providers(&format!("[{{identity: {{}}}}, {two}]")), "SeveralProviders", "resources[0].providers[1]");
}

#[test]
fn keys_that_cannot_be_used_are_refused() {
    let (key, long) = (key(), "n".repeat(1025));
    refused(&keys("[]"), "Missing", KEYS);
    refused(&keys("null"), "Missing", KEYS);
    refused(&keys("[a]"), "OtherType", "aescbc.keys[0]");
    refused(&keys(&format!("[{{secret: {key}}}]")), "Missing", "aescbc.keys[0].name");
    refused(&keys(&format!("[{{name: '', secret: {key}}}]")), "Missing", "aescbc.keys[0].name");
    refused(&keys(&format!("[{{name: 1, secret: {key}}}]")), "OtherType", "put numbers in quotes");
    refused(&keys(&format!("[{{name: {long}, secret: {key}}}]")), "LongName", "aescbc.keys[0].name");
    refused(&keys("[{name: a}]"), "Missing", "aescbc.keys[0].secret");
    refused(&keys("[{name: a, secret: ''}]"), "Missing", "aescbc.keys[0].secret");
    refused(&keys(&format!("[{{name: a, secret: {key}, extra: b}}]")), "UnknownField", "aescbc.keys[0]");
    refused(
        &keys(&format!("[{{name: a, secret: {key}}}, {{name: b, secret: 'not base64!'}}]")),
        "NotBase64",
        "keys[1].secret",
    );
    refused(&keys("[{name: a, secret: QUJDRA}]"), "NotBase64", "keys[0].secret");
    for (of, bytes) in [(Provider::AesCbc, 15), (Provider::AesCbc, 33), (Provider::AesGcm, 20), (Provider::AesGcm, 64)]
    {
        let words = format!("a key of {} has 16, 24, 32 bytes, and this one has {bytes}", of.name());
        refused(&providers(&format!("[{}]", provider(of, &[("a", secret(1, bytes))]))), "KeyLength", &words);
    }
    for bytes in [16, 24, 31, 33] {
        let keys = [("a", secret(1, bytes))];
        refused(&providers(&format!("[{}]", provider(Provider::Secretbox, &keys))), "KeyLength", "has 32 bytes");
    }
}

#[test]
fn resources_that_kubernetes_refuses_are_refused() {
    refused(
        &resources("Secrets"),
        "Resource",
        "resources[0].resources[0] of the configuration: \"Secrets\" holds a capital",
    );
    refused(&resources("'*'"), "Resource", "of which group");
    refused(&resources("pods, 'secrets.*'"), "Resource", "resources[0].resources[1]");
    refused(&resources("1"), "OtherType", "resources[0].resources[0]");
    for (one, other) in [
        ("secrets", "secrets"),
        ("secrets", "'secrets.'"),
        ("secrets", "'*.'"),
        ("'*.apps'", "deployments.apps"),
        ("'*.*'", "secrets"),
        ("'*.apps'", "'*.*'"),
    ] {
        refused(&resources(&format!("pods.x, {one}, {other}")), "Overlap", "resources[0].resources[");
    }
    let identity = || ["{identity: {}}".to_owned()];
    for (one, other) in [("'*.'", "secrets"), ("'*.*'", "'*.apps'"), ("'*.apps'", "'*.apps'"), ("'*.*'", "'*.*'")] {
        let rules = document(&[(one, &identity()), (other, &identity())]);
        refused(&rules, "Masked", "resources[1].resources[0] of the configuration");
    }
    // A narrower rule first is how it is meant; and one type may stand in two rules, of which the first writes.
    for (one, other) in [("secrets", "'*.'"), ("'*.apps'", "'*.*'"), ("secrets", "secrets")] {
        let rules = document(&[(one, &identity()), (other, &identity())]);
        assert!(Configuration::parse(&rules).is_ok(), "{rules}");
    }
}

#[test]
fn documents_that_grow_are_refused() {
    let long = format!("{}# {}\n", resources("secrets"), "x".repeat(1 << 20));
    refused(&long, "TooLarge", "1048576");
    let names: Vec<_> = (0..20_000).map(|number| format!("t{number}")).collect();
    refused(&resources(&names.join(", ")), "Yaml", "too much");
    let deep = format!("{}a: {}{}\n", resources("secrets"), "[".repeat(200), "]".repeat(200));
    refused(&deep, "Yaml", "too much");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{aliases}]\n");
    }
    refused(&bomb, "Yaml", "too much");
}
