//! Sends an object, and leaves to the server what of it the server does not give as it is asked for.

use std::borrow::Cow;

use bytes::Bytes;
use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::de::DeserializeOwned;
use snafu::ResultExt;

use super::error::{ParseSnafu, RequestSnafu, WriteError};
use super::{Job, parse};
use crate::objects::server_owned::{give_up, with_job_uid};
use crate::survey::types::segment;

const VOLUMES: &str = "/api/v1/persistentvolumes";

impl Job<'_> {
    /// Creates the object (`version` is none) or replaces that version of it. What the server cannot assign as it is asked
    /// for is left to it, part by part: each is one less, so this ends. Gives the answer, and what is to be said of it.
    pub(super) async fn send(
        &self,
        wanted: &[u8],
        owners: &[OwnerReference],
        version: Option<&str>,
    ) -> Result<(Bytes, String), WriteError> {
        let (mut wanted, mut notes) = (Cow::Borrowed(wanted), Vec::new());
        loop {
            let body = self.body(&parse(&wanted, "the object of the archive")?, &wanted, owners, version)?;
            let server = &self.writer.server;
            let sent = match version {
                None => server.create(&self.known.list_path(Some(&self.namespace)), body).await,
                Some(_) => server.replace(&self.path(), body).await,
            };
            let refusal = sent.as_ref().err().map(ToString::to_string);
            match refusal.and_then(|refusal| give_up(self.kind(), &wanted, &refusal)) {
                Some((less, note)) => {
                    notes.push(note);
                    wanted = Cow::Owned(less);
                }
                None => return Ok((sent.context(RequestSnafu { step: "" })?, notes.join("; "))),
            }
        }
    }

    /// A claim without the name of its volume where that is nowhere, or another claim's: it would be lost for ever. One
    /// that the archive holds too, and that could not be written yet, is not nowhere: it may be written later in this
    /// restore. Gives what is to be said of it too. What may not be looked at stays as the archive has it.
    pub(super) async fn with_volume<'b>(&self, wanted: Cow<'b, [u8]>) -> Result<(Cow<'b, [u8]>, String), WriteError> {
        if self.kind() != ("", "persistentvolumeclaims") {
            return Ok((wanted, String::new()));
        }
        let Some(name) = volume_of(&wanted)? else { return Ok((wanted, String::new())) };
        let volume = match self.writer.server.get(&format!("{VOLUMES}/{}", segment(&name))).await {
            Ok(volume) => Some(read::<PersistentVolume>(&volume, "the live volume")?),
            Err(error) if error.is_not_found() => None,
            Err(error) if error.is_forbidden() => return Ok((wanted, String::new())),
            Err(source) => return Err(source).context(RequestSnafu { step: "failed to look at its volume" }),
        };
        let is_archived = self.writer.facts.find_of(("", "persistentvolumes"), "", &name).is_some();
        match fate(&name, volume.as_ref(), is_archived, (&self.namespace, &self.name)) {
            Fate::Had(note) => Ok((wanted, note)),
            Fate::Lost(note) => Ok((Cow::Owned(without_volume(&wanted)?), note)),
        }
    }

    /// A Job's pod with the UID that the Job has now in its labels.
    pub(super) fn with_job_uid<'b>(&self, wanted: Cow<'b, [u8]>) -> Result<Cow<'b, [u8]>, WriteError> {
        if self.kind() != ("", "pods") {
            return Ok(wanted);
        }
        let references = parse(&self.object, "the object of the archive")?.owner_references();
        let of_job = |(owner, uid): (OwnerReference, Option<String>)| {
            uid.filter(|_| owner.kind == "Job" && owner.controller == Some(true))
        };
        let job = references.into_iter().zip(self.uids()).find_map(of_job);
        let changed = job.and_then(|uid| with_job_uid(&self.object, &wanted, &uid));
        Ok(changed.map_or(wanted, Cow::Owned))
    }
}

/// What becomes of the volume that a claim names.
#[derive(Debug, Eq, PartialEq)]
enum Fate {
    /// The claim gets it; or waits for it, which is said.
    Had(String),
    /// The claim gets another one, for this reason.
    Lost(String),
}

