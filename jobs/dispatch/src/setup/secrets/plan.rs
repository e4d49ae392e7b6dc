//! What is written, as a pure function of what lies in the Secrets, of `now`, and of new keys.

use std::collections::BTreeMap;
use std::path::Path;

use drover::cluster::SecretData;
use drover::exit::{Exit, Fault};
use drover::queue::JOBS;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use nkeys::KeyPair;
use snafu::{OptionExt, ResultExt, Snafu, ensure};

use super::certificates::{self, Certificate};
use super::rotation::{self, Accepted};
use super::{configuration, fresh::Fresh};

/// The Secret of the server.
pub(super) const SERVER: &str = "nats-server";

/// The Secret of the authority, which nobody else reads.
pub(super) const AUTHORITY: &str = "nats-ca";

/// The Secret of a job.
pub(super) fn secret_of(job: &str) -> String {
    format!("nats-{job}")
}

/// The names of all Secrets, in the order in which they are written.
pub(super) fn secrets() -> Vec<String> {
    let jobs = JOBS.into_iter().map(secret_of);
    [AUTHORITY, SERVER].map(str::to_owned).into_iter().chain(jobs).collect()
}

/// The data of Secrets, by name.
pub(super) type Found = BTreeMap<String, SecretData>;

/// Where the server runs.
pub(super) struct Place<'a> {
    /// Its namespace.
    pub(super) namespace: &'a str,
    /// The folder of its files.
    pub(super) folder: &'a Path,
    /// The folder of its data.
    pub(super) data: &'a Path,
}

/// Keys of a Secret that get these values. There is no Debug: the values are secrets.
pub(super) struct Write {
    /// Name of the Secret.
    pub(super) secret: String,
    /// What is written into it; other keys stay.
    pub(super) data: SecretData,
}

/// What is done: Secrets in this order, then files.
pub(super) struct Plan {
    pub(super) writes: Vec<Write>,
    pub(super) files: BTreeMap<&'static str, Vec<u8>>,
}

/// Decides.
///
/// The order makes each write one that a kill after it can be repeated from: a new authority before the certificate that
/// it signs; the server, which then takes old keys and new ones, before the jobs that get the new ones.
pub(super) fn plan(found: &Found, now: Timestamp, fresh: &Fresh, place: &Place) -> Result<Plan, Error> {
    let server = Content(found.get(SERVER));
    let Certified { authority, mut server_data, bundle } = certified(found, now, fresh, place)?;
    let key = encryption_key(&server, fresh)?;
    let held = JOBS.into_iter().filter_map(|job| Some((job, held_key(found, job)?))).collect();
    let turns = rotation::turn(&rotation::read_record(server.get("nkeys.json")), &held, &fresh.public_keys());
    let accepted: Accepted = turns.iter().map(|(job, turn)| ((*job).to_owned(), turn.accepted.clone())).collect();
    let configuration = configuration::server(&accepted, place.folder, place.data, &key);
    let record = serde_json::to_vec(&accepted).context(RecordSnafu)?;

    let files = files(&server, &server_data, &configuration, &key);
    put(&mut server_data, "jetstream-key", key);
    put(&mut server_data, "nkeys.json", record);
    put(&mut server_data, "nats.conf", configuration);
    let mut writes = vec![Write { secret: SERVER.to_owned(), data: server_data }];
    writes.splice(0..0, authority.map(|data| Write { secret: AUTHORITY.to_owned(), data }));
    for job in JOBS {
        let seed = turns.get(job).filter(|turn| turn.is_new).and_then(|_| fresh.seed(job));
        writes.extend(client(found, job, &bundle, seed));
    }
    Ok(Plan { writes, files })
}

/// What a job's Secret gets; nothing where it has it all.
fn client(found: &Found, job: &str, bundle: &str, seed: Option<String>) -> Option<Write> {
    let secret = secret_of(job);
    let mut data = SecretData::new();
    if Content(found.get(&secret)).get("ca.crt") != bundle.as_bytes() {
        put(&mut data, "ca.crt", bundle);
    }
    if let Some(seed) = seed {
        put(&mut data, "nkey", seed);
    }
    (!data.is_empty()).then_some(Write { secret, data })
}

