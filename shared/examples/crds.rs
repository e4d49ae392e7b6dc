//! Writes `manifests/crds` anew from the Rust types: `cargo crds`.
#![expect(clippy::print_stdout, reason = "it tells what it wrote")]

use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/crds");
    for (name, text) in drover::resources::manifests()? {
        fs::write(folder.join(&name), text)?;
        println!("wrote manifests/crds/{name}");
    }
    Ok(())
}
