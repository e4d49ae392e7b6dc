//! Overlays of this project's own, so that its manifests run with the images that the cluster of a testbed has.

use std::path::{Path, PathBuf};

use drover::resources::DEFAULT_NAMESPACE;
use serde_json::{Value, json};
use snafu::ResultExt;

use super::{Error, Testbed, WriteFileSnafu};

impl Testbed {
    /// Writes an overlay over a kustomize folder of this checkout, with the images that this cluster has, and gives its
    /// folder. `more` is YAML that is appended: patches, say.
    ///
    /// # Errors
    /// When there are no such images, or no room.
    pub fn overlay(&self, name: &str, of: &str, more: &str) -> Result<PathBuf, Error> {
        let folder = self.folder().join("overlays").join(name);
        let images: Vec<Value> = self.image_names()?.iter().map(|(name, full)| image(name, full)).collect();
        // The members stand one to a line, since `more` belongs to the same mapping.
        let (resources, images) = (json!([relative(&folder, &checkout().join(of))]), Value::from(images));
        let kind = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization";
        let text = format!("{kind}\nresources: {resources}\nimages: {images}\n{more}");
        let path = folder.join("kustomization.yaml");
        std::fs::create_dir_all(&folder).context(WriteFileSnafu { path: &folder })?;
        std::fs::write(&path, text).context(WriteFileSnafu { path })?;
        Ok(folder)
    }

    /// Installs drover as `kustomize/overlays/local` says, MinIO and all, and waits until it is at work. `more` is
    /// appended to the overlay of what runs.
    ///
    /// # Errors
    /// When the API server refuses something, or it is not at work within four minutes.
    pub async fn install(&self, more: &str) -> Result<(), Error> {
        let foundation = self.overlay("foundation", "kustomize/overlays/local/foundation", "")?;
        let running = self.overlay("running", "kustomize/overlays/local", more)?;
        for folder in [foundation, running] {
            self.kubectl(&["apply", "-k", &folder.display().to_string()]).await?;
        }
        let status = ["--namespace", DEFAULT_NAMESPACE, "rollout", "status", "--timeout=240s"];
        for what in ["statefulset/minio", "statefulset/nats", "deployment/dispatch"] {
            self.kubectl(&[&status[..], &[what]].concat()).await?;
        }
        let sets = ["resourcesets.resources.cattle.io", "rancher-resource-set"];
        self.kubectl(&[&["wait", "--for=create", "--timeout=240s"][..], &sets].concat()).await?;
        Ok(())
    }
}

/// The folder of this project.
fn checkout() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

fn image(name: &str, full: &str) -> Value {
    let (new_name, tag) = full.rsplit_once(':').unwrap_or((full, "latest"));
    json!({"name": name, "newName": new_name, "newTag": tag})
}

/// A path as kustomize wants it, which takes no absolute one.
fn relative(from: &Path, to: &Path) -> String {
    let up: PathBuf = from.components().skip(1).map(|_| "..").collect();
    up.join(to.strip_prefix("/").unwrap_or(to)).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kustomize_gets_relative_paths_and_images_in_parts() {
        assert_eq!(relative(Path::new("/tmp/a"), Path::new("/src/b")), "../../src/b");
        let expected = json!({"name": "drover", "newName": "host:5000/drover", "newTag": "1"});
        assert_eq!(image("drover", "host:5000/drover:1"), expected);
        assert!(checkout().join("kustomize").is_dir());
    }
}
