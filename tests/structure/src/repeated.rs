use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Block, Ident, ImplItemFn, Item, ItemFn, ItemImpl, Signature, TraitItemFn};

use crate::source::{House, attributes, is_test};

/// A function with a body.
pub(crate) struct Function {
    pub(crate) name: String,
    /// `src/file.rs:12`.
    pub(crate) place: String,
    /// From its signature to its last bracket.
    pub(crate) lines: usize,
    /// Whether it stands in an `impl`.
    pub(crate) is_method: bool,
    /// Its body's words.
    pub(crate) body: Vec<String>,
}

struct Finder<'a> {
    file: &'a str,
    found: Vec<Function>,
}

impl Finder<'_> {
    fn take(&mut self, signature: &Signature, block: &Block, is_method: bool) {
        let first = signature.ident.span().start().line;
        self.found.push(Function {
            name: signature.ident.to_string(),
            place: format!("{}:{first}", self.file),
            lines: block.brace_token.span.close().end().line + 1 - first,
            is_method,
            body: words(block.to_token_stream()),
        });
    }
}

impl<'a> Visit<'a> for Finder<'_> {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, function: &'a ItemFn) {
        self.take(&function.sig, &function.block, false);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'a ImplItemFn) {
        if !is_test(&function.attrs) {
            self.take(&function.sig, &function.block, true);
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_trait_item_fn(&mut self, function: &'a TraitItemFn) {
        if let Some(block) = &function.default {
            self.take(&function.sig, block, true);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

/// Every function that is no test.
pub(crate) fn functions(house: &House) -> Vec<Function> {
    let of_file = |file: &crate::File| {
        let path = file.path.to_string_lossy();
        let mut finder = Finder { file: &path, found: Vec::new() };
        file.items.iter().for_each(|item| finder.visit_item(item));
        finder.found
    };
    house.files.iter().flat_map(of_file).collect()
}

/// Bodies of `least` words or more that stand more than once, each with its places.
pub(crate) fn bodies(functions: &[Function], least: usize) -> Vec<String> {
    let mut places: BTreeMap<&[String], Vec<String>> = BTreeMap::new();
    for function in functions.iter().filter(|function| function.body.len() >= least) {
        places.entry(&function.body).or_default().push(format!("{} {}", function.place, function.name));
    }
    places.into_values().filter(|places| places.len() > 1).map(|places| places.join(", ")).collect()
}

/// Types that bear a name more than once, each with its places.
pub(crate) fn type_names(house: &House) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in &house.files {
        for name in file.items.iter().filter_map(type_name) {
            places.entry(name.to_string()).or_default().push(file.path.display().to_string());
        }
    }
    let twice = places.into_iter().filter(|(_, places)| places.len() > 1);
    twice.map(|(name, places)| format!("{name}: {}", places.join(", "))).collect()
}

fn type_name(item: &Item) -> Option<&Ident> {
    match item {
        Item::Enum(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        _ => None,
    }
}

/// Whether an `impl` is of a trait, whose functions are used by whoever uses the trait.
pub(crate) fn is_of_trait(item: &ItemImpl) -> bool {
    item.trait_.is_some()
}

/// The words of code, those in brackets too.
pub(crate) fn words(tokens: TokenStream) -> Vec<String> {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            proc_macro2::TokenTree::Group(group) => {
                let mut inner = words(group.stream());
                inner.push(format!("{:?}", group.delimiter()));
                inner
            }
            other => vec![other.to_string()],
        })
        .collect()
}
