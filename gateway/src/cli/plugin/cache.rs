//! Where commands keep what they can make again.

use std::path::PathBuf;

/// The directory, from the root; nothing where the environment names none.
pub(super) fn dir() -> Option<PathBuf> {
    let of =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    of("TRACEWEIR_CACHE")
        .or_else(|| of("XDG_CACHE_HOME").map(|dir| dir.join("traceweir")))
        .or_else(|| of("HOME").map(|dir| dir.join(".cache/traceweir")))
        // Commands that are told of it run in other directories.
        .and_then(|dir| std::path::absolute(dir).ok())
}
