//! A server of an aggregated API, as clusters have of metrics: a real HTTPS server in the process of a test.
//!
//! The API server asks RBAC before it hands a request on, so what may be read of it is decided as of any type.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use snafu::ResultExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::certificates::Authority;
use crate::webhook::{Error, ListenSnafu, MakeCertificateSnafu, tls};

/// What is answered, by path.
type Answers = BTreeMap<String, Value>;

/// A server that answers until it is dropped. It runs on the runtime of whoever started it.
pub struct AggregatedApi {
    port: u16,
    server: JoinHandle<()>,
}

impl AggregatedApi {
    /// Starts one that answers requests for these paths with these objects, and others with 404.
    ///
    /// # Errors
    /// When it cannot listen, or has no certificate.
    pub async fn start(answers: BTreeMap<String, Value>) -> Result<Self, Error> {
        let tls = tls(&Authority::new("drover-testbed-aggregated").context(MakeCertificateSnafu)?)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context(ListenSnafu)?;
        let port = listener.local_addr().context(ListenSnafu)?.port();
        let server = tokio::spawn(serve(listener, tls, Arc::new(answers)));
        Ok(Self { port, server })
    }

    /// What hands the requests for a version of a group over to it: a Service in the namespace `default`, which is a name of
    /// this machine, and an APIService.
    #[must_use]
    pub fn registration(&self, group: &str, version: &str) -> [Value; 2] {
        let name = group.replace('.', "-");
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
            "spec": {"type": "ExternalName", "externalName": "localhost"}});
        let spec = json!({"group": group, "version": version, "insecureSkipTLSVerify": true,
            "service": {"name": name, "namespace": "default", "port": self.port},
            "groupPriorityMinimum": 1000, "versionPriority": 15});
        let api = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": format!("{version}.{group}")}, "spec": spec});
        [service, api]
    }
}

impl Drop for AggregatedApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Connections end with this.
async fn serve(listener: TcpListener, tls: TlsAcceptor, answers: Arc<Answers>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, tls.clone(), Arc::clone(&answers)));
    }
}

/// What ends early is the client's doing: it sees it and tries again.
async fn connection(stream: TcpStream, tls: TlsAcceptor, answers: Arc<Answers>) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(&answers, request.uri().path());
        async move { Ok::<_, Infallible>(response) }
    });
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

fn answer(answers: &Answers, path: &str) -> Response<Full<Bytes>> {
    let found = answers.get(path);
    let mut response = Response::new(Full::from(found.map(Value::to_string).unwrap_or_default()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if found.is_none() {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}
