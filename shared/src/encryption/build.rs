//! From the tree of a document to a checked configuration.

use std::sync::Arc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use snafu::{OptionExt, ensure};
use zeroize::Zeroizing;

use super::configuration::{Configuration, Key, Rule};
use super::document::{self, Fields, Node};
use super::error::{
    AmbiguousNameSnafu, ConfigurationError, DoubledNameSnafu, KeyLengthSnafu, KmsSnafu, LongNameSnafu, MaskedSnafu,
    MissingSnafu, NoProviderSnafu, NotBase64Snafu, OtherKindSnafu, OverlapSnafu, SeveralProvidersSnafu,
    UnknownProviderSnafu,
};
use super::mac::MacKey;
use super::mask::Mask;
use super::provider::Provider;
use super::seal::{NAME_BYTES, Seal, shown};

/// Go's standard base64, which reads the keys of an API server: it takes any bits behind the last byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

pub(super) fn configuration(yaml: &str) -> Result<Configuration, ConfigurationError> {
    let mut fields = document::parse(yaml)?.map("all")?;
    expect(&mut fields, "apiVersion", "apiserver.config.k8s.io/v1")?;
    expect(&mut fields, "kind", "EncryptionConfiguration")?;
    let rules = some(fields.take("resources"), "resources")?;
    fields.finish()?;
    let mut building = Building::default();
    for (index, rule) in rules.into_iter().enumerate() {
        building.rule(rule, &format!("resources[{index}]"))?;
    }
    let keys = building.keys.into_iter().map(|built| built.key).collect();
    Ok(Configuration { keys, rules: building.rules })
}

fn expect(fields: &mut Fields, place: &'static str, expected: &'static str) -> Result<(), ConfigurationError> {
    let found = text(fields.take(place), place)?;
    ensure!(*found == expected, OtherKindSnafu { place, found: shown(found.as_bytes()), expected });
    Ok(())
}

/// The list at `place`, which must not be empty.
fn some(node: Node, place: &str) -> Result<Vec<Node>, ConfigurationError> {
    let list = node.list(place)?;
    ensure!(!list.is_empty(), MissingSnafu { place });
    Ok(list)
}

/// The text at `place`, which must not be empty.
fn text(node: Node, place: &str) -> Result<Zeroizing<String>, ConfigurationError> {
    ensure!(!matches!(node, Node::Nothing), MissingSnafu { place });
    let text = node.text(place)?;
    ensure!(!text.is_empty(), MissingSnafu { place });
    Ok(text)
}

#[derive(Default)]
struct Building {
    keys: Vec<Built>,
    rules: Vec<Rule>,
}

/// A key, and what tells it from others until all are read.
struct Built {
    key: Key,
    provider: Provider,
    secret: Zeroizing<Vec<u8>>,
    place: String,
    /// The last rule that holds it.
    rule: usize,
}

impl Building {
    fn rule(&mut self, node: Node, place: &str) -> Result<(), ConfigurationError> {
        let mut fields = node.map(place)?;
        let (resources, providers) = (fields.take("resources"), fields.take("providers"));
        fields.finish()?;
        let masks = self.masks(resources, &format!("{place}.resources"))?;
        let place = format!("{place}.providers");
        let (mut first, mut reads_clear) = (None, false);
        for (index, provider) in some(providers, &place)?.into_iter().enumerate() {
            let writer = self.provider(provider, &format!("{place}[{index}]"))?;
            reads_clear |= writer.is_none();
            first.get_or_insert(writer);
        }
        self.rules.push(Rule { masks, writer: first.flatten(), reads_clear });
        Ok(())
    }

    fn masks(&self, node: Node, place: &str) -> Result<Vec<Mask>, ConfigurationError> {
        let mut masks: Vec<Mask> = Vec::new();
        for (index, node) in some(node, place)?.into_iter().enumerate() {
            let place = format!("{place}[{index}]");
            let text = node.text(&place)?;
            let shown = || shown(text.as_bytes());
            let mask = Mask::parse(&text).map_err(|problem| ConfigurationError::Resource {
                place: place.clone(),
                text: shown(),
                problem,
            })?;
            if let Some(other) = masks.iter().find(|other| other.covers(&mask) || mask.covers(other)) {
                return OverlapSnafu { place, text: shown(), other: other.to_string() }.fail();
            }
            let mut earlier = self.rules.iter().flat_map(|rule| &rule.masks);
            if let Some(other) = earlier.find(|other| other.is_open() && other.covers(&mask)) {
                return MaskedSnafu { place, text: shown(), other: other.to_string() }.fail();
            }
            masks.push(mask);
        }
        Ok(masks)
    }

