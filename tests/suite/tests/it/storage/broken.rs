//! Connections that break off.

use drover::exit::Exit;
use drover::resources::S3Location;
use drover::storage::{RefusalKind, Verification};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::{check, kind, open, place, store, testbed};

/// Passes connections on to a server, and cuts each of the first ones after so many bytes of the answer.
async fn cutting(target: String, after: u64, times: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        for number in 0.. {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&target).await.unwrap();
            tokio::spawn(async move {
                let ((mut from_client, mut to_client), (from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                let limit = if number < times { after } else { u64::MAX };
                let mut answer = from_server.take(limit);
                let ends = tokio::select! {
                    there = tokio::io::copy(&mut from_client, &mut to_server) => there,
                    back = tokio::io::copy(&mut answer, &mut to_client) => back,
                };
                drop(ends);
            });
        }
    });
    address
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_taken_up_where_it_stopped() {
    let s3 = testbed().await.s3().unwrap();
    let content = store(&open(s3, &place(s3, "broken")).await, "a.tar.gz", 4 << 20).await;
    for (times, whole) in [(3, true), (usize::MAX, false)] {
        // Less than the headers of a later answer never helps, so the second proxy ends in an error.
        let after = if whole { 1_000_000 } else { 100 };
        let address = cutting(s3.endpoint.clone(), after, times).await;
        let location = S3Location {
            endpoint: Some(format!("http://{address}")),
            region: Some("us-east-1".to_owned()),
            ..place(s3, "broken")
        };
        let found = open(s3, &location).await.verify("a.tar.gz", content).await;
        if whole {
            assert_eq!(found.unwrap(), Verification::Verified);
        } else {
            let error = found.unwrap_err();
            check(&error, kind(&error), &RefusalKind::Away, Exit::Unavailable);
        }
    }
}
