//! The ends of log files, for error messages.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

const LINES: usize = 15;

/// The last lines of a log file; what was wrong is in them more often than not.
pub(crate) fn last_lines(path: &Path) -> String {
    let Ok(file) = File::open(path) else {
        return format!("(there is no log {})", path.display());
    };
    let mut last = VecDeque::with_capacity(LINES + 1);
    for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
        last.push_back(String::from_utf8_lossy(&line).into_owned());
        if last.len() > LINES {
            last.pop_front();
        }
    }
    last.make_contiguous().join("\n")
}

/// The last lines of a text.
pub(crate) fn last_lines_of(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_only_the_end_of_a_long_log() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: Vec<String> = (1..=20).map(|number| number.to_string()).collect();
        std::fs::write(file.path(), text.join("\n")).unwrap();
        assert_eq!(last_lines(file.path()), text[5..].join("\n"));
    }

    #[test]
    fn gives_a_short_text_whole() {
        assert_eq!(last_lines_of("one\ntwo\n"), "one\ntwo");
        assert_eq!(last_lines_of(&"line\n".repeat(20)).lines().count(), LINES);
    }
}