/// The files of a server whose Secret holds `server`, and gets `written`.
fn files(server: &Content, written: &SecretData, configuration: &str, key: &str) -> BTreeMap<&'static str, Vec<u8>> {
    let now = |name: &str| written.get(name).map_or(server.get(name), |value| &value.0).to_vec();
    BTreeMap::from([
        ("nats.conf", configuration.as_bytes().to_vec()),
        (configuration::CERTIFICATE_FILE, now("tls.crt")),
        (configuration::KEY_FILE, now("tls.key")),
        (configuration::ENCRYPTION_FILE, configuration::encryption(key).into_bytes()),
    ])
}

/// The certificates of a server.
struct Certified {
    /// What the authority's Secret gets, where it gets something.
    authority: Option<SecretData>,
    /// What the server's Secret gets.
    server_data: SecretData,
    /// The authorities that clients trust, in PEM.
    bundle: String,
}

fn certified(found: &Found, now: Timestamp, fresh: &Fresh, place: &Place) -> Result<Certified, Error> {
    let server = Content(found.get(SERVER));
    match server.text("tls.crt") {
        Some(text) if !is_ours(text)? => foreign(&server),
        _ => ours(found, now, fresh, place),
    }
}

fn is_ours(certificate: &[u8]) -> Result<bool, Error> {
    let certificates = certificates::read(certificate).context(CertificateSnafu { secret: SERVER, key: "tls.crt" })?;
    Ok(certificates.first().is_some_and(Certificate::is_ours))
}

/// Somebody else's certificate is used as it is.
fn foreign(server: &Content) -> Result<Certified, Error> {
    for key in ["tls.key", "ca.crt"] {
        ensure!(server.text(key).is_some(), IncompleteSnafu { key });
    }
    let authorities = server.get("ca.crt");
    certificates::read(authorities).context(CertificateSnafu { secret: SERVER, key: "ca.crt" })?;
    let bundle = String::from_utf8_lossy(authorities).into_owned();
    Ok(Certified { authority: None, server_data: SecretData::new(), bundle })
}

fn ours(found: &Found, now: Timestamp, fresh: &Fresh, place: &Place) -> Result<Certified, Error> {
    let kept = kept_authority(&Content(found.get(AUTHORITY)))?;
    let kept = kept.filter(|(certificate, _)| certificate.outlives_a_server(now));
    let signed = |result: Result<String, certificates::Error>| result.context(SignSnafu);
    let (certificate, signer, authority) = if let Some((certificate, key)) = &kept {
        (certificate.text.clone(), key, None)
    } else {
        let key = &fresh.authority;
        let certificate = signed(certificates::authority(key, now))?;
        let data = data([("tls.crt", certificate.clone()), ("tls.key", key.serialize_pem())]);
        (certificate, key, Some(data))
    };
    let bundle = bundle(certificate, &Content(found.get(SERVER)), now);
    let server = signed(certificates::server(&fresh.server, server_names(place.namespace), signer, now))?;
    let server_data =
        data([("tls.crt", server), ("tls.key", fresh.server.serialize_pem()), ("ca.crt", bundle.clone())]);
    Ok(Certified { authority, server_data, bundle })
}

/// The authority that lies in its Secret, and its key.
fn kept_authority(secret: &Content) -> Result<Option<(Certificate, rcgen::KeyPair)>, Error> {
    let Some(certificate) = secret.text("tls.crt") else { return Ok(None) };
    let read = certificates::read(certificate).context(CertificateSnafu { secret: AUTHORITY, key: "tls.crt" })?;
    let key = std::str::from_utf8(secret.get("tls.key")).ok().and_then(|key| rcgen::KeyPair::from_pem(key).ok());
    let pair = read
        .into_iter()
        .next()
        .zip(key)
        .filter(|(certificate, key)| certificate.is_ours() && certificate.public_key == key.public_key_raw());
    pair.context(AuthoritySnafu).map(Some)
}

