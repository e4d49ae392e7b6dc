//! Whom a connection trusts.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use snafu::{ResultExt, Snafu, ensure};

/// Makes ring the one provider of TLS cryptography of this process; calling it again does nothing.
///
/// reqwest is built without a provider of its own, because a second one beside ring makes rustls panic at the first
/// connection. Every client of this crate calls it before it is built.
pub fn install_tls_provider() {
    // An error says that a provider is installed already, which is what this is for.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Whom a client trusts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Trust {
    /// The roots of the system.
    System,
    /// The roots of the system and these certificates.
    SystemAnd(Vec<CertificateDer<'static>>),
    /// Anyone.
    Anyone,
    /// Nobody: the connection is not encrypted, so there is nobody to trust, and an image without roots will do.
    Nobody,
}

/// Why the text of `endpointCA` is no certificate.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum CertificateProblem {
    #[snafu(display("it is neither PEM nor base64 of PEM"))]
    Decode { source: base64::DecodeError },
    #[snafu(display("its PEM is damaged"))]
    Pem { source: rustls::pki_types::pem::Error },
    /// No certificate in it: a private key alone, say.
    #[snafu(display("there is no certificate in it"))]
    Empty,
    #[snafu(display("what its PEM holds is no X.509 certificate"))]
    Certificate { source: rustls::Error },
}

/// Reads the certificates of `endpointCA`: base64 of PEM, as Rancher documents it, or PEM itself.
pub(super) fn parse_certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, CertificateProblem> {
    let pem = if text.contains("-----BEGIN") {
        text.as_bytes().to_vec()
    } else {
        // `base64` of the shell breaks its lines.
        let packed: String = text.split_ascii_whitespace().collect();
        STANDARD.decode(packed).context(DecodeSnafu)?
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().context(PemSnafu)?;
    ensure!(!certificates.is_empty(), EmptySnafu);
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store.add(certificate.clone()).context(CertificateSnafu)?;
    }
    Ok(certificates)
}

