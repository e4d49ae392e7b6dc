use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use snafu::{OptionExt, ResultExt, Snafu};
use syn::{Attribute, Item, ItemMod};

/// Why the code could not be read.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display("failed to start \"cargo metadata\""))]
    StartCargo { source: std::io::Error },
    #[snafu(display("failed to ask cargo for the workspace's crates: {said}"))]
    AskCargo { said: String },
    #[snafu(display("failed to read the answer of \"cargo metadata\""))]
    ReadAnswer { source: serde_json::Error },
    #[snafu(display("failed to read {path:?}"))]
    ReadFile { path: PathBuf, source: std::io::Error },
    #[snafu(display("failed to parse {path:?}: {source}"))]
    ParseFile { path: PathBuf, source: syn::Error },
    #[snafu(display("failed to find the file of module {name:?} of {parent:?}"))]
    FindModule { name: String, parent: PathBuf },
}

/// A file without its tests.
pub struct File {
    /// Where it lies, seen from the workspace's root.
    pub path: PathBuf,
    /// Its module's path, the crate's name first.
    pub module: Vec<String>,
    /// All its lines.
    pub lines: usize,
    /// What it defines, in-line modules too.
    pub items: Vec<Item>,
}

/// All files of the product's crates.
#[derive(Default)]
pub struct House {
    /// In the order of their modules.
    pub files: Vec<File>,
    /// Which file a module lies in.
    pub(crate) by_module: BTreeMap<Vec<String>, usize>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
    src_path: PathBuf,
}

impl House {
    /// Reads the workspace in which `folder` lies.
    ///
    /// # Errors
    /// When cargo does not know it, or a file cannot be read or parsed.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let Metadata { packages, workspace_root } = ask_cargo(folder)?;
        let mut house = Self::default();
        for target in packages.into_iter().flat_map(|package| package.targets) {
            let is_product = !target.src_path.starts_with(workspace_root.join("tests"));
            if is_product && target.kind.iter().any(|kind| kind == "lib") {
                let children = target.src_path.parent().unwrap_or(&workspace_root).to_owned();
                let name = target.name.replace('-', "_");
                house.read_file(&workspace_root, &target.src_path, &children, &[name])?;
            }
        }
        Ok(house)
    }

    /// Reads a file and the files of its modules, which lie in `children`.
    fn read_file(&mut self, root: &Path, path: &Path, children: &Path, module: &[String]) -> Result<(), Error> {
        let text = std::fs::read_to_string(path).context(ReadFileSnafu { path })?;
        let parsed = syn::parse_file(&text).context(ParseFileSnafu { path })?;
        let items: Vec<Item> = parsed.items.into_iter().filter(|item| !is_test(attributes(item))).collect();
        self.by_module.insert(module.to_vec(), self.files.len());
        let inner: Vec<String> = items.iter().filter_map(module_elsewhere).map(|m| m.ident.to_string()).collect();
        let relative = path.strip_prefix(root).unwrap_or(path).to_owned();
        self.files.push(File { path: relative, module: module.to_vec(), lines: text.lines().count(), items });
        for name in inner {
            let flat = children.join(format!("{name}.rs"));
            let deep = children.join(&name).join("mod.rs");
            let file = [flat, deep].into_iter().find(|file| file.is_file());
            let file = file.context(FindModuleSnafu { name: &name, parent: path })?;
            let module = [module, std::slice::from_ref(&name)].concat();
            self.read_file(root, &file, &children.join(&name), &module)?;
        }
        Ok(())
    }
}

fn ask_cargo(folder: &Path) -> Result<Metadata, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let answer = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(folder)
        .output()
        .context(StartCargoSnafu)?;
    if !answer.status.success() {
        return AskCargoSnafu { said: String::from_utf8_lossy(&answer.stderr).trim() }.fail();
    }
    serde_json::from_slice(&answer.stdout).context(ReadAnswerSnafu)
}

/// A module whose text lies in a file of its own.
fn module_elsewhere(item: &Item) -> Option<&ItemMod> {
    match item {
        Item::Mod(module) if module.content.is_none() => Some(module),
        _ => None,
    }
}

/// Whether this is compiled for tests alone.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let words = || quote::ToTokens::to_token_stream(&attribute.meta).to_string();
        path.is_ident("test") || (path.is_ident("cfg") && words().contains("(test"))
    })
}

/// What stands above an item.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
