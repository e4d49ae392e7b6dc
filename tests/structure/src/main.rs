//! Prints how the code of this workspace is built: `cargo structure`, `cargo structure -- --details`.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use drover_structure::{House, figures};

fn main() -> ExitCode {
    match print() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "{error}"));
            ExitCode::FAILURE
        }
    }
}

fn print() -> Result<(), Box<dyn std::error::Error>> {
    let house = House::read(Path::new("."))?;
    let with_details = std::env::args().any(|argument| argument == "--details");
    let mut out = io::stdout().lock();
    for figure in figures::all(&house) {
        writeln!(out, "{:>8}  {}", figure.count, figure.what)?;
        for detail in figure.details.iter().filter(|_| with_details) {
            writeln!(out, "            {detail}")?;
        }
    }
    Ok(())
}
