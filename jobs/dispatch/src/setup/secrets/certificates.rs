//! The certificate of a NATS server, and the authority that signs it.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use pem::Pem;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use snafu::{OptionExt, ResultExt, Snafu};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The name of every authority that is made here. A server's certificate with this issuer was made here too.
pub(super) const AUTHORITY: &str = "drover NATS authority";

/// How long an authority is valid, in years.
const AUTHORITY_YEARS: i64 = 20;

/// How long a server's certificate is valid, in years: longer than any server runs without a new start.
const SERVER_YEARS: i64 = 10;

/// The clocks of other machines may be behind by so much.
const SKEW_DAYS: i64 = 1;

/// A certificate that was read.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    /// It, in PEM.
    pub(super) text: String,
    /// The common name of its issuer.
    pub(super) issuer: String,
    /// Its key, in the form of its algorithm.
    pub(super) public_key: Vec<u8>,
    /// When it ends.
    pub(super) ends: Timestamp,
}

impl Certificate {
    /// Whether it was made here.
    pub(super) fn is_ours(&self) -> bool {
        self.issuer == AUTHORITY
    }

    /// Whether an authority will vouch for a server's certificate for as long as one that is made now is valid.
    pub(super) fn outlives_a_server(&self, now: Timestamp) -> bool {
        years_from(now, SERVER_YEARS).is_some_and(|end| end < date(self.ends))
    }
}

/// Reads every certificate of a text in PEM.
pub(super) fn read(text: &[u8]) -> Result<Vec<Certificate>, Error> {
    let blocks = pem::parse_many(text).ok().context(NoCertificateSnafu)?;
    let certificates = blocks.iter().map(read_block).collect::<Option<Vec<_>>>();
    certificates.filter(|certificates| !certificates.is_empty()).context(NoCertificateSnafu)
}

fn read_block(block: &Pem) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(block.contents()).ok()?;
    let issuer = certificate.issuer().iter_common_name().next().and_then(|name| name.as_str().ok());
    Some(Certificate {
        text: pem::encode_config(block, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF)),
        issuer: issuer.unwrap_or_default().to_owned(),
        public_key: certificate.public_key().subject_public_key.data.to_vec(),
        ends: Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?,
    })
}

/// A new authority with that key, in PEM.
pub(super) fn authority(key: &KeyPair, now: Timestamp) -> Result<String, Error> {
    let mut params = authority_params();
    limit(&mut params, now, AUTHORITY_YEARS)?;
    Ok(params.self_signed(key).context(SignSnafu)?.pem())
}

/// A certificate for the server with that key, in PEM.
pub(super) fn server(key: &KeyPair, names: Vec<String>, authority: &KeyPair, now: Timestamp) -> Result<String, Error> {
    let mut params = CertificateParams::new(names).context(SignSnafu)?;
    params.distinguished_name.push(DnType::CommonName, "nats");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    limit(&mut params, now, SERVER_YEARS)?;
    let issuer = authority_params();
    Ok(params.signed_by(key, &Issuer::from_params(&issuer, authority)).context(SignSnafu)?.pem())
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, AUTHORITY);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// Sets the days on which a certificate begins and ends.
fn limit(params: &mut CertificateParams, now: Timestamp, years: i64) -> Result<(), Error> {
    let begin = date(now).checked_sub(Span::new().days(SKEW_DAYS)).ok().context(ClockSnafu { now })?;
    let end = years_from(now, years).context(ClockSnafu { now })?;
    let midnight =
        |date: Date| date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs());
    (params.not_before, params.not_after) = (midnight(begin), midnight(end));
    Ok(())
}

fn years_from(now: Timestamp, years: i64) -> Option<Date> {
    date(now).checked_add(Span::new().years(years)).ok()
}

fn date(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// Why there is no certificate.
#[derive(Debug, Snafu)]
pub(super) enum Error {
    #[snafu(display("failed to find a certificate: it is none in PEM"))]
    NoCertificate,
    #[snafu(display("failed to sign a certificate"))]
    Sign { source: rcgen::Error },
    #[snafu(display("failed to tell when a certificate ends: is it really {now} on this machine?"))]
    Clock { now: Timestamp },
}
