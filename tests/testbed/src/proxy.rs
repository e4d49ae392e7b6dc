//! A stretch of the way between a program and the API server, where a test sees each request and can stop the traffic
//! after a certain write: to kill the program there, or to change the world at that very moment.
//!
//! ```text
//! program ── http on loopback ──▶ Proxy ── https, as an administrator or somebody else ──▶ API server
//! ```
//! Everything is forwarded to the real API server and comes from it; nothing is made up, but that a write which was held
//! and is dropped is answered with 503, and what time it is and what becomes of a request, where a test says so.

mod gate;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde_json::json;
use snafu::{ResultExt, Snafu};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use self::gate::Gate;
pub use self::gate::Held;
use crate::testbed::{self, Testbed};

/// Why there is no proxy.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(transparent)]
    Testbed { source: testbed::Error },
    #[snafu(display("failed to read the kubeconfig of whom the proxy asks as"))]
    ReadKubeconfig {
        #[snafu(source(from(KubeconfigError, Box::new)))]
        source: Box<KubeconfigError>,
    },
    #[snafu(display("failed to make a client of the API server"))]
    MakeClient {
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    #[snafu(display("failed to {what}"))]
    UseMachine { what: &'static str, source: std::io::Error },
}

/// A request that the API server has answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answered {
    /// How.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// What the server said.
    pub status: StatusCode,
}

impl Answered {
    /// Whether it may have changed something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        is_write(&self.method, &self.path)
    }
}

/// A write on trial is none.
fn is_write(method: &Method, path: &str) -> bool {
    [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method) && !path.contains("dryRun=All")
}

/// A request that the API server has not seen yet.
#[derive(Clone, Debug)]
pub struct Asked {
    /// How.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// What it says.
    pub body: Bytes,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It comes through, and so does the answer.
    Passes,
    /// It comes through, and the answer is lost: 503.
    LosesAnswer,
    /// It does not come through: 403.
    IsRefused,
}

type Judge = dyn Fn(Asked) -> BoxFuture<'static, Fate> + Send + Sync;

/// A proxy before the API server of a testbed, until it is dropped.
pub struct Proxy {
    folder: TempDir,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    client: Client,
    answered: Mutex<Vec<Answered>>,
    gate: Mutex<Option<Arc<Gate>>>,
    strips_dates: AtomicBool,
    date: Mutex<Option<HeaderValue>>,
    judge: Mutex<Option<Arc<Judge>>>,
}

impl Proxy {
    /// Starts one that asks as an administrator.
    ///
    /// # Errors
    /// When the testbed has no control plane, or no port is to be had.
    pub async fn start(testbed: &Testbed) -> Result<Self, Error> {
        Self::start_as(testbed.kubeconfig()?).await
    }

    /// Starts one that asks as the user of a kubeconfig.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used, or no port is to be had.
    pub async fn start_as(user: &Path) -> Result<Self, Error> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.context(UseMachineSnafu { what: "listen on loopback" })?;
        let address = listener.local_addr().context(UseMachineSnafu { what: "learn the port" })?;
        let folder = tempfile::tempdir().context(UseMachineSnafu { what: "make a folder" })?;
        std::fs::write(kubeconfig_in(folder.path()), kubeconfig(address))
            .context(UseMachineSnafu { what: "write the kubeconfig" })?;
        let client = client(user).await?;
        let (answered, gate, date, judge) = (Mutex::default(), Mutex::default(), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { client, answered, gate, strips_dates: AtomicBool::default(), date, judge });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { folder, shared, task })
    }

    /// The kubeconfig that leads through it, with the rights of whom it asks as.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        kubeconfig_in(self.folder.path())
    }

    /// What was asked and answered, in the order of the answers, since the start or the last [`Proxy::hold_after`].
    #[must_use]
    pub fn answered(&self) -> Vec<Answered> {
        lock(&self.shared.answered).clone()
    }

    /// From now on no answer says what time it is.
    pub fn strip_dates(&self) {
        self.shared.strips_dates.store(true, Ordering::Relaxed);
    }

    /// From now on each answer says that it is this time, as the header `Date` does: a test need not wait until it is.
    pub fn say_it_is(&self, date: HeaderValue) {
        *lock(&self.shared.date) = Some(date);
    }

    /// From now on this decides what becomes of each request, before it comes through: it may change the world meanwhile.
    pub fn judge<F>(&self, judge: impl Fn(Asked) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Fate> + Send + 'static,
    {
        let judge = move |asked: Asked| -> BoxFuture<'static, Fate> { Box::pin(judge(asked)) };
        *lock(&self.shared.judge) = Some(Arc::new(judge));
    }

    /// From now on so many writes come through; the answer of the last of them, and every write after it, is held. Reads
    /// and writes on trial (`dryRun=All`) come through all the time. What was answered before is forgotten.
    #[must_use]
    pub fn hold_after(&self, writes: usize) -> Held {
        lock(&self.shared.answered).clear();
        let gate = Arc::new(Gate::after(writes));
        *lock(&self.shared.gate) = Some(Arc::clone(&gate));
        Held::new(gate)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn kubeconfig_in(folder: &Path) -> PathBuf {
    folder.join("kubeconfig")
}

fn kubeconfig(address: SocketAddr) -> String {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
    });
    config.to_string()
}

