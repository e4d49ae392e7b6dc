//! What drover encrypts decrypts by implementations that share nothing with it: openssl, ring, dryoc.

use std::io::Write;
use std::process::{Command, Stdio};

use dryoc::classic::crypto_secretbox::{crypto_secretbox_easy, crypto_secretbox_open_easy};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::fixture::{PATH, body, everything, seal, secret, string, unseal};
use crate::encryption::Provider;
use crate::encryption::sealed::seal_with;

/// Objects whose last block is empty, full and in between.
fn objects() -> impl Iterator<Item = Vec<u8>> {
    [0, 1, 15, 16, 17, 63, 64, 65, 4096, 100_003].into_iter().map(|bytes| vec![b'{'; bytes])
}

/// Decrypts with `openssl enc`; none where there is no openssl, beside which the specifications speak. CI has one.
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
            eprintln!("there is no openssl to decrypt with: {error}");
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

/// What NIST SP 800-38A gives for CBC (F.2.1, F.2.3 and F.2.5): key and ciphertext of one plaintext. Each ciphertext has
/// one block more, the padding that Kubernetes wants, by openssl.
const CBC: [(&str, &str); 3] = [
    (
        "2b7e151628aed2a6abf7158809cf4f3c",
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a78cb82807230e1321d3fae00d18cc2012",
    ),
    (
        "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
        "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd612ccd79224b350935d45dd6a98f8176",
    ),
    (
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b3f461796d6b0d6b2e0c2a72b4d80e644",
    ),
];

/// What stands in a specification, as bytes.
fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn aescbc_is_that_of_its_specification_and_decrypts_by_openssl() {
    let iv = bytes("000102030405060708090a0b0c0d0e0f");
    let object = bytes(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
    );
    for (key, expected) in CBC {
        let configuration = everything(Provider::AesCbc, &[("k", bytes(key))]);
        let mut sealed = Vec::new();
        let key = configuration.writer("secrets", "").unwrap();
        key.cipher.seal(&iv, PATH.as_bytes(), &object, &mut sealed).unwrap();
        assert_eq!(sealed, [iv.clone(), bytes(expected)].concat());
        let (opened, _) =
            unseal(&configuration, PATH, &string(&[b"k8s:enc:aescbc:v1:k:", &sealed[..]].concat())).unwrap();
        assert_eq!(opened, object);
    }
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

/// ring has no AES-192: test case 10 of the specification of GCM (McGrew and Viega, 2005) has, with additional data.
/// openssl's command line knows no GCM, but GCM encrypts as CTR does, from the counter 2 on.
#[test]
fn aesgcm_with_192_bits_is_that_of_its_specification_and_decrypts_by_openssl() {
    aesgcm_with_192_bits_gives_the_tag_of_its_specification();
    let key = secret(1, 24);
    let configuration = everything(Provider::AesGcm, &[("k", key.clone())]);
    for object in objects() {
        let sealed = body(&seal(&configuration, PATH, &object), Provider::AesGcm, "k");
        let counter = [&sealed[..12], &[0, 0, 0, 2]].concat();
        let Some(opened) = openssl("-aes-192-ctr", &key, &counter, &sealed[12..sealed.len() - 16]) else { return };
        assert_eq!(opened, object);
    }
}

fn aesgcm_with_192_bits_gives_the_tag_of_its_specification() {
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
