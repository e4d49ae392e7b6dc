//! A server that answers as the services document, and notes every request to the letter.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// GET, POST, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Its headers.
    pub headers: hyper::HeaderMap,
    /// Its body, as text.
    pub body: String,
    /// When it came.
    pub at: Instant,
}

impl Received {
    /// Method, path and query.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// How a server behaves.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// As the service of the path documents.
    Documented,
    /// The same, and it keeps so many bytes of a body.
    Keeps(usize),
    /// It takes a request and never answers.
    Hangs,
    /// It resets each connection.
    Resets,
    /// It answers this.
    Answers(u16),
    /// It redirects to this.
    Redirects(u16, String),
}

/// A server that runs until it is dropped.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    behaviour: Arc<Mutex<Behaviour>>,
    task: JoinHandle<()>,
}

impl Server {
    /// One that this machine alone reaches.
    pub async fn start(behaviour: Behaviour) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), behaviour).await
    }

    /// One at a certain address, at which nobody listens.
    pub async fn start_at(address: SocketAddr, behaviour: Behaviour) -> Self {
        Self::start_with(address, behaviour, None).await
    }

    /// One that speaks https for these names, and the authority that its certificate is of, in PEM.
    pub async fn start_tls(names: &[&str]) -> (Self, String) {
        let (tls, authority) = tls(names);
        (Self::start_with((Ipv4Addr::LOCALHOST, 0).into(), Behaviour::Documented, Some(tls)).await, authority)
    }

    async fn start_with(address: SocketAddr, behaviour: Behaviour, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (received, behaviour) = (Arc::default(), Arc::new(Mutex::new(behaviour)));
        let task = tokio::spawn(serve(listener, tls, Arc::clone(&received), Arc::clone(&behaviour)));
        Self { address, received, behaviour, task }
    }

    /// Has it behave otherwise from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// A URL of it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All that came since the last [`Server::take`].
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Whether nothing came since the last [`Server::take`].
    #[must_use]
    pub fn is_untold(&self) -> bool {
        self.received.lock().unwrap().is_empty()
    }

    /// What came since the last time.
    #[expect(clippy::must_use_candidate, reason = "it is also how to forget that")]
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    received: Arc<Mutex<Vec<Received>>>,
    behaviour: Arc<Mutex<Behaviour>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        if matches!(*behaviour.lock().unwrap(), Behaviour::Resets) {
            connections.spawn(reset(stream));
            continue;
        }
        let (tls, received, behaviour) = (tls.clone(), Arc::clone(&received), Arc::clone(&behaviour));
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, &received, &behaviour));
            match tls {
                None => drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await),
                Some(tls) => {
                    // Whoever does not trust it goes.
                    let Ok(stream) = tls.accept(stream).await else { return };
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                }
            }
        });
    }
}

fn tls(names: &[&str]) -> (TlsAcceptor, String) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "an authority that no system knows");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

/// A connection that is closed with bytes in it which nobody read is reset.
async fn reset(stream: TcpStream) {
    stream.readable().await.unwrap();
}

async fn answer(
    request: Request<Incoming>,
    received: &Mutex<Vec<Received>>,
    behaviour: &Mutex<Behaviour>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let request = Received {
        method: head.method.to_string(),
        target: head.uri.path_and_query().unwrap().to_string(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
        at: Instant::now(),
    };
    received.lock().unwrap().push(request.clone());
    let behaviour = behaviour.lock().unwrap().clone();
    Ok(match behaviour {
        Behaviour::Documented => documented(&request),
        Behaviour::Keeps(bytes) => {
            let mut response = documented(&request);
            response.headers_mut().insert("ping-body-limit", bytes.into());
            response
        }
        Behaviour::Hangs => std::future::pending().await,
        Behaviour::Resets => plain(200, ""),
        Behaviour::Answers(status) => plain(status, "no"),
        Behaviour::Redirects(status, target) => {
            let mut response = plain(status, "");
            response.headers_mut().insert("location", target.parse().unwrap());
            response
        }
    })
}

/// The check that is known.
pub const CHECK: &str = "c0ffee00-0000-4000-8000-000000000001";
/// The token of every other monitor that is known.
pub const TOKEN: &str = "s3cr3tT0ken";

fn documented(request: &Received) -> Response<Full<Bytes>> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    let segments: Vec<_> = path.split('/').skip(1).collect();
    let is_get_or_post = ["GET", "POST", "HEAD"].contains(&request.method.as_str());
    match segments[..] {
        ["ping", check, ref signal @ ..] => {
            let is_signal = matches!(signal, [] | ["start" | "fail" | "log"]);
            let is_run = parameter("rid").is_none_or(|run| uuid::Uuid::parse_str(run).is_ok());
            match (check == CHECK && is_signal, is_run) {
                (false, _) => plain(404, "not found"),
                (true, false) => plain(400, "invalid uuid format"),
                (true, true) => {
                    let mut response = plain(200, "OK");
                    response.headers_mut().insert("ping-body-limit", "10000".parse().unwrap());
                    response
                }
            }
        }
        ["api", "push", token] if token == TOKEN => plain(200, r#"{"ok":true}"#),
        ["api", "push", _] => plain(404, r#"{"ok":false,"msg":"Monitor not found or not active."}"#),
        ["api", "v1", "heartbeat", token] | ["api", "v1", "heartbeat", token, "fail"] => {
            plain(if token == TOKEN && is_get_or_post { 200 } else { 404 }, "")
        }
        // Always an empty 200: it says nothing of the key.
        ["heartbeat" | "incoming-request", _] => plain(if is_get_or_post { 200 } else { 404 }, ""),
        ["p", _, _] => {
            let is_state = parameter("state").is_some_and(|state| ["run", "complete", "fail", "ok"].contains(&state));
            plain(if is_state { 200 } else { 400 }, "OK")
        }
        ["hooks", _] => plain(204, ""),
        [_] => plain(202, "Got it, thanks!"),
        _ => plain(404, ""),
    }
}

fn plain(status: u16, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}
