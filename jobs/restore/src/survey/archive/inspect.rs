//! What an archive holds, without a cluster.

use std::collections::BTreeMap;
use std::io::{self, Write};

use drover::archive::{Contents, LeftOut, ListedType, Loaded, Reason, Spool, TypeSummary};
use drover::digest::Sha256;
use drover::encryption::{Seal, holds_configuration};
use drover::exit::{Exit, Fault};
use drover::object::Object;
use drover::resources::{ControllerReference, ResourceSet};
use drover::runs::KeysInClear;
use serde::Serialize;
use snafu::{ResultExt, Snafu};
use tabwriter::TabWriter;

use crate::report::printable::printable;
use crate::survey::archive::authenticity::Mac;
use crate::survey::archive::entries::Entries;
use crate::survey::archive::file_name::FileName;

/// Why an archive that was read cannot be summed up.
#[derive(Debug, Snafu)]
pub(crate) enum InspectError {
    #[snafu(display("failed to read the {what} of the archive"))]
    Parse { what: &'static str, source: serde_json::Error },
    #[snafu(display("failed to read an object back from the temporary file; is its disk in order?"))]
    Load { source: io::Error },
}

impl Fault for InspectError {
    fn exit(&self) -> Exit {
        match self {
            Self::Parse { .. } => Exit::DataRefused,
            Self::Load { .. } => Exit::Failure,
        }
    }
}

/// What `restore inspect --output json` shows. Fields are added, never changed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Inspection<'a> {
    /// The file as it was named; "-" for standard input.
    file: String,
    /// What the file name says, where it has the form of a backup's.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<FileName>,
    /// Size of the file.
    bytes: u64,
    /// SHA-256 of the file.
    sha256: Sha256,
    /// What the MAC beside the file says: missing, unchecked, wrong or authentic.
    mac: &'static str,
    #[serde(skip)]
    mac_words: String,
    /// Whether any object is encrypted.
    encrypted: bool,
    /// How many objects are encrypted.
    encrypted_objects: u64,
    /// The keys that encrypted them, by name.
    encryption: Vec<KeyUse>,
    /// Secrets with encryption keys that lie in the archive in clear.
    keys_in_clear: Vec<String>,
    /// How many there are of them; the first are named.
    keys_in_clear_count: u64,
    /// How many objects there are.
    objects: u64,
    /// Bytes of all objects' JSON; of their entries where they stayed encrypted.
    object_bytes: u64,
    /// The types, sorted by name.
    types: Vec<TypeInspection>,
    /// The ResourceSet that selected the objects, where the archive holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_set: Option<ResourceSetInspection>,
    /// What was listed and what was left out, where the archive says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    contents: Option<Contents>,
    /// Every object, in the archive's order.
    entries: Entries<'a>,
}

/// A key, and how many objects it encrypted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyUse {
    provider: String,
    key: String,
    objects: u64,
}

/// What an archive holds of one type.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TypeInspection {
    group: String,
    version: String,
    resource: String,
    namespaced: bool,
    objects: u64,
    bytes: u64,
    encrypted: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    encryption: Vec<KeyUse>,
}

/// The ResourceSet of an archive.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSetInspection {
    name: String,
    selectors: usize,
    controller_references: Vec<ControllerReference>,
}

impl<'a> Inspection<'a> {
    /// Sums up an archive; `file` is how the user named it, and `mac` what lies beside it.
    ///
    /// # Errors
    ///
    /// Where its ResourceSet or the temporary file cannot be read.
    pub(crate) fn new(file: &str, spool: &'a Spool, mac: &Mac) -> Result<Self, InspectError> {
        let types = types(spool);
        let keys_in_clear = keys_in_clear(spool).context(LoadSnafu)?;
        let base = std::path::Path::new(file).file_name().and_then(|name| name.to_str());
        let set = spool.resource_set().map(ResourceSetInspection::new);
        Ok(Self {
            file: file.to_owned(),
            name: base.and_then(FileName::parse),
            bytes: spool.archive_bytes(),
            sha256: spool.sha256(),
            mac: mac.word(),
            mac_words: mac.to_string(),
            encrypted: spool.is_encrypted(),
            encrypted_objects: types.iter().map(|summary| summary.encrypted).sum(),
            encryption: in_all(&types),
            keys_in_clear: keys_in_clear.first,
            keys_in_clear_count: keys_in_clear.count,
            objects: types.iter().map(|summary| summary.objects).sum(),
            object_bytes: types.iter().map(|summary| summary.bytes).sum(),
            types,
            resource_set: set.transpose().context(ParseSnafu { what: "ResourceSet" })?,
            contents: spool.contents().context(ParseSnafu { what: "entry filters/drover.json" })?,
            entries: Entries(spool),
        })
    }

