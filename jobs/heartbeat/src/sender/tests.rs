use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::*;
use crate::configuration::short;
use crate::monitor::Kind;

const LIMIT: Duration = Duration::from_millis(600);

/// A server that answers each request with this text after a pause; where the text is empty, never.
async fn server(pause: Duration, answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 1024];
                while stream.read(&mut asked).await.is_ok_and(|count| count > 0) {
                    sleep(pause).await;
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    address
}

fn monitor(url: &str) -> Monitor {
    short("m", url, Some(Kind::Webhook)).unwrap()
}

async fn failure(url: &str) -> PingError {
    // The job has one by what it connects to the cluster with.
    drover::storage::install_tls_provider();
    let monitor = monitor(url);
    let client = builder(LIMIT).no_proxy().build().unwrap();
    let request = HttpRequest {
        method: http::Method::GET,
        url: monitor.url.clone(),
        headers: http::HeaderMap::new(),
        body: None,
    };
    follow(&client, &request, &monitor.url, LIMIT).await.unwrap_err()
}

#[tokio::test]
async fn one_limit_holds_for_a_try_with_all_its_redirects() {
    let answer = "HTTP/1.1 307 Temporary Redirect\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n";
    let address = server(LIMIT / 2, answer).await;
    let begun = Instant::now();
    let error = failure(&format!("http://{address}/")).await;
    assert!(matches!(&error, PingError::Reach { source, .. } if source.is_timeout()), "{error:?}");
    assert!(begun.elapsed() < LIMIT * 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn only_a_host_that_does_not_answer_is_away() {
    let silent = server(Duration::from_mins(1), "").await;
    let plain = server(Duration::ZERO, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let refusing = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    for (url, expected) in [
        (format!("http://{silent}/"), true),
        (format!("http://{refusing}/"), true),
        (format!("https://{plain}/"), false),
        ("http://nobody.invalid/".to_owned(), false),
    ] {
        let error = failure(&url).await;
        let PingError::Reach { source, .. } = &error else { panic!("{error:?}") };
        assert_eq!(is_away(source), expected, "{url}: {source:?}");
    }
}

#[test]
fn a_host_is_away_for_a_minute_and_a_monitor_with_authorities_of_its_own_apart() {
    let own = |name: Option<&str>| ("hc-ping.com:443".to_owned(), name.map(str::to_owned));
    let (mut away, now) = (Away::default(), Instant::now());
    away.mark(own(None), now);
    assert!(away.holds(&own(None), now) && away.holds(&own(None), now + Duration::from_secs(59)));
    assert!(!away.holds(&own(None), now + Duration::from_mins(1)), "it is asked again");
    assert!(!away.holds(&own(Some("m")), now));

    let mut monitor = monitor("https://hc-ping.com/");
    let url = monitor.url.expose().clone();
    assert_eq!(place(&monitor, &url), own(None));
    monitor.authorities = vec![reqwest::Certificate::from_der(&[]).unwrap()];
    assert_eq!(place(&monitor, &url), own(Some("m")));
}
