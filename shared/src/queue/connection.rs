//! The connection of a job to NATS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event as ConnectionEvent, ServerAddr};
use clap::Args;
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use tokio::time::{Instant, sleep, timeout_at};

use super::address::{Address, Password};
use super::endpoint::{note, shown};
use super::nkey::{self, NkeyError};
use super::publish::{PublishError, Published, publish};
use crate::events::{Event, encode_token};
use crate::exit::{Chain, Exit, Fault};

/// How long to wait before another try to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How NATS is reached, and as whom.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "NATS")]
pub struct NatsOptions {
    /// Addresses of the NATS servers, joined by commas: nats://nats:4222, or tls://… for servers that demand TLS.
    #[arg(long = "nats-url", env = "NATS_URL", value_name = "URL", value_delimiter = ',', hide_env_values = true)]
    pub urls: Vec<Address>,

    /// File with NATS credentials (.creds).
    #[arg(long = "nats-credentials", env = "NATS_CREDENTIALS", value_name = "FILE")]
    #[arg(conflicts_with = "user")]
    pub credentials: Option<PathBuf>,

    /// File with the seed of an NKey. It is read again at each connect, so that a key that was rotated is taken up.
    #[arg(long = "nats-nkey", env = "NATS_NKEY", value_name = "FILE")]
    #[arg(conflicts_with_all = ["user", "credentials"])]
    pub nkey: Option<PathBuf>,

    /// User of NATS.
    #[arg(long = "nats-user", env = "NATS_USER", value_name = "NAME", requires = "password")]
    pub user: Option<String>,

    /// Password of that user. Set the variable rather than the flag, which everybody sees in the list of processes.
    #[arg(long = "nats-password", env = "NATS_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    pub password: Option<Password>,

    /// File with the certificates of the authorities that the servers' certificates are checked with, instead of the
    /// system's. With it, connections without TLS are refused.
    #[arg(long = "nats-ca", env = "NATS_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// How long to try to connect before the job ends with 69, in seconds.
    #[arg(long = "nats-connect-seconds", env = "NATS_CONNECT_SECONDS", default_value_t = 15, value_name = "SECONDS")]
    pub connect_seconds: u16,

    /// How long a server may be silent until it is pinged: none is a minute. The third ping in vain ends the connection.
    #[arg(skip)]
    pub ping_interval: Option<Duration>,
}

/// A connection that mends itself when it breaks.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The connection.
    pub client: Client,
    /// JetStream over it.
    pub jetstream: Context,
}

impl Connection {
    /// Publishes an event: see [`publish`].
    ///
    /// # Errors
    /// Those of [`publish`].
    pub async fn publish(&self, event: &Event) -> Result<Published, PublishError> {
        publish(&self.jetstream, event).await
    }
}

