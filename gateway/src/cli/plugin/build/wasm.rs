//! The standard library of Rust for wasm32-unknown-unknown, and how to build with it.
//!
//! Where rustup can fetch it that is all. Where it cannot, Debian's rustc-web and the sources beside it make one, once,
//! which is kept; no other compiler takes those sources. Nothing of the system's is installed from here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::{Stop, cache};
use crate::cli::complain;

const TARGET: &str = "wasm32-unknown-unknown";
/// Where Debian's packages put them.
const BIN: &str = "usr/bin";
const SOURCES: &str = "usr/src";
/// Names another root than `/`: for a try without installing, and for tests.
const ROOT: &str = "TRACEWEIR_DEBIAN_ROOT";

/// Of the target only: build scripts and macros have the compiler's own.
const FLAGS: &str = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS";
/// Gateways have it switched on.
const SIMD: &str = "-C target-feature=+simd128";

/// Variables to build with.
pub(super) fn environment(dir: &Path) -> Result<Vec<(String, String)>, Stop> {
    if has_target(dir) || (fetched(dir) && has_target(dir)) {
        return Ok(vec![flags("")]);
    }
    let debian = Debian::find().ok_or_else(|| {
        Stop::failed(format!(
            "there is no standard library for {TARGET}: `rustup target add {TARGET}` does not get it, and Debian's \
             packages rustc-web, cargo-web, rust-web-src and lld-19, of which one can be built, are not installed"
        ))
    })?;
    debian.environment()
}

/// The compiler's flags: what somebody has set for it comes last, and counts.
fn flags(more: &str) -> (String, String) {
    let set = std::env::var(FLAGS).unwrap_or_default();
    (FLAGS.to_owned(), format!("{SIMD}{more} {set}").trim_end().to_owned())
}

/// Whether the compiler that is used in a directory has the target.
fn has_target(dir: &Path) -> bool {
    let told = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output();
    let path = told.ok().and_then(|told| String::from_utf8(told.stdout).ok());
    let libraries = path.and_then(|path| std::fs::read_dir(path.trim()).ok());
    libraries.is_some_and(|mut libraries| {
        libraries
            .any(|of| of.is_ok_and(|of| of.file_name().to_string_lossy().starts_with("libcore-")))
    })
}

/// Whether rustup says that it has got it.
fn fetched(dir: &Path) -> bool {
    complain(&format!("$ rustup target add {TARGET}"));
    let status = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Debian's compiler, its linker, and its version.
struct Debian {
    /// Where compiler and cargo are.
    bin: PathBuf,
    linker: String,
    version: String,
}

impl Debian {
    fn find() -> Option<Self> {
        let root = std::env::var_os(ROOT).filter(|root| !root.is_empty());
        let root = root.map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let has_sources = std::fs::read_dir(root.join(SOURCES)).ok()?.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("rustc-"))
        });
        let bin = root.join(BIN);
        if !has_sources || !bin.join("cargo").is_file() {
            return None;
        }
        let mut rustc = Command::new(bin.join("rustc"));
        let told = rustc.arg("--version").stdin(Stdio::null()).output().ok()?;
        let told = String::from_utf8(told.stdout).ok()?;
        let version = told.split(' ').nth(1)?.to_owned();
        Some(Self { bin, linker: linker()?, version })
    }

    fn environment(&self) -> Result<Vec<(String, String)>, Stop> {
        let home = cache::dir().ok_or_else(|| Stop::failed("no cache: set TRACEWEIR_CACHE"))?;
        let sysroot = home.join(format!("wasm-sysroot-{}", self.version));
        if !sysroot.join("complete").is_file() {
            self.build_std(&sysroot)?;
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let of = |name: &str, value: String| (name.to_owned(), value);
        Ok(vec![
            of("RUSTC", self.bin.join("rustc").display().to_string()),
            of("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", self.linker.clone()),
            flags(&format!(" --sysroot {}", sysroot.display())),
            // Its own cargo, before rustup's.
            of("PATH", format!("{}:{path}", self.bin.display())),
        ])
    }

    /// Builds std by way of an empty crate, and keeps its libraries.
    fn build_std(&self, sysroot: &Path) -> Result<(), Stop> {
        let failed = |what: &dyn std::fmt::Display| {
            Stop::failed(format!("{}: std for {TARGET}: {what}", sysroot.display()))
        };
        complain(&format!("building std for {TARGET} (a minute, once)"));
        let part = PathBuf::from(format!("{}.{}", sysroot.display(), std::process::id()));
        let (work, libraries) =
            (part.join("work"), part.join("lib/rustlib").join(TARGET).join("lib"));
        std::fs::create_dir_all(work.join("src")).map_err(|fault| failed(&fault))?;
        std::fs::create_dir_all(&libraries).map_err(|fault| failed(&fault))?;
        let manifest =
            "[package]\nname = \"nothing\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
        std::fs::write(work.join("Cargo.toml"), manifest).map_err(|fault| failed(&fault))?;
        std::fs::write(work.join("src/lib.rs"), "").map_err(|fault| failed(&fault))?;
        let status = Command::new(self.bin.join("cargo"))
            .args(["build", "--release", "--target", TARGET, "-Zbuild-std=std,panic_abort"])
            .current_dir(&work)
            .env("RUSTC", self.bin.join("rustc"))
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", work.join("target"))
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status();
        let status = status.map_err(|fault| failed(&fault))?;
        if !status.success() {
            drop(std::fs::remove_dir_all(&part));
            return Err(failed(&format!("cargo ended with {status}")));
        }
        let built = work.join("target").join(TARGET).join("release/deps");
        for entry in std::fs::read_dir(built).map_err(|fault| failed(&fault))? {
            let path = entry.map_err(|fault| failed(&fault))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with(".rlib") && !name.starts_with("libnothing-") {
                std::fs::copy(&path, libraries.join(name)).map_err(|fault| failed(&fault))?;
            }
        }
        std::fs::remove_dir_all(&work).map_err(|fault| failed(&fault))?;
        std::fs::write(part.join("complete"), "").map_err(|fault| failed(&fault))?;
        // What was left half done is in the way.
        drop(std::fs::remove_dir_all(sysroot));
        std::fs::rename(&part, sysroot).map_err(|fault| failed(&fault))
    }
}

/// The newest `wasm-ld-N` in the path.
fn linker() -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let entries =
        std::env::split_paths(&path).filter_map(|dir| std::fs::read_dir(dir).ok()).flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let numbered = names.filter_map(|name| {
        let number: u32 = name.strip_prefix("wasm-ld-")?.parse().ok()?;
        Some((number, name))
    });
    numbered.max().map(|(_, name)| name)
}
