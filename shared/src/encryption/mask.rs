use std::fmt;

/// Which types one line of a rule's `resources` names, in Kubernetes' own grammar.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Mask {
    /// `secrets`, `deployments.apps`.
    Type {
        /// The plural name.
        plural: String,
        /// The group; empty for the core group.
        group: String,
    },
    /// `*.apps`: all of a group; `*.` all of the core group.
    Group(String),
    /// `*.*`.
    All,
}

impl Mask {
    /// Reads a line.
    ///
    /// # Errors
    /// With what is wrong with it, in words that go on after "it": what Kubernetes refuses.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.chars().any(char::is_uppercase) {
            return Err("holds a capital letter, and no plural name or group does");
        }
        let (plural, group) = text.split_once('.').unwrap_or((text, ""));
        match (plural, group) {
            ("*", "*") => Ok(Self::All),
            ("*", "") if text == "*" => Err("does not say of which group; \"*.\" is the core group, \"*.*\" is all"),
            (_, "*") => Err("names one type in all groups; name each group"),
            ("*", group) => Ok(Self::Group(group.to_owned())),
            (plural, group) => Ok(Self::Type { plural: plural.to_owned(), group: group.to_owned() }),
        }
    }

    /// Whether it names this type.
    pub(super) fn matches(&self, plural: &str, group: &str) -> bool {
        match self {
            Self::Type { plural: own, group: of } => own == plural && of == group,
            Self::Group(of) => of == group,
            Self::All => true,
        }
    }

    /// Whether it leaves nothing to `other`.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Group(of), Self::Group(group) | Self::Type { group, .. }) => of == group,
            (one, other) => one == other,
        }
    }

    /// Whether it can match nothing, as `sec*`: Kubernetes takes such a line, and only whole names can be left open.
    pub(super) fn is_vain(&self) -> bool {
        match self {
            Self::Type { plural, group } => plural.is_empty() || plural.contains('*') || group.contains('*'),
            Self::Group(group) => group.contains('*'),
            Self::All => false,
        }
    }

    /// Whether it is open: for more than one type.
    pub(super) const fn is_open(&self) -> bool {
        !matches!(self, Self::Type { .. })
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type { plural, group } if group.is_empty() => formatter.write_str(plural),
            Self::Type { plural, group } => write!(formatter, "{plural}.{group}"),
            Self::Group(group) => write!(formatter, "*.{group}"),
            Self::All => formatter.write_str("*.*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn mask(text: &str) -> Mask {
        Mask::parse(text).unwrap()
    }

    #[test]
    fn masks_name_the_types_that_kubernetes_says() {
        let types = [("secrets", ""), ("pods", ""), ("deployments", "apps"), ("secrets", "x.io")];
        for (text, expected) in [
            ("secrets", [true, false, false, false]),
            ("secrets.", [true, false, false, false]),
            ("secrets.x.io", [false, false, false, true]),
            ("deployments.apps", [false, false, true, false]),
            ("*.apps", [false, false, true, false]),
            ("*.x.io", [false, false, false, true]),
            ("*.", [true, true, false, false]),
            ("*.*", [true, true, true, true]),
        ] {
            let matched = types.map(|(plural, group)| mask(text).matches(plural, group));
            assert_eq!(matched, expected, "{text}");
        }
    }

    #[test]
    fn masks_that_kubernetes_refuses_are_refused() {
        for (text, words) in [
            ("*", "of which group"),
            ("secrets.*", "all groups"),
            (".*", "all groups"),
            ("sec*.*", "all groups"),
            ("Secrets", "capital letter"),
            ("*.Apps", "capital letter"),
        ] {
            let problem = Mask::parse(text).unwrap_err();
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }

    #[test]
    fn masks_that_match_nothing_are_known() {
        for text in ["", ".apps", "sec*", "*.*.io", "*x.apps", "secrets.*.io"] {
            assert!(mask(text).is_vain(), "{text}");
            assert!(!mask(text).matches("secrets", "") && !mask(text).matches("deployments", "apps"), "{text}");
        }
        for text in ["secrets", "secrets.", "deployments.apps", "*.apps", "*.", "*.*"] {
            assert!(!mask(text).is_vain(), "{text}");
        }
    }

    #[test]
    fn open_masks_cover_what_they_leave_nothing_of() {
        for (one, other, covers) in [
            ("*.*", "secrets", true),
            ("*.*", "*.apps", true),
            ("*.*", "*.*", true),
            ("*.", "secrets", true),
            ("*.", "*.", true),
            ("*.", "deployments.apps", false),
            ("*.apps", "deployments.apps", true),
            ("*.apps", "*.*", false),
            ("secrets", "secrets.", true),
            ("secrets", "*.", false),
            ("secrets", "pods", false),
        ] {
            assert_eq!(mask(one).covers(&mask(other)), covers, "{one} and {other}");
        }
    }

    #[test]
    fn masks_are_shown_as_they_are_written() {
        for text in ["secrets", "deployments.apps", "*.apps", "*.", "*.*"] {
            assert_eq!(mask(text).to_string(), text);
        }
    }
}