/// Connects as the job of that name. Replies come to inboxes under `_INBOX_<job>`, so that a user of NATS who may read
/// only those sees no other job's.
///
/// # Errors
/// When the options cannot be used, the servers refuse them, or none answers in time.
pub async fn connect(options: &NatsOptions, job: &str) -> Result<Connection, ConnectError> {
    let mut servers = Vec::with_capacity(options.urls.len());
    let mut login = None;
    // A variable that is set and empty names no server.
    for address in options.urls.iter().filter(|address| !address.secret().is_empty()) {
        let (server, found) = split_login(address)?;
        servers.push(server);
        login = login.or(found);
    }
    ensure!(!servers.is_empty(), NoAddressSnafu);
    note(&options.urls);
    let deadline = Instant::now() + Duration::from_secs(options.connect_seconds.into());
    loop {
        let configured = configure(options, login.clone(), job).await?;
        let away = match timeout_at(deadline, configured.connect(servers.as_slice())).await {
            Ok(Ok(client)) => return Ok(Connection { jetstream: jetstream::new(client.clone()), client }),
            Ok(Err(error)) if is_final(&error) => {
                return Err(error).context(RefusedSnafu { addresses: shown(&options.urls) });
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        if Instant::now() + RETRY_PAUSE >= deadline {
            let reason = away.map_or_else(|| "no answer".to_owned(), |error| Chain(&error).to_string());
            return AwaySnafu { addresses: shown(&options.urls), seconds: options.connect_seconds, reason }.fail();
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// User and password, or a token, out of an address.
#[derive(Clone)]
enum Login {
    User(String, String),
    Token(String),
}

/// Takes the login out of an address: async-nats (0.51) does not use it, and prints whole addresses to its debug log.
fn split_login(address: &Address) -> Result<(ServerAddr, Option<Login>), ConnectError> {
    let text = address.secret();
    let (scheme, rest) = text.split_once("://").unwrap_or(("nats", text));
    let (login, host) = rest.rsplit_once('@').map_or((None, rest), |(login, host)| (Some(login), host));
    let refused = || AddressSnafu { address: address.clone() };
    ensure!(matches!(scheme, "nats" | "tls"), refused());
    let server: ServerAddr = format!("{scheme}://{host}").parse().ok().context(refused())?;
    ensure!(!server.host().is_empty(), refused());
    let login = match login {
        None => None,
        // An escape would have to be undone, and one that is none must not be: nobody can tell them apart.
        Some(login) if login.contains('%') => return EscapedSnafu { address: address.clone() }.fail(),
        Some(login) => Some(match login.split_once(':') {
            Some((user, password)) => Login::User(user.to_owned(), password.to_owned()),
            None => Login::Token(login.to_owned()),
        }),
    };
    Ok((server, login))
}

async fn configure(options: &NatsOptions, login: Option<Login>, job: &str) -> Result<ConnectOptions, ConnectError> {
    let NatsOptions { urls, credentials, nkey, user, password, ca, connect_seconds: _, ping_interval } = options;
    let addresses = shown(urls);
    let mut configured = signing(nkey.as_deref())?
        .name(format!("drover/{job}"))
        .custom_inbox_prefix(format!("_INBOX_{}", encode_token(job)))
        .ping_interval(ping_interval.unwrap_or(Duration::from_mins(1)))
        .event_callback(move |event| {
            log(&event, &addresses);
            std::future::ready(())
        });
    configured = match (user, password, login) {
        (Some(user), Some(password), _) => configured.user_and_password(user.clone(), password.secret().to_owned()),
        (_, _, Some(Login::User(user, password))) => configured.user_and_password(user, password),
        (_, _, Some(Login::Token(token))) => configured.token(token),
        (_, _, None) => configured,
    };
    if let Some(file) = credentials {
        configured = configured.credentials_file(file).await.context(CredentialsSnafu { file })?;
    }
    if let Some(file) = ca {
        check_certificates(file).await?;
        configured = configured.add_root_certificates(file.clone()).require_tls(true);
    }
    Ok(configured)
}

/// Options that sign the server's nonce with the NKey of that file, at each connect with the key that lies there then.
fn signing(file: Option<&Path>) -> Result<ConnectOptions, ConnectError> {
    let Some(file) = file.map(Path::to_path_buf) else { return Ok(ConnectOptions::new()) };
    // Tried once here, where it can be said what is wrong with it.
    nkey::read(&file).context(NkeySnafu { file: &file })?;
    Ok(ConnectOptions::with_auth_callback(move |nonce| std::future::ready(nkey::sign_in(&file, &nonce))))
}

/// A file without a certificate would leave nothing to check servers with, and every connection would fail in a way
/// that says so nowhere.
async fn check_certificates(file: &Path) -> Result<(), ConnectError> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    let text = tokio::fs::read(file).await.context(ReadCaSnafu { file })?;
    let count = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>().map_or(0, |found| found.len());
    ensure!(count > 0, EmptyCaSnafu { file });
    Ok(())
}

/// What happens to the connection while the job works, for whoever reads why it took so long.
fn log(event: &ConnectionEvent, addresses: &str) {
    match event {
        ConnectionEvent::Disconnected => tracing::warn!("connection to NATS at {addresses} lost; connecting again"),
        ConnectionEvent::ServerError(error) => tracing::warn!(%error, "NATS at {addresses} reports an error"),
        other => tracing::debug!(event = %other, "connection to NATS"),
    }
}

/// Whether another try would end in the same way.
fn is_final(error: &async_nats::ConnectError) -> bool {
    matches!(
        error.kind(),
        ConnectErrorKind::AuthorizationViolation
            | ConnectErrorKind::Authentication
            | ConnectErrorKind::ServerParse
            | ConnectErrorKind::Tls
    )
}

/// Why there is no connection to NATS.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum ConnectError {
    #[snafu(display("failed to connect to NATS: no address; set --nats-url or NATS_URL"))]
    NoAddress,
    #[snafu(display("failed to read the NATS address \"{address}\"; write nats://HOST:PORT or tls://HOST:PORT"))]
    Address { address: Address },
    #[snafu(display(
        "failed to read user and password in the NATS address \"{address}\": they contain a \"%\"; set NATS_USER and \
         NATS_PASSWORD instead"
    ))]
    Escaped { address: Address },
    #[snafu(display("failed to read the NATS credentials {file:?}; see --nats-credentials"))]
    Credentials { file: PathBuf, source: std::io::Error },
    #[snafu(display("failed to read the NKey in {file:?}; see --nats-nkey"))]
    Nkey { file: PathBuf, source: NkeyError },
    #[snafu(display("failed to read the certificates {file:?}; see --nats-ca"))]
    ReadCa { file: PathBuf, source: std::io::Error },
    #[snafu(display("failed to find a certificate in {file:?}; --nats-ca wants certificates in PEM"))]
    EmptyCa { file: PathBuf },
    #[snafu(display(
        "failed to connect to NATS at {addresses}: refused; check user, password, NKey or credentials, and --nats-ca"
    ))]
    Refused { addresses: String, source: async_nats::ConnectError },
    #[snafu(display(
        "failed to connect to NATS at {addresses} within {seconds} s: {reason}; check that it runs and that NATS_URL is \
         right"
    ))]
    Away { addresses: String, seconds: u16, reason: String },
}