/// The authority that signs now, then those before it that are not over: pods that began under them go on.
fn bundle(newest: String, server: &Content, now: Timestamp) -> String {
    let earlier = certificates::read(server.get("ca.crt")).unwrap_or_default();
    let earlier = earlier.into_iter().filter(|certificate| certificate.is_ours() && certificate.ends > now);
    earlier.fold(newest, |mut bundle, certificate| {
        if !bundle.contains(certificate.text.trim_end()) {
            bundle.push_str(&certificate.text);
        }
        bundle
    })
}

/// The names by which the server is reached: its Service, one of its pods, and itself.
fn server_names(namespace: &str) -> Vec<String> {
    let service = format!("nats.{namespace}");
    let mut names = vec!["nats".to_owned(), service.clone()];
    for domain in ["svc", "svc.cluster.local"] {
        names.extend([format!("{service}.{domain}"), format!("*.{service}.{domain}")]);
    }
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    names
}

/// The key that data is encrypted with. It stays for ever: without it, what is on the volume cannot be read.
fn encryption_key(server: &Content, fresh: &Fresh) -> Result<String, Error> {
    let Some(key) = server.text("jetstream-key") else { return Ok(fresh.encryption.to_string()) };
    let key = std::str::from_utf8(key).ok().map(str::trim);
    let key = key.filter(|key| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte)));
    key.map(str::to_owned).context(EncryptionKeySnafu)
}

/// The public key of the seed that a job's Secret holds.
fn held_key(found: &Found, job: &str) -> Option<String> {
    let seed = std::str::from_utf8(Content(found.get(&secret_of(job))).get("nkey")).ok()?;
    KeyPair::from_seed(seed.trim()).ok().map(|key| key.public_key())
}

/// The data of a Secret, of which a key that is empty is as good as none.
struct Content<'a>(Option<&'a SecretData>);

impl<'a> Content<'a> {
    fn get(&self, key: &str) -> &'a [u8] {
        self.0.and_then(|data| data.get(key)).map_or(&[], |value| &value.0)
    }

    fn text(&self, key: &str) -> Option<&'a [u8]> {
        Some(self.get(key)).filter(|text| !text.trim_ascii().is_empty())
    }
}

fn data<const N: usize>(pairs: [(&str, String); N]) -> SecretData {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes()))).collect()
}

fn put(data: &mut SecretData, key: &str, value: impl Into<Vec<u8>>) {
    data.insert(key.to_owned(), ByteString(value.into()));
}

/// Why nothing can be decided.
#[derive(Debug, Snafu)]
pub(super) enum Error {
    #[snafu(display(
        "failed to read {key:?} of the Secret {secret:?}; mend it, or delete the Secret's data to have it made anew"
    ))]
    Certificate { secret: &'static str, key: &'static str, source: certificates::Error },
    #[snafu(display(
        "failed to use the certificate in the Secret {SERVER:?}, which was not made here: {key:?} is missing beside it"
    ))]
    Incomplete { key: &'static str },
    #[snafu(display(
        "failed to use the authority in the Secret {AUTHORITY:?}: it was not made here, or \"tls.key\" is not its key; \
         delete the Secret's data to have it made anew"
    ))]
    Authority,
    #[snafu(display(
        "failed to use \"jetstream-key\" of the Secret {SERVER:?}: it may hold letters, digits and + / = - _ alone"
    ))]
    EncryptionKey,
    #[snafu(display("failed to make certificates"))]
    Sign { source: certificates::Error },
    #[snafu(display("failed to record the users' keys"))]
    Record { source: serde_json::Error },
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Sign { .. } | Self::Record { .. } => Exit::Failure,
            _ => Exit::Usage,
        }
    }
}

#[cfg(test)]
mod tests;