    /// Writes it as one JSON document, its entries one by one.
    pub(crate) fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// Writes it for people; `entries`: with a line for every object.
    pub(crate) fn text(&self, out: &mut dyn Write, entries: bool) -> io::Result<()> {
        let mut field = |name: &str, value: &str| writeln!(out, "{name:<14}{}", printable(value));
        field("File", &self.file)?;
        if let Some(name) = &self.name {
            field("Backup", &name.backup)?;
            field("Cluster UID", &name.cluster_uid)?;
            field("Time", &name.time)?;
        }
        field("Size", &format!("{} bytes, {} unpacked", self.bytes, self.object_bytes))?;
        field("SHA-256", &self.sha256.to_string())?;
        field("MAC", &self.mac_words)?;
        field("Encrypted", &self.encryption_in_words())?;
        if self.keys_in_clear_count > 0 {
            let keys = KeysInClear { first: self.keys_in_clear.clone(), count: self.keys_in_clear_count };
            field("Keys in clear", &keys.to_string())?;
        }
        match &self.resource_set {
            Some(set) => field("ResourceSet", &format!("{}, {} selectors", set.name, set.selectors))?,
            None => field("ResourceSet", "none in the archive")?,
        }
        for reference in self.resource_set.iter().flat_map(|set| &set.controller_references) {
            let ControllerReference { api_version, resource, namespace, name, replicas: _ } = reference;
            field("Controller", &format!("{resource} {namespace}/{name} ({api_version})"))?;
        }
        for (name, value) in self.contents.iter().flat_map(making) {
            field(name, &value)?;
        }
        field("Objects", &self.objects.to_string())?;
        self.table(out)?;
        if entries { self.entries.text(out) } else { Ok(()) }
    }

    fn encryption_in_words(&self) -> String {
        if self.encryption.is_empty() {
            return "no".to_owned();
        }
        format!("{} of {} objects, {}", self.encrypted_objects, self.objects, in_words(&self.encryption))
    }

    fn table(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = TabWriter::new(out);
        for summary in &self.types {
            let title = printable(&summary.title());
            write!(table, "  {title}\t{:>8}\t{:>12} bytes", summary.objects, summary.bytes)?;
            if summary.encrypted > 0 {
                let words = in_words(&summary.encryption);
                write!(table, "\t{} encrypted, {}", summary.encrypted, printable(&words))?;
            }
            writeln!(table)?;
        }
        table.flush()
    }
}

/// What an archive says of its making, in lines of a name and words.
fn making(contents: &Contents) -> Vec<(&'static str, String)> {
    let Contents { drover_version, kubernetes_version, types, left_out, .. } = contents;
    let of = kubernetes_version.as_ref().map(|version| format!(", of Kubernetes {version}")).unwrap_or_default();
    let mut lines = vec![("Made by", format!("drover {drover_version}{of}"))];
    for ListedType { name, version, named, being_deleted, of_drover, .. } in types {
        if !named.is_empty() {
            let named = named.join(", ");
            lines.push((
                "Version",
                format!("{name} in {version}; {named}, which the ResourceSet names, was not served"),
            ));
        }
        if *being_deleted > 0 {
            lines.push(("Left out", format!("{being_deleted} of {name}, which were being deleted")));
        }
        if *of_drover > 0 {
            lines.push(("Left out", format!("{of_drover} of {name}, which are drover's own")));
        }
    }
    for LeftOut { name, reason, message } in left_out {
        let why = match reason {
            Reason::NotServed => "the cluster did not serve it".to_owned(),
            Reason::NotListed => format!("MISSING, it could not be read: {message}"),
            Reason::NoNames => "it can only be read by name, and the ResourceSet gives no names".to_owned(),
            Reason::NoPlace | Reason::Other => message.clone(),
        };
        lines.push(("Left out", format!("{name}: {why}")));
    }
    lines
}

