//! Regexps as texts that they match, and with pieces taken out. Of their grammar only what ResourceSets of Rancher use.

use std::collections::BTreeSet;

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{Alternation, Ast, Concat, Group, Repetition, RepetitionKind};

/// Texts that the regexp matches: each combination of its alternatives.
pub(super) fn samples(pattern: &str) -> BTreeSet<String> {
    samples_of(&parse(pattern)).into_iter().filter(|sample| !sample.is_empty()).collect()
}

/// The regexp without one of its alternatives, anchors, groups or repetitions, each way once.
pub(super) fn shortened(pattern: &str) -> Vec<String> {
    without_one(&parse(pattern)).iter().map(Ast::to_string).collect()
}

fn parse(pattern: &str) -> Ast {
    Parser::new().parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

fn samples_of(ast: &Ast) -> Vec<String> {
    match ast {
        Ast::Empty(_) | Ast::Assertion(_) => vec![String::new()],
        Ast::Literal(literal) => vec![literal.c.to_string()],
        Ast::Dot(_) => [".", "-"].map(str::to_owned).to_vec(),
        Ast::Group(group) => samples_of(&group.ast),
        Ast::Alternation(alternation) => alternation.asts.iter().flat_map(samples_of).collect(),
        Ast::Concat(concat) => concat.asts.iter().fold(vec![String::new()], |begun, part| each_with(&begun, part)),
        Ast::Repetition(repetition) => {
            let none = (repetition.op.kind != RepetitionKind::OneOrMore).then(String::new);
            none.into_iter().chain(samples_of(&repetition.ast)).collect()
        }
        _ => panic!("no sample is known of {ast}"),
    }
}

fn each_with(begun: &[String], part: &Ast) -> Vec<String> {
    let ends = samples_of(part);
    begun.iter().flat_map(|begin| ends.iter().map(move |end| format!("{begin}{end}"))).collect()
}

fn without_one(ast: &Ast) -> Vec<Ast> {
    match ast {
        Ast::Alternation(alternation) => without_part(&alternation.asts, |_| true)
            .into_iter()
            .map(|asts| Ast::alternation(Alternation { asts, ..(**alternation).clone() }))
            .collect(),
        Ast::Concat(concat) => without_part(&concat.asts, |part| !matches!(part, Ast::Literal(_) | Ast::Dot(_)))
            .into_iter()
            .map(|asts| Ast::concat(Concat { asts, ..(**concat).clone() }))
            .collect(),
        Ast::Group(group) => without_one(&group.ast)
            .into_iter()
            .map(|inner| Ast::group(Group { ast: Box::new(inner), ..(**group).clone() }))
            .collect(),
        Ast::Repetition(repetition) => without_one(&repetition.ast)
            .into_iter()
            .map(|inner| Ast::repetition(Repetition { ast: Box::new(inner), ..(**repetition).clone() }))
            .collect(),
        _ => Vec::new(),
    }
}

/// The parts without one of those that may go, and with each of them shortened in itself.
fn without_part(parts: &[Ast], may_go: impl Fn(&Ast) -> bool) -> Vec<Vec<Ast>> {
    let mut found = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let gone = may_go(part).then(Vec::new);
        for new in gone.into_iter().chain(without_one(part).into_iter().map(|part| vec![part])) {
            let mut parts = parts.to_vec();
            parts.splice(index..=index, new);
            found.push(parts);
        }
    }
    found
}

#[test]
fn samples_are_of_every_alternative() {
    let found = |pattern| samples(pattern).into_iter().collect::<Vec<_>>();
    assert_eq!(found("^(a|b)-$|c.d"), ["a-", "b-", "c-d", "c.d"]);
    assert_eq!(found("^(cattle-)?fleet-"), ["cattle-fleet-", "fleet-"]);
    assert_eq!(found("^.*$"), ["-", "."]);
}

#[test]
fn a_regexp_is_shortened_by_each_of_its_pieces() {
    assert_eq!(shortened("^(a|b)-$"), ["(a|b)-$", "^-$", "^(b)-$", "^(a)-$", "^(a|b)-"]);
    assert_eq!(shortened("^(a-)?b|c"), ["c", "(a-)?b|c", "^b|c", "^(a-)?b"]);
}