/// A TLS configuration that trusts the system's roots and `certificates`.
pub(super) fn with_certificates(certificates: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let missing = || rustls::Error::General("no provider of TLS cryptography is installed".to_owned());
    let provider = CryptoProvider::get_default().cloned().ok_or_else(missing)?;
    let verifier = AddedCertificates::new(certificates, provider.clone())?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

/// Verifies as the platform does, with the certificates of a location among the roots.
///
/// One thing is added: a server that presents, as its own, exactly a certificate that the location names is trusted
/// though that certificate says that it is an authority's. `openssl req -x509` makes such certificates, people put them
/// into `endpointCA`, Go (so the Rancher backup operator) takes them, and webpki does not.
#[derive(Debug)]
struct AddedCertificates {
    roots: Verifier,
    certificates: Vec<CertificateDer<'static>>,
}

impl AddedCertificates {
    fn new(certificates: &[CertificateDer<'static>], provider: Arc<CryptoProvider>) -> Result<Self, rustls::Error> {
        let roots = Verifier::new_with_extra_roots(certificates.iter().cloned(), provider)?;
        Ok(Self { roots, certificates: certificates.to_vec() })
    }
}

impl ServerCertVerifier for AddedCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(error) if is_authority(&error) && self.certificates.iter().any(|known| known == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.roots.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.roots.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.supported_verify_schemes()
    }
}

/// Whether webpki refused the server's certificate only because it is an authority's.
///
/// webpki says so after it has checked the validity period, and rustls passes it on as an error of no kind of its own,
/// so the text is all there is to tell it by.
fn is_authority(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(CertificateError::Other(other))
        if other.0.to_string() == "CaUsedAsEndEntity")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A self-signed certificate for localhost, valid for a century.
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUW3D3KMp84qiqibVEZJJwjRdr0nswCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzA2Mjc1NloYDzIxMjYxMDMw
MDYyNzU2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQPSQF4jGmzkMaijWd/8+EP+PihIykv7wLc11w19P8mTrLBbYU+2yAA
Rgx22ABB2uSrlo4vXiYuNFazYQStPXLfo28wbTAdBgNVHQ4EFgQUZ30ORh4qmDtX
NFgp1VwYs/anl88wHwYDVR0jBBgwFoAUZ30ORh4qmDtXNFgp1VwYs/anl88wDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgEOXLMxFog6ZvTCQCvUE2B11yIRDfhYINqL4lQ428L3oCIBz8
FUT3kPHURXjMuSiJgCGQedIaWnNkwtFR8CC5wtoA
-----END CERTIFICATE-----
";

    /// Another one, of the same names.
    const OTHER_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUftgO5IsyO5Wq3DnstCr+BEg1MP4wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzA2NTYzNloYDzIxMjYxMDMw
MDY1NjM2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASDvEL7OU1AqaWjIcCoAJjPX2v588QyWxLZ6RS0hs6KvuSvkoNepC/3
Vw8h0K2dUOfp9o/VJkCWaJg2bSy7vR3fo28wbTAdBgNVHQ4EFgQUtLapWmn4Fm6T
pHcjG/WBIv30WIkwHwYDVR0jBBgwFoAUtLapWmn4Fm6TpHcjG/WBIv30WIkwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgUFqEusRgEEUZW4z5PcjCcCadVF+8pGvuxUt6/BJB38YCIB3L
AQwHifDrYow9d3wj/q+vXsytPTssfiacP96g7Fw0
-----END CERTIFICATE-----
";

    #[test]
    fn certificates_are_read_from_pem_and_from_base64_of_it() {
        let plain = parse_certificates(CERTIFICATE).unwrap();
        assert_eq!(plain.len(), 1);
        let packed = STANDARD.encode(CERTIFICATE);
        assert_eq!(parse_certificates(&packed).unwrap(), plain);
        let broken_lines: Vec<&str> = packed.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
        assert_eq!(parse_certificates(&format!("{}\n", broken_lines.join("\n"))).unwrap(), plain);
        assert_eq!(parse_certificates(&format!("{CERTIFICATE}{CERTIFICATE}")).unwrap().len(), 2);
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        assert_eq!(parse_certificates(text).expect_err(text).to_string(), expected, "{text:?}");
    }

    #[test]
    fn what_is_no_certificate_is_an_error_and_no_panic() {
        check_refused("", "there is no certificate in it");
        check_refused("/etc/ssl/ca.pem?", "it is neither PEM nor base64 of PEM");
        check_refused(&STANDARD.encode("hello"), "there is no certificate in it");
        check_refused(&CERTIFICATE[..200], "its PEM is damaged");
        let body = STANDARD.encode("hello");
        let other = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        check_refused(&other, "what its PEM holds is no X.509 certificate");
    }

    /// Verifies the certificate above as that of a server, for one who added `added`.
    fn verify(added: &str, name: &str, now: Duration) -> Result<(), rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = AddedCertificates::new(&parse_certificates(added).unwrap(), provider).unwrap();
        let server = &parse_certificates(CERTIFICATE).unwrap()[0];
        let name = ServerName::try_from(name).unwrap();
        verifier.verify_server_cert(server, &[], &name, &[], UnixTime::since_unix_epoch(now)).map(drop)
    }

    /// A day at which the certificates here are valid.
    const TODAY: Duration = Duration::from_hours(24 * 365 * 60);

    #[test]
    fn a_server_may_present_the_added_certificate_itself_as_openssl_makes_it() {
        assert_eq!(verify(CERTIFICATE, "localhost", TODAY), Ok(()));
        assert_eq!(verify(CERTIFICATE, "127.0.0.1", TODAY), Ok(()));
    }

    #[test]
    fn an_added_certificate_is_good_for_its_names_and_its_time_alone() {
        let reason = |verified: Result<(), rustls::Error>| match verified {
            Err(rustls::Error::InvalidCertificate(reason)) => reason,
            other => panic!("{other:?}"),
        };
        let name = reason(verify(CERTIFICATE, "example.com", TODAY));
        assert!(matches!(name, CertificateError::NotValidForNameContext { .. }), "{name:?}");
        let early = reason(verify(CERTIFICATE, "localhost", Duration::ZERO));
        assert!(matches!(early, CertificateError::NotValidYetContext { .. }), "{early:?}");
        let other = reason(verify(OTHER_CERTIFICATE, "localhost", TODAY));
        assert!(is_authority(&rustls::Error::InvalidCertificate(other)));
    }

    #[test]
    fn the_provider_can_be_installed_twice() {
        install_tls_provider();
        install_tls_provider();
        assert!(CryptoProvider::get_default().is_some());
    }
}
