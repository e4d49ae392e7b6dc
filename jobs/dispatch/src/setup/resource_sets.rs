//! The ResourceSets that come with drover: created where they are missing, and their users' from then on.

mod added;

use std::path::{Path, PathBuf};

use drover::annotations::ADDED_TO_ANNOTATION;
use drover::cluster::{self, ApiError};
use drover::exit::{Exit, Failure, Fault};
use drover::resources::ResourceSet;
use kube::api::PostParams;
use kube::{Api, Resource, ResourceExt};
use snafu::{ResultExt, Snafu, ensure};

/// Creates the ResourceSets of a folder that the cluster does not have.
pub(super) async fn create_missing(folder: &Path) -> Result<(), Failure> {
    let wanted = added::whole(read_folder(folder)?)?;
    let sets: Api<ResourceSet> = Api::all(cluster::connect().await?);
    for set in &wanted {
        create(&sets, set).await?;
    }
    Ok(())
}

async fn create(sets: &Api<ResourceSet>, set: &ResourceSet) -> Result<(), Error> {
    let name = set.name_any();
    match sets.get_opt(&name).await.map_err(ApiError::from) {
        Ok(None) => {}
        Ok(Some(_)) => return Ok(()),
        // The answer of a server that knows nothing of the whole group.
        Err(error) if error.code() == Some(404) => return MissingDefinitionSnafu { name }.fail(),
        Err(source) => return Err(Error::Ask { verb: "look for", name, source }),
    }
    match sets.create(&PostParams::default(), set).await.map_err(ApiError::from) {
        Ok(_) => tracing::info!(name, "ResourceSet created"),
        // Somebody was quicker, and what is there stays.
        Err(error) if error.code() == Some(409) => {}
        Err(error) if error.code() == Some(404) => return MissingDefinitionSnafu { name }.fail(),
        Err(source) => return Err(Error::Ask { verb: "create", name, source }),
    }
    Ok(())
}

/// The ResourceSets of the YAML files that lie in a folder itself, in the order of their names. What a mounted ConfigMap
/// has beside its files begins with a dot.
fn read_folder(folder: &Path) -> Result<Vec<ResourceSet>, Error> {
    let entries = std::fs::read_dir(folder).context(ReadFileSnafu { path: folder })?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut paths = paths.context(ReadFileSnafu { path: folder })?;
    paths.retain(|path| is_yaml(path));
    paths.sort();
    paths.iter().map(|path| read_file(path)).collect()
}

fn is_yaml(path: &Path) -> bool {
    let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn read_file(path: &Path) -> Result<ResourceSet, Error> {
    let text = std::fs::read_to_string(path).context(ReadFileSnafu { path })?;
    let kind: kube::core::TypeMeta = serde_saphyr::from_str(&text).map_err(Box::new).context(ParseSnafu { path })?;
    let expected = (ResourceSet::kind(&()), ResourceSet::api_version(&()));
    ensure!(
        (kind.kind.as_str(), kind.api_version.as_str()) == (&*expected.0, &*expected.1),
        OtherKindSnafu { path, kind: kind.kind, api_version: kind.api_version }
    );
    serde_saphyr::from_str(&text).map_err(Box::new).context(ParseSnafu { path })
}

/// Why a ResourceSet was not created.
#[derive(Debug, Snafu)]
enum Error {
    #[snafu(display("failed to read {path:?}; see --resource-sets"))]
    ReadFile { path: PathBuf, source: std::io::Error },
    #[snafu(display("failed to read a ResourceSet of resources.cattle.io/v1 in the file {path:?}"))]
    Parse { path: PathBuf, source: Box<serde_saphyr::Error> },
    #[snafu(display("failed to find a ResourceSet in the file {path:?}: it holds a {kind:?} of {api_version:?}"))]
    OtherKind { path: PathBuf, kind: String, api_version: String },
    #[snafu(display(
        "failed to add the selectors of {part:?} to the ResourceSet {name:?}: no file of the folder has it; take the name \
         out of the annotation {ADDED_TO_ANNOTATION}, or add the file"
    ))]
    NoSuchSet { part: String, name: String },
    #[snafu(display("failed to {verb} the ResourceSet {name:?}"))]
    Ask { verb: &'static str, name: String, source: ApiError },
    #[snafu(display(
        "failed to create the ResourceSet {name:?}: the cluster has no such type yet; apply drover's definitions \
         (manifests/crds), and the next run creates it"
    ))]
    MissingDefinition { name: String },
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::MissingDefinition { .. } => Exit::Unavailable,
            Self::Ask { source, .. } => source.exit(),
            Self::ReadFile { .. } | Self::Parse { .. } | Self::OtherKind { .. } | Self::NoSuchSet { .. } => Exit::Usage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_of_a_mounted_folder_are_read_once_and_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let set = |name: &str| {
            format!(
                "apiVersion: resources.cattle.io/v1\nkind: ResourceSet\nmetadata: {{name: {name}}}\nresourceSelectors: []\n"
            )
        };
        // As kubelet lays a ConfigMap out.
        std::fs::create_dir(folder.path().join("..2026")).expect("made");
        std::os::unix::fs::symlink("..2026", folder.path().join("..data")).expect("made");
        for name in ["b.yaml", "a.yml"] {
            std::fs::write(folder.path().join("..2026").join(name), set(&name[..1])).expect("written");
            std::os::unix::fs::symlink(format!("..data/{name}"), folder.path().join(name)).expect("made");
        }
        std::fs::write(folder.path().join("readme.md"), "no set").expect("written");
        let names: Vec<String> = read_folder(folder.path()).expect("read").iter().map(ResourceExt::name_any).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn another_kind_is_refused_by_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.yaml"), "apiVersion: v1\nkind: Secret\n").expect("written");
        let error = read_folder(folder.path()).expect_err("refused");
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().contains("\"Secret\" of \"v1\""), "{error}");
    }
}
