//! Names as one token of a NATS subject.
//!
//! Letters, digits, `-` and `_` stand for themselves; every other byte of the UTF-8 is `=` and two upper-case hex
//! digits, as in quoted-printable; the empty name is a lone `=`. So `a.b` is `a=2Eb`. Each name has one token and each
//! token at most one name. (NATS takes any character but space, `.`, `*` and `>`:
//! <https://docs.nats.io/nats-concepts/subjects>.)

use std::fmt::Write;

const ESCAPE: char = '=';

/// The token for a name.
pub(crate) fn encode_token(name: &str) -> String {
    let mut token = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            token.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(token, "{ESCAPE}{byte:02X}");
        }
    }
    if token.is_empty() { ESCAPE.to_string() } else { token }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(name: &str, token: &str) {
        assert_eq!(encode_token(name), token);
    }

    #[test]
    fn plain_names_stand_for_themselves() {
        check("rancher-daily-backup", "rancher-daily-backup");
        check("a_B9", "a_B9");
    }

    #[test]
    fn what_a_token_cannot_hold_is_escaped() {
        check("", "=");
        check("a.b", "a=2Eb");
        check("*", "=2A");
        check(">", "=3E");
        check("a b\n", "a=20b=0A");
        check("=", "=3D");
        check("ü", "=C3=BC");
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in any::<String>()) {
            let token = encode_token(&name);
            prop_assert!(!token.is_empty());
            prop_assert!(!token.contains(['.', '*', '>', ' ', '\t', '\r', '\n', '\0']));
            let escaped = if token == "=" { String::new() } else { token.replace('=', "%") };
            prop_assert_eq!(percent_decode_str(&escaped).decode_utf8().unwrap(), name);
        }
    }
}
