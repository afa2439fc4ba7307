//! `plugin.toml`: how a plugin is built.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Stop;
use super::desk::read;
use super::sdk::Language;

/// Its name.
pub(super) const FILE: &str = "plugin.toml";
/// The longest that is read.
const BYTES_MAX: u64 = 1 << 20;

/// What it says.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// What the plugin is called, and the component.
    pub(super) name: String,
    /// The language of its SDK.
    pub(super) language: String,
    /// The world that it implements.
    pub(super) world: String,
    /// Commands, one after the other, for the shell, in the directory of the file. `{sdk}` and `{wit}` stand for the
    /// directories of the SDK and of the contract.
    pub(super) build: Vec<String>,
    /// What they leave: a component, or a core module.
    pub(super) artifact: PathBuf,
}

impl Manifest {
    /// Reads that of a directory.
    pub(super) fn of(dir: &Path) -> Result<Self, Stop> {
        let path = dir.join(FILE);
        let bytes = read(&path, BYTES_MAX)?;
        let named = |what: String| Stop::refused(format!("{}: {what}", path.display()));
        let text = String::from_utf8(bytes).map_err(|_| named("it is no text".to_owned()))?;
        Self::parse(&text).map_err(named)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self =
            toml::from_str(text).map_err(|fault| fault.to_string().trim_end().to_owned())?;
        let Self { name, world, artifact, .. } = &manifest;
        if !is_name(name) {
            return Err(format!("name {name:?}: {NAMES}"));
        }
        if !plugins::World::ALL.iter().any(|known| known.name() == world) {
            let known: Vec<&str> = plugins::World::ALL.iter().map(|known| known.name()).collect();
            return Err(format!("world {world:?}: one of {}", known.join(", ")));
        }
        if artifact.as_os_str().is_empty() || artifact.is_absolute() {
            return Err(format!("artifact {artifact:?}: a path below this directory"));
        }
        manifest.language()?;
        Ok(manifest)
    }

    /// The language.
    pub(super) fn language(&self) -> Result<Language, String> {
        let known = || Language::ALL.map(Language::name).join(", ");
        Language::of(&self.language)
            .ok_or_else(|| format!("language {:?}: one of {}", self.language, known()))
    }
}

/// What a name may be, in words.
pub(super) const NAMES: &str =
    "a name is a letter, then letters, digits and single '-', in lower case, 64 at most";

/// Whether it is one: a directory, a crate, a module can be called so.
pub(super) fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        !part.is_empty() && part.bytes().all(is_known)
    };
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    begins && name.len() <= 64 && name.split('-').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        name = "shop-team"
        language = "rust"
        world = "span-processor-plugin"
        build = ["true"]
        artifact = "build/shop-team.wasm"
    "#;

    #[test]
    fn what_is_wrong_names_its_field() {
        assert_eq!(Manifest::parse(TEXT).unwrap().language(), Ok(Language::Rust));
        for (from, to, told) in [
            ("shop-team", "Shop", "name \"Shop\""),
            ("rust", "cobol", "language \"cobol\": one of rust, go, c, js"),
            (
                "span-processor-plugin",
                "processor",
                "world \"processor\": one of span-processor-plugin",
            ),
            ("build/shop-team.wasm", "/etc/passwd", "artifact"),
            ("build =", "built =", "built"),
        ] {
            let fault = Manifest::parse(&TEXT.replacen(from, to, 1)).unwrap_err();
            assert!(fault.contains(told), "{fault}");
        }
    }

    #[test]
    fn names_can_be_those_of_crates_and_modules() {
        for name in ["a", "shop-team", "k8s-enrich2"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(65);
        for name in ["", "-a", "a-", "a--b", "2a", "Shop", "a_b", "a.b", "a/b", &long] {
            assert!(!is_name(name), "{name}");
        }
    }
}
