//! Files that import each other.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use crate::names::Names;
use crate::source::House;

/// Files that import each other, straight or by way of each other, and what ties them.
#[derive(Debug)]
pub struct Circle<'a> {
    /// In the order of their modules.
    pub files: Vec<&'a Path>,
    /// Who imports whom.
    pub ties: Vec<(&'a Path, &'a Path)>,
}

impl fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files", self.files.len())?;
        self.ties
            .iter()
            .try_for_each(|(from, to)| write!(f, "\n              {} imports {}", from.display(), to.display()))
    }
}

/// All of them. A name counts for the file that defines it, however it is handed on.
#[must_use]
pub fn all(house: &House) -> Vec<Circle<'_>> {
    let names = Names::new(house);
    let used: Vec<BTreeSet<usize>> = (0..house.files.len()).map(|file| names.used_by(file)).collect();
    let reached: Vec<BTreeSet<usize>> = (0..used.len()).map(|file| reached_from(file, &used)).collect();
    let mut known = BTreeSet::new();
    let mut circles: Vec<Circle<'_>> = Vec::new();
    for file in 0..used.len() {
        // Each that is reached and reaches back is of the same circle: no more of a graph than this is asked for.
        let circle: BTreeSet<usize> =
            reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect();
        if known.insert(circle.clone()) && !circle.is_empty() {
            circles.push(described(house, &used, &circle));
        }
    }
    circles
}

/// What a file leads to, over as many imports as it takes; itself only where they lead back.
fn reached_from(file: usize, used: &[BTreeSet<usize>]) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<usize> = used[file].iter().copied().collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(&used[file]);
        }
    }
    reached
}

fn described<'a>(house: &'a House, used: &[BTreeSet<usize>], circle: &BTreeSet<usize>) -> Circle<'a> {
    let path = |file: usize| house.files[file].path.as_path();
    let ties = |file: usize| used[file].intersection(circle).map(move |other| (path(file), path(*other)));
    Circle {
        files: circle.iter().map(|file| path(*file)).collect(),
        ties: circle.iter().flat_map(|file| ties(*file)).collect(),
    }
}
