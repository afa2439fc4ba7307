//! Puts the SDKs of plugins into the program: `traceweir plugin new` lays them beside a new plugin, so that it builds
//! with what this very program speaks.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What is taken in, below the root of the repository.
const SOURCES: [&str; 2] = ["sdk", "wit"];
/// Directories that whoever writes a plugin does not need: tests of the SDKs themselves, and what is left by builds.
const LEFT_OUT: [&str; 9] =
    ["tests", "test", "vectors", "target", "build", "node_modules", "__pycache__", ".venv", "dist"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("only cargo runs this")?);
    let root = root.parent().ok_or("the crate lies in the repository")?.to_owned();
    let mut files = Vec::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed=../{source}");
        list(&root.join(source), &mut files)?;
    }
    println!("cargo::rerun-if-changed=../Cargo.toml");
    files.sort();
    let mut text = String::from("pub(super) const FILES: &[File] = &[\n");
    for file in &files {
        let name = file.strip_prefix(&root)?.to_str().ok_or("a name that is no text")?;
        let is_script = fs::metadata(file)?.permissions().mode() & 0o111 != 0;
        let bytes = format!("include_bytes!({file:?})");
        writeln!(text, "    File {{ path: {name:?}, bytes: {bytes}, is_script: {is_script} }},")?;
    }
    text.push_str("];\n");
    writeln!(
        text,
        "/// The workspace's manifest.\nconst MANIFEST: &str = include_str!({:?});",
        root.join("Cargo.toml")
    )?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("only cargo runs this")?);
    fs::write(out.join("sdk.rs"), text)?;
    Ok(())
}

fn list(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name =
            path.file_name().and_then(|name| name.to_str()).ok_or("a name that is no text")?;
        if LEFT_OUT.contains(&name) || name == "build-examples" {
            continue;
        }
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
