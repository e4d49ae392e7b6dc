use std::collections::BTreeSet;

use syn::Item;

use crate::imports::Imports;
use crate::source::House;

/// How far a name is followed from one re-export to the next.
const MAX_STEPS: usize = 8;

/// Every file's imports and definitions, to find where a name is defined.
pub(crate) struct Names<'a> {
    house: &'a House,
    imports: Vec<Imports>,
    defined: Vec<BTreeSet<String>>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(house: &'a House) -> Self {
        let imports = house.files.iter().map(|file| Imports::of(&file.items)).collect();
        let defined = house.files.iter().map(|file| file.items.iter().filter_map(defined_name).collect()).collect();
        Self { house, imports, defined }
    }

    /// The files that a file's names and paths lead to, itself left out.
    pub(crate) fn used_by(&self, file: usize) -> BTreeSet<usize> {
        let imports = &self.imports[file];
        let named = imports.names.values().filter(|path| !self.is_module(file, path));
        let paths = named.chain(&imports.globs).chain(&imports.paths);
        paths.filter_map(|path| self.find(file, path, 0)).filter(|found| *found != file).collect()
    }

    fn is_module(&self, file: usize, path: &[String]) -> bool {
        self.absolute(file, path).is_some_and(|path| self.house.by_module.contains_key(&path))
    }

    /// The path from the crate's root on, where it is of the file's own crate: crates cannot import each other in a circle.
    fn absolute(&self, file: usize, path: &[String]) -> Option<Vec<String>> {
        let module = &self.house.files[file].module;
        let (first, rest) = path.split_first()?;
        let (mut start, mut rest) = match first.as_str() {
            "crate" => (module[..1].to_vec(), rest),
            "self" => (module.clone(), rest),
            "super" => (module.split_last()?.1.to_vec(), rest),
            _ if self.house.by_module.contains_key(&child(module, first)) => (module.clone(), path),
            _ => return None,
        };
        while let Some((_, after)) = rest.split_first().filter(|(word, _)| *word == "super") {
            start.pop();
            rest = after;
        }
        start.extend_from_slice(rest);
        Some(start)
    }

    /// The file that defines what the path names.
    fn find(&self, file: usize, path: &[String], steps: usize) -> Option<usize> {
        if steps > MAX_STEPS {
            return None;
        }
        if let Some(path) = self.absolute(file, path) {
            return self.find_absolute(&path, steps);
        }
        let (first, rest) = path.split_first()?;
        if self.defined[file].contains(first) {
            return Some(file);
        }
        let meant = self.imports[file].names.get(first)?;
        // A name that stands for itself is of another crate.
        let path = [meant.as_slice(), rest].concat();
        if path == *meant && rest.is_empty() && meant.len() == 1 { None } else { self.find(file, &path, steps + 1) }
    }

    fn find_absolute(&self, path: &[String], steps: usize) -> Option<usize> {
        let known = (1..=path.len()).rev().find(|length| self.house.by_module.contains_key(&path[..*length]))?;
        let file = *self.house.by_module.get(&path[..known])?;
        let Some(name) = path.get(known) else { return Some(file) };
        if self.defined[file].contains(name) {
            return Some(file);
        }
        let imports = &self.imports[file];
        if let Some(meant) = imports.names.get(name) {
            let onwards = [meant.as_slice(), &path[known + 1..]].concat();
            return self.find(file, &onwards, steps + 1).or(Some(file));
        }
        let through = imports.globs.iter().filter_map(|glob| {
            let module = self.absolute(file, glob).and_then(|path| self.house.by_module.get(&path).copied())?;
            self.defined[module].contains(name).then_some(module)
        });
        // What a macro made, as snafu makes selectors, has no definition that could be read.
        through.into_iter().next().or(Some(file))
    }
}

fn child(module: &[String], name: &str) -> Vec<String> {
    let mut path = module.to_vec();
    path.push(name.to_owned());
    path
}

/// The name of what an item defines.
pub(crate) fn defined_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
