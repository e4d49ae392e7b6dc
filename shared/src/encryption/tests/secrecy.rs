//! No key is shown, whatever is wrong with it.

use super::fixture::{base64, document, everything, parse, provider, secret};
use crate::encryption::{Configuration, Provider};
use crate::exit::Chain;

const SECRET: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=";

#[test]
fn debug_output_names_keys_and_shows_none() {
    for of in Provider::ALL {
        let key = secret(7, 32);
        let shown =
            format!("{:?} {:#?}", everything(of, &[("k1", key.clone())]), everything(of, &[("k1", key.clone())]));
        assert!(shown.contains("k1") && shown.contains(of.name()), "{shown}");
        let bytes = format!("{key:?}");
        for hidden in [&*base64(&key), &*hex::encode(&key), bytes.trim_matches(['[', ']'])] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}

/// Wherever a key slips to, no error tells it.
#[test]
fn errors_show_no_key() {
    let rule = |providers: &str| {
        format!(
            "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  \
             providers: {providers}\n"
        )
    };
    for yaml in [
        rule(SECRET),
        rule(&format!("[{SECRET}]")),
        rule(&format!("[{{{SECRET}: {{}}}}]")),
        rule(&format!("[{{aescbc: {SECRET}}}]")),
        rule(&format!("[{{aescbc: [{SECRET}]}}]")),
        rule(&format!("[{{aescbc: {{keys: {SECRET}}}}}]")),
        rule(&format!("[{{aescbc: {{keys: [{SECRET}]}}}}]")),
        rule(&format!("[{{aescbc: {{keys: [{{{SECRET}: a}}]}}}}]")),
        rule(&format!("[{{aescbc: {{keys: [{{name: a, {SECRET}}}]}}}}]")),
        rule(&format!("[{{aescbc: {{keys: [{{name: a, secret: [{SECRET}]}}]}}}}]")),
        rule(&format!("[{{aescbc: {{keys: [{{name: a, secret: \"{SECRET}}}]}}}}]")),
        rule(&format!("[{{aescbc: {{keys: [{{name: a, secret: {SECRET}, secret: {SECRET}}}]}}}}]")),
        rule(&format!("[{{aescbc: {{keys: [{{name: a, secret: \"{SECRET}!\"}}]}}}}]")),
        rule(&format!("[{{secretbox: {{keys: [{{name: a, secret: {SECRET}{SECRET}}}]}}}}]")),
        rule(&format!("[{{aescbc: {{keys: [{{name: a, secret: *{SECRET}}}]}}}}]")),
        rule(&format!("[{{aescbc: {{keys: [{{name: a, secret: !!int {SECRET}}}]}}}}]")),
        format!("{SECRET}\n"),
        format!("{}- {SECRET}\n", document(&[])),
    ] {
        let error = Configuration::parse(&yaml).unwrap_err();
        let shown = format!("{} {error:?}", Chain(&error));
        assert!(!shown.contains(&SECRET[..12]), "{shown}");
    }
}

#[test]
fn keys_of_one_name_are_told_by_name_alone() {
    let configuration = parse(&document(&[
        ("secrets", &[provider(Provider::AesCbc, &[("a", secret(1, 32))])]),
        ("pods", &[provider(Provider::AesCbc, &[("a", secret(2, 32))])]),
    ]));
    let shown = format!("{:?} {configuration:?}", configuration.warnings());
    assert!(shown.contains("two keys of aescbc"), "{shown}");
    assert!(!shown.contains(&base64(&secret(1, 32))) && !shown.contains(&base64(&secret(2, 32))), "{shown}");
}
