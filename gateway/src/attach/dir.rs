//! A directory of plugins: each `NAME.wasm` in it is one, by its name. What more is to be said of one stands in the file of
//! plugins, without a `source`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use plugins::definition::{Definition, Definitions, PLUGINS_MAX};

/// What plugins end in.
const ENDING: &str = "wasm";

/// See the module; or none.
#[derive(Clone, Debug, Default)]
pub(super) struct Dir(Option<PathBuf>);

impl Dir {
    /// The directory of a path; an empty one is none.
    pub(super) fn new(path: &str) -> Self {
        Self((!path.is_empty()).then(|| PathBuf::from(path)))
    }

    /// Says from where those of a file come of which it does not say so.
    pub(super) fn fill(&self, definitions: &mut Definitions) {
        let Some(dir) = &self.0 else { return };
        for (name, definition) in definitions {
            if definition.source.is_empty() {
                definition.source = source(dir, name);
            }
        }
    }

    /// Adds those that lie in it. One that somebody needs (`named`) stays defined when its file is gone: what runs, runs on.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn add(
        &self,
        definitions: &mut Definitions,
        named: &BTreeSet<String>,
    ) -> Result<(), String> {
        let Some(dir) = &self.0 else { return Ok(()) };
        let fault = |fault: std::io::Error| format!("{}: {fault}", dir.display());
        let mut names = named.clone();
        for entry in fs::read_dir(dir).map_err(fault)?.take(10 * PLUGINS_MAX) {
            let path = entry.map_err(fault)?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).filter(|name| is_name(name));
            if let (Some(name), Some(ENDING)) = (name, path.extension().and_then(|of| of.to_str()))
            {
                names.insert(name.to_owned());
            }
        }
        for name in names {
            if definitions.len() < PLUGINS_MAX && !definitions.contains_key(&name) {
                let definition = Definition { source: source(dir, &name), ..Definition::default() };
                definitions.insert(name, definition);
            }
        }
        Ok(())
    }
}

fn source(dir: &Path, name: &str) -> String {
    format!("file:{}", dir.join(format!("{name}.{ENDING}")).display())
}

/// As definitions have it; `.` begins what editors and Kubernetes put there for themselves.
fn is_name(name: &str) -> bool {
    let named = |of: char| of.is_ascii_alphanumeric() || "-_.".contains(of);
    !name.starts_with('.') && name.len() <= 100 && name.chars().all(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_there_is_defined_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["team.wasm", "cards.wasm", "..data.wasm", "a b.wasm", "README.md", "team.yaml"]
        {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        let path = |name: &str| format!("file:{}/{name}.wasm", dir.path().display());
        let said = |source: &str| Definition {
            source: source.to_owned(),
            config: serde_json::json!({"a": 1}),
            ..Definition::default()
        };
        let mut definitions = Definitions::from([
            ("team".to_owned(), said("")),
            ("redact".to_owned(), said("bundled:redact")),
        ]);
        let of = Dir::new(dir.path().to_str().unwrap());
        of.fill(&mut definitions);
        of.add(&mut definitions, &BTreeSet::from(["gone".to_owned()])).unwrap();
        let names: Vec<&str> = definitions.keys().map(String::as_str).collect();
        assert_eq!(names, ["cards", "gone", "redact", "team"]);
        assert_eq!(definitions["team"], said(&path("team")), "what the file says of it holds");
        assert_eq!(definitions["cards"].source, path("cards"));
        assert_eq!(definitions["redact"].source, "bundled:redact");
    }

    #[test]
    fn no_directory_defines_nothing_and_one_that_is_not_there_is_named() {
        let (mut definitions, nobody) = (Definitions::new(), BTreeSet::new());
        Dir::new("").add(&mut definitions, &nobody).unwrap();
        let fault = Dir::new("/nowhere/at/all").add(&mut definitions, &nobody).unwrap_err();
        assert!(fault.contains("/nowhere/at/all"), "{fault}");
        assert!(definitions.is_empty());
    }
}
