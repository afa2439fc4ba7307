//! Compiles the adapter that `wrap.rs` links into plugins, from its text.

use std::env;
use std::error::Error;
use std::path::PathBuf;

const TEXT: &str = "adapter/deny.wat";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={TEXT}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("only cargo runs this")?);
    std::fs::write(out.join("deny.wasm"), wat::parse_file(TEXT)?)?;
    Ok(())
}
