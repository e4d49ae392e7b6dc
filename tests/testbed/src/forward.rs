//! A forward proxy that asks for a name and a password, as companies have one between their cluster and the world.
//!
//! It forwards `http://` requests, one for each connection, and tunnels others (`CONNECT`). Whatever host is asked for, it
//! connects to that port of loopback: so a host name that no DNS knows is reached through it alone.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 64 << 10;

const REFUSAL: &str = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"testbed\"\r\n\
                       Content-Length: 0\r\nConnection: close\r\n\r\n";

/// A proxy that runs until it is dropped, on the runtime of whoever started it.
pub struct Forward {
    address: SocketAddr,
    password: String,
    counts: Arc<Counts>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    passed: AtomicUsize,
    refused: AtomicUsize,
}

impl Forward {
    /// Starts one with a password of its own.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let password = Uuid::new_v4().simple().to_string();
        let counts = Arc::new(Counts::default());
        let key = format!("Basic {}", STANDARD.encode(format!("drover:{password}")));
        let server = tokio::spawn(serve(listener, key.into(), counts.clone()));
        Ok(Self { address, password, counts, server })
    }

    /// Its URL with name and password, as `HTTPS_PROXY` has it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://drover:{}@{}", self.password, self.address)
    }

    /// Its URL with a wrong password.
    #[must_use]
    pub fn url_with(&self, password: &str) -> String {
        format!("http://drover:{password}@{}", self.address)
    }

    /// Its password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// How many requests and tunnels it let pass.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.counts.passed.load(Ordering::Relaxed)
    }

    /// How many it refused.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.counts.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, key: Arc<str>, counts: Arc<Counts>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (key, counts) = (key.clone(), counts.clone());
        connections.spawn(async move {
            // A connection that breaks is noticed at its ends.
            drop(pass(client, &key, &counts).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn pass(mut client: TcpStream, key: &str, counts: &Counts) -> io::Result<()> {
    let (head, rest) = read_head(&mut client).await?;
    let Some(request) = Request::parse(&head) else { return Ok(()) };
    if request.key != Some(key) {
        counts.refused.fetch_add(1, Ordering::Relaxed);
        return client.write_all(REFUSAL.as_bytes()).await;
    }
    counts.passed.fetch_add(1, Ordering::Relaxed);
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, request.port)).await?;
    if request.tunnel {
        client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await?;
    } else {
        server.write_all(request.head.as_bytes()).await?;
    }
    server.write_all(&rest).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// The head of a request, with its empty line, and what came behind it.
async fn read_head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        if bytes.len() > LONGEST_HEAD || client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// What the head of a request asks for.
struct Request<'a> {
    tunnel: bool,
    port: u16,
    key: Option<&'a str>,
    /// The head as the server gets it: a path for a URL, nothing for the proxy, and the connection ends with the answer.
    head: String,
}

impl<'a> Request<'a> {
    fn parse(head: &'a str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let tunnel = method == "CONNECT";
        let (authority, path) = match target.strip_prefix("http://") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => (target, ""),
        };
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(80);
        let fields: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
        let is = |field: &str, name: &str| field.eq_ignore_ascii_case(name);
        let key = fields.iter().find(|(name, _)| is(name, "proxy-authorization")).map(|(_, key)| *key);
        let passed = fields.iter().filter(|(name, _)| {
            !is(name, "proxy-authorization") && !is(name, "proxy-connection") && !is(name, "connection")
        });
        let passed: Vec<String> = passed.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let passed = passed.concat();
        let path = if path.is_empty() { "/" } else { path };
        let head = format!("{method} {path} HTTP/1.1\r\n{passed}Connection: close\r\n\r\n");
        Some(Self { tunnel, port, key, head })
    }
}
