//! Exit codes, which are API, and the one place that prints why a job ended.

use std::fmt;
use std::process::ExitCode;

use tracing::warn;

/// How a job ends. The numbers are those of `sysexits.h` where it has one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Exit {
    /// 0: done, or there was nothing to do.
    Done,
    /// 1: anything that has no code of its own.
    Failure,
    /// 64: wrong usage or configuration; trying again without a change does not help.
    Usage,
    /// 65: data was refused: a digest, a key or an archive that is not what it should be.
    DataRefused,
    /// 69: a service is away; a retry may help.
    Unavailable,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 64,
            Self::DataRefused => 65,
            Self::Unavailable => 69,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that knows how a job that ends with it exits.
pub trait Fault: std::error::Error + Send + Sync + 'static {
    /// The exit of a job that this error ends.
    fn exit(&self) -> Exit;
}

/// Any [`Fault`], for the place where a job's steps of different domains come together.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Failure {
    /// A failure that is no other error's: wrong usage that the argument parser cannot see, say.
    pub fn new(exit: Exit, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { exit, source: source.into() }
    }

    /// How the job exits.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// The error itself, where it is of this type.
    #[must_use]
    pub fn find<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.source.downcast_ref()
    }
}

impl<E: Fault> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { exit: error.exit(), source: Box::new(error) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Chain(self.source.as_ref()).fmt(formatter)
    }
}

/// Says in the log what failed, where that fails nothing else: a report that cannot be written, say.
pub fn warn_of<T>(outcome: Result<T, impl Into<Failure>>) {
    if let Err(error) = outcome {
        warn!("{}", error.into());
    }
}

/// Displays an error and its causes, joined by `: `, each text once.
///
/// Some libraries print their source and also return it, so a cause whose text already ends what is printed is left out;
/// of an answer of the API server the server's own words are printed, where kube prints the whole answer in its Debug form;
/// and where it does not answer it is named.
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl<'a> Chain<'a> {
    /// The chain of a boxed error.
    #[must_use]
    pub fn of(error: &'a (dyn std::error::Error + Send + Sync + 'static)) -> Self {
        Self(error)
    }
}

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut text, mut cause) = words_and_cause(self.0);
        while let Some(error) = cause {
            let next;
            (next, cause) = words_and_cause(error);
            if !next.is_empty() && !text.ends_with(&next) {
                text = match text.strip_suffix('.') {
                    Some(stripped) => format!("{stripped}: {next}"),
                    None => format!("{text}: {next}"),
                };
            }
        }
        // A name or a message from outside may hold a line break or an escape sequence, which would forge log lines.
        for character in text.chars() {
            if character.is_control() {
                write!(formatter, "{}", character.escape_default())?;
            } else {
                write!(formatter, "{character}")?;
            }
        }
        Ok(())
    }
}

fn words_and_cause<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> (String, Option<&'a (dyn std::error::Error + 'static)>) {
    let boxed = || error.downcast_ref::<Box<kube::Error>>().map(AsRef::as_ref);
    let of_kube = error.downcast_ref::<kube::Error>().or_else(boxed);
    match of_kube {
        Some(kube::Error::Api(status)) if status.message.is_empty() => {
            (format!("the API server answered {}", status.code), None)
        }
        Some(kube::Error::Api(status)) => (status.message.clone(), None),
        Some(kube::Error::HyperError(_) | kube::Error::Service(_)) => {
            (format!("failed to reach {}", crate::cluster::address::api_server()), error.source())
        }
        _ => (error.to_string(), error.source()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);
    impl fmt::Display for Link {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }
    }
    impl std::error::Error for Link {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|link| link as _)
        }
    }

    #[test]
    fn chain_prints_each_cause_once() {
        let error =
            Link("failed to read \"a\"", Some(Box::new(Link("i/o: denied", Some(Box::new(Link("denied", None)))))));
        assert_eq!(Chain(&error).to_string(), "failed to read \"a\": i/o: denied");
    }

    #[test]
    fn an_api_server_that_does_not_answer_is_named() {
        let error = || kube::Error::Service("client error (Connect)".into());
        for words in [Chain(&error()).to_string(), Chain(&Box::new(error())).to_string()] {
            assert!(words.starts_with("failed to reach the API server"), "{words}");
            assert!(words.ends_with(": client error (Connect)") && !words.contains("ServiceError"), "{words}");
        }
    }

    #[test]
    fn chain_escapes_control_characters() {
        assert_eq!(Chain(&Link("a\n\u{1b}[31m", None)).to_string(), "a\\n\\u{1b}[31m");
    }

    #[test]
    fn codes_are_the_documented_ones() {
        let codes = [Exit::Done, Exit::Failure, Exit::Usage, Exit::DataRefused, Exit::Unavailable].map(Exit::code);
        assert_eq!(codes, [0, 1, 64, 65, 69]);
    }
}
