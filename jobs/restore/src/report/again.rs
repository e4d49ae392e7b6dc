//! How a restore is run once more. The command line is run as often as somebody likes, and a Restore of the cluster once, so
//! the words follow from who runs it.

use std::fmt;

/// How whoever reads of an object that was not written has the restore run once more.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Again {
    /// On the command line.
    #[default]
    Command,
    /// By a plan on the command line, which restores nothing.
    Plan,
    /// By a Restore.
    Restore,
}

impl fmt::Display for Again {
    /// Continues a sentence that says what is to be done before.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Command => "run the restore again",
            Self::Plan => "run the plan again",
            Self::Restore => "delete this Restore and apply it again",
        })
    }
}

impl Again {
    /// How something is asked for: by what the Restore has to have, or by an option of the command line.
    pub(crate) const fn asking<'a>(self, of_restore: &'a str, option: &'a str) -> &'a str {
        match self {
            Self::Command | Self::Plan => option,
            Self::Restore => of_restore,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_runs_once_and_a_command_as_often_as_somebody_likes() {
        let words =
            |again: Again| format!("{again} with {}", again.asking("spec.ignoreErrors: true", "--ignore-errors"));
        assert_eq!(words(Again::Command), "run the restore again with --ignore-errors");
        assert_eq!(words(Again::Plan), "run the plan again with --ignore-errors");
        assert_eq!(words(Again::Restore), "delete this Restore and apply it again with spec.ignoreErrors: true");
    }
}
