//! What is in an image, and how it is run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Image;

/// The jobs of drover.
pub(super) const JOBS: [&str; 6] = ["snapshot", "upload", "retention-prune", "restore", "heartbeat", "dispatch"];
/// A user that is nobody on any machine, as images without a shell have it.
const USER: &str = "65532:65532";
/// The authorities that the machine trusts, where Debian and many others keep them.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What becomes an image.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) reference: String,
    /// The files of the machine, by their place in the image.
    pub(super) files: BTreeMap<String, PathBuf>,
    /// Further names of files, by the name.
    pub(super) links: BTreeMap<String, String>,
    pub(super) entrypoint: Vec<String>,
    pub(super) user: &'static str,
}

impl Recipe {
    /// An image of one program, which is at the root and on the search path too.
    pub(super) fn program(image: Image, program: &Path, arguments: &[&str]) -> Self {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let file = format!("/{name}");
        let entrypoint = std::iter::once(file.as_str()).chain(arguments.iter().copied());
        Self {
            reference: image.reference(),
            entrypoint: entrypoint.map(str::to_owned).collect(),
            links: BTreeMap::from([(format!("/usr/bin/{name}"), file.clone())]),
            files: BTreeMap::from([(file, program.to_owned())]),
            user: USER,
        }
    }

    /// The image of the jobs, which a manifest chooses one of. What they link with comes along.
    pub(super) fn jobs(jobs: &BTreeMap<String, PathBuf>) -> Self {
        let jobs = JOBS.iter().filter_map(|name| jobs.get(*name).map(|path| (format!("/{name}"), path.clone())));
        let authorities = Path::new(AUTHORITIES).exists().then(|| (AUTHORITIES.to_owned(), AUTHORITIES.into()));
        Self {
            reference: Image::Drover.reference(),
            files: jobs.chain(authorities).collect(),
            links: BTreeMap::new(),
            entrypoint: Vec::new(),
            user: USER,
        }
    }

    /// With the libraries that its programs link with.
    pub(super) fn with(mut self, libraries: impl IntoIterator<Item = PathBuf>) -> Self {
        self.files.extend(libraries.into_iter().map(|library| (library.display().to_string(), library)));
        self
    }
}
