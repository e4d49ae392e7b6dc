//! Overlays of this project's own, so that its manifests run with the images that the cluster of a testbed has.

use std::path::{Path, PathBuf};

use drover::resources::DEFAULT_NAMESPACE;
use serde_json::{Value, json};
use snafu::ResultExt;

use super::{Error, Testbed, WriteFileSnafu};

/// What the overlay `local` consists of, besides the base.
const LOCAL: [&str; 2] = ["versitygw", "local-storage"];

impl Testbed {
    /// Writes an overlay over kustomize folders of this checkout, with the images that this cluster has, and gives its
    /// folder. `more` is YAML that is appended: patches, say.
    fn overlay(&self, name: &str, base: &str, components: &[&str], more: &str) -> Result<PathBuf, Error> {
        let folder = self.folder().join("overlays").join(name);
        let images: Vec<Value> = self.image_names()?.iter().map(|(name, full)| image(name, full)).collect();
        let of = |what: &str| relative(&folder, &checkout().join("kustomize").join(what));
        let components: Vec<_> = components.iter().map(|component| of(&format!("components/{component}"))).collect();
        // The members stand one to a line, since `more` belongs to the same mapping.
        let kind = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization";
        let (resources, components, images) = (json!([of(base)]), json!(components), Value::from(images));
        let text = format!("{kind}\nresources: {resources}\ncomponents: {components}\nimages: {images}\n{more}");
        let path = folder.join("kustomization.yaml");
        std::fs::create_dir_all(&folder).context(WriteFileSnafu { path: &folder })?;
        std::fs::write(&path, text).context(WriteFileSnafu { path })?;
        Ok(folder)
    }

    /// Writes an overlay of what the overlay `local` runs and these components, which come first, and gives its folder.
    /// `more` is YAML that is appended: patches, say.
    ///
    /// # Errors
    /// When there are no images, or no room.
    pub fn running_overlay(&self, components: &[&str], more: &str) -> Result<PathBuf, Error> {
        self.overlay("running", "base", &[components, &LOCAL].concat(), more)
    }

    /// Installs drover as `kustomize/overlays/local` says, S3 server and all, with these components, and waits until it is at
    /// work. `more` is appended to the overlay of what runs.
    ///
    /// # Errors
    /// When the API server refuses something, or it is not at work within four minutes.
    pub async fn install(&self, components: &[&str], more: &str) -> Result<(), Error> {
        let foundation = self.overlay("foundation", "overlays/local/foundation", &[], "")?;
        let running = self.running_overlay(components, more)?;
        for folder in [foundation, running] {
            self.kubectl(&["apply", "-k", &folder.display().to_string()]).await?;
        }
        let status = ["--namespace", DEFAULT_NAMESPACE, "rollout", "status", "--timeout=240s"];
        for what in ["statefulset/versitygw", "statefulset/nats", "deployment/dispatch"] {
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

    #[test]
    fn the_overlay_local_has_these_components_and_no_others() {
        let path = checkout().join("kustomize/overlays/local/kustomization.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        let components: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("- ../../components/")).collect();
        assert_eq!(components, LOCAL);
    }
}
