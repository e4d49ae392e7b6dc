//! The structure of this workspace.

use std::path::Path;

use drover_structure::{House, circles};

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let house = House::read(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert!(house.files.len() > 300, "{} files were read", house.files.len());
    let circles: Vec<String> = circles::all(&house).iter().map(ToString::to_string).collect();
    assert!(circles.is_empty(), "move what both ends use into a file of its own:\n{}", circles.join("\n"));
}
