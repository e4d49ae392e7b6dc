use std::io;

use super::*;

fn answer(status: u16, code: &str) -> Answer {
    Answer {
        status,
        code: (!code.is_empty()).then(|| code.to_owned()),
        message: None,
        region: None,
        expects_tls: false,
    }
}

#[track_caller]
fn check(status: u16, code: &str, kind: &RefusalKind, exit: Exit) {
    let refusal = answer(status, code).refusal(Permission::PutObject);
    assert_eq!((refusal.kind(), refusal.exit()), (kind, exit), "{status} {code}");
}

#[test]
fn answers_of_services_are_told_apart() {
    use RefusalKind::{
        AccessKey, Away, Clock, Denied, Digest, Expired, Full, NoBucket, NoObject, NotS3, Other, Region, SecretKey,
        Silent,
    };
    let denied = Denied(Permission::PutObject);
    check(404, "NoSuchBucket", &NoBucket, Exit::Usage);
    check(404, "NoSuchKey", &NoObject, Exit::Usage);
    check(403, "AccessDenied", &denied, Exit::Usage);
    check(403, "", &denied, Exit::Usage);
    check(403, "InvalidAccessKeyId", &AccessKey, Exit::Usage);
    check(403, "SignatureDoesNotMatch", &SecretKey, Exit::Usage);
    check(403, "RequestTimeTooSkewed", &Clock, Exit::Usage);
    check(400, "ExpiredToken", &Expired, Exit::Usage);
    check(301, "PermanentRedirect", &Region(None), Exit::Usage);
    check(301, "", &Region(None), Exit::Usage);
    check(400, "AuthorizationHeaderMalformed", &Region(None), Exit::Usage);
    check(400, "BadDigest", &Digest, Exit::DataRefused);
    check(400, "RequestTimeout", &Silent, Exit::Unavailable);
    check(503, "SlowDown", &Away, Exit::Unavailable);
    check(429, "TooManyRequests", &Away, Exit::Unavailable);
    check(500, "", &Away, Exit::Unavailable);
    check(502, "", &Away, Exit::Unavailable);
    check(507, "XMinioStorageFull", &Full, Exit::Unavailable);
    check(407, "", &RefusalKind::Proxy, Exit::Usage);
    check(400, "ObjectLocked", &RefusalKind::Locked, Exit::Usage);
    check(404, "", &NotS3, Exit::Usage);
    check(405, "", &NotS3, Exit::Usage);
    check(501, "NotImplemented", &Other, Exit::Failure);
}

#[test]
fn an_answer_in_plain_text_that_wants_tls_is_understood() {
    let refusal = Answer { expects_tls: true, ..answer(400, "") }.refusal(Permission::GetObject);
    assert_eq!(refusal.kind(), &RefusalKind::PlainToTls);
    assert!(refusal.to_string().contains("https://"), "{refusal}");
}

#[test]
fn advice_names_the_permission_and_the_region() {
    let text = answer(403, "AccessDenied").refusal(Permission::PutObject).to_string();
    assert!(text.contains("s3:PutObject") && text.ends_with("status 403 AccessDenied"), "{text}");
    let region = Answer { region: Some("eu-west-1".to_owned()), ..answer(301, "PermanentRedirect") };
    let text = region.refusal(Permission::GetObject).to_string();
    assert!(text.contains("the region \"eu-west-1\""), "{text}");
}

#[test]
fn a_message_of_any_length_stays_readable() {
    let long = Answer { message: Some("x".repeat(100_000)), ..answer(400, "Odd") };
    assert!(long.refusal(Permission::GetObject).to_string().len() < 500);
}

#[test]
fn a_region_is_taken_from_the_answer_only_if_it_is_one() {
    assert_eq!(element("<Error><Region>eu-west-1</Region></Error>", "Region").as_deref(), Some("eu-west-1"));
    assert_eq!(element("<Error><Region>eu", "Region"), None);
    assert!(is_region("eu-west-1"));
    assert!(!is_region("evil.example.com/"));
    assert!(!is_region(""));
}

#[track_caller]
fn check_connection(error: &(dyn std::error::Error + 'static), kind: &RefusalKind) {
    assert_eq!(Refusal::of_connection(error).kind(), kind, "{error:?}");
}

#[test]
fn failures_of_a_connection_are_told_apart_however_deep_they_lie() {
    use rustls::{CertificateError, InvalidMessage};
    let untrusted = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    check_connection(&io::Error::other(io::Error::other(untrusted)), &RefusalKind::Untrusted);
    let plain = rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
    check_connection(&io::Error::other(plain), &RefusalKind::TlsToPlain);
    check_connection(&io::Error::from(ErrorKind::ConnectionRefused), &RefusalKind::ConnectionRefused);
    check_connection(&io::Error::from(ErrorKind::ConnectionReset), &RefusalKind::Away);
    check_connection(&io::Error::from(ErrorKind::TimedOut), &RefusalKind::Silent);
}