/// The types, sorted by name, each with its keys.
fn types(spool: &Spool) -> Vec<TypeInspection> {
    let mut uses: BTreeMap<(usize, &Seal), u64> = BTreeMap::new();
    for id in spool.ids() {
        if let Some(seal) = spool.seal_of(id) {
            *uses.entry((spool.type_of(id), seal)).or_default() += 1;
        }
    }
    let mut types: Vec<TypeInspection> = spool.types().iter().map(TypeInspection::new).collect();
    for ((type_index, seal), objects) in uses {
        types[type_index].encrypted += objects;
        types[type_index].encryption.push(KeyUse::new(seal, objects));
    }
    types.sort_by_key(TypeInspection::title);
    types
}

/// The keys of all types together.
fn in_all(types: &[TypeInspection]) -> Vec<KeyUse> {
    let mut all: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for used in types.iter().flat_map(|summary| &summary.encryption) {
        *all.entry((&used.provider, &used.key)).or_default() += used.objects;
    }
    let of = |((provider, key), objects): ((&str, &str), u64)| KeyUse {
        provider: provider.to_owned(),
        key: key.to_owned(),
        objects,
    };
    all.into_iter().map(of).collect()
}

/// `key "a" of aescbc (2), key "b" of aescbc (1)`.
fn in_words(keys: &[KeyUse]) -> String {
    let words: Vec<_> =
        keys.iter().map(|KeyUse { provider, key, objects }| format!("key {key:?} of {provider} ({objects})")).collect();
    words.join(", ")
}

/// Secrets with encryption keys that lie in the archive in clear.
fn keys_in_clear(spool: &Spool) -> io::Result<KeysInClear> {
    let mut found = KeysInClear::default();
    let is_secret = |summary: &TypeSummary| summary.name.plural == "secrets" && summary.name.group.is_empty();
    for id in spool.ids().filter(|id| is_secret(&spool.types()[spool.type_of(*id)]) && spool.seal_of(*id).is_none()) {
        let Loaded { key, object } = spool.load(id)?;
        if Object::parse(&object).is_ok_and(|object| holds_configuration(&object)) {
            found.note(key.namespace.as_deref(), &key.name);
        }
    }
    Ok(found)
}

impl KeyUse {
    fn new(seal: &Seal, objects: u64) -> Self {
        Self { provider: seal.provider.clone(), key: seal.key.clone(), objects }
    }
}

impl TypeInspection {
    fn new(summary: &TypeSummary) -> Self {
        Self {
            group: summary.name.group.clone(),
            version: summary.name.version.clone(),
            resource: summary.name.plural.clone(),
            namespaced: summary.namespaced,
            objects: summary.objects,
            bytes: summary.bytes,
            encrypted: 0,
            encryption: Vec::new(),
        }
    }

    fn title(&self) -> String {
        type_title(&self.resource, &self.group, &self.version)
    }
}

/// A type as people read it: "secrets v1", "clusters.management.cattle.io v3".
pub(crate) fn type_title(plural: &str, group: &str, version: &str) -> String {
    if group.is_empty() { format!("{plural} {version}") } else { format!("{plural}.{group} {version}") }
}

impl ResourceSetInspection {
    fn new(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let set: ResourceSet = serde_json::from_slice(bytes)?;
        Ok(Self {
            name: set.metadata.name.unwrap_or_default(),
            selectors: set.spec.resource_selectors.len(),
            controller_references: set.spec.controller_references,
        })
    }
}
