//! From the tree of a document to a checked configuration.

use std::sync::Arc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use snafu::{OptionExt, ensure};
use zeroize::Zeroizing;

use super::configuration::{Configuration, Key, Rule};
use super::document::{self, Document, Fields, Node};
use super::error::{
    ConfigurationError, KeyLengthSnafu, KmsSnafu, LongNameSnafu, MaskedSnafu, MissingSnafu, NoProviderSnafu,
    NotBase64Snafu, OtherKindSnafu, OverlapSnafu, SeveralProvidersSnafu, UnknownProviderSnafu,
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

/// How a configuration names itself: since Kubernetes 1.13, and as the documentation of before had it, which API servers
/// still take.
const KINDS: [(&str, &str); 2] =
    [("EncryptionConfiguration", "apiserver.config.k8s.io/v1"), ("EncryptionConfig", "v1")];

impl Configuration {
    /// Reads and checks a configuration, in YAML or JSON.
    ///
    /// # Errors
    /// When an API server would refuse it, or a key management service is to encrypt.
    pub fn parse(text: &str) -> Result<Self, ConfigurationError> {
        let Document { root, has_others } = document::parse(text)?;
        let mut fields = root.map("all")?;
        expect_kind(&mut fields)?;
        let rules = some(fields.take("resources"), "resources")?;
        fields.finish()?;
        let mut building = Building::default();
        if has_others {
            building.warnings.push("more than one YAML document is in it, and only the first one counts".to_owned());
        }
        for (index, rule) in rules.into_iter().enumerate() {
            building.rule(rule, &format!("resources[{index}]"))?;
        }
        let Building { keys, rules, warnings } = building;
        Ok(Self { keys: keys.into_iter().map(|built| built.key).collect(), rules, warnings })
    }
}

fn expect_kind(fields: &mut Fields) -> Result<(), ConfigurationError> {
    let version = text(fields.take("apiVersion"), "apiVersion")?;
    let kind = text(fields.take("kind"), "kind")?;
    let known = KINDS.iter().find(|(known, _)| *known == kind.as_str());
    let other = OtherKindSnafu { place: "kind", found: shown(kind.as_bytes()), expected: KINDS[0].0 };
    let (_, expected) = known.context(other)?;
    let other = OtherKindSnafu { place: "apiVersion", found: shown(version.as_bytes()), expected: *expected };
    ensure!(version.as_str() == *expected, other);
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
    warnings: Vec<String>,
}

/// A key, and what tells it from others until all are read.
struct Built {
    key: Key,
    provider: Provider,
    secret: Zeroizing<Vec<u8>>,
    place: String,
}

/// An entry of `providers`.
enum Entry {
    /// Its keys.
    Keys(Vec<usize>),
    Identity,
    Kms,
}

impl Building {
    fn rule(&mut self, node: Node, place: &str) -> Result<(), ConfigurationError> {
        let mut fields = node.map(place)?;
        let (resources, providers) = (fields.take("resources"), fields.take("providers"));
        fields.finish()?;
        let masks = self.masks(resources, &format!("{place}.resources"))?;
        let place = format!("{place}.providers");
        let (mut writer, mut keys, mut reads_clear) = (None, Vec::new(), false);
        for (index, node) in some(providers, &place)?.into_iter().enumerate() {
            let place = format!("{place}[{index}]");
            match self.provider(node, &place)? {
                Entry::Keys(of_entry) => {
                    if index == 0 {
                        writer = of_entry.first().copied();
                    }
                    keys.extend(of_entry);
                }
                Entry::Identity => reads_clear = true,
                Entry::Kms if index == 0 => return KmsSnafu { place: format!("{place}.kms") }.fail(),
                Entry::Kms => self.warnings.push(format!(
                    "{place}.kms is passed over: this version does not talk to a key management service, and reads nothing \
                     that one encrypted"
                )),
            }
        }
        self.rules.push(Rule { masks, writer, reads_clear, keys });
        Ok(())
    }

    fn masks(&mut self, node: Node, place: &str) -> Result<Vec<Mask>, ConfigurationError> {
        let mut masks: Vec<Mask> = Vec::new();
        for (index, node) in some(node, place)?.into_iter().enumerate() {
            let place = format!("{place}[{index}]");
            let text = node.text_or_nothing(&place)?;
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
            if mask.is_vain() {
                let text = shown();
                self.warnings.push(format!("{place}, {text:?}, is no type: only a whole name can be left open"));
            }
            masks.push(mask);
        }
        Ok(masks)
    }

    /// Reads an entry of `providers`.
    fn provider(&mut self, node: Node, place: &str) -> Result<Entry, ConfigurationError> {
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
        let (is_identity, is_kms) = (!matches!(identity, Node::Nothing), !matches!(kms, Node::Nothing));
        ensure!(found.len() + usize::from(is_identity) + usize::from(is_kms) < 2, SeveralProvidersSnafu { place });
        match found.into_iter().next() {
            Some((provider, node)) => {
                self.keys(provider, node, &format!("{place}.{}", provider.name())).map(Entry::Keys)
            }
            None if is_kms => Ok(Entry::Kms),
            None if is_identity => identity.map(&format!("{place}.identity"))?.finish().map(|()| Entry::Identity),
            None => NoProviderSnafu { place }.fail(),
        }
    }

    /// Reads a provider's keys.
    fn keys(&mut self, provider: Provider, node: Node, place: &str) -> Result<Vec<usize>, ConfigurationError> {
        let mut fields = node.map(place)?;
        let keys = fields.take("keys");
        fields.finish()?;
        let place = format!("{place}.keys");
        let keys = some(keys, &place)?.into_iter().enumerate();
        keys.map(|(index, key)| self.key(provider, key, format!("{place}[{index}]"))).collect()
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
        if let Some(known) = self.known(provider, &name, &secret, &place) {
            return Ok(known);
        }
        let seal = Arc::new(Seal { provider: provider.name().to_owned(), key: name.to_string() });
        let key = Key { prefix: seal.prefix(), seal, cipher, mac: MacKey::of(provider, &secret) };
        self.keys.push(Built { key, provider, secret, place });
        Ok(self.keys.len() - 1)
    }

    /// The key where it stands before already. Another one of its name is warned about.
    fn known(&mut self, provider: Provider, name: &str, secret: &[u8], place: &str) -> Option<usize> {
        let is_namesake = |built: &&Built| built.provider == provider && built.key.seal.key == name;
        let known = self.keys.iter().position(|built| is_namesake(&built) && built.secret.as_slice() == secret);
        let namesake = self.keys.iter().find(is_namesake).filter(|_| known.is_none());
        let warning = namesake.map(|namesake| {
            format!(
                "{place} and {} are two keys of {} with the name {name:?}: what is encrypted tells its key by the name \
                 alone, so each of them is tried; give the one that writes another name",
                namesake.place,
                provider.name()
            )
        });
        self.warnings.extend(warning);
        known
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
