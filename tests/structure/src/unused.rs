use std::collections::BTreeMap;

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{ImplItem, Item, Visibility};

use crate::names::defined_name;
use crate::repeated::{is_of_trait, words};
use crate::source::{House, attributes, is_test};

/// Items that others may use and nobody names, in code that is no test: `file name`.
///
/// By names alone: one that another item also bears passes for used.
pub(crate) fn items(house: &House) -> Vec<String> {
    let named = count_words(house);
    let mut unused = Vec::new();
    for file in &house.files {
        let mut open: Vec<String> =
            file.items.iter().filter(|item| is_open(item) && !is_derived_from(item)).filter_map(defined_name).collect();
        open.extend(file.items.iter().flat_map(open_methods));
        let nobody = open.into_iter().filter(|name| named.get(name).is_none_or(|count| *count < 2));
        unused.extend(nobody.map(|name| format!("{} {name}", file.path.display())));
    }
    unused
}

/// How often each word stands in code; that it is imported or handed on is no use of it.
fn count_words(house: &House) -> BTreeMap<String, usize> {
    #[derive(Default)]
    struct Counter(BTreeMap<String, usize>);
    impl Counter {
        fn count(&mut self, tokens: proc_macro2::TokenStream) {
            for word in words(tokens) {
                for name in in_braces(&word) {
                    *self.0.entry(name).or_default() += 1;
                }
                *self.0.entry(word).or_default() += 1;
            }
        }
    }
    impl<'a> Visit<'a> for Counter {
        fn visit_item(&mut self, item: &'a Item) {
            match item {
                item if is_test(attributes(item)) => {}
                // What is imported under another name is used by that one.
                Item::Use(item) => {
                    let words = words(item.to_token_stream());
                    for renamed in words.windows(2).filter(|pair| pair[1] == "as") {
                        *self.0.entry(renamed[0].clone()).or_default() += 1;
                    }
                }
                Item::Impl(_) => visit::visit_item(self, item),
                item => self.count(item.to_token_stream()),
            }
        }
        fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
            self.count(item.self_ty.to_token_stream());
            if let Some((_, path, _)) = &item.trait_ {
                self.count(path.to_token_stream());
            }
            for member in &item.items {
                match member {
                    ImplItem::Fn(function) if is_test(&function.attrs) => {}
                    member => self.count(member.to_token_stream()),
                }
            }
        }
    }
    let mut counter = Counter::default();
    house.files.iter().flat_map(|file| &file.items).for_each(|item| counter.visit_item(item));
    counter.0
}

/// The names that a text has in braces, as formats take them.
fn in_braces(word: &str) -> impl Iterator<Item = String> {
    let texts = word.starts_with('"').then(|| word.split('{').skip(1)).into_iter().flatten();
    texts.map(|text| text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect())
}

/// Whether code is made of an item by a macro, under other names.
fn is_derived_from(item: &Item) -> bool {
    attributes(item).iter().any(|attribute| attribute.path().is_ident("kube"))
}

fn is_open(item: &Item) -> bool {
    let visibility = match item {
        Item::Const(item) => &item.vis,
        Item::Enum(item) => &item.vis,
        Item::Fn(item) => &item.vis,
        Item::Static(item) => &item.vis,
        Item::Struct(item) => &item.vis,
        Item::Trait(item) => &item.vis,
        Item::Type(item) => &item.vis,
        _ => return false,
    };
    !matches!(visibility, Visibility::Inherited)
}

fn open_methods(item: &Item) -> Vec<String> {
    let Item::Impl(item) = item else { return Vec::new() };
    if is_of_trait(item) {
        return Vec::new();
    }
    let open = item.items.iter().filter_map(|member| match member {
        ImplItem::Fn(function) if !is_test(&function.attrs) => Some((&function.vis, &function.sig.ident)),
        ImplItem::Const(constant) => Some((&constant.vis, &constant.ident)),
        _ => None,
    });
    open.filter(|(visibility, _)| !matches!(visibility, Visibility::Inherited))
        .map(|(_, name)| name.to_string())
        .collect()
}
