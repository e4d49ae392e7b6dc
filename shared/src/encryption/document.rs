//! A YAML document as a tree whose texts are overwritten when it is dropped.
//!
//! serde's own errors quote the value that they did not expect, which may be a key. So the document is read into a tree
//! without asking for types, and walked by code that says where something is wrong and never what stands there.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

use super::error::{
    ConfigurationError, DoubledFieldSnafu, OtherTypeSnafu, TooLargeSnafu, UnknownFieldSnafu, YamlSnafu,
};

/// Largest document: what a Secret can hold.
pub(super) const DOCUMENT_BYTES: usize = 1 << 20;

/// Most nodes of a document, aliases followed. A rule for each type of a cluster with every operator takes a tenth.
const NODES: usize = 10_000;

/// A configuration is 8 levels deep.
const DEPTH: usize = 16;

/// Field names up to this length are shown: shorter than the base64 of any key.
const SHOWN_FIELD: usize = 20;

/// A node.
pub(super) enum Node {
    Nothing,
    Text(Zeroizing<String>),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
    /// A number or a boolean, which no field of a configuration is.
    Other,
}

/// The members of a map, each to be taken once.
pub(super) struct Fields {
    place: String,
    members: Vec<(String, Node)>,
}

/// The first document of a text.
pub(super) struct Document {
    pub(super) root: Node,
    /// Whether more follows it, which counts for nothing.
    pub(super) has_others: bool,
}

/// Reads the first document, as an API server does: JSON where it begins with a brace, and YAML. In flow style YAML may
/// begin so, too.
pub(super) fn parse(text: &str) -> Result<Document, ConfigurationError> {
    if text.len() > DOCUMENT_BYTES {
        return TooLargeSnafu { limit: DOCUMENT_BYTES }.fail();
    }
    let text = text.trim_start_matches('\u{feff}');
    let json = text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten();
    match json {
        Some(root) => Ok(Document { root, has_others: false }),
        None => parse_yaml(text),
    }
}

fn parse_yaml(text: &str) -> Result<Document, ConfigurationError> {
    let options = serde_saphyr::options! {
        // As an API server reads them, `y` and `n` are no booleans.
        strict_booleans: true,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_nodes: NODES, max_events: 3 * NODES, max_depth: DEPTH, max_anchors: 100 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 3 * NODES, max_replay_stack_depth: 4 },
    };
    let mut bytes = text.as_bytes();
    let mut documents = serde_saphyr::read_with_options::<_, Node>(&mut bytes, options);
    let first = documents.next().transpose().map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |location| (location.line(), location.column()));
        YamlSnafu { line, column }.build()
    })?;
    Ok(Document { root: first.unwrap_or(Node::Nothing), has_others: documents.next().is_some() })
}

impl Node {
    /// The text at `place`.
    pub(super) fn text(self, place: &str) -> Result<Zeroizing<String>, ConfigurationError> {
        match self {
            Self::Text(text) => Ok(text),
            _ => OtherTypeSnafu { place, expected: "a text; put numbers in quotes" }.fail(),
        }
    }

    /// The text at `place`; one that is null is empty, as for Kubernetes.
    pub(super) fn text_or_nothing(self, place: &str) -> Result<Zeroizing<String>, ConfigurationError> {
        match self {
            Self::Nothing => Ok(Zeroizing::default()),
            node => node.text(place),
        }
    }

    /// The list at `place`.
    pub(super) fn list(self, place: &str) -> Result<Vec<Self>, ConfigurationError> {
        match self {
            Self::List(list) => Ok(list),
            Self::Nothing => Ok(Vec::new()),
            _ => OtherTypeSnafu { place, expected: "a list" }.fail(),
        }
    }

    /// The map at `place`.
    pub(super) fn map(self, place: &str) -> Result<Fields, ConfigurationError> {
        match self {
            Self::Map(members) => Fields::new(place, members),
            _ => OtherTypeSnafu { place, expected: "a map" }.fail(),
        }
    }
}

impl Fields {
    fn new(place: &str, members: Vec<(String, Node)>) -> Result<Self, ConfigurationError> {
        for (index, (name, _)) in members.iter().enumerate() {
            if members[..index].iter().any(|(earlier, _)| earlier == name) {
                return DoubledFieldSnafu { place: format!("{place}.{}", shown_field(name)) }.fail();
            }
        }
        Ok(Self { place: place.to_owned(), members })
    }

    /// Takes a member; one that is null counts as missing, as for Kubernetes.
    pub(super) fn take(&mut self, name: &str) -> Node {
        let found = self.members.iter().position(|(member, _)| member == name);
        found.map_or(Node::Nothing, |index| self.members.swap_remove(index).1)
    }

    /// A name that was not taken, in words.
    pub(super) fn left(&self) -> Option<String> {
        self.members.first().map(|(name, _)| shown_field(name))
    }

    /// Ends the map: everything in it was taken.
    pub(super) fn finish(self) -> Result<(), ConfigurationError> {
        match self.left() {
            Some(field) => UnknownFieldSnafu { place: self.place, field }.fail(),
            None => Ok(()),
        }
    }
}

fn shown_field(name: &str) -> String {
    if name.len() <= SHOWN_FIELD { format!("{name:?}") } else { "a long name".to_owned() }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a node")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(Zeroizing::new(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            bounded::<A::Error>(nodes.len())?;
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            bounded::<A::Error>(members.len())?;
            members.push(member);
        }
        Ok(Node::Map(members))
    }
}

/// Bounds what JSON gives, whose parser has no budget.
fn bounded<E: Error>(length: usize) -> Result<(), E> {
    if length < NODES { Ok(()) } else { Err(E::custom("it is too long")) }
}
