use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::*;

/// Silence that a test waits out.
const SHORT: Duration = Duration::from_millis(400);

/// Serves one connection at a free port, with small buffers, so that it is felt when nothing is read.
fn serve<F: Future<Output = ()> + Send>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1 << 16).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (connection, _) = listener.accept().await.unwrap();
        answer(connection).await;
    });
    format!("http://{address}/")
}

fn request(method: &str, url: &str, body: SdkBody) -> HttpRequest {
    let request = http::Request::builder().method(method).uri(url).body(body).unwrap();
    HttpRequest::try_from(request).unwrap()
}

fn client() -> Client {
    Client::new(&Trust::Nobody).unwrap()
}

fn is_stalled(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(<dyn std::error::Error>::is::<Stalled>)
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let url = serve(async |connection| {
        let _held = connection;
        std::future::pending::<()>().await;
    });
    let error = send(client(), request("GET", &url, SdkBody::empty()), SHORT).await.unwrap_err();
    assert!(error.is_timeout() && is_stalled(&error), "{error:?}");
}

#[tokio::test]
async fn a_server_that_falls_silent_in_its_answer_is_given_up() {
    let url = serve(async |mut connection| {
        let _request = connection.read(&mut [0; 4096]).await.unwrap();
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
        std::future::pending::<()>().await;
    });
    let response = send(client(), request("GET", &url, SdkBody::empty()), SHORT).await.unwrap();
    let error = response.into_body().collect().await.unwrap_err();
    assert!(is_stalled(error.as_ref()), "{error:?}");
}

#[tokio::test]
async fn a_slow_upload_may_take_longer_than_any_silence() {
    /// More than the sockets between the two take in advance.
    const LENGTH: usize = 32 << 20;
    /// So many pauses that together they are far longer than the silence that is allowed.
    const PAUSES: usize = 100;
    let url = serve(async |mut connection| {
        let mut buffer = vec![0; 1 << 16];
        let (mut got, mut pauses) = (0, 0);
        while got < LENGTH {
            let length = connection.read(&mut buffer).await.unwrap();
            assert!(length > 0);
            got += length;
            if got / (LENGTH / PAUSES) > pauses {
                pauses += 1;
                tokio::time::sleep(SHORT / 20).await;
            }
        }
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    });
    let body = SdkBody::retryable(|| {
        let chunks = futures::stream::iter((0..LENGTH >> 16).map(|_| Ok::<_, std::io::Error>(vec![0; 1 << 16])));
        let frames = futures::StreamExt::map(chunks, |chunk| chunk.map(|chunk| Frame::data(Bytes::from(chunk))));
        SdkBody::from_body_1_x(http_body_util::StreamBody::new(frames))
    });
    let mut request = request("PUT", &url, body);
    request.headers_mut().insert("content-length", LENGTH.to_string());
    let begun = Instant::now();
    let response = send(client(), request, SHORT).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert!(begun.elapsed() > SHORT * 2, "it was too quick to tell: {:?}", begun.elapsed());
}

#[test]
fn what_the_system_has_buffered_gets_time_to_arrive() {
    assert_eq!(time_to_drain(0), Duration::ZERO);
    assert_eq!(time_to_drain(1 << 20), Duration::from_secs(32));
    assert_eq!(time_to_drain(64 << 20), Duration::from_secs(128));
}

#[test]
fn metadata_services_are_reached_past_every_proxy() {
    let table = [
        ("http://169.254.169.254/latest", true),
        ("http://169.254.170.23/v1", true),
        ("http://[fd00:ec2::254]/latest", true),
        ("http://169.25.4.1/", false),
        ("https://sts.amazonaws.com/", false),
    ];
    for (uri, expected) in table {
        assert_eq!(is_link_local(&uri.parse().unwrap()), expected, "{uri}");
    }
}

#[test]
fn a_client_shows_nothing_of_its_proxies() {
    assert_eq!(format!("{:?}", client()), "storage::http::Client");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named_and_nothing_else_of_the_url() {
    // Bound, so that no other process has the port, and not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let silent = serve(async |connection| {
        let _held = connection;
        std::future::pending::<()>().await;
    });
    for (url, host) in
        [(format!("http://{address}/"), address.to_string()), (silent.clone(), host_of(&silent.parse().unwrap()))]
    {
        let request = request("GET", &format!("{url}path?token=secret"), SdkBody::empty());
        let error = send(client(), request, SHORT).await.unwrap_err();
        let words = crate::storage::refusal::Refusal::of_connection(&error).to_string();
        assert!(words.contains(&format!(": {host}: ")) && !words.contains("secret"), "{words}");
        assert!(crate::exit::Chain(&error).to_string().contains(&format!("failed to reach {host}")), "{error:?}");
    }
}
