//! Compiles the adapter that `wrap.rs` links into plugins, and builds the plugins that are part of the program.
//!
//! The latter are Wasm, built by `bundled/build`, which finds or makes the standard library that they need and keeps
//! what it has built by the hash of its sources. `TRACEWEIR_BUNDLED=none` leaves them out.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TEXT: &str = "adapter/deny.wat";
/// What the plugins are made of.
const SOURCES: [&str; 6] = [
    "bundled",
    "../sdk/rust/src",
    "../sdk/rust/Cargo.toml",
    "../store/traceql/src",
    "../wit",
    "../.ci/wasm-target",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={TEXT}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("only cargo runs this")?);
    fs::write(out.join("deny.wasm"), wat::parse_file(TEXT)?)?;
    println!("cargo::rerun-if-env-changed=TRACEWEIR_BUNDLED");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let is_left_out = env::var_os("TRACEWEIR_BUNDLED").is_some_and(|which| which == "none");
    let built = if is_left_out { Vec::new() } else { bundled(&out.join("bundled"))? };
    fs::write(out.join("bundled.rs"), table(&built)?)?;
    Ok(())
}

/// Builds them; their files.
fn bundled(dir: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let built = Command::new("bundled/build").arg(dir).output();
    let built = built.map_err(|fault| format!("run plugins/bundled/build: {fault}"))?;
    if !built.status.success() {
        let told = String::from_utf8_lossy(&built.stderr);
        let what = "plugins/bundled/build failed (TRACEWEIR_BUNDLED=none builds without the bundled plugins)";
        return Err(format!("{what}:\n{told}").into());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ext| ext == "wasm") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A table of names and bytes.
fn table(files: &[PathBuf]) -> Result<String, Box<dyn Error>> {
    let mut text = "/// Plugins that are part of this program, by name.\n".to_owned();
    text.push_str("pub const BUNDLED: &[(&str, &[u8])] = &[\n");
    for file in files {
        let name =
            file.file_stem().and_then(|name| name.to_str()).ok_or("a name that is no text")?;
        writeln!(text, "    ({name:?}, include_bytes!({file:?})),")?;
    }
    text.push_str("];\n");
    Ok(text)
}
