//! What is said of what waits for the connection to NATS.

use std::time::Duration;

use tokio::time::sleep;

use super::connection::{ConnectError, Connection, NatsOptions, connect};
use super::endpoint::{at, shown};
use crate::exit::Chain;

/// What is said where the connection stands after all: what waits for it comes to its turn one after the other.
const ANSWERS: &str = "NATS answers again; what waited for it is carried out one after the other";

/// How long a connection may take before it is said that what needs it waits.
const SILENT_FOR: Duration = Duration::from_secs(1);

/// Connects as [`connect`] does. As soon as that takes long, or is refused, `tell` gets the words for what waits for it: they
/// are the same from try to try, whoever says them.
///
/// # Errors
/// Those of [`connect`].
pub async fn connect_telling<F: Future<Output = ()>>(
    options: &NatsOptions,
    job: &str,
    tell: impl Fn(String) -> F,
) -> Result<Connection, ConnectError> {
    let mut connecting = std::pin::pin!(connect(options, job));
    let (outcome, is_told) = tokio::select! {
        outcome = &mut connecting => (outcome, false),
        () = sleep(SILENT_FOR) => {
            let ((), outcome) = tokio::join!(tell(away_words(options)), &mut connecting);
            (outcome, true)
        }
    };
    match &outcome {
        Ok(_) if is_told => tell(ANSWERS.to_owned()).await,
        Err(error) if !(is_told && matches!(error, ConnectError::Away { .. })) => tell(error.words()).await,
        _ => {}
    }
    outcome
}

/// What is said of what waits for NATS while no server answers, whoever says it.
#[must_use]
pub fn away_words(options: &NatsOptions) -> String {
    away_at(&shown(&options.urls))
}

fn away_at(addresses: &str) -> String {
    format!("{} does not answer; check that it runs, and that NATS_URL is right", at(addresses))
}

impl ConnectError {
    /// What is said of what waits for the connection: of servers that do not answer the same from try to try.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Away { addresses, .. } => away_at(addresses),
            _ => Chain(self).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        nats: NatsOptions,
    }

    /// What is told while a job connects in vain.
    async fn told(arguments: &[&str]) -> Vec<String> {
        let told = std::sync::Mutex::default();
        let tell = |words| {
            let told: &std::sync::Mutex<Vec<String>> = &told;
            told.lock().expect("no other").push(words);
            std::future::ready(())
        };
        connect_telling(&Arguments::parse_from(["job"].iter().chain(arguments)).nats, "upload", tell)
            .await
            .expect_err("no server");
        told.into_inner().expect("no other")
    }

    #[tokio::test]
    async fn what_waits_for_a_server_that_does_not_answer_is_told_once_and_the_same_each_time() {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let address = socket.local_addr().expect("an address");
        let url = format!("nats://user:secret@{address}");
        let expected =
            format!("NATS at nats://***@{address} does not answer; check that it runs, and that NATS_URL is right");
        for seconds in ["1", "2"] {
            let told = told(&["--nats-url", &url, "--nats-connect-seconds", seconds]).await;
            assert_eq!(told, [expected.as_str()], "{seconds}");
        }
    }

    #[tokio::test]
    async fn what_nobody_can_connect_with_is_told_in_its_own_words() {
        let told = told(&["--nats-url", "nats://a b"]).await;
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("failed to read the NATS address"), "{told:?}");
    }
}
