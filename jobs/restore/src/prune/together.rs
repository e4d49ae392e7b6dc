//! What stays since something else does: with its owner or its Namespace, what is held back would go all the same.

use std::collections::HashMap;

use super::Candidate;
use crate::prune::verdict::Verdict;

/// Where to find a candidate by what others say of it.
struct Index<'a> {
    candidates: &'a [Candidate],
    by_uid: HashMap<&'a str, usize>,
    namespaces: HashMap<&'a str, usize>,
    inside: HashMap<&'a str, Vec<usize>>,
}

/// Changes what was decided of each candidate by itself to what holds for all of them together.
pub(super) fn revise(candidates: &[Candidate], verdicts: &mut [Verdict], stands: impl Fn(&Candidate) -> bool) {
    let index = Index::of(candidates);
    index.hold_back(verdicts);
    index.keep_owners(verdicts, stands);
}

impl<'a> Index<'a> {
    fn of(candidates: &'a [Candidate]) -> Self {
        let (by_uid, namespaces, inside) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut index = Self { candidates, by_uid, namespaces, inside };
        for (place, candidate) in candidates.iter().enumerate() {
            index.by_uid.insert(&candidate.uid, place);
            index.inside.entry(&candidate.namespace).or_default().push(place);
            if candidate.is("", "namespaces") {
                index.namespaces.insert(&candidate.name, place);
            }
        }
        index
    }

    /// Holds back also the Namespaces and the owners of what is held back, and with a Namespace all that lies in it: without
    /// that, holding back would keep an empty shell.
    fn hold_back(&self, verdicts: &mut [Verdict]) {
        let is_held = |(place, verdict): (usize, &Verdict)| matches!(verdict, Verdict::HoldBack(_)).then_some(place);
        let mut held: Vec<usize> = verdicts.iter().enumerate().filter_map(is_held).collect();
        while let Some(place) = held.pop() {
            for (other, reason) in self.with(&self.candidates[place]) {
                if verdicts[other] == Verdict::Delete {
                    verdicts[other] = Verdict::hold_back(&reason);
                    held.push(other);
                }
            }
        }
    }

    /// Keeps what owns a candidate that `stands`, and the owners of that: Kubernetes would delete it with them. It comes last,
    /// for this holds whatever is asked.
    fn keep_owners(&self, verdicts: &mut [Verdict], stands: impl Fn(&Candidate) -> bool) {
        let mut kept: Vec<&Candidate> = self.candidates.iter().filter(|candidate| stands(candidate)).collect();
        while let Some(candidate) = kept.pop() {
            for owner in candidate.owners.iter().filter_map(|uid| self.by_uid.get(uid.as_str()).copied()) {
                if !matches!(verdicts[owner], Verdict::Keep(_)) {
                    verdicts[owner] =
                        Verdict::Keep("it owns what drover stands on, or what no archive has a place for");
                    kept.push(&self.candidates[owner]);
                }
            }
        }
    }

    /// The candidates that stay with this one, and why.
    fn with(&self, held: &Candidate) -> Vec<(usize, String)> {
        if held.is("", "namespaces") {
            let inside = self.inside.get(held.name.as_str()).into_iter().flatten();
            return inside.map(|place| (*place, format!("its namespace {:?} is held back", held.name))).collect();
        }
        let key = held.key();
        let namespace = self.namespaces.get(held.namespace.as_str());
        let namespace = namespace.map(|place| (*place, format!("\"{key}\" lies in it and is held back")));
        let owners = held.owners.iter().filter_map(|uid| self.by_uid.get(uid.as_str()));
        let owners = owners.map(|place| (*place, format!("it owns \"{key}\", which is held back")));
        namespace.into_iter().chain(owners).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::plan::tests::candidate;

    fn owned(name: &str, owner: &str) -> Candidate {
        Candidate { owners: vec![format!("uid of {owner}")], ..candidate("", "secrets", "shop", name) }
    }

    #[test]
    fn with_what_is_held_back_stay_its_namespace_what_lies_there_and_its_owners() {
        let candidates = [
            candidate("", "namespaces", "", "shop"),
            candidate("", "namespaces", "", "other"),
            candidate("", "secrets", "shop", "beside"),
            owned("new", "owner"),
            candidate("a.io", "things", "", "owner"),
            candidate("a.io", "things", "", "stranger"),
            candidate("", "secrets", "other", "elsewhere"),
            candidate("", "secrets", "shop", "ours"),
        ];
        let mut verdicts = vec![Verdict::Delete; candidates.len()];
        verdicts[3] = Verdict::HoldBack("too new".to_owned());
        verdicts[7] = Verdict::Keep("a reason");
        Index::of(&candidates).hold_back(&mut verdicts);
        let said = |place: usize| match &verdicts[place] {
            Verdict::HoldBack(reason) => reason.split(';').next().unwrap(),
            Verdict::Delete => "delete",
            Verdict::Keep(reason) => *reason,
        };
        let expected = [
            "\"secrets.#v1/shop/new\" lies in it and is held back",
            "delete",
            "its namespace \"shop\" is held back",
            "too new",
            "it owns \"secrets.#v1/shop/new\", which is held back",
            "delete",
            "delete",
            "a reason",
        ];
        assert_eq!((0..candidates.len()).map(said).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_owner_of_an_owner_stays_too_and_a_circle_comes_to_an_end() {
        let candidates = [owned("a", "b"), owned("b", "c"), owned("c", "a"), owned("d", "a")];
        let mut verdicts = vec![Verdict::Delete; 4];
        verdicts[0] = Verdict::HoldBack(String::new());
        Index::of(&candidates).hold_back(&mut verdicts);
        let held: Vec<bool> = verdicts.iter().map(|verdict| *verdict != Verdict::Delete).collect();
        assert_eq!(held, [true, true, true, false]);
    }
}
