//! What an archive holds, without a cluster.

use std::io::{self, Write};

use drover::archive::{Spool, TypeSummary};
use drover::resources::{ControllerReference, ResourceSet};
use serde::Serialize;

use crate::file_name::FileName;
use crate::report::printable;

/// What `restore inspect --output json` shows. Fields are added, never changed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Inspection {
    /// The file as it was named; "-" for standard input.
    file: String,
    /// What the file name says, where it has the form of a backup's.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<FileName>,
    /// Size of the file.
    bytes: u64,
    /// SHA-256 of the file, in hex.
    sha256: String,
    /// Whether any object is encrypted. An archive with one is refused before this is written.
    encrypted: bool,
    /// How many objects there are.
    objects: u64,
    /// Bytes of all objects' JSON.
    object_bytes: u64,
    /// The types, sorted by name.
    types: Vec<TypeInspection>,
    /// The ResourceSet that selected the objects, where the archive holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_set: Option<ResourceSetInspection>,
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
}

/// The ResourceSet of an archive.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSetInspection {
    name: String,
    selectors: usize,
    controller_references: Vec<ControllerReference>,
}

impl Inspection {
    /// Sums up an archive; `file` is how the user named it.
    ///
    /// # Errors
    ///
    /// Where its ResourceSet cannot be read.
    pub(crate) fn new(file: &str, spool: &Spool) -> Result<Self, serde_json::Error> {
        let mut types: Vec<TypeInspection> = spool.types().iter().map(TypeInspection::new).collect();
        types.sort_by_key(TypeInspection::title);
        let base = std::path::Path::new(file).file_name().and_then(|name| name.to_str());
        Ok(Self {
            file: file.to_owned(),
            name: base.and_then(FileName::parse),
            bytes: spool.archive_bytes(),
            sha256: spool.sha256().to_owned(),
            encrypted: false,
            objects: types.iter().map(|summary| summary.objects).sum(),
            object_bytes: types.iter().map(|summary| summary.bytes).sum(),
            types,
            resource_set: spool.resource_set().map(ResourceSetInspection::new).transpose()?,
        })
    }

    /// Writes it as one JSON document.
    pub(crate) fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// Writes it for people.
    pub(crate) fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut field = |name: &str, value: &str| writeln!(out, "{name:<14}{}", printable(value));
        field("File", &self.file)?;
        if let Some(name) = &self.name {
            field("Backup", &name.backup)?;
            field("Cluster UID", &name.cluster_uid)?;
            field("Time", &name.time)?;
        }
        field("Size", &format!("{} bytes, {} unpacked", self.bytes, self.object_bytes))?;
        field("SHA-256", &self.sha256)?;
        field("Encrypted", if self.encrypted { "yes" } else { "no" })?;
        match &self.resource_set {
            Some(set) => field("ResourceSet", &format!("{}, {} selectors", set.name, set.selectors))?,
            None => field("ResourceSet", "none in the archive")?,
        }
        for reference in self.resource_set.iter().flat_map(|set| &set.controller_references) {
            let ControllerReference { api_version, resource, namespace, name, replicas: _ } = reference;
            field("Controller", &format!("{resource} {namespace}/{name} ({api_version})"))?;
        }
        field("Objects", &self.objects.to_string())?;
        self.table(out)
    }

    fn table(&self, out: &mut dyn Write) -> io::Result<()> {
        let titles: Vec<String> = self.types.iter().map(|summary| printable(&summary.title())).collect();
        let width = titles.iter().map(|title| title.chars().count()).max().unwrap_or_default();
        for (title, summary) in titles.iter().zip(&self.types) {
            writeln!(out, "  {title:width$}  {:>8}  {:>12} bytes", summary.objects, summary.bytes)?;
        }
        Ok(())
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
