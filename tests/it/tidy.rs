//! Properties of the source tree itself: who imports whom, and what each file owes its reader.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// Who may import whom. Anything not listed is refused.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("traceql", &["model"]),
    ("store", &["model", "traceql"]),
    ("objects", &["model", "store"]),
    ("hybrid", &["model", "store"]),
    ("plugins", PLUGINS),
    ("gateway", &["model", "traceql", "store", "objects", "hybrid", "plugins"]),
    // Its tests take its own kit for tests.
    ("traceweir-plugin", &["traceweir-plugin"]),
    // The suites look at every layer; nobody imports them.
    (
        "tests",
        &[
            "model",
            "traceql",
            "store",
            "objects",
            "hybrid",
            "plugins",
            "gateway",
            "traceweir-plugin",
        ],
    ),
];

/// What `plugins` imports; bundled plugins, which are another workspace, for its benches alone.
const PLUGINS: &[&str] = &[
    "model",
    "traceweir-plugin",
    "attributes",
    "enrich",
    "filter",
    "k8s-enrich",
    "noise",
    "probabilistic-sampler",
    "rate-limiting-sampler",
    "redact",
    "resource",
    "scrub",
    "semconv",
    "tenth",
    "url-template",
];

/// Libraries that belong to one crate only, so that each concern has one home.
const HOME: &[(&str, &str)] = &[
    ("wasmtime", "plugins"),
    ("object_store", "objects"),
    ("foyer", "hybrid"),
    ("mixtrics", "hybrid"),
    ("parquet", "store"),
    ("hyper", "gateway"),
    ("tonic", "gateway"),
    ("jsonwebtoken", "gateway"),
    ("governor", "gateway"),
    ("tokio-rustls", "gateway"),
];

/// Libraries that std has replaced, or that we do without.
const REFUSED: &[(&str, &str)] = &[
    ("once_cell", "use std::sync::{OnceLock, LazyLock}"),
    ("lazy_static", "use std::sync::LazyLock"),
];

/// Modules from the bottom to the top: each may name those before it with `use crate::`, and
/// those of its own. A module that is not listed is refused.
const ORDER: &[(&str, &[&str])] = &[("gateway/src", GATEWAY), ("store/src", STORE)];

const GATEWAY: &[&str] = &[
    "budget",
    "clock",
    "health",
    "watch",
    "web",
    "settings",
    "overrides",
    "attach",
    "limits",
    "compute",
    "server",
    "auth",
    "receiver",
    "api",
    "log",
    "demo",
    "telemetry",
    "config",
    "app",
    "cli",
    "lib",
    "main",
];

const STORE: &[&str] = &[
    "error",
    "fault",
    "retention",
    "lru",
    "disk",
    "head",
    "block",
    "log",
    "backend",
    "manifest",
    "compaction",
    "l0",
    "shelf",
    "seal",
    "merge",
    "execute",
    "keep",
    "bare",
    "lib",
    "query",
    "append",
    "upkeep",
    "status",
];

/// Tests and the harness may use any library.
const FREE: &str = "tests";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

/// What cargo tells of the workspace, as far as it is asked for here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Where it lies, if it is one of ours.
    path: Option<PathBuf>,
}

fn metadata() -> Metadata {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let told = cargo.current_dir(root()).output().expect("cargo runs");
    serde_json::from_slice(&told.stdout).expect("cargo reads the workspace")
}

/// Every Rust file of the workspace's packages, with its path from the root.
fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut dirs =
        ["gateway", "plugins", "sdk", "store", "tests"].map(|dir| root.join(dir)).to_vec();
    let mut files = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory of the tree") {
            let path = entry.expect("an entry of the tree").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("names are text");
            if path.is_dir() && !["target", "node_modules", "corpus"].contains(&name) {
                dirs.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let relative = path.strip_prefix(&root).expect("below the root").to_owned();
                let text = std::fs::read_to_string(&path).expect("sources are text");
                files.push((relative.display().to_string(), text));
            }
        }
    }
    files.sort();
    assert!(files.len() > 20, "the sources are not where they are looked for");
    files
}

#[test]
fn crates_import_only_downwards() {
    for package in &metadata().packages {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
            panic!("{} is not in the table", package.name);
        };
        for dep in package.dependencies.iter().filter(|dep| dep.path.is_some()) {
            let name = dep.name.as_str();
            assert!(allowed.contains(&name), "{} must not import {name}", package.name);
        }
    }
}

#[test]
fn each_library_has_one_home() {
    for package in metadata().packages.iter().filter(|package| package.name != FREE) {
        for dep in &package.dependencies {
            if let Some((lib, home)) = HOME.iter().find(|(lib, _)| *lib == dep.name) {
                assert_eq!(*home, package.name, "{lib} belongs to {home}");
            }
        }
    }
}

