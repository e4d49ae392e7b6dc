//! Configurations that the loader of API servers takes, in every form that it knows, and what is warned about.

use std::sync::Arc;

use super::fixture::{PATH, base64, document, everything, parse, provider, seal, secret, unseal};
use crate::encryption::{Configuration, Provider, Unopened, Unsealer};

/// Reads a configuration, and gives its warnings in one text.
#[track_caller]
fn warnings(text: &str) -> String {
    parse(text).warnings().join("; ")
}

/// A rule of identity for these resources.
fn resources(text: &str) -> String {
    document(&[(text, &["{identity: {}}".to_owned()])])
}

/// What this configuration writes Secrets with.
#[track_caller]
fn writer(text: &str) -> Option<String> {
    parse(text).seal_for("secrets", "").map(ToString::to_string)
}

#[test]
fn the_kind_of_before_kubernetes_1_13_is_read() {
    let key = provider(Provider::AesCbc, &[("key1", secret(1, 32))]);
    let legacy = document(&[("secrets", &[key])])
        .replace("apiserver.config.k8s.io/v1", "v1")
        .replace("EncryptionConfiguration", "EncryptionConfig");
    assert_eq!(writer(&legacy).as_deref(), Some("key \"key1\" of aescbc"));
    assert_eq!(warnings(&legacy), "");
}

#[test]
fn json_and_yaml_of_every_layout_are_read() {
    let key = base64(&secret(1, 32));
    let (half, rest) = key.split_at(20);
    let json = format!(
        "{{\n\t\"kind\": \"EncryptionConfiguration\",\n\t\"apiVersion\": \"apiserver.config.k8s.io\\/v1\",\n\t\
         \"resources\": [{{\"resources\": [\"secrets\"], \"providers\": [{{\"aescbc\": {{\"keys\": [\n\t\t\
         {{\"name\": \"\\u006bey1\", \"secret\": \"{half}\\n{rest}\"}}]}}}}, {{\"identity\": {{}}}}]}}]\n}}\n"
    );
    let lines = format!(
        "kind: EncryptionConfiguration\r\napiVersion: apiserver.config.k8s.io/v1\r\nresources:\r\n- resources:\r\n  - secrets\r\n  \
         providers:\r\n  - aescbc:\r\n      keys:\r\n      - name: key1\r\n        secret: {key}\r\n"
    );
    let head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n";
    let merged = format!(
        "{head}resources:\n- resources: [secrets]\n  providers: [{{aescbc: {{keys: [&key {{name: key1, secret: {key}}}]}}}}]\n\
         - resources: [pods]\n  providers:\n  - aescbc:\n      keys:\n      - <<: *key\n"
    );
    let flow = format!(
        "{{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{{resources: [secrets], \
         providers: [{{aescbc: {{keys: [{{name: key1, secret: {key}}}]}}}}]}}]}}\n"
    );
    let tagged = format!(
        "%YAML 1.1\n---\n{head}resources:\n- resources: !!seq [!!str secrets]\n  providers: [{{aescbc: {{keys: [{{name: key1, \
         secret: '{key}'}}]}}}}]\n...\n"
    );
    for text in [&json, &lines, &merged, &flow, &tagged, &format!("\u{feff}{lines}"), &format!("\n\n---\n{lines}")] {
        assert_eq!(writer(text).as_deref(), Some("key \"key1\" of aescbc"), "{text}");
        assert_eq!(warnings(text), "", "{text}");
    }
}

#[test]
fn only_the_first_document_counts() {
    let (first, other) = (everything_with("first"), everything_with("other"));
    for rest in [&*other, "kind: List\n", "not: [well formed\n"] {
        let text = format!("{first}---\n{rest}");
        assert_eq!(writer(&text).as_deref(), Some("key \"first\" of aesgcm"), "{text}");
        assert!(warnings(&text).contains("only the first one counts"), "{text}");
    }
    assert_eq!(warnings(&format!("{first}---\n# nothing more\n")), "");
}

fn everything_with(name: &str) -> String {
    document(&[("secrets", &[provider(Provider::AesGcm, &[(name, secret(1, 32))])])])
}

#[test]
fn names_that_yaml_1_1_would_take_for_booleans_are_names() {
    for name in ["y", "n", "2024-01-01", "1:30"] {
        let text = everything_with(name).replace(&format!("{name:?}"), name);
        assert_eq!(writer(&text), Some(format!("key {name:?} of aesgcm")), "{text}");
    }
}

#[test]
fn lines_that_name_no_type_are_taken_and_warned_about() {
    for line in ["'sec*'", "'*x.apps'", "'*.*.io'", "''", ".apps", "null"] {
        let text = resources(&format!("secrets, {line}"));
        assert!(warnings(&text).contains("resources[0].resources[1]"), "{text}");
    }
    assert_eq!(warnings(&resources("secrets, deployments.apps, '*.x.io'")), "");
}

