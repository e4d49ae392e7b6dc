//! The ResourceSets that come with drover: created where they are missing, and their users' from then on.

mod added;
mod error;

use std::path::Path;

use drover::cluster::{self, ApiError};
use drover::exit::Failure;
use drover::resources::ResourceSet;
use kube::api::PostParams;
use kube::{Api, Resource, ResourceExt};
use snafu::{ResultExt, ensure};

use error::{Error, MissingDefinitionSnafu, OtherKindSnafu, ParseSnafu, ReadFileSnafu};

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

#[cfg(test)]
mod tests {
    use drover::exit::{Exit, Fault};

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
