//! The SDKs that are part of this program, and the templates in them.

use std::fmt::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{Stop, cache};

/// A file of the repository.
#[derive(Debug)]
pub(super) struct File {
    /// From the root of the repository.
    pub(super) path: &'static str,
    pub(super) bytes: &'static [u8],
    pub(super) is_script: bool,
}

include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// Below a plugin's directory, or the cache: as in the repository, so that what refers from one to the other does so
/// here, too.
const HOME: &str = "traceweir";

/// A language that there is an SDK for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Language {
    Rust,
    Go,
    C,
    Js,
    Python,
    Zig,
    Assemblyscript,
}

impl Language {
    pub(super) const ALL: [Self; 7] =
        [Self::Rust, Self::Go, Self::C, Self::Js, Self::Python, Self::Zig, Self::Assemblyscript];

    /// As in `plugin.toml`, and below `sdk`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Go => "go",
            Self::C => "c",
            Self::Js => "js",
            Self::Python => "python",
            Self::Zig => "zig",
            Self::Assemblyscript => "assemblyscript",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.name() == name)
    }

    /// What has to be there to build.
    pub(super) const fn needs(self) -> &'static str {
        match self {
            Self::Rust => {
                "Rust with the target wasm32-unknown-unknown (rustup target add wasm32-unknown-unknown)"
            }
            Self::Go => "Go 1.24 or later (go.dev/dl)",
            Self::C => "bash, and clang with wasm-ld, or Zig, or Python 3 to get Zig from PyPI",
            Self::Js => "bash, Node.js 20 or later, and npm to get componentize-js once",
            Self::Python => "bash, Python 3.11 or later, and pip to get componentize-py once",
            Self::Zig => "bash, and Zig 0.17, or Python 3 to get it from PyPI",
            Self::Assemblyscript => "bash, Node.js 20 or later, and npm to get AssemblyScript once",
        }
    }

    /// Directories of the repository that its plugins build with.
    const fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["sdk/rust", "wit"],
            Self::Go => &["sdk/go", "wit"],
            Self::C => &["sdk/c", "wit"],
            Self::Js => &["sdk/js", "wit"],
            Self::Python => &["sdk/python", "wit"],
            // With the C SDK.
            Self::Zig => &["sdk/zig", "sdk/c", "wit"],
            Self::Assemblyscript => &["sdk/assemblyscript", "wit"],
        }
    }

    /// Everything that plugins in this language build with, by its path below [`HOME`].
    fn files(self) -> impl Iterator<Item = &'static File> {
        let is_part = move |path: &str| {
            self.parts()
                .iter()
                .any(|part| path.strip_prefix(part).is_some_and(|rest| rest.starts_with('/')))
        };
        let is_kept = move |file: &&File| {
            let is_sample = file.path.contains("/template") || file.path.contains("/examples/");
            is_part(file.path) && !is_sample
        };
        FILES.iter().filter(is_kept)
    }
}

/// Where the SDK of a language is, and the contract.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) sdk: PathBuf,
    pub(super) wit: PathBuf,
}

impl Places {
    fn below(home: &Path, language: Language) -> Self {
        Self { sdk: home.join("sdk").join(language.name()), wit: home.join("wit") }
    }

    /// Those beside a plugin, from its directory; else those of this program, in the cache.
    pub(super) fn of(dir: &Path, language: Language) -> Result<Self, Stop> {
        let beside = Self::below(Path::new(".").join(HOME).as_path(), language);
        if dir.join(&beside.sdk).is_dir() {
            return Ok(beside);
        }
        let none = || {
            Stop::failed(
                "there is no traceweir/sdk here, and no cache to put one into: set TRACEWEIR_CACHE",
            )
        };
        let cache = cache::dir().ok_or_else(none)?;
        let home = cache.join(format!("sdk-{}", version(language)));
        if !home.is_dir() {
            let part = cache.join(format!("sdk-{}.{}", version(language), std::process::id()));
            lay(&part, language)?;
            // Somebody else may have been faster with the same.
            drop(std::fs::rename(&part, &home));
        }
        Ok(Self::below(&home, language))
    }
}

/// Puts the SDK beside a plugin.
pub(super) fn put_beside(dir: &Path, language: Language) -> Result<(), Stop> {
    lay(&dir.join(HOME), language)
}

fn lay(home: &Path, language: Language) -> Result<(), Stop> {
    for file in language.files() {
        write(&home.join(file.path), file.bytes, file.is_script)?;
    }
    if language == Language::Rust {
        write(&home.join("Cargo.toml"), workspace(MANIFEST).as_bytes(), false)?;
    }
    Ok(())
}

/// Writes a file, and makes its directory.
pub(super) fn write(path: &Path, bytes: &[u8], is_script: bool) -> Result<(), Stop> {
    use std::io::Write as _;
    let failed = |fault: std::io::Error| Stop::failed(format!("{}: {fault}", path.display()));
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    let mode = if is_script { 0o777 } else { 0o666 };
    let file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(failed)
}

/// What tells one state of an SDK from another.
fn version(language: Language) -> String {
    let all = language.files().flat_map(|file| [file.path.as_bytes(), b"\0", file.bytes, b"\0"]);
    let all: Vec<u8> = all.flatten().copied().collect();
    plugins::Digest::of(&all).hex().chars().take(16).collect()
}

/// The workspace that the Rust SDK takes its versions from, without everything else.
fn workspace(manifest: &str) -> String {
    let mut out = "[workspace]\nresolver = \"3\"\nmembers = [\"sdk/rust\"]\n".to_owned();
    let mut is_taken = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_taken = line.starts_with("[workspace.");
        }
        // Of our own crates there is but this one.
        let is_path = line.contains("{ path = \"");
        if is_taken && !is_path {
            writeln!(out, "{line}").unwrap_or_default();
        }
    }
    out
}
