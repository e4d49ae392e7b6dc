//! An OCI layout in a tar archive, as containerd imports it.
//! See the image format specification of the Open Container Initiative, "image layout".

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use snafu::{ResultExt, Snafu};
use tar::{Builder, EntryType, Header};

use super::layer::{self, Blob};
use super::recipe::Recipe;

/// Why the node has not got an image.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display("failed to build the jobs of the image \"drover\""))]
    BuildJobs { source: crate::binaries::Error },
    #[snafu(display("failed to run {tool:?}: install it, and put it on the PATH"))]
    RunTool { tool: &'static str, source: std::io::Error },
    #[snafu(display(
        "failed to write the image {path:?}: make room for temporary files, or set TMPDIR to another folder"
    ))]
    WriteImage { path: PathBuf, source: std::io::Error },
    #[snafu(display("failed to find the program of the image {name:?}"))]
    FindProgram { name: &'static str },
    #[snafu(display("failed to import the image {name:?}: {output}"))]
    Import { name: &'static str, output: String },
}

/// Writes an image to a file.
pub(super) fn write(recipe: &Recipe, path: &Path) -> std::io::Result<()> {
    let layer_path = path.with_extension("layer");
    let layer = layer::write(recipe, &layer_path)?;
    let configuration = configuration(recipe, &layer).to_string();
    let manifest = manifest(&Blob::of(configuration.as_bytes()), &layer).to_string();
    let index = index(recipe, &Blob::of(manifest.as_bytes())).to_string();
    let mut archive = Builder::new(File::create(path)?);
    let blob = |content: &str| format!("blobs/sha256/{}", Blob::of(content.as_bytes()).digest);
    append_text(&mut archive, "oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    append_text(&mut archive, "index.json", &index)?;
    append_text(&mut archive, &blob(&manifest), &manifest)?;
    append_text(&mut archive, &blob(&configuration), &configuration)?;
    let layer_blob = format!("blobs/sha256/{}", layer.digest);
    append(&mut archive, &layer_blob, layer.bytes, File::open(&layer_path)?)?;
    archive.into_inner()?;
    std::fs::remove_file(layer_path)
}

fn configuration(recipe: &Recipe, layer: &Blob) -> Value {
    json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "User": recipe.user,
            "Entrypoint": recipe.entrypoint,
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/", "HOME=/tmp"],
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", layer.digest)]},
    })
}

fn manifest(configuration: &Blob, layer: &Blob) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", configuration),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    })
}

fn index(recipe: &Recipe, manifest: &Blob) -> Value {
    let mut descriptor = descriptor("application/vnd.oci.image.manifest.v1+json", manifest);
    descriptor["platform"] = json!({"architecture": architecture(), "os": "linux"});
    // containerd's own annotation for the whole name; the one of the specification has only the tag.
    descriptor["annotations"] = json!({"io.containerd.image.name": recipe.reference});
    json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [descriptor]})
}

fn descriptor(kind: &str, blob: &Blob) -> Value {
    json!({"mediaType": kind, "digest": format!("sha256:{}", blob.digest), "size": blob.bytes})
}

/// The machine's architecture, as Go and so the specification calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn append_text(archive: &mut Builder<File>, path: &str, text: &str) -> std::io::Result<()> {
    append(archive, path, text.len() as u64, text.as_bytes())
}

fn append(archive: &mut Builder<File>, path: &str, bytes: u64, content: impl Read) -> std::io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(bytes);
    archive.append_data(&mut header, path, content)
}

/// Writes an image without holding up other tasks.
pub(super) async fn write_aside(recipe: Recipe, path: PathBuf) -> Result<(), Error> {
    let target = path.clone();
    let written = tokio::task::spawn_blocking(move || write(&recipe, &target)).await;
    written.map_err(std::io::Error::other).and_then(|written| written).context(WriteImageSnafu { path })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tar::Archive;

    use super::*;
    use crate::images::Image;

    /// The files of an archive, by path.
    fn read(path: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in Archive::new(File::open(path).unwrap()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(entry.path().unwrap().display().to_string(), content);
        }
        files
    }

    fn blob<'files>(files: &'files BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'files [u8] {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let content = &files[&format!("blobs/sha256/{digest}")];
        assert_eq!(Blob::of(content).digest, digest);
        assert_eq!(descriptor["size"], content.len());
        content
    }

    #[test]
    fn each_blob_is_the_one_that_the_one_above_names() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, "content").unwrap();
        let (first, second) = (folder.path().join("first.tar"), folder.path().join("second.tar"));
        for path in [&first, &second] {
            write(&Recipe::program(Image::Nats, &program, &["argument"]), path).unwrap();
        }
        assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());

        let files = read(&first);
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let named = &index["manifests"][0];
        assert_eq!(named["annotations"]["io.containerd.image.name"], Image::Nats.reference());
        let manifest: Value = serde_json::from_slice(blob(&files, named)).unwrap();
        let configuration: Value = serde_json::from_slice(blob(&files, &manifest["config"])).unwrap();
        assert_eq!(configuration["config"]["Entrypoint"], json!(["/program", "argument"]));
        assert_eq!(configuration["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);

        let layer = folder.path().join("layer");
        std::fs::write(&layer, blob(&files, &manifest["layers"][0])).unwrap();
        let layer = read(&layer);
        assert_eq!(layer.keys().collect::<Vec<_>>(), ["program", "tmp", "usr", "usr/bin", "usr/bin/program"]);
        assert_eq!(layer["program"], b"content");
    }
}
