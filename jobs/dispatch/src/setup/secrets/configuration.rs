//! The configuration of the NATS server.

use std::fmt::Write;
use std::path::Path;

use drover::digest::Sha256;
use drover::queue::{Permission, User, users};

use super::rotation::Accepted;

/// The file with the server's certificate.
pub(super) const CERTIFICATE_FILE: &str = "tls.crt";

/// The file with its key.
pub(super) const KEY_FILE: &str = "tls.key";

/// The file with the key that data is encrypted with.
pub(super) const ENCRYPTION_FILE: &str = "jetstream-key.conf";

/// Writes the configuration, with no secret in it: those lie in files beside it, in `folder`.
///
/// - TLS is required, for a client's login as for all else.
/// - No port for monitoring is opened: it would tell everybody who comes by who is connected to what.
/// - `sync_interval: always`: what is acknowledged is on the disk, so that an event or an artifact that a job was told is
///   stored is there after the node has lost its power. drover would mend a loss (a run without its message is published
///   again, one without its artifact is run again), but only with a new run, and of a cluster that may have changed.
/// - No lame-duck mode: it holds a server up so that its clients move to another one, and there is none.
/// - `max_payload` is the usual one: the largest message is a chunk of 128 KiB.
/// - Data lies in a folder named after the key that it is encrypted with. A server with another key cannot read it, and
///   makes no stream where one lies that it cannot read: with a key that was lost it would stand still for ever.
pub(super) fn server(accepted: &Accepted, folder: &Path, data: &Path, key: &str) -> String {
    let path = |name: &str| quoted(&folder.join(name).display().to_string());
    let (certificate, certificate_key) = (path(CERTIFICATE_FILE), path(KEY_FILE));
    let (permissions, users) = authorization(accepted);
    format!(
        "\
# Made by `dispatch setup secrets` at each start of this server: a change here lasts until the next one.
port: 4222
max_payload: 1MB

tls {{
  cert_file: {certificate}
  key_file: {certificate_key}
  # A busy node needs longer for a handshake than the usual 2 s.
  timeout: 10
}}

jetstream {{
  store_dir: {data}
  # What was acknowledged is on the disk.
  sync_interval: always
  # Nobody reads archives off the volume.
  cipher: chachapoly
  include {ENCRYPTION_FILE}
}}

# What each job may send and receive; all else is refused.
{permissions}
authorization {{
  users: [
{users}  ]
}}
",
        data = quoted(&data.join(fingerprint(key)).display().to_string()),
    )
}

/// Tells keys apart, and says nothing of them.
fn fingerprint(key: &str) -> String {
    format!("{:.16}", Sha256::of(key))
}

/// The permissions of each job, as variables, and the users that have them: one for each key.
fn authorization(accepted: &Accepted) -> (String, String) {
    let (mut permissions, mut entries) = (String::new(), String::new());
    for user in users() {
        let User { job, publish, subscribe } = &user;
        // Writing to a String does not fail.
        let _ = write!(
            permissions,
            "{job}: {{\n  publish: {{ allow: [\n{}  ] }}\n  subscribe: {{ allow: [\n{}  ] }}\n}}\n",
            subjects(publish),
            subjects(subscribe)
        );
        for key in accepted.get(*job).into_iter().flatten() {
            let _ = writeln!(entries, "    {{ nkey: {key}, permissions: ${job} }}");
        }
    }
    (permissions, entries)
}

fn subjects(permissions: &[Permission]) -> String {
    permissions.iter().fold(String::new(), |mut text, Permission { subject, reason }| {
        let _ = writeln!(text, "    {} # {reason}", quoted(subject));
        text
    })
}

/// The file that gives the server the key of its data.
pub(super) fn encryption(key: &str) -> String {
    format!("key: {}\n", quoted(key))
}

/// A string as the server's configuration has it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
