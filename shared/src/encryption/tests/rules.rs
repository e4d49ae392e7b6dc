//! Which key writes which type, and which keys read.

use proptest::prelude::*;

use super::fixture::{PATH, document, everything, parse, provider, seal, secret, unseal};
use crate::encryption::{Configuration, Provider, Sealer, UnsealError};

const KINDS: [(Provider, usize); 7] = [
    (Provider::AesCbc, 16),
    (Provider::AesCbc, 24),
    (Provider::AesCbc, 32),
    (Provider::AesGcm, 16),
    (Provider::AesGcm, 24),
    (Provider::AesGcm, 32),
    (Provider::Secretbox, 32),
];

fn writer(configuration: &Configuration, plural: &str, group: &str) -> Option<String> {
    configuration.seal_for(plural, group).map(ToString::to_string)
}

proptest! {
    #[test]
    fn what_is_encrypted_reads_back_with_every_provider_and_key_length(
        objects in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 1..4),
    ) {
        for (of, bytes) in KINDS {
            let configuration = everything(of, &[("k", secret(1, bytes))]);
            for object in &objects {
                let text = seal(&configuration, PATH, object);
                let (read, seal) = unseal(&configuration, PATH, &text).unwrap();
                prop_assert_eq!(&read, object);
                prop_assert_eq!((&*seal.provider, &*seal.key), (of.name(), "k"));
            }
        }
    }
}

#[test]
fn nothing_is_encrypted_twice_to_the_same() {
    for (of, bytes) in KINDS {
        let configuration = everything(of, &[("k", secret(1, bytes))]);
        assert_ne!(seal(&configuration, PATH, b"{}"), seal(&configuration, PATH, b"{}"), "{of:?}");
    }
}

#[test]
fn the_first_rule_that_names_a_type_counts_and_its_first_key_writes() {
    let (cbc, gcm) = (Provider::AesCbc, Provider::AesGcm);
    let configuration = parse(&document(&[
        ("secrets", &[provider(cbc, &[("one", secret(1, 32)), ("two", secret(2, 32))]), "{identity: {}}".to_owned()]),
        ("configmaps, deployments.apps", &["{identity: {}}".to_owned(), provider(cbc, &[("one", secret(1, 32))])]),
        ("\"*.apps\"", &[provider(gcm, &[("apps", secret(3, 16))])]),
        ("\"*.\"", &[provider(gcm, &[("core", secret(4, 24))])]),
        ("\"*.*\"", &[provider(Provider::Secretbox, &[("rest", secret(5, 32))])]),
    ]));
    for (plural, group, expected) in [
        ("secrets", "", Some("key \"one\" of aescbc")),
        ("configmaps", "", None),
        ("deployments", "apps", None),
        ("statefulsets", "apps", Some("key \"apps\" of aesgcm")),
        ("pods", "", Some("key \"core\" of aesgcm")),
        ("secrets", "other.io", Some("key \"rest\" of secretbox")),
    ] {
        assert_eq!(writer(&configuration, plural, group).as_deref(), expected, "{plural}.{group}");
    }
    let named = parse(&document(&[("secrets", &[provider(cbc, &[("one", secret(1, 32))])])]));
    assert_eq!(writer(&named, "configmaps", ""), None);
    let mut text = b"left over".to_vec();
    assert!(!Sealer::new(named).seal(("configmaps", ""), PATH, b"{}", &mut text).unwrap());
    assert_eq!(text, b"");
}

#[test]
fn a_rotated_key_still_reads_and_the_first_one_writes() {
    for (of, bytes) in KINDS {
        let old = everything(of, &[("old", secret(1, bytes))]);
        let rotated = everything(of, &[("new", secret(2, bytes)), ("old", secret(1, bytes))]);
        let before = seal(&old, PATH, b"{\"a\":1}");
        assert_eq!(unseal(&rotated, PATH, &before).unwrap().1.key, "old");
        let after = seal(&rotated, PATH, b"{\"a\":1}");
        assert_eq!(unseal(&rotated, PATH, &after).unwrap().1.key, "new");
        let missing = unseal(&old, PATH, &after).unwrap_err();
        assert!(matches!(&missing, UnsealError::NoKey { seal } if seal.key == "new"), "{missing:?}");
    }
}

#[test]
fn keys_of_other_rules_and_providers_read_too() {
    let old = everything(Provider::AesCbc, &[("k", secret(1, 32))]);
    let moved = parse(&document(&[(
        "\"*.*\"",
        &[provider(Provider::Secretbox, &[("k", secret(2, 32))]), provider(Provider::AesCbc, &[("k", secret(1, 32))])],
    )]));
    let elsewhere = parse(&document(&[
        ("secrets", &[provider(Provider::AesGcm, &[("k", secret(3, 32))])]),
        ("configmaps", &[provider(Provider::AesCbc, &[("k", secret(1, 32))])]),
    ]));
    let text = seal(&old, PATH, b"{}");
    for configuration in [moved, elsewhere] {
        assert_eq!(unseal(&configuration, PATH, &text).unwrap().0, b"{}");
    }
}

#[test]
fn one_key_may_stand_in_many_rules() {
    let keys = [provider(Provider::Secretbox, &[("k", secret(1, 32))])];
    let configuration = parse(&document(&[("secrets", &keys), ("configmaps", &keys), ("pods", &keys)]));
    assert_eq!(writer(&configuration, "pods", "").as_deref(), Some("key \"k\" of secretbox"));
    assert!(configuration.warnings().is_empty());
}

#[test]
fn names_with_colons_are_told_apart() {
    for (of, bytes) in KINDS {
        let keys = [("a", secret(1, bytes)), ("a:b", secret(2, bytes)), ("a:b:c", secret(3, bytes))];
        for (name, key) in &keys {
            let text = seal(&everything(of, &[(name, key.clone())]), PATH, b"{}");
            let (object, seal) = unseal(&everything(of, &keys), PATH, &text).unwrap();
            assert_eq!((object.as_slice(), &*seal.key), (&b"{}"[..], *name));
        }
    }
}

#[test]
fn the_operators_ways_to_write_a_configuration_are_read() {
    let key = super::fixture::base64(&secret(1, 32));
    let (half, rest) = key.split_at(20);
    for yaml in [
        // Block style, a secret over two lines, a comment, a document's start.
        format!(
            "---\n# keys\nkind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources:\n  - resources:\n      \
             - secrets\n    providers:\n      - aescbc:\n          keys:\n            - name: key1\n              secret: |\n                \
             {half}\n                {rest}\n      - identity: {{}}\n"
        ),
        // An anchor, used once more.
        format!(
            "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers: \
             &keys\n  - aescbc: {{keys: [{{name: key1, secret: {key}}}]}}\n- resources: [pods]\n  providers: *keys\n"
        ),
        // JSON, with members that are null.
        format!(
            r#"{{"apiVersion":"apiserver.config.k8s.io/v1","kind":"EncryptionConfiguration","resources":[{{"resources":["secrets"],
            "providers":[{{"aescbc":{{"keys":[{{"name":"key1","secret":"{key}"}}]}},"kms":null,"identity":null}}]}}]}}"#
        ),
    ] {
        assert_eq!(writer(&parse(&yaml), "secrets", "").as_deref(), Some("key \"key1\" of aescbc"), "{yaml}");
    }
}
