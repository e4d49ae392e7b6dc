//! A stretch of the way between a program and an S3 server, where a test damages answers: one byte is another, or what was
//! just stored is not to be seen.
//!
//! Everything is forwarded to the real server and comes from it. Only an archive that was stored on this way is damaged,
//! when it is read after that.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What happens to an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// One bit in the middle is another.
    WrongByte,
    /// The object is not there, as with a service that shows late what it took.
    NotFound,
}

/// Such a stretch, until it is dropped, on the runtime of whoever started it.
pub struct Damage {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    target: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    plan: Option<(Fault, usize)>,
    /// Paths of archives that were stored.
    stored: BTreeSet<String>,
    stores: usize,
    /// The connection of each answer to who read a stored archive, and whether it was damaged.
    reads: Vec<(usize, bool)>,
    deletions: usize,
}

type Body = BoxBody<Bytes, hyper::Error>;

impl Damage {
    /// Starts one before the server at this address, `host:port`.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn start(target: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { target: target.to_owned(), state: Mutex::default() });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, server })
    }

    /// Its URL, to be named as an endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has so many answers damaged from now on; all that was counted is forgotten.
    pub fn damage(&self, fault: Fault, times: usize) {
        *self.shared.lock() = State { plan: Some((fault, times)), ..State::default() };
    }

    /// The same, of archives that were stored before, too.
    pub fn damage_known(&self, fault: Fault, times: usize) {
        self.shared.lock().plan = Some((fault, times));
    }

    /// How often an archive was stored.
    #[must_use]
    pub fn stores(&self) -> usize {
        self.shared.lock().stores
    }

    /// The connection, by its number, of each answer to who read a stored archive, and whether the answer was damaged.
    #[must_use]
    pub fn reads(&self) -> Vec<(usize, bool)> {
        self.shared.lock().reads.clone()
    }

    /// How many deletions were asked for.
    #[must_use]
    pub fn deletions(&self) -> usize {
        self.shared.lock().deletions
    }
}

impl Drop for Damage {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Takes connections until the task is aborted; theirs end with it.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    for number in 0.. {
        let Ok((client, _)) = listener.accept().await else { return };
        let shared = Arc::clone(&shared);
        // A connection that breaks is noticed at its ends.
        connections.spawn(async move { drop(pass(client, number, &shared).await) });
        while connections.try_join_next().is_some() {}
    }
}

/// One connection of the program.
async fn pass(client: TcpStream, number: usize, shared: &Arc<Shared>) -> Result<(), hyper::Error> {
    let service = service_fn(|request| {
        let shared = Arc::clone(shared);
        async move { shared.answer(request, number).await }
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service).await
}

/// Asks the server, on a connection of its own for each request: it may close one while its answer is passed on.
async fn forward(target: &str, request: Request<Incoming>) -> io::Result<Response<Incoming>> {
    let server = TcpStream::connect(target).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(server)).await.map_err(io::Error::other)?;
    // It ends with its answer.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(io::Error::other)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain values are sound whatever happened to who held the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>, connection: usize) -> io::Result<Response<Body>> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let query = request.uri().query().unwrap_or_default().to_owned();
        let response = forward(&self.target, request).await?;
        let fault = self.lock().note(&method, &path, &query, response.status(), connection);
        match fault {
            None => Ok(response.map(BodyExt::boxed)),
            Some(Fault::WrongByte) => {
                let (parts, body) = response.into_parts();
                let mut bytes = BytesMut::from(&body.collect().await.map_err(io::Error::other)?.to_bytes()[..]);
                let middle = bytes.len() / 2;
                if let Some(byte) = bytes.get_mut(middle) {
                    *byte ^= 1;
                }
                Ok(Response::from_parts(parts, full(bytes.freeze())))
            }
            Some(Fault::NotFound) => {
                let mut response = Response::new(full(Bytes::from_static(
                    b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>",
                )));
                *response.status_mut() = StatusCode::NOT_FOUND;
                Ok(response)
            }
        }
    }
}

impl State {
    /// Counts what was asked and answered, and says whether the answer is to be damaged.
    fn note(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        status: StatusCode,
        connection: usize,
    ) -> Option<Fault> {
        let is_archive = path.ends_with(".tar.gz");
        let is_part = query.contains("partNumber=");
        let completes = *method == Method::POST && query.contains("uploadId=");
        self.deletions += usize::from(*method == Method::DELETE && is_archive && !query.contains("uploadId="));
        if is_archive && status.is_success() && ((*method == Method::PUT && !is_part) || completes) {
            self.stores += 1;
            self.stored.insert(path.to_owned());
        }
        if *method != Method::GET || !self.stored.contains(path) {
            return None;
        }
        let fault = self.plan.as_mut().filter(|(_, times)| *times > 0).map(|(fault, times)| {
            *times -= 1;
            *fault
        });
        self.reads.push((connection, fault.is_some()));
        fault
    }
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}
