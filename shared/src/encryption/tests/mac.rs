//! Who proves that an archive is of their making, and with which key.

use super::fixture::{document, everything, parse, provider, secret};
use crate::digest::Sha256;
use crate::encryption::{Configuration, Provider};

const IDENTITY: &str = "{identity: {}}";

/// The name of the key that made it, in words.
fn maker(configuration: &Configuration, mac: Sha256) -> Option<String> {
    configuration.maker(Sha256::of("archive"), mac).map(ToString::to_string)
}

/// `openssl dgst -sha256 -mac HMAC -macopt hexkey:KEY` made these: of the label and the provider with the key of the
/// configuration, then of the SHA-256 of `archive`, in bytes, with what came out.
#[test]
fn macs_are_those_that_openssl_makes_with_the_key_that_it_derives() {
    for (of, bytes, expected) in [
        (Provider::AesCbc, 16, "e77a631dfdfe061f807ebd15a1996f161f37136ac2d81d4d4f74c0ee2d209b75"),
        (Provider::AesGcm, 24, "39ffc84aa5d4ab905f5693a31179b69189ed06be5e1dbd744d17870b2b8f1ab8"),
        (Provider::Secretbox, 32, "7095cd3059873c09bb5d5bbcd3eaa0b7284616830e5d4dfce4dfab1d7901285a"),
        (Provider::AesCbc, 32, "2ce21477dc6955b6755e5c9b8d1fd5fc3553e3a1da36d14bc962a9b695ee632f"),
    ] {
        let key = secret(0, bytes);
        assert!(key.iter().enumerate().all(|(index, byte)| index == usize::from(*byte)), "{key:?}");
        let mac = everything(of, &[("k", key)]).mac(Sha256::of("archive")).unwrap();
        assert_eq!(mac.to_string(), expected, "{of:?}");
    }
}

#[test]
fn a_mac_is_of_one_archive_and_one_key_whatever_the_key_is_called() {
    let of = Provider::Secretbox;
    let own = everything(of, &[("k", secret(1, 32))]);
    let mac = own.mac(Sha256::of("archive")).unwrap();
    assert_eq!(maker(&own, mac).as_deref(), Some("key \"k\" of secretbox"));
    assert_eq!(
        maker(&everything(of, &[("renamed", secret(1, 32))]), mac).as_deref(),
        Some("key \"renamed\" of secretbox")
    );
    assert_eq!(own.maker(Sha256::of("Archive"), mac), None);
    assert_eq!(maker(&everything(of, &[("k", secret(2, 32))]), mac), None);
    assert_eq!(maker(&everything(Provider::AesGcm, &[("k", secret(1, 32))]), mac), None);
    for byte in 0..32 {
        let mut changed = *mac.as_bytes();
        changed[byte] ^= 1;
        assert_eq!(maker(&own, changed.into()), None, "{byte}");
    }
}

#[test]
fn any_key_of_a_configuration_verifies_wherever_it_stands() {
    let (cbc, gcm) = (Provider::AesCbc, Provider::AesGcm);
    let mac = everything(cbc, &[("old", secret(1, 32))]).mac(Sha256::of("archive")).unwrap();
    let rotated = everything(cbc, &[("new", secret(2, 32)), ("old", secret(1, 32))]);
    assert_eq!(maker(&rotated, mac).as_deref(), Some("key \"old\" of aescbc"));
    assert_ne!(rotated.mac(Sha256::of("archive")), Some(mac));
    let moved = parse(&document(&[
        ("secrets", &[provider(gcm, &[("k", secret(3, 32))])]),
        ("pods", &[IDENTITY.to_owned(), provider(cbc, &[("old", secret(1, 32))])]),
    ]));
    assert_eq!(maker(&moved, mac).as_deref(), Some("key \"old\" of aescbc"));
}

#[test]
fn the_first_rule_with_a_key_that_writes_makes_the_mac_and_without_one_there_is_none() {
    let [one, two] = [1, 2].map(|seed| provider(Provider::AesCbc, &[(&format!("k{seed}"), secret(seed, 32))]));
    let identity = IDENTITY.to_owned();
    let made_by = |rules: &[(&str, &[String])]| {
        let configuration = parse(&document(rules));
        configuration.mac(Sha256::of("archive")).and_then(|mac| maker(&configuration, mac))
    };
    let (first, second) = (Some("key \"k1\" of aescbc"), Some("key \"k2\" of aescbc"));
    let both = [one.clone(), two];
    assert_eq!(made_by(&[("secrets", &both[..1]), ("pods", &both[1..])]).as_deref(), first);
    assert_eq!(made_by(&[("secrets", &both[1..]), ("pods", &both[..1])]).as_deref(), second);
    // What only reads makes none.
    let reads = [identity.clone(), one];
    assert_eq!(made_by(&[("secrets", &reads), ("pods", &both[1..])]).as_deref(), second);
    assert_eq!(made_by(&[("secrets", &reads)]), None);
    assert_eq!(made_by(&[("secrets", &[identity])]), None);
}

#[test]
fn objects_in_clear_are_read_where_no_rule_names_their_type_or_identity_is_among_its_providers() {
    let key = provider(Provider::Secretbox, &[("k", secret(1, 32))]);
    let identity = IDENTITY.to_owned();
    let configuration = parse(&document(&[
        ("secrets", std::slice::from_ref(&key)),
        ("configmaps", &[key.clone(), identity.clone()]),
        ("pods", &[identity, key.clone()]),
        ("\"*.apps\"", std::slice::from_ref(&key)),
    ]));
    for (plural, group, expected) in [
        ("secrets", "", false),
        ("configmaps", "", true),
        ("pods", "", true),
        ("deployments", "apps", false),
        ("secrets", "x.io", true),
        ("services", "", true),
    ] {
        assert_eq!(configuration.reads_clear(plural, group), expected, "{plural}.{group}");
    }
}
