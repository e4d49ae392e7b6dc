//! Entries that nobody encrypted, or that were changed since.

use std::sync::Arc;

use super::fixture::{PATH, body, everything, seal, secret, string, unseal};
use crate::encryption::{Configuration, Provider, Seal, UnsealError, seal_of};
use crate::exit::{Exit, Fault};

fn configuration(of: Provider) -> Arc<Configuration> {
    everything(of, &[("k", secret(1, 32))])
}

#[track_caller]
fn refused(of: Provider, text: &[u8], variant: &str) {
    let error = unseal(&configuration(of), PATH, text).unwrap_err();
    assert!(format!("{error:?}").starts_with(variant), "{of:?}: {error:?}");
    assert_eq!(error.exit(), Exit::DataRefused);
}

/// The prefix of a provider's key `k`, and these bytes behind it.
fn sealed(of: Provider, bytes: &[u8]) -> Vec<u8> {
    string(&[format!("k8s:enc:{}:v1:k:", of.name()).as_bytes(), bytes].concat())
}

#[test]
fn strings_that_are_nothing_encrypted_are_refused() {
    let long = [&b"k8s:enc:aescbc:v1:"[..], &[b'n'; 10_000]].concat();
    for text in [
        b"".to_vec(),
        b"\"".to_vec(),
        b"\"\"".to_vec(),
        b"\"no base64 at all\"".to_vec(),
        b"\"azhzOmVuYzo\"".to_vec(),
        b"\"a\\u007ahzOmVuYzphZXNjYmM6djE6azo=\"".to_vec(),
        b"\"azhzOmVuYzphZXNjYmM6djE6azo=\"x".to_vec(),
        string(b"plain text"),
        string(b"k8s:enc:"),
        string(b"k8s:enc:aescbc:v1"),
        string(b"k8s:enc:aescbc:v1:k"),
        string(b"K8S:enc:aescbc:v1:k:"),
        string(&long),
    ] {
        for of in Provider::ALL {
            refused(of, &text, "NotSealed");
        }
        let error = seal_of(&text, &mut Vec::new()).unwrap_err();
        assert_eq!(error, UnsealError::NotSealed, "{}", String::from_utf8_lossy(&text[..text.len().min(60)]));
    }
}

#[test]
fn keys_and_providers_that_are_not_there_are_named() {
    for of in Provider::ALL {
        let other = seal(&everything(of, &[("other", secret(1, 32))]), PATH, b"{}");
        let error = unseal(&configuration(of), PATH, &other).unwrap_err();
        assert!(error.to_string().contains(&format!("no key \"other\" of {}", of.name())), "{error}");
    }
    for provider in ["kms", "aesctr", ""] {
        let text = string(format!("k8s:enc:{provider}:v2:k:xxxxxxxx").as_bytes());
        let error = unseal(&configuration(Provider::AesCbc), PATH, &text).unwrap_err();
        assert_eq!(error, UnsealError::OtherProvider { provider: provider.to_owned() });
        let expected = Seal { provider: provider.to_owned(), key: "k".to_owned() };
        assert_eq!(seal_of(&text, &mut Vec::new()).unwrap(), expected);
    }
}

#[test]
fn cut_off_entries_are_refused() {
    for of in Provider::ALL {
        let whole = body(&seal(&configuration(of), PATH, b"{\"kind\": \"Secret\"}"), of, "k");
        for length in 0..whole.len() {
            let error = unseal(&configuration(of), PATH, &sealed(of, &whole[..length])).unwrap_err();
            let is_short = matches!(error, UnsealError::Truncated { .. });
            assert!(is_short || matches!(error, UnsealError::Refused { .. }), "{of:?}, {length}: {error:?}");
        }
        refused(of, &sealed(of, b""), "Truncated");
        refused(of, &sealed(of, &[0; 11]), "Truncated");
    }
    // Less than a block, more than a block, no block behind the IV.
    for length in [15, 16, 17, 31, 33] {
        refused(Provider::AesCbc, &sealed(Provider::AesCbc, &vec![0; length]), "Truncated");
    }
}

#[test]
fn wrong_keys_are_refused_by_what_proves_them() {
    for of in [Provider::AesGcm, Provider::Secretbox] {
        let other = everything(of, &[("k", secret(2, 32))]);
        refused(of, &seal(&other, PATH, b"{}"), "Refused");
    }
    // The padding of one in 256 wrong keys looks right; what comes out is then refused as an object.
    let other = everything(Provider::AesCbc, &[("k", secret(2, 32))]);
    let refused =
        (0..200).filter(|_| unseal(&configuration(Provider::AesCbc), PATH, &seal(&other, PATH, b"{}")).is_err());
    assert!(refused.count() > 150);
}

#[test]
fn a_changed_bit_is_refused_by_what_proves_it() {
    for of in [Provider::AesGcm, Provider::Secretbox] {
        let whole = body(&seal(&configuration(of), PATH, b"{\"kind\": \"Secret\"}"), of, "k");
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            refused(of, &sealed(of, &changed), "Refused");
        }
    }
}

#[test]
fn paddings_that_are_none_are_refused() {
    let whole = body(&seal(&configuration(Provider::AesCbc), PATH, &[b'x'; 16]), Provider::AesCbc, "k");
    // Without its block of padding the text ends in what is no padding.
    refused(Provider::AesCbc, &sealed(Provider::AesCbc, &whole[..32]), "Refused");
}

#[test]
fn only_aesgcm_ties_an_object_to_its_path() {
    for (of, moves) in [(Provider::AesCbc, true), (Provider::Secretbox, true), (Provider::AesGcm, false)] {
        let text = seal(&configuration(of), PATH, b"{}");
        assert_eq!(unseal(&configuration(of), "default#tls", &text).is_ok(), moves, "{of:?}");
    }
}
