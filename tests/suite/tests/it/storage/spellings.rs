//! Endpoints and folders as users spell them.

use drover::resources::S3Location;

use super::{makes, names, open, place, store};

/// What signs for one spelling of the host and sends another is told that its secret key does not fit.
#[tokio::test]
async fn a_service_is_reached_by_every_spelling_of_its_url() {
    const HOSTS: [&str; 4] = ["127.1", "0x7F.0.0.1", "2130706433", "LocalHost"];
    for s3 in makes().await {
        let port = s3.endpoint.rsplit_once(':').unwrap().1;
        for host in HOSTS {
            let endpoint = Some(format!("HTTP://{host}:0{port}/"));
            let storage = open(s3, &S3Location { endpoint, ..place(s3, "//spelled/./so/") }).await;
            assert_eq!(storage.location().to_string(), "s3://archives/spelled/so/");
            store(&storage, &format!("{host}.tar.gz"), 1000).await;
        }
        let mut expected = HOSTS.map(|host| format!("{host}.tar.gz"));
        expected.sort();
        assert_eq!(names(&open(s3, &place(s3, "spelled/so")).await).await, expected);
    }
}
