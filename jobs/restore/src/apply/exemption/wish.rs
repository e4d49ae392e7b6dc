//! From which webhooks somebody wishes to be exempt: pure.

/// The name of Rancher's two configurations of webhooks.
pub(super) const RANCHER: &str = "rancher.cattle.io";

/// The word that turns the exemption off.
const NONE: &str = "none";

/// Words by which people mean to turn something on or off. As names they would turn nothing off, and say so nowhere.
const SWITCHES: [&str; 9] = [NONE, "true", "false", "yes", "no", "on", "off", "all", "null"];

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
    /// Those that somebody named, whoever the user is, and Rancher's too on a Restore.
    Named {
        /// As they were named.
        names: Vec<String>,
        /// Whether Rancher's are meant without a word.
        with_rancher: bool,
    },
}

impl Exempt {
    /// What the annotation of a Restore asks for: Rancher's where there is none, beside them those that it names; none
    /// where its value means nothing.
    pub(crate) fn of_annotation(value: Option<&str>) -> Option<Self> {
        match value {
            None => Some(Self::Rancher),
            Some(NONE) => Some(Self::Nothing),
            Some(list) => {
                let names = list.split(',').map(|name| configuration_name(name.trim()).ok());
                Some(Self::Named { names: names.collect::<Option<_>>()?, with_rancher: true })
            }
        }
    }

    /// What the command line asks for.
    pub(crate) fn of_names(names: Vec<String>) -> Self {
        if names.is_empty() { Self::Nothing } else { Self::Named { names, with_rancher: false } }
    }

    /// The names of the configurations, each once.
    pub(super) fn names(&self) -> Vec<String> {
        let none: &[String] = &[];
        let (with_rancher, named) = match self {
            Self::Nothing => (false, none),
            Self::Rancher => (true, none),
            Self::Named { names, with_rancher } => (*with_rancher, names.as_slice()),
        };
        let mut all: Vec<String> = with_rancher.then(|| RANCHER.to_owned()).into_iter().collect();
        for name in named {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        all
    }

    /// Whether the configurations of this name are among them.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names().iter().any(|exempt| exempt == name)
    }

    /// Whether somebody named this configuration: that it is not there is worth a word then.
    pub(super) fn is_named(&self, name: &str) -> bool {
        matches!(self, Self::Named { names, .. } if names.iter().any(|named| named == name))
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
    if !SWITCHES.contains(&name) && name.len() <= LONGEST && name.split('.').all(is_label) {
        return Ok(name.to_owned());
    }
    Err(format!("{name:?} is no name of a webhook configuration, such as {RANCHER:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_name_what_is_exempt_beside_rancher() {
        for (value, expected) in [
            (None, &[RANCHER][..]),
            (Some("none"), &[]),
            (Some("rancher.cattle.io"), &[RANCHER]),
            (Some("policy"), &[RANCHER, "policy"]),
            (Some("a.io, b-1.io,a.io"), &[RANCHER, "a.io", "b-1.io"]),
        ] {
            assert_eq!(Exempt::of_annotation(value).unwrap().names(), expected, "{value:?}");
        }
        for value in ["", "none,a.io", "a.io,", "None", "a.io b.io", "a/b", "-a", "a..b"] {
            assert_eq!(Exempt::of_annotation(Some(value)), None, "{value:?}");
        }
    }

    #[test]
    fn a_word_that_is_meant_to_turn_it_off_is_no_name() {
        for value in ["false", "off", "no", "true", "on", "yes", "all", "null", "a.io,false"] {
            assert_eq!(Exempt::of_annotation(Some(value)), None, "{value:?}");
        }
        assert!(configuration_name("false").unwrap_err().contains("\"false\" is no name"));
        assert!(configuration_name("false.example.io").is_ok());
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
        assert!(Exempt::of_annotation(Some(RANCHER)).unwrap().is_named(RANCHER));
        assert!(Exempt::of_names(vec![RANCHER.to_owned()]).is_named(RANCHER));
        assert!(named.has("policy") && named.has(RANCHER) && !named.has("other") && !Exempt::Nothing.has(RANCHER));
    }
}
