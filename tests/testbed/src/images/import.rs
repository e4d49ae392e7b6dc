//! From programs to images that the node has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use snafu::{OptionExt, ResultExt, ensure};
use tokio::process::Command;

use super::layout::{BuildJobsSnafu, Error, FindProgramSnafu, ImportSnafu, RunToolSnafu, WriteImageSnafu};
use super::recipe::{JOBS, Recipe};
use super::{Image, layout, libraries};
use crate::binaries::{self, Binaries};
use crate::programs::Program;

/// What the images are made of.
pub(crate) struct Images {
    programs: BTreeMap<Program, PathBuf>,
    jobs: Binaries,
}

impl Images {
    /// Builds the jobs where the image of drover is wanted; the programs are there.
    pub(crate) async fn prepare(images: &[Image], programs: &BTreeMap<Program, PathBuf>) -> Result<Self, Error> {
        let jobs = if images.contains(&Image::Drover) {
            let built = binaries::build().await.context(BuildJobsSnafu)?.clone();
            built.into_iter().filter(|(name, _)| JOBS.contains(&name.as_str())).collect()
        } else {
            Binaries::new()
        };
        Ok(Self { programs: programs.clone(), jobs })
    }

    async fn recipe(&self, image: Image, folder: &Path) -> Result<Recipe, Error> {
        match image {
            Image::Pause => pause().await,
            Image::Drover => self.drover(folder).await,
            _ => {
                let program = image.program().and_then(|program| self.programs.get(&program));
                let program = program.context(FindProgramSnafu { name: image.name() })?;
                Ok(Recipe::program(image, program, &[]).with(libraries::of([program.as_path()]).await?))
            }
        }
    }

    async fn drover(&self, folder: &Path) -> Result<Recipe, Error> {
        let libraries = libraries::of(self.jobs.values().map(PathBuf::as_path)).await?;
        let mut jobs = BTreeMap::new();
        for (name, path) in &self.jobs {
            jobs.insert(name.clone(), without_symbols(path, folder.join(name)).await);
        }
        Ok(Recipe::jobs(&jobs).with(libraries))
    }
}

/// The pause image holds a process that does nothing, which every machine has.
async fn pause() -> Result<Recipe, Error> {
    let sleep = ["/usr/bin/sleep", "/bin/sleep"].map(Path::new).into_iter().find(|path| path.exists());
    let sleep = sleep.context(FindProgramSnafu { name: Image::Pause.name() })?;
    let libraries = libraries::of([sleep]).await?;
    Ok(Recipe::program(Image::Pause, sleep, &["infinity"]).with(libraries))
}

/// A copy of a program without symbols, which is a third of it, or the program itself where there is no tool for that.
async fn without_symbols(program: &Path, copy: PathBuf) -> PathBuf {
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&copy).arg(program).stdin(Stdio::null()).stderr(Stdio::null());
    let stripped = strip.kill_on_drop(true).status().await;
    if stripped.is_ok_and(|status| status.success()) { copy } else { program.to_owned() }
}

/// Gives the containerd behind a socket an image; `folder` is for temporary files.
pub(crate) async fn import(images: &Images, image: Image, socket: &Path, folder: &Path) -> Result<(), Error> {
    let folder = folder.join(format!("image-{}", image.name().replace('/', "-")));
    std::fs::create_dir_all(&folder).context(WriteImageSnafu { path: &folder })?;
    let archive = folder.join("image.tar");
    layout::write_aside(images.recipe(image, &folder).await?, archive.clone()).await?;
    let mut ctr = Command::new("ctr");
    ctr.arg("--address").arg(socket).args(["--namespace", "k8s.io", "images", "import"]).arg(&archive);
    let output = ctr.stdin(Stdio::null()).kill_on_drop(true).output().await.context(RunToolSnafu { tool: "ctr" })?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), ImportSnafu { name: image.name(), output: said.trim() });
    std::fs::remove_dir_all(&folder).context(WriteImageSnafu { path: folder })
}
