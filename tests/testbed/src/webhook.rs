//! An admission webhook, as Rancher has one: a real HTTPS server in the process of a test.
//!
//! An address of loopback is as good as a Service here, for the API server runs on the same machine.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use snafu::{ResultExt, Snafu};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::certificates::Authority;

/// Why a webhook is not there.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display("failed to make the certificate of a webhook"))]
    MakeCertificate { source: rcgen::Error },
    #[snafu(display("failed to read the certificate of a webhook"))]
    ReadCertificate { source: rustls::pki_types::pem::Error },
    #[snafu(display("failed to use the certificate of a webhook"))]
    UseCertificate { source: rustls::Error },
    #[snafu(display("failed to listen on a port of loopback for a webhook"))]
    Listen { source: std::io::Error },
}

/// What a webhook says of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It passes as it is.
    Allowed,
    /// It passes, changed by this JSON patch.
    Changed(Value),
    /// It is refused, with this HTTP status and these words.
    Refused(u16, String),
    /// The webhook itself fails, with HTTP 500 and these words.
    Broken(String),
}

/// Gets the path of the webhook and the `request` of the AdmissionReview.
type Judge = dyn Fn(&str, &Value) -> Answer + Send + Sync;

/// A webhook that answers until it is dropped. It runs on the runtime of whoever started it.
pub struct Webhook {
    address: SocketAddr,
    certificate: String,
    is_away: Arc<AtomicBool>,
    server: JoinHandle<()>,
}

impl Webhook {
    /// Starts one that judges by `judge`: its words are the refusal, and nothing lets an object pass.
    ///
    /// # Errors
    /// When it cannot listen, or has no certificate.
    pub async fn start(judge: impl Fn(&str, &Value) -> Option<String> + Send + Sync + 'static) -> Result<Self, Error> {
        let refusal = move |path: &str, request: &Value| judge(path, request).map(|words| Answer::Refused(403, words));
        Self::answering(move |path, request| refusal(path, request).unwrap_or(Answer::Allowed)).await
    }

    /// Starts one that answers as `judge` does.
    ///
    /// # Errors
    /// When it cannot listen, or has no certificate.
    pub async fn answering(judge: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Result<Self, Error> {
        let authority = Authority::new("drover-testbed-webhook").context(MakeCertificateSnafu)?;
        let tls = tls(&authority)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context(ListenSnafu)?;
        let address = listener.local_addr().context(ListenSnafu)?;
        let is_away = Arc::new(AtomicBool::new(false));
        let server = tokio::spawn(serve(listener, tls, Arc::new(judge), Arc::clone(&is_away)));
        Ok(Self { address, certificate: authority.certificate(), is_away, server })
    }

    /// Ends every new connection at once as long as it is away, as if there were no server behind its address.
    pub fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    /// What a configuration of webhooks names as `clientConfig` to have objects judged under this path.
    #[must_use]
    pub fn client_config(&self, path: &str) -> Value {
        json!({
            "url": format!("https://{}{path}", self.address),
            "caBundle": BASE64_STANDARD.encode(&self.certificate),
        })
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// TLS as a server of loopback that this authority vouches for.
pub(crate) fn tls(authority: &Authority) -> Result<TlsAcceptor, Error> {
    let identity = authority.server(&["127.0.0.1"]).context(MakeCertificateSnafu)?;
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).context(ReadCertificateSnafu)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).context(ReadCertificateSnafu)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context(UseCertificateSnafu)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .context(UseCertificateSnafu)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Connections end with this.
async fn serve(listener: TcpListener, tls: TlsAcceptor, judge: Arc<Judge>, is_away: Arc<AtomicBool>) {
    let mut connections = JoinSet::new();
    // A listener of loopback fails when the process has no file left to open, and then all else does too.
    while let Ok((stream, _)) = listener.accept().await {
        if is_away.load(Ordering::SeqCst) {
            continue;
        }
        connections.spawn(connection(stream, tls.clone(), Arc::clone(&judge)));
    }
}

/// What ends early is the client's doing: it sees it and tries again.
async fn connection(stream: TcpStream, tls: TlsAcceptor, judge: Arc<Judge>) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(|request| answer(request, Arc::clone(&judge)));
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(request: Request<Incoming>, judge: Arc<Judge>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let review = match request.into_body().collect().await {
        Ok(body) => serde_json::from_slice::<Value>(&body.to_bytes()).ok(),
        Err(_) => None,
    };
    let Some(review) = review else {
        let mut refused = Response::new(Full::from("this is no AdmissionReview"));
        *refused.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refused);
    };
    let answer = judge(&path, &review["request"]);
    let mut verdict = verdict(&review["request"]["uid"], &answer);
    if matches!(answer, Answer::Broken(_)) {
        // As Rancher's does, with the object that it failed on.
        verdict["request"] = review["request"].clone();
    }
    let mut response = Response::new(Full::from(verdict.to_string()));
    if matches!(answer, Answer::Broken(_)) {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(response)
}

fn verdict(uid: &Value, answer: &Answer) -> Value {
    let refused =
        |code: u16, words: &str| json!({"uid": uid, "allowed": false, "status": {"code": code, "message": words}});
    let response = match answer {
        Answer::Allowed => json!({"uid": uid, "allowed": true}),
        Answer::Changed(patch) => {
            let patch = BASE64_STANDARD.encode(patch.to_string());
            json!({"uid": uid, "allowed": true, "patchType": "JSONPatch", "patch": patch})
        }
        Answer::Refused(code, words) => refused(*code, words),
        Answer::Broken(words) => refused(500, words),
    };
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}
