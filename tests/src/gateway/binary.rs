//! Finds the binary that belongs to this run of the tests, and refuses one that is out of date.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

/// The binary: `TRACEWEIR_BIN`, or what cargo built next to the test.
pub(super) fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os("TRACEWEIR_BIN") {
        Some(path) => given(PathBuf::from(path)),
        None => built(),
    })
}

fn given(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "TRACEWEIR_BIN is {}, where no file is", path.display());
    path
}

/// A test is `target/PROFILE/deps/NAME`, the binary `target/PROFILE/traceweir`.
fn built() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("a target directory");
    let path = profile.join("traceweir");
    let how = "build it with `cargo build --bin traceweir`, or name one with TRACEWEIR_BIN";
    assert!(path.is_file(), "no gateway at {}: {how}", path.display());
    if let Some(newer) = newer_source(&path) {
        panic!("{} is older than {}: {how}", path.display(), newer.display());
    }
    path
}

/// Cargo builds a binary for the tests of its own package only, so it may be an old one here.
/// `traceweir.d` beside it lists what it was built from.
fn newer_source(binary: &Path) -> Option<PathBuf> {
    let time = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let built: SystemTime = time(binary)?;
    let list = std::fs::read_to_string(binary.with_extension("d")).ok()?;
    let (_, sources) = list.split_once(": ")?;
    let sources = sources.replace("\\ ", "\u{0}");
    let sources = sources.split_whitespace().map(|name| PathBuf::from(name.replace('\u{0}', " ")));
    sources.into_iter().find(|source| time(source).is_some_and(|changed| changed > built))
}