/// Decides; the claim is given as namespace and name.
fn fate(name: &str, volume: Option<&PersistentVolume>, is_archived: bool, claim: (&str, &str)) -> Fate {
    let Some(volume) = volume else {
        if is_archived {
            return Fate::Had(format!(
                "its volume {name:?}, which the archive has, was not there yet; it waits for it"
            ));
        }
        return Fate::Lost(format!("its volume {name:?} is nowhere, so it gets another one, without the data of that"));
    };
    let Some(reference) = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) else {
        return Fate::Had(String::new());
    };
    let ObjectReference { namespace, name: of, uid, .. } = reference;
    let (namespace, of) = (namespace.as_deref().unwrap_or_default(), of.as_deref().unwrap_or_default());
    if (namespace, of) != claim {
        let note =
            format!("its volume {name:?} is the claim's {namespace}/{of}, so it gets another one, without that data");
        return Fate::Lost(note);
    }
    match uid.as_deref() {
        None | Some("") => Fate::Had(String::new()),
        Some(_) => Fate::Had(format!(
            "its volume {name:?} is kept for the claim of this name that is gone; to give it to this one: kubectl patch pv \
             {name} --type json -p '[{{\"op\": \"remove\", \"path\": \"/spec/claimRef/uid\"}}]'"
        )),
    }
}

/// The volume that a claim names.
fn volume_of(claim: &[u8]) -> Result<Option<String>, WriteError> {
    let claim: PersistentVolumeClaim = read(claim, "the object of the archive")?;
    Ok(claim.spec.and_then(|spec| spec.volume_name).filter(|name| !name.is_empty()))
}

fn without_volume(claim: &[u8]) -> Result<Vec<u8>, WriteError> {
    let what = "the object of the archive";
    let mut claim: serde_json::Value = read(claim, what)?;
    if let Some(spec) = claim.get_mut("spec").and_then(serde_json::Value::as_object_mut) {
        spec.remove("volumeName");
    }
    serde_json::to_vec(&claim).context(ParseSnafu { what })
}

fn read<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, WriteError> {
    serde_json::from_slice(bytes).context(ParseSnafu { what })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claimed_by(reference: &serde_json::Value) -> PersistentVolume {
        serde_json::from_value(json!({"metadata": {"name": "v"}, "spec": {"claimRef": reference}})).unwrap()
    }

    #[test]
    fn a_claim_gets_the_volume_that_is_free_or_its_own() {
        let check = |volume: Option<PersistentVolume>| fate("v", volume.as_ref(), false, ("a", "b"));
        for reference in
            [json!(null), json!({"namespace": "a", "name": "b"}), json!({"namespace": "a", "name": "b", "uid": ""})]
        {
            assert_eq!(check(Some(claimed_by(&reference))), Fate::Had(String::new()), "{reference}");
        }
        let of_the_dead = check(Some(claimed_by(&json!({"namespace": "a", "name": "b", "uid": "u"}))));
        assert!(matches!(of_the_dead, Fate::Had(note) if note.contains("kubectl patch pv v ")));
        let of_another = check(Some(claimed_by(&json!({"namespace": "a", "name": "c", "uid": "u"}))));
        assert!(matches!(of_another, Fate::Lost(note) if note.contains("a/c")));
        assert!(matches!(check(None), Fate::Lost(note) if note.contains("nowhere")));
    }

    #[test]
    fn a_claim_waits_for_a_volume_that_the_archive_has() {
        let late = fate("v", None, true, ("a", "b"));
        assert!(matches!(late, Fate::Had(note) if note.contains("it waits for it")));
        let of_another = claimed_by(&json!({"namespace": "a", "name": "c", "uid": "u"}));
        assert!(matches!(fate("v", Some(&of_another), true, ("a", "b")), Fate::Lost(_)));
    }

    #[test]
    fn a_claim_without_its_volume_is_otherwise_the_same() {
        let left =
            without_volume(br#"{"metadata":{"name":"b"},"spec":{"storageClassName":"s","volumeName":"v"}}"#).unwrap();
        assert_eq!(left, br#"{"metadata":{"name":"b"},"spec":{"storageClassName":"s"}}"#);
    }
}
