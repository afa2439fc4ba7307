//! Where settings come from: a YAML file, the environment, `--set`, flags. Each becomes entries
//! `key → value` with their origin; what a key may be is not known here.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use model::Faults;
use serde_json::Value;

/// Prefix of the environment variables that are settings: `TRACEWEIR__HEAD__BYTES_MAX`.
pub const ENV_PREFIX: &str = "TRACEWEIR__";
/// The largest configuration file, and the largest file that `${file:…}` takes in.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a value comes from, weakest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// What the component does when nobody says anything.
    Default,
    /// What the cgroup and the volume allow.
    Budget,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// `--set key=value`.
    Set,
    /// A flag of its own, such as `--data`.
    Flag(&'static str),
    /// The file of overrides, and of whom it says so.
    Overrides(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Budget => f.write_str("budget of this machine"),
            Self::File(path) => path.display().fmt(f),
            Self::Env(name) => f.write_str(name),
            Self::Set => f.write_str("--set"),
            Self::Flag(name) => f.write_str(name),
            Self::Overrides(whose) => write!(f, "overrides: {whose}"),
        }
    }
}

/// One setting, as somebody wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The dotted key; a whole section where the value is an object.
    pub key: String,
    /// Readings of the value, the likeliest first: `"8"` from the environment may be the number 8
    /// or the text.
    pub readings: Vec<Value>,
    /// Whether the value came in by `${…}`, so that it may be a secret and is never printed.
    pub secret: bool,
    /// Who wrote it.
    pub origin: Origin,
}

impl Entry {
    /// A value that came as text, such as an environment variable.
    fn text(key: String, text: &str, origin: Origin) -> Self {
        Self { key, readings: readings(text), secret: false, origin }
    }
}

/// Everything that may hold settings.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// The environment, all of it; what has no prefix of ours is left alone.
    pub env: Vec<(String, String)>,
    /// `--set key=value`, in order.
    pub set: Vec<String>,
    /// Flags of their own: key, flag, value.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

impl Sources {
    /// All entries, the weakest first.
    #[must_use]
    pub fn entries(&self, faults: &mut Faults) -> Vec<Entry> {
        let mut entries = Vec::new();
        if let Some(path) = &self.file {
            entries.extend(file_entry(path, faults));
        }
        let mut env: Vec<_> =
            self.env.iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
        env.sort();
        entries.extend(env.into_iter().map(|(name, text)| {
            let key = name.trim_start_matches(ENV_PREFIX).replace("__", ".").to_ascii_lowercase();
            Entry::text(key, text, Origin::Env(name.clone()))
        }));
        for setting in &self.set {
            match setting.split_once('=') {
                Some((key, text)) if !key.trim().is_empty() => {
                    entries.push(Entry::text(key.trim().to_owned(), text, Origin::Set));
                }
                _ => faults.push("--set", "a setting without `=`", "key=value"),
            }
        }
        entries.extend(
            self.flags
                .iter()
                .map(|(key, flag, text)| Entry::text((*key).to_owned(), text, Origin::Flag(flag))),
        );
        entries
    }

    /// The value of an environment variable.
    fn env(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    /// Puts what `${NAME}`, `${NAME:-otherwise}` and `${file:PATH}` stand for in the place of
    /// them; `$${` is a literal `${`. `None` where there is nothing to replace.
    ///
    /// # Errors
    /// Names what cannot be had, never its value.
    pub fn expand(&self, text: &str) -> Result<Option<String>, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut expanded = false;
        while let Some((before, after)) = rest.split_once("${") {
            expanded = true;
            if let Some(literal) = before.strip_suffix('$') {
                out.push_str(literal);
                out.push_str("${");
                rest = after;
                continue;
            }
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                return Err("`${` without `}`".to_owned());
            };
            out.push_str(&self.lookup(name)?);
            rest = after;
        }
        out.push_str(rest);
        Ok(expanded.then_some(out))
    }

    fn lookup(&self, name: &str) -> Result<String, String> {
        if let Some(path) = name.strip_prefix("file:") {
            let text = read_bounded(Path::new(path)).map_err(|fault| format!("{path}: {fault}"))?;
            return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        let (name, otherwise) = match name.split_once(":-") {
            Some((name, otherwise)) => (name, Some(otherwise)),
            None => (name, None),
        };
        let found = self.env(name).filter(|text| !text.is_empty()).or(otherwise);
        found.map(str::to_owned).ok_or_else(|| format!("environment variable {name} is not set"))
    }
}

/// What a text may mean: YAML first, then the text itself.
#[must_use]
pub fn readings(text: &str) -> Vec<Value> {
    let plain = Value::String(text.to_owned());
    match serde_saphyr::from_str::<Value>(text) {
        Ok(value) if value != plain => vec![value, plain],
        _ => vec![plain],
    }
}

/// The file as one entry: an object under the empty key.
fn file_entry(path: &Path, faults: &mut Faults) -> Option<Entry> {
    let key = path.display().to_string();
    let text = read_bounded(path)
        .map_err(|fault| faults.push(&key, fault, "a configuration file that can be read"))
        .ok()?;
    let value = match serde_saphyr::from_str::<Value>(&text) {
        Ok(value) => value,
        // A file of comments only is an empty document.
        Err(_) if only_comments(&text) => Value::Null,
        Err(fault) => {
            faults.push(&key, first_line(&fault.to_string()), "YAML");
            return None;
        }
    };
    match value {
        Value::Null => None,
        Value::Object(_) => Some(Entry {
            key: String::new(),
            readings: vec![value],
            secret: false,
            origin: Origin::File(path.to_owned()),
        }),
        _ => {
            faults.push(&key, "a file without keys", "YAML with one `key: value` on each line");
            None
        }
    }
}

fn only_comments(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// The parser's message without its picture of the source, which may show a secret.
fn first_line(message: &str) -> &str {
    message.lines().find(|line| !line.trim().is_empty()).unwrap_or("no YAML").trim()
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|fault| fault.to_string())?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|fault| fault.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}
