//! The programs that were built, kept in the user's cache folder.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use snafu::{OptionExt, ResultExt};

use super::set::Set;
use super::{ChooseCacheSnafu, Error, LockCacheSnafu, PrepareCacheSnafu, Program, build};
use crate::progress::Progress;

/// The folder where drover keeps what it can make again: `DROVER_CACHE`, or `drover` in the user's cache folder.
///
/// # Errors
/// When no variable of the environment tells a folder.
pub fn cache_folder(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Error> {
    let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder("DROVER_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("drover")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/drover")))
        .context(ChooseCacheSnafu)
}

pub(super) fn root() -> Result<PathBuf, Error> {
    Ok(cache_folder(|name| std::env::var_os(name))?.join("programs"))
}

/// Tells where programs are in the cache, and builds those that are not there.
pub(super) async fn fill(programs: &[Program]) -> Result<BTreeMap<Program, PathBuf>, Error> {
    let root = root()?;
    let places: BTreeMap<_, _> = programs.iter().map(|program| (*program, place(&root, *program))).collect();
    if missing(&places).is_empty() {
        return Ok(places);
    }
    let names: Vec<_> = missing(&places).into_iter().map(Program::name).collect();
    let go = build::find_go(&std::env::var_os("PATH").unwrap_or_default(), &names.join(", "))?;
    let _lock = lock().await?;
    for program in missing(&places) {
        let folder = prepare(&root, program.set())?;
        build::build(&go, &folder, program, &places[&program]).await?;
    }
    Ok(places)
}

fn place(root: &Path, program: Program) -> PathBuf {
    root.join(program.set().folder_name()).join("bin").join(program.name())
}

fn missing(places: &BTreeMap<Program, PathBuf>) -> Vec<Program> {
    Program::ALL.into_iter().filter(|program| places.get(program).is_some_and(|path| !path.exists())).collect()
}

/// Writes the module that programs are built in, and removes what a killed build left there.
pub(super) fn prepare(root: &Path, set: &Set) -> Result<PathBuf, Error> {
    let folder = root.join(set.folder_name());
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).context(PrepareCacheSnafu { path: &bin })?;
    for (name, text) in set.files() {
        let path = folder.join(name);
        std::fs::write(&path, text).context(PrepareCacheSnafu { path })?;
    }
    remove_unfinished(&bin).context(PrepareCacheSnafu { path: &bin })?;
    Ok(folder)
}

fn remove_unfinished(bin: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(bin)? {
        let path = entry?.path();
        if path.to_string_lossy().contains(".building") || path.extension().is_some_and(|extension| extension == "log")
        {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Takes the lock of the cache, waiting for another process that builds. It is given up when the file is dropped.
pub(crate) async fn lock() -> Result<File, Error> {
    let root = root()?;
    let path = root.join("lock");
    std::fs::create_dir_all(&root).context(PrepareCacheSnafu { path: &root })?;
    let file = File::create(&path).context(PrepareCacheSnafu { path: &path })?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        return Ok(file);
    }
    let progress = Progress::start("waiting for another process that builds the programs".to_owned());
    let waiting = tokio::task::spawn_blocking(move || flock(&file, FlockOperation::LockExclusive).map(|()| file));
    let locked = progress.watch(waiting).await.map_err(std::io::Error::other).and_then(|lock| Ok(lock?));
    progress.finish("the other process has built them");
    locked.context(LockCacheSnafu { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        cache_folder(lookup).ok()
    }

    #[test]
    fn the_cache_folder_is_the_first_that_is_told() {
        let all = [("DROVER_CACHE", "/a"), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")];
        assert_eq!(chosen(&all), Some("/a".into()));
        assert_eq!(chosen(&all[1..]), Some("/b/drover".into()));
        assert_eq!(chosen(&all[2..]), Some("/c/.cache/drover".into()));
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn what_a_killed_build_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["etcd", "etcd.7.building", "etcd.7.log"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        remove_unfinished(folder.path()).unwrap();
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["etcd"]);
    }
}
