//! From which webhooks somebody wishes to be exempt: pure.

/// The name of Rancher's two configurations of webhooks.
const RANCHER: &str = "rancher.cattle.io";

/// The word that turns the exemption off.
const NONE: &str = "none";

/// The longest name that an object of Kubernetes may have.
const LONGEST: usize = 253;

/// The configurations whose webhooks are not asked about what a restore writes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Exempt {
    /// None.
    #[default]
    Nothing,
    /// Rancher's, where the restore has a user of its own.
    Rancher,
    /// These, whoever the user is.
    Named(Vec<String>),
}

impl Exempt {
    /// What the annotation of a Restore asks for: Rancher's where there is none, beside them those that it names; none
    /// where its value means nothing.
    pub(crate) fn of_annotation(value: Option<&str>) -> Option<Self> {
        match value {
            None => Some(Self::Rancher),
            Some(NONE) => Some(Self::Nothing),
            Some(list) => {
                let mut names = vec![RANCHER.to_owned()];
                for name in list.split(',').map(|name| configuration_name(name.trim())) {
                    let name = name.ok()?;
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                Some(Self::Named(names))
            }
        }
    }

    /// What the command line asks for.
    pub(crate) fn of_names(names: Vec<String>) -> Self {
        if names.is_empty() { Self::Nothing } else { Self::Named(names) }
    }

    /// The names of the configurations.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Rancher => vec![RANCHER.to_owned()],
            Self::Named(names) => names.clone(),
        }
    }

    /// Whether a configuration that is not there is worth a word: somebody named it.
    pub(super) fn is_named(&self, name: &str) -> bool {
        name != RANCHER && matches!(self, Self::Named(_))
    }
}

/// Takes the name of a webhook configuration.
///
/// # Errors
///
/// Where no object can have that name; in words.
pub(crate) fn configuration_name(name: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        let is_end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let bytes = label.as_bytes();
        is_end(bytes.first())
            && is_end(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
    };
    if name != NONE && name.len() <= LONGEST && name.split('.').all(is_label) {
        return Ok(name.to_owned());
    }
    Err(format!("{name:?} is no name of a webhook configuration, such as {RANCHER:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_name_what_is_exempt_beside_rancher() {
        let named = |names: &[&str]| Some(Exempt::Named(names.iter().map(|name| (*name).to_owned()).collect()));
        for (value, expected) in [
            (None, Some(Exempt::Rancher)),
            (Some("none"), Some(Exempt::Nothing)),
            (Some("rancher.cattle.io"), named(&[RANCHER])),
            (Some("policy"), named(&[RANCHER, "policy"])),
            (Some("a.io, b-1.io,a.io"), named(&[RANCHER, "a.io", "b-1.io"])),
            (Some(""), None),
            (Some("none,a.io"), None),
            (Some("a.io,"), None),
            (Some("None"), None),
            (Some("a.io b.io"), None),
            (Some("a/b"), None),
            (Some("-a"), None),
            (Some("a..b"), None),
        ] {
            assert_eq!(Exempt::of_annotation(value), expected, "{value:?}");
        }
    }

    #[test]
    fn the_command_line_exempts_from_what_it_names_alone() {
        assert_eq!(Exempt::of_names(Vec::new()), Exempt::Nothing);
        assert_eq!(Exempt::of_names(vec!["a.io".to_owned()]).names(), ["a.io"]);
        assert!(
            configuration_name(&"a".repeat(LONGEST)).is_ok() && configuration_name(&"a".repeat(LONGEST + 1)).is_err()
        );
        assert!(configuration_name("none").is_err());
    }

    #[test]
    fn a_configuration_that_is_missing_is_worth_a_word_where_somebody_named_it() {
        let named = Exempt::of_annotation(Some("policy")).unwrap();
        assert!(named.is_named("policy") && !named.is_named(RANCHER) && !Exempt::Rancher.is_named(RANCHER));
    }
}