#[test]
fn what_std_has_replaced_is_not_a_dependency() {
    for package in &metadata().packages {
        for dep in &package.dependencies {
            if let Some((lib, instead)) = REFUSED.iter().find(|(lib, _)| *lib == dep.name) {
                panic!("{} depends on {lib}: {instead}", package.name);
            }
        }
    }
}

/// Versions stand in one table; a package that names its own is the start of two.
#[test]
fn versions_stand_in_the_workspace_table_only() {
    for package in &metadata().packages {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        let mut section = String::new();
        for line in manifest.lines() {
            if line.starts_with('[') {
                line.clone_into(&mut section);
                continue;
            }
            let dependency = section.contains("dependencies") && line.contains('=');
            let shared = line.contains("workspace = true") || line.contains(".workspace=true");
            // A package may want itself in its tests, with more features.
            let itself = line.contains("path = \".\"");
            let listed = line.trim_start().starts_with('#') || shared || itself;
            assert!(!dependency || listed, "{}: {line}: not from the table", package.name);
        }
    }
}

#[test]
fn modules_import_only_downwards() {
    for (dir, order) in ORDER {
        // Tests may look at everything.
        let ours = |path: &str| path.starts_with(dir) && !path.contains("/tests");
        for (path, text) in sources().iter().filter(|(path, _)| ours(path)) {
            let inner = path.trim_start_matches(dir).trim_start_matches('/');
            let module = inner.split('/').next().unwrap().trim_end_matches(".rs");
            let rank = |module: &str| order.iter().position(|known| *known == module);
            let own = rank(module).unwrap_or_else(|| panic!("{path}: {module} is not in ORDER"));
            for imported in imports(text) {
                let Some(other) = rank(&imported) else { continue };
                assert!(other <= own, "{path}: {module} must not import {imported}");
            }
        }
    }
}

/// The modules that a file names after `use crate::`, groups included.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in text.split("use crate::").skip(1) {
        let statement = rest.split(';').next().unwrap_or_default();
        match statement.strip_prefix('{') {
            None => found.push(first_word(statement)),
            Some(group) => found.extend(first_level(group)),
        }
    }
    found
}

/// What a group names on its first level: `b::{self, C}, d` names `b` and `d`.
fn first_level(group: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            c if depth == 0 => parts.last_mut().expect("never empty").push(c),
            _ => {}
        }
    }
    parts.iter().map(|part| first_word(part)).filter(|word| !word.is_empty()).collect()
}

fn first_word(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn imports_are_read_from_statements_and_groups() {
    let text = "use crate::a::B;\nuse crate::{b::{self, C}, d::e,\n f};\npub use crate::g as h;\n";
    assert_eq!(imports(text), ["a", "b", "d", "f", "g"]);
}

#[test]
fn every_file_says_what_it_owns() {
    for (path, text) in sources() {
        // An inner attribute with its reason may stand before the head of a crate.
        let head = text.lines().find(|line| !line.is_empty() && !line.starts_with("#!["));
        assert!(head.is_some_and(|line| line.starts_with("//! ")), "{path} has no `//!` head");
    }
}

#[test]
fn work_left_to_do_names_its_issue() {
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let mark = ["TO", "DO"].concat();
            let open = line.contains(&mark) && !line.contains(&format!("{mark}(#"));
            assert!(!open, "{path}:{}: {line}", number + 1);
        }
    }
}

/// A report, not a gate: where a reader would lose the thread first.
#[test]
fn the_ten_longest_functions_are_told() {
    let mut functions = Vec::new();
    for (path, text) in sources() {
        let mut open: Option<(usize, usize, String)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            match &open {
                Some((start, depth, name)) if line.trim_start() == "}" && indent == *depth => {
                    functions.push((number - start + 1, format!("{path}:{} {name}", start + 1)));
                    open = None;
                }
                None => open = name_of(line).map(|name| (number, indent, name)),
                Some(_) => {}
            }
        }
    }
    functions.sort_by(|a, b| b.cmp(a));
    assert!(functions.len() > 100, "functions are not found any more");
    for (lines, place) in functions.iter().take(10) {
        #[expect(clippy::print_stdout, reason = "the report is what this test is for")]
        {
            println!("{lines:4} lines  {place}");
        }
    }
}

/// The name of the function that a line opens.
fn name_of(line: &str) -> Option<String> {
    let (before, after) = line.split_once("fn ")?;
    let word = |word: &str| {
        ["pub", "async", "const", "unsafe", "extern"].contains(&word) || word.starts_with("pub(")
    };
    before.split_whitespace().all(word).then(|| first_word(after)).filter(|name| !name.is_empty())
}
