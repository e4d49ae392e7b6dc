use serde::Deserialize;

use super::*;

/// What Go's own `regexp` answered (go1.26): for each pattern `refused`, or a 1 or 0 for each string.
const GO: &str = include_str!("go.json");

#[derive(Deserialize)]
struct Answers {
    strings: Vec<String>,
    patterns: Vec<(String, String)>,
}

/// Patterns that Go reads and drover refuses, since no reader would guess what Go makes of them or since the crate cannot.
const REFUSED_ON_PURPOSE: [&str; 2] = ["a(?i)*", "\\x{D800}"];

/// Patterns that Go refuses for the product of their counts alone, which has no bearing on their meaning.
const READ_ALL_THE_SAME: [&str; 1] = ["(a{40}){40}"];

#[test]
fn every_answer_is_that_of_go() {
    let answers: Answers = serde_json::from_str(GO).unwrap();
    let mut wrong = Vec::new();
    for (pattern, expected) in &answers.patterns {
        let answer = match Pattern::new(pattern) {
            Err(_) if REFUSED_ON_PURPOSE.contains(&pattern.as_str()) => continue,
            Ok(_) if READ_ALL_THE_SAME.contains(&pattern.as_str()) => continue,
            Err(_) => "refused".to_owned(),
            // The lone dot is all: a special case of the operator.
            Ok(Pattern(Kind::Everything)) => continue,
            Ok(pattern) => answers.strings.iter().map(|text| if pattern.matches(text) { '1' } else { '0' }).collect(),
        };
        if answer != *expected {
            wrong.push(format!("{pattern}\n  {answer}\n  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(answers.patterns.len() > 300);
}

#[test]
fn a_lone_dot_is_everything() {
    assert!(Pattern::new(".").unwrap().matches(""));
}

#[track_caller]
fn check_refused(pattern: &str, position: usize, problem: &str) {
    let error = Pattern::new(pattern).unwrap_err();
    assert_eq!((error.position, error.problem), (position, problem), "{pattern:?}");
}

#[test]
fn errors_tell_the_place() {
    check_refused("é[a", 2, "the class is not closed");
    check_refused("ab(c|d", 3, "the group is not closed");
    check_refused("ab)", 3, "there is no group that this could close");
    check_refused("ab**", 4, "a repetition cannot be repeated");
    check_refused("a|*", 3, "there is nothing that this could repeat");
    check_refused("a(?i)*", 6, "flags cannot be repeated");
    check_refused("a(?=b)", 2, "Go knows no such group");
    check_refused("a{5,2}", 2, "a count is over 1000, or the higher one comes first");
    check_refused("(?<n-m>a)", 1, "the group's name is not one of letters, digits and _");
    check_refused("a\\y", 2, "Go knows no such escape");
    check_refused("a\\", 2, "nothing follows the backslash");
    check_refused("(a)\\1", 4, "there are no back references");
    check_refused("a\\p{Nonsense}", 2, "there is no such Unicode class");
    check_refused("a\\p{Greek", 2, "a Unicode class is not closed");
    check_refused("[[:nonsense:]]", 2, "there is no class of this name");
    check_refused("[xz-a]", 3, "the range ends before it begins");
    check_refused("\\x{D800}", 1, "there is no such character");
    check_refused(
        &"(".repeat(5_000).chars().chain(")".repeat(5_000).chars()).collect::<String>(),
        1,
        "it is nested too deeply",
    );
    check_refused("(?:\\pL{1000}){1000}", 1, "it is too large once its repetitions are written out");
}