/// A client that hands every answer on as it is.
async fn client(user: &Path) -> Result<Client, Error> {
    let kubeconfig = Kubeconfig::read_from(user).context(ReadKubeconfigSnafu)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.context(ReadKubeconfigSnafu)?;
    config.default_retry = false;
    Client::try_from(config).context(MakeClientSnafu)
}

/// Takes connections until the task is aborted; theirs end with it.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { shared.pass(request).await }
        });
        let mut server = hyper::server::conn::http1::Builder::new();
        let connection = server.auto_date_header(false).serve_connection(TokioIo::new(stream), service);
        // A connection that breaks off is one whose program was killed.
        connections.spawn(async move { drop(connection.await) });
    }
}

impl Shared {
    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Body>, http::Error> {
        let (method, path) = (request.method().clone(), request.uri().to_string());
        let gate = lock(&self.gate).clone().filter(|_| is_write(&method, &path));
        if let Some(gate) = &gate
            && !gate.may_begin().await
        {
            return unavailable();
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return unavailable() };
        let body = body.to_bytes();
        let asked = Asked { method: method.clone(), path: path.clone(), body: body.clone() };
        let fate = self.fate_of(asked).await;
        if fate == Fate::IsRefused {
            return without_body(StatusCode::FORBIDDEN);
        }
        let Some(response) = self.forward(parts, body).await else { return unavailable() };
        lock(&self.answered).push(Answered { method, path, status: response.status() });
        if let Some(gate) = &gate {
            gate.written().await;
        }
        if fate == Fate::LosesAnswer { unavailable() } else { Ok(response) }
    }

    async fn fate_of(&self, asked: Asked) -> Fate {
        let judge = lock(&self.judge).clone();
        match judge {
            Some(judge) => judge(asked).await,
            None => Fate::Passes,
        }
    }

    /// Asks the API server; none where it does not answer.
    async fn forward(&self, parts: Parts, body: Bytes) -> Option<Response<Body>> {
        let mut forwarded = Request::from_parts(parts, Body::from(body));
        // What concerns this connection alone; the client sets its own.
        for name in [http::header::HOST, http::header::CONNECTION, http::header::TRANSFER_ENCODING] {
            forwarded.headers_mut().remove(name);
        }
        let mut response = self.client.send(forwarded).await.ok()?;
        response.headers_mut().remove(http::header::TRANSFER_ENCODING);
        if self.strips_dates.load(Ordering::Relaxed) {
            response.headers_mut().remove(http::header::DATE);
        }
        if let Some(date) = lock(&self.date).clone() {
            response.headers_mut().insert(http::header::DATE, date);
        }
        Some(response)
    }
}

fn unavailable() -> Result<Response<Body>, http::Error> {
    without_body(StatusCode::SERVICE_UNAVAILABLE)
}

fn without_body(status: StatusCode) -> Result<Response<Body>, http::Error> {
    Response::builder().status(status).body(Body::empty())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Plain values are sound whatever happened to who held the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
