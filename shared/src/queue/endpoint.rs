//! Where NATS is, in words.

use std::sync::OnceLock;

use super::address::Address;

/// The addresses of NATS: a job talks to one, and errors that name it are made far from its options.
static ADDRESSES: OnceLock<String> = OnceLock::new();

/// Notes where NATS is, for errors to name it.
pub(super) fn note(urls: &[Address]) {
    ADDRESSES.get_or_init(|| shown(urls));
}

/// The addresses, without what is secret in them.
pub(super) fn shown(urls: &[Address]) -> String {
    urls.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// NATS in words, with its addresses where they are known.
#[must_use]
pub fn nats() -> String {
    ADDRESSES.get().map_or_else(|| "NATS".to_owned(), |addresses| at(addresses))
}

/// NATS at these addresses, in words.
pub(super) fn at(addresses: &str) -> String {
    format!("NATS at {addresses}")
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::time::Duration;

    use async_nats::jetstream::context::{PublishError as Unpublished, PublishErrorKind};
    use clap::Parser;

    use super::*;
    use crate::artifacts::{GetError, PutError, StoreError};
    use crate::queue::{DrainError, NatsOptions, PublishError, SetupError};

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        nats: NatsOptions,
    }

    #[test]
    fn whatever_fails_for_a_server_that_does_not_answer_names_it_and_no_password() {
        note(&Arguments::parse_from(["job", "--nats-url", "nats://user:secret@nats:4222"]).nats.urls);
        // Another test of this process may have noted another one, which shows as little.
        let (nats, name) = (nats(), String::new());
        assert!(nats.starts_with("NATS at nats://") && !nats.contains("secret"), "{nats}");
        let unpublished = || Unpublished::new(PublishErrorKind::TimedOut);
        let errors: [Box<dyn Error>; 6] = [
            Box::new(PublishError::Send { subject: name.clone(), source: unpublished() }),
            Box::new(DrainError::Away { consumer: name.clone(), source: "silence".into() }),
            Box::new(SetupError::Away { verb: "make", kind: "stream", name: "s", source: "silence".into() }),
            Box::new(StoreError::Away { verb: "open", name: name.clone(), source: "silence".into() }),
            Box::new(PutError::Away { name: name.clone(), source: unpublished() }),
            Box::new(GetError::Away { name, patience: Duration::ZERO }),
        ];
        for error in errors {
            assert!(error.to_string().contains(&nats), "{error}");
        }
    }
}