#[test]
fn a_key_management_service_may_stand_behind_what_writes() {
    let kms = "{kms: {name: a, endpoint: 'unix:///tmp/x', apiVersion: v2, timeout: 3s}}".to_owned();
    let text = document(&[("secrets", &[provider(Provider::AesGcm, &[("k", secret(1, 32))]), kms])]);
    assert_eq!(writer(&text).as_deref(), Some("key \"k\" of aesgcm"));
    assert!(warnings(&text).contains("resources[0].providers[1].kms is passed over"), "{}", warnings(&text));
}

/// What a check of objects says that takes only what was encrypted here.
fn is_object(object: &[u8]) -> Result<(), String> {
    if object.starts_with(b"{\"a\":") { Ok(()) } else { Err("no object".to_owned()) }
}

#[track_caller]
fn reads(configuration: &Arc<Configuration>, text: &[u8]) {
    let mut unsealer = Unsealer::new(Arc::clone(configuration));
    let opened = unsealer.unseal(("secrets", ""), PATH, text, is_object);
    assert!(opened.is_ok(), "{opened:?}");
    assert_eq!(unsealer.object(), b"{\"a\":1}");
}

/// Two keys of a name, wherever they stand: in one list, in two entries, in two rules.
fn namesakes(of: Provider) -> [String; 3] {
    let (one, two) = (("k", secret(1, 32)), ("k", secret(2, 32)));
    let entry = |keys: &[(&str, Vec<u8>)]| provider(of, keys);
    [
        document(&[("secrets", &[entry(&[one.clone(), two.clone()])])]),
        document(&[("secrets", &[entry(std::slice::from_ref(&one)), entry(std::slice::from_ref(&two))])]),
        document(&[("secrets", &[entry(&[one])]), ("pods", &[entry(&[two])])]),
    ]
}

#[test]
fn each_key_of_a_name_is_tried_until_one_fits() {
    for of in Provider::ALL {
        for text in namesakes(of) {
            let configuration = parse(&text);
            let words = format!("two keys of {} with the name \"k\"", of.name());
            assert!(warnings(&text).contains(&words), "{text}");
            let writers = [1, 2].map(|seed| everything(of, &[("k", secret(seed, 32))]));
            // So often that a wrong key of aescbc gives what looks like a padding.
            for _ in 0..if of == Provider::AesCbc { 1000 } else { 2 } {
                for writer in &writers {
                    reads(&configuration, &seal(writer, PATH, b"{\"a\":1}"));
                }
            }
        }
    }
}

#[test]
fn where_no_key_of_a_name_fits_the_entry_is_refused() {
    for of in Provider::ALL {
        let sealed = seal(&everything(of, &[("k", secret(3, 32))]), PATH, b"{\"a\":1}");
        for text in namesakes(of) {
            let mut unsealer = Unsealer::new(parse(&text));
            assert!(unsealer.unseal(("secrets", ""), PATH, &sealed, is_object).is_err(), "{text}");
            assert_eq!(unsealer.object(), b"");
        }
    }
}

#[test]
fn a_key_that_is_proved_right_ends_the_search() {
    let configuration = parse(&namesakes(Provider::AesGcm)[0]);
    let sealed = seal(&everything(Provider::AesGcm, &[("k", secret(1, 32))]), PATH, b"[]");
    let unopened = Unsealer::new(configuration).unseal(("secrets", ""), PATH, &sealed, is_object).unwrap_err();
    assert!(matches!(&unopened, Unopened::Content { error, .. } if error == "no object"), "{unopened:?}");
}

#[test]
fn the_keys_of_the_types_own_rule_are_tried_first() {
    let rule = |seed| [provider(Provider::AesCbc, &[("k", secret(seed, 32))])];
    let configuration = parse(&document(&[("pods", &rule(1)), ("secrets", &rule(2))]));
    for (plural, seed) in [("pods", 1), ("secrets", 2), ("configmaps", 1)] {
        let sealed = seal(&everything(Provider::AesCbc, &[("k", secret(seed, 32))]), PATH, b"{}");
        let tried = configuration.candidates((plural, ""), &sealed_bytes(&sealed));
        assert_eq!(tried.len(), 2);
        let mut opened = body_of(&sealed);
        let object = tried[0].cipher.open(PATH.as_bytes(), &mut opened).unwrap();
        assert_eq!(&opened[object], b"{}", "{plural}");
    }
    let before = seal(&configuration, PATH, b"{}");
    assert_eq!(unseal(&everything(Provider::AesCbc, &[("k", secret(2, 32))]), PATH, &before).unwrap().0, b"{}");
}

fn body_of(sealed: &[u8]) -> Vec<u8> {
    super::fixture::body(sealed, Provider::AesCbc, "k")
}

fn sealed_bytes(sealed: &[u8]) -> Vec<u8> {
    [&b"k8s:enc:aescbc:v1:k:"[..], &body_of(sealed)].concat()
}
