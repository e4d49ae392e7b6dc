//! The structure of crates made up for it.

#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::fs;
use std::path::Path;

use drover_structure::{House, circles, figures};
use tempfile::TempDir;

/// A crate of these files under `src`.
fn house(files: &[(&str, &str)]) -> (TempDir, House) {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &Path, text: &str| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(&folder.path().join("Cargo.toml"), "[package]\nname = \"made-up\"\nedition = \"2024\"\n");
    for (path, text) in files {
        write(&folder.path().join("src").join(path), text);
    }
    let house = House::read(folder.path()).unwrap();
    (folder, house)
}

fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let (_folder, house) = house(files);
    circles::all(&house)
        .iter()
        .map(|circle| circle.files.iter().map(|file| file.to_str().unwrap()).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn a_part_that_takes_from_its_whole_is_a_circle() {
    let files = [
        ("lib.rs", "mod whole;"),
        ("whole.rs", "mod part; pub use part::Part; pub struct Shared;"),
        ("whole/part.rs", "use super::Shared; pub struct Part(Shared);"),
    ];
    assert_eq!(circles_of(&files), ["src/whole.rs src/whole/part.rs"]);
}

#[test]
fn a_leaf_for_what_both_use_ends_it() {
    let files = [
        ("lib.rs", "mod whole;"),
        ("whole.rs", "mod part; mod shared; pub use part::Part; pub use shared::Shared;"),
        ("whole/shared.rs", "pub struct Shared;"),
        // Through the whole's re-export: the name is still the leaf's.
        ("whole/part.rs", "use super::Shared; pub struct Part(Shared);"),
    ];
    assert_eq!(circles_of(&files), [""; 0]);
}

#[test]
fn a_circle_over_three_files_is_found_in_calls_macros_and_attributes() {
    let files = [
        ("lib.rs", "mod one; mod two; mod three;"),
        ("one.rs", "pub fn one() { crate::two::two(); }"),
        ("two.rs", "pub fn two() { println!(\"{}\", crate::three::Three); }"),
        ("three.rs", "#[made(with = crate::one::one)] pub struct Three;"),
    ];
    assert_eq!(circles_of(&files), ["src/one.rs src/two.rs src/three.rs"]);
}

#[test]
fn a_module_taken_by_its_name_counts_for_what_is_taken_from_it() {
    let files = [
        ("lib.rs", "mod one; mod two;"),
        ("one.rs", "use crate::two; pub fn one() { two::deep::call(); }"),
        ("two.rs", "pub mod deep; use crate::one; pub fn two() { one::one(); }"),
        ("two/deep.rs", "pub fn call() {}"),
    ];
    assert_eq!(circles_of(&files), [""; 0]);
}

#[test]
fn what_tests_import_is_no_import() {
    let files = [
        ("lib.rs", "mod one; mod two;"),
        ("one.rs", "pub fn one() { crate::two::two(); }"),
        ("two.rs", "pub fn two() {} #[cfg(test)] mod tests { use crate::one::one; }"),
    ];
    assert_eq!(circles_of(&files), [""; 0]);
}

#[test]
fn who_may_see_something_is_no_import() {
    let files = [
        ("lib.rs", "mod whole;"),
        ("whole.rs", "mod part; pub use part::Part;"),
        ("whole/part.rs", "#[made(visibility(pub(in crate::whole)))] pub(in crate::whole) struct Part;"),
    ];
    assert_eq!(circles_of(&files), [""; 0]);
}

fn figure(house: &House, what: &str) -> Vec<String> {
    figures::all(house).into_iter().find(|figure| figure.what.contains(what)).unwrap().details
}

#[test]
fn what_nobody_names_and_what_stands_twice_is_found() {
    let body = "{ let mut sum = 0; for step in 0..count { sum += step * 3; if sum > 100 { sum -= 7; } } sum }";
    let lib = format!(
        "mod other; pub fn twice(count: u32) -> u32 {body} pub struct Known(pub other::Thing); pub fn call() {{ twice(1); }}"
    );
    let other = format!("pub struct Thing; pub fn nobody_calls_it(count: u32) -> u32 {body}");
    let (_folder, house) = house(&[("lib.rs", &lib), ("other.rs", &other), ("more.rs", "")]);
    assert_eq!(figure(&house, "nobody names"), ["src/lib.rs Known", "src/lib.rs call", "src/other.rs nobody_calls_it"]);
    assert_eq!(figure(&house, "more than once"), ["src/lib.rs:1 twice, src/other.rs:1 nobody_calls_it"]);
}

#[test]
fn what_a_text_or_another_name_stands_for_is_named() {
    let lib = "mod other; use other::{LONG, SHORT as S}; pub fn call() { call(); print!(\"{LONG} {}\", S) }";
    let other = "pub const LONG: &str = \"\"; pub const SHORT: &str = \"\"; pub const NONE: &str = \"\";";
    let (_folder, house) = house(&[("lib.rs", lib), ("other.rs", other)]);
    assert_eq!(figure(&house, "nobody names"), ["src/other.rs NONE"]);
}

#[test]
fn a_long_function_is_named_with_its_line() {
    let long = format!("\npub fn long() {{\n{}}}\n", "    call();\n".repeat(49));
    let (_folder, house) =
        house(&[("lib.rs", &format!("mod other;{long}{}", long.replace("call();\n}", "}"))), ("other.rs", "")]);
    assert_eq!(figure(&house, "of more than 50 lines"), ["src/lib.rs:2 long"]);
}

#[test]
fn a_module_without_a_file_is_an_error_that_names_both() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("Cargo.toml"), "[package]\nname = \"made-up\"\n").unwrap();
    fs::write(folder.path().join("src/lib.rs"), "mod gone;").unwrap();
    let error = House::read(folder.path()).err().unwrap().to_string();
    assert!(error.contains("failed to find the file of module \"gone\""), "{error}");
    assert!(error.contains("src/lib.rs"), "{error}");
}
