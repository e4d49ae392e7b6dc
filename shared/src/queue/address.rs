//! Addresses and passwords, which never show what is secret in them.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// The address of a NATS server, `nats://host:4222` or `tls://host`, perhaps with user and password in it.
///
/// Any text is taken here and judged when it is used: an argument parser would print what it refuses, password and all.
#[derive(Clone, Eq, PartialEq)]
pub struct Address(String);

impl Address {
    /// The text as it was given.
    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What stands before the last `@` of a URL may be user and password, or a token.
        match (self.0.split_once("://"), self.0.rsplit_once('@')) {
            (_, None) => formatter.write_str(&self.0),
            (Some((scheme @ ("nats" | "tls"), _)), Some((_, host))) => write!(formatter, "{scheme}://***@{host}"),
            (_, Some((_, host))) => write!(formatter, "***@{host}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), formatter)
    }
}

/// A password.
#[derive(Clone, Eq, PartialEq)]
pub struct Password(String);

impl Password {
    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl FromStr for Password {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_user_information() {
        for (given, shown) in [
            ("nats://nats:4222", "nats://nats:4222"),
            ("nats", "nats"),
            ("nats://user:secret@host:4222", "nats://***@host:4222"),
            ("tls://secret@host", "tls://***@host"),
            ("user:secret@host", "***@host"),
            ("nats://user:se@cret@host", "nats://***@host"),
            ("user:se://cret@host", "***@host"),
            ("secret@se://cret@host", "***@host"),
        ] {
            let address: Address = given.parse().expect("any text");
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("cret"), "{address:?}");
            assert_eq!(address.secret(), given);
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let password: Password = "secret".parse().expect("any text");
        assert_eq!((format!("{password:?}"), password.secret()), ("***".to_owned(), "secret"));
    }
}
