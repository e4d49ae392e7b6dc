use std::io;
use std::path::PathBuf;

use drover::exit::{Exit, Fault};
use snafu::Snafu;

use super::name::{ANNOTATED, NAME_BYTES};
use crate::monitor::{Kind, UnknownName, UrlProblem};

/// Why there are no monitors. No value of the file is quoted.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub(crate) enum ConfigurationError {
    #[snafu(display("failed to read the monitors of {path:?}"))]
    Read { path: PathBuf, source: io::Error },
    #[snafu(display("failed to read the monitors of {path:?}: line {line}, column {column}: {problem}"))]
    Parse { path: PathBuf, line: u64, column: u64, problem: String },
    #[snafu(display("failed to use the monitor {name:?} in line {line} of {path:?}"))]
    Use { path: PathBuf, line: u64, name: String, source: Problem },
}

/// What is wrong with one monitor.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub(crate) enum Problem {
    #[snafu(display("its url cannot be used"))]
    Url { source: UrlProblem },
    #[snafu(display(
        "its name is longer than {} bytes, or begins with {:?}, as those of annotations do",
        NAME_BYTES,
        ANNOTATED
    ))]
    Name,
    #[snafu(display("its url still holds the words that stand for a key; write the key there that the service shows"))]
    Placeholder,
    #[snafu(display("its url does not tell its kind; say it in kind: {}", names()))]
    NoKind,
    #[snafu(display("its url is not that of a {}, which looks like {}", name(*kind), kind.shape()))]
    Shape { kind: Kind },
    #[snafu(display("it is told of nothing; give \"backups: {{}}\" for all Backups, or \"restores: {{}}\""))]
    NoScope,
    #[snafu(display("freshness is about Backups, and it is told of none"))]
    WithoutBackups,
    #[snafu(display("signals names none; allowed: start, success, failure"))]
    NoSignal,
    #[snafu(display("signals names start alone, and a {} is told of none", name(*kind)))]
    NeverTold { kind: Kind },
    #[snafu(display(
        "it would be sent the same whatever happens, a sign of life on a failure too; choose one of signals, or let its body \
         hold {{{{status}}}}, {{{{signal}}}}, {{{{message}}}} or {{{{reason}}}}"
    ))]
    SameForAll,
    #[snafu(display("{field} means nothing to a {}", name(*kind)))]
    NotOfKind { field: &'static str, kind: Kind },
    #[snafu(display("method is none of GET, POST, PUT, PATCH"))]
    Method,
    #[snafu(display("a request with method GET has no body"))]
    BodyWithoutMethod,
    #[snafu(display("its body cannot be filled"))]
    Body { source: UnknownName },
    #[snafu(display("one of its headers has a name that HTTP does not allow"))]
    HeaderName,
    #[snafu(display("the value of the header {name:?} holds characters that HTTP does not allow"))]
    Header { name: String },
    #[snafu(display("nameRegexp {regexp:?}: {problem} at character {position}"))]
    Pattern { regexp: String, position: usize, problem: &'static str },
    #[snafu(display("{field} is negative"))]
    Negative { field: &'static str },
    #[snafu(display("ca holds no certificate in PEM"))]
    Authorities,
    #[snafu(display("another monitor has its name"))]
    Twice,
}

impl Fault for ConfigurationError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

fn name(kind: Kind) -> &'static str {
    Kind::ALL.into_iter().find(|(other, _, _)| *other == kind).map_or("", |(_, name, _)| name)
}

fn names() -> String {
    Kind::ALL.map(|(_, name, _)| name).join(", ")
}