    /// Reads an entry of `providers`, and gives its first key; none for `identity`.
    fn provider(&mut self, node: Node, place: &str) -> Result<Option<usize>, ConfigurationError> {
        let mut fields = node.map(place)?;
        let found: Vec<(Provider, Node)> = Provider::ALL
            .into_iter()
            .map(|provider| (provider, fields.take(provider.name())))
            .filter(|(_, node)| !matches!(node, Node::Nothing))
            .collect();
        let (identity, kms) = (fields.take("identity"), fields.take("kms"));
        if let Some(provider) = fields.left() {
            return UnknownProviderSnafu { place, provider }.fail();
        }
        ensure!(matches!(kms, Node::Nothing), KmsSnafu { place: format!("{place}.kms") });
        let is_identity = !matches!(identity, Node::Nothing);
        ensure!(found.len() + usize::from(is_identity) < 2, SeveralProvidersSnafu { place });
        match found.into_iter().next() {
            Some((provider, node)) => self.keys(provider, node, &format!("{place}.{}", provider.name())).map(Some),
            None if is_identity => identity.map(&format!("{place}.identity"))?.finish().map(|()| None),
            None => NoProviderSnafu { place }.fail(),
        }
    }

    /// Reads a provider's keys, and gives the first one.
    fn keys(&mut self, provider: Provider, node: Node, place: &str) -> Result<usize, ConfigurationError> {
        let mut fields = node.map(place)?;
        let keys = fields.take("keys");
        fields.finish()?;
        let place = format!("{place}.keys");
        let mut first = None;
        for (index, key) in some(keys, &place)?.into_iter().enumerate() {
            let added = self.key(provider, key, format!("{place}[{index}]"))?;
            first.get_or_insert(added);
        }
        first.context(MissingSnafu { place })
    }

    fn key(&mut self, provider: Provider, node: Node, place: String) -> Result<usize, ConfigurationError> {
        let mut fields = node.map(&place)?;
        let name = text(fields.take("name"), &format!("{place}.name"))?;
        let secret = text(fields.take("secret"), &format!("{place}.secret"))?;
        fields.finish()?;
        ensure!(name.len() <= NAME_BYTES, LongNameSnafu { place: format!("{place}.name"), limit: NAME_BYTES });
        let secret = decoded(&secret).context(NotBase64Snafu { place: format!("{place}.secret") })?;
        let bytes = secret.len();
        let cipher = provider.key_bytes().contains(&bytes).then(|| provider.cipher(&secret)).flatten();
        let cipher = cipher.context(KeyLengthSnafu { place: format!("{place}.secret"), provider, bytes })?;
        if let Some(known) = self.known(provider, &name, &secret, &place)? {
            return Ok(known);
        }
        let seal = Arc::new(Seal { provider: provider.name().to_owned(), key: name.to_string() });
        let key = Key { prefix: seal.prefix(), seal, cipher, mac: MacKey::of(provider, &secret) };
        self.keys.push(Built { key, provider, secret, place, rule: self.rules.len() });
        Ok(self.keys.len() - 1)
    }

    /// The key of this name where an earlier rule has it; that it is the same key is checked.
    fn known(
        &mut self,
        provider: Provider,
        name: &str,
        secret: &[u8],
        place: &str,
    ) -> Result<Option<usize>, ConfigurationError> {
        let rule = self.rules.len();
        let same = |built: &Built| built.provider == provider && built.key.seal.key == name;
        let Some(index) = self.keys.iter().position(same) else { return Ok(None) };
        let known = &mut self.keys[index];
        ensure!(known.rule != rule, DoubledNameSnafu { place, provider, name });
        ensure!(**known.secret == *secret, AmbiguousNameSnafu { place, other: &known.place, provider, name });
        known.rule = rule;
        Ok(Some(index))
    }
}

/// The bytes of a secret. Line breaks within it are passed over, as an API server does.
fn decoded(secret: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::with_capacity(secret.len()));
    text.extend(secret.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    // Room from the beginning, so that nothing is moved and left behind.
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = BASE64.decode_slice(&*text, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}
