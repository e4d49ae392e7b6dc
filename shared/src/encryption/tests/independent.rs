//! What drover encrypts decrypts by implementations that share nothing with it: openssl, ring, dryoc.

use std::io::Write;
use std::process::{Command, Stdio};

use dryoc::classic::crypto_secretbox::{crypto_secretbox_easy, crypto_secretbox_open_easy};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::fixture::{PATH, body, everything, seal, secret, string, unseal};
use crate::encryption::Provider;
use crate::encryption::seal::seal_with;

/// Objects whose last block is empty, full and in between.
fn objects() -> impl Iterator<Item = Vec<u8>> {
    [0, 1, 15, 16, 17, 63, 64, 65, 4096, 100_003].into_iter().map(|bytes| vec![b'{'; bytes])
}

/// Decrypts with `openssl enc`; none, and a word about it, where there is no openssl. CI has one.
fn openssl(cipher: &str, key: &[u8], iv: &[u8], input: &[u8]) -> Option<Vec<u8>> {
    let arguments = ["enc", "-d", cipher, "-K", &hex::encode(key), "-iv", &hex::encode(iv)];
    let started = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "openssl is missing: {error}");
            eprintln!("skipped: there is no openssl ({error})");
            return None;
        }
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

#[test]
fn aescbc_decrypts_by_openssl() {
    for (bytes, cipher) in [(16, "-aes-128-cbc"), (24, "-aes-192-cbc"), (32, "-aes-256-cbc")] {
        let key = secret(1, bytes);
        // With a rotated key too: the first one writes.
        let configuration = everything(Provider::AesCbc, &[("new", key.clone()), ("old", secret(2, bytes))]);
        for object in objects() {
            let sealed = body(&seal(&configuration, PATH, &object), Provider::AesCbc, "new");
            let Some(opened) = openssl(cipher, &key, &sealed[..16], &sealed[16..]) else { return };
            assert_eq!(opened, object, "{cipher}");
        }
    }
}

#[test]
fn aesgcm_decrypts_by_ring_and_the_other_way_round() {
    for (bytes, algorithm) in [(16, &AES_128_GCM), (32, &AES_256_GCM)] {
        let key = secret(1, bytes);
        let configuration = everything(Provider::AesGcm, &[("new", key.clone()), ("old", secret(2, bytes))]);
        let other = LessSafeKey::new(UnboundKey::new(algorithm, &key).unwrap());
        for object in objects() {
            let mut sealed = body(&seal(&configuration, PATH, &object), Provider::AesGcm, "new");
            let (nonce, text) = sealed.split_at_mut(12);
            let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
            assert_eq!(other.open_in_place(nonce, Aad::from(PATH), text).unwrap(), object);

            let mut text = object.clone();
            let nonce = Nonce::assume_unique_for_key([7; 12]);
            other.seal_in_place_append_tag(nonce, Aad::from(PATH), &mut text).unwrap();
            let theirs = string(&[b"k8s:enc:aesgcm:v1:new:", &[7; 12][..], &text].concat());
            assert_eq!(unseal(&configuration, PATH, &theirs).unwrap().0, object);
        }
    }
}

/// ring has no AES-192. openssl's command line knows no GCM, but GCM encrypts as CTR does, from the counter 2 on.
#[test]
fn aesgcm_with_192_bits_decrypts_by_openssl() {
    let key = secret(1, 24);
    let configuration = everything(Provider::AesGcm, &[("k", key.clone())]);
    for object in objects() {
        let sealed = body(&seal(&configuration, PATH, &object), Provider::AesGcm, "k");
        let counter = [&sealed[..12], &[0, 0, 0, 2]].concat();
        let Some(opened) = openssl("-aes-192-ctr", &key, &counter, &sealed[12..sealed.len() - 16]) else { return };
        assert_eq!(opened, object);
    }
}

/// Test case 10 of the specification of GCM (McGrew and Viega, 2005), which has 192 bits and additional data.
#[test]
fn aesgcm_with_192_bits_gives_the_tag_of_its_specification() {
    let bytes = |text: &str| hex::decode(text).unwrap();
    let key = bytes("feffe9928665731c6d6a8f9467308308feffe9928665731c");
    let object = bytes(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    let expected = bytes(
        "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710",
    );
    let configuration = everything(Provider::AesGcm, &[("k", key)]);
    let key = configuration.writer("secrets", "").unwrap();
    let mut sealed = Vec::new();
    let path = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    key.cipher.seal(&bytes("cafebabefacedbaddecaf888"), &path, &object, &mut sealed).unwrap();
    let (text, tag) = sealed[12..].split_at(expected.len());
    assert_eq!(text, expected);
    assert_eq!(hex::encode(tag), "2519498e80f1478f37ba55bd6d27618c");
}

#[test]
fn secretbox_decrypts_by_dryoc_and_the_other_way_round() {
    let key: [u8; 32] = secret(1, 32).try_into().unwrap();
    let configuration = everything(Provider::Secretbox, &[("new", key.to_vec()), ("old", secret(2, 32))]);
    for object in objects() {
        let sealed = body(&seal(&configuration, PATH, &object), Provider::Secretbox, "new");
        let nonce: [u8; 24] = sealed[..24].try_into().unwrap();
        let mut opened = vec![0; object.len()];
        crypto_secretbox_open_easy(&mut opened, &sealed[24..], &nonce, &key).unwrap();
        assert_eq!(opened, object);

        let mut text = vec![0; object.len() + 16];
        crypto_secretbox_easy(&mut text, &object, &nonce, &key).unwrap();
        let theirs = string(&[b"k8s:enc:secretbox:v1:new:", &nonce[..], &text].concat());
        assert_eq!(unseal(&configuration, PATH, &theirs).unwrap().0, object);

        let key = configuration.writer("secrets", "").unwrap();
        let mut again = Vec::new();
        seal_with(key, &nonce, PATH, &object, &mut again).unwrap();
        assert_eq!(string(&again), theirs, "one nonce gives one text");
    }
}