impl Fault for ConnectError {
    fn exit(&self) -> Exit {
        match self {
            Self::Away { .. } => Exit::Unavailable,
            _ => Exit::Usage,
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

    fn options(arguments: &[&str]) -> NatsOptions {
        Arguments::parse_from(["job"].iter().chain(arguments)).nats
    }

    #[track_caller]
    fn check_split(given: &str, server: &str, login: Option<(&str, &str)>) {
        let address: Address = given.parse().expect("any text");
        let (found, found_login) = split_login(&address).expect("an address");
        assert_eq!(found.as_url_str(), server);
        let found_login = found_login.map(|login| match login {
            Login::User(user, password) => (user, password),
            Login::Token(token) => (String::new(), token),
        });
        assert_eq!(found_login, login.map(|(user, password)| (user.to_owned(), password.to_owned())));
    }

    #[test]
    fn the_login_is_taken_out_of_an_address() {
        check_split("nats://nats:4222", "nats://nats:4222", None);
        check_split("nats", "nats://nats", None);
        check_split("tls://10.0.0.1", "tls://10.0.0.1", None);
        check_split("nats://[::1]:4222", "nats://[::1]:4222", None);
        check_split("nats://user:pa:ss@nats", "nats://nats", Some(("user", "pa:ss")));
        check_split("tls://token@nats:1", "tls://nats:1", Some(("", "token")));
        check_split("nats://user:p@ss@nats", "nats://nats", Some(("user", "p@ss")));
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for given in ["", "http://user:secret@nats", "nats://user:secret@", "nats://user:secret%20@nats", "nats://a b"]
        {
            let error = split_login(&given.parse().expect("any text")).err().expect("refused");
            assert_eq!(error.exit(), Exit::Usage);
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }

    #[test]
    fn options_show_no_secret() {
        let options =
            options(&["--nats-url", "nats://u:secret@a,nats://b", "--nats-user", "u", "--nats-password", "secret"]);
        assert_eq!(options.urls.len(), 2);
        assert!(!format!("{options:?} {}", shown(&options.urls)).contains("secret"));
    }

    #[tokio::test]
    async fn without_an_address_the_usage_is_wrong() {
        for arguments in [&[] as &[&str], &["--nats-url", ""]] {
            let error = connect(&options(arguments), "upload").await.expect_err("no address");
            assert!(matches!(error, ConnectError::NoAddress), "{error}");
            assert_eq!(error.exit(), Exit::Usage);
        }
    }

    #[tokio::test]
    async fn without_a_server_a_service_is_away() {
        // Bound, so that no other process has the port, and not listening.
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let url = format!("nats://user:secret@{}", socket.local_addr().expect("an address"));
        let error = connect(&options(&["--nats-url", &url, "--nats-connect-seconds", "1"]), "upload").await;
        let error = error.expect_err("no server");
        assert_eq!(error.exit(), Exit::Unavailable);
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn a_file_without_an_nkey_is_refused_and_not_shown() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "no seed but a secret").expect("written");
        let path = file.path().to_str().expect("text");
        let error = connect(&options(&["--nats-url", "nats://localhost", "--nats-nkey", path]), "upload").await;
        let error = error.expect_err("no seed");
        assert!(matches!(error, ConnectError::Nkey { .. }), "{error}");
        assert!(!format!("{} {error:?}", Chain(&error)).contains("secret"), "{error}");
    }

    #[test]
    fn an_nkey_is_no_second_login() {
        let nkey = ["job", "--nats-nkey", "seed"];
        for other in [&["--nats-credentials", "file"] as &[&str], &["--nats-user", "u", "--nats-password", "p"]] {
            assert!(Arguments::try_parse_from(nkey.iter().chain(other)).is_err(), "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_file_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().to_str().expect("text");
        let error = connect(&options(&["--nats-url", "nats://localhost", "--nats-ca", path]), "upload").await;
        assert!(matches!(error, Err(ConnectError::EmptyCa { .. })), "{error:?}");
    }
}
