//! What is laid out before a plugin is tried: its file, its configuration, tables, batches, an engine.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{ByteSize, Wait};
use plugins::trial::{Request, Subject};
use plugins::{Codes, Engine, Limits, Settings, Tables};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use serde_json::Value;

use super::{Stop, cache};
use crate::attach::tables::{SOURCE_BYTES_MAX, entries_of};

/// The largest file of a plugin, and of a batch.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// The largest configuration, and table.
const TEXT_BYTES_MAX: u64 = 64 << 20;
/// Batches of one command.
const BATCHES_MAX: usize = 10_000;
/// Instances at a time.
const INSTANCES_MAX: u32 = 64;
/// In front of the name of a plugin that is part of this program.
const BUNDLED: &str = "bundled:";

/// A plugin, and what it may use.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// A component or a core module; `bundled:NAME` is one that is part of this program
    file: PathBuf,
    /// Its configuration: a file in JSON or YAML, or JSON itself
    #[arg(long, value_name = "FILE|JSON")]
    config: Option<String>,
    /// A table for it to look things up in: a file as `plugins.tables` takes it, JSON or CSV; may be repeated
    #[arg(long, value_name = "NAME=FILE", value_parser = table)]
    table: Vec<(String, PathBuf)>,
    /// How long a call may take; on a gateway 50ms unless its definition says more
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = unit::<Wait>)]
    timeout: Wait,
    /// Memory of an instance; on a gateway 64MiB unless its definition says more
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = unit::<ByteSize>)]
    memory_max: ByteSize,
}

fn table(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("expected NAME=FILE")?;
    Ok((name.to_owned(), PathBuf::from(file)))
}

/// A time or a size with its unit, as a configuration has it.
pub(super) fn unit<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let text: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    T::deserialize(text).map_err(|fault| fault.to_string())
}

/// How instructions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fuel {
    Counted,
    Ignored,
}

impl Which {
    /// The bytes of the file.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Stop> {
        let named = self.file.to_str().and_then(|file| file.strip_prefix(BUNDLED));
        let Some(name) = named else { return read(&self.file, FILE_BYTES_MAX) };
        let found = plugins::BUNDLED.iter().find(|(known, _)| *known == name);
        found.map(|(_, bytes)| bytes.to_vec()).ok_or_else(|| {
            let known: Vec<&str> = plugins::BUNDLED.iter().map(|(known, _)| *known).collect();
            Stop::refused(format!("bundled:{name}: there are {}", known.join(", ")))
        })
    }

    /// As it was named.
    pub(super) fn name(&self) -> String {
        self.file.display().to_string()
    }

    /// The configuration that was given.
    pub(super) fn config(&self) -> Result<Option<Value>, Stop> {
        let Some(given) = &self.config else { return Ok(None) };
        if given.trim_start().starts_with('{') {
            let parsed = serde_json::from_str(given);
            return parsed.map(Some).map_err(|fault| Stop::refused(format!("--config: {fault}")));
        }
        value(Path::new(given)).map(Some)
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            time: self.timeout.0,
            memory_bytes_max: self.memory_max.as_usize(),
            answer_bytes_max: 16 << 20,
        }
    }

    /// Loads it, with configuration and tables.
    pub(super) fn subject(&self, (engine, codes): (&Engine, &Codes)) -> Result<Subject, Stop> {
        let (bytes, config, tables) = (self.bytes()?, self.config()?, self.tables()?);
        let named = |error: plugins::Error| Stop::from(error.within(&self.name()));
        let subject = Subject::load(engine, codes, &bytes, self.limits()).map_err(named)?;
        let subject = subject.with_tables(tables);
        Ok(match config {
            Some(config) => subject.with_config(config),
            None => subject,
        })
    }

    fn tables(&self) -> Result<Arc<Tables>, Stop> {
        let tables = Tables::default();
        for (name, file) in &self.table {
            let named = |what: String| Stop::refused(format!("{}: {what}", file.display()));
            let bytes = read(file, SOURCE_BYTES_MAX as u64)?;
            let entries = entries_of(&file.to_string_lossy(), &bytes).map_err(named)?;
            tables.replace(name, entries).map_err(|full| named(full.to_string()))?;
        }
        Ok(Arc::new(tables))
    }
}

/// An engine, and where compiled code is kept.
pub(super) fn engine(fuel: Fuel) -> Result<(Engine, Codes), Stop> {
    let settings = Settings {
        instances_max: INSTANCES_MAX,
        parallel: true,
        fuel: fuel == Fuel::Counted,
        ..Settings::default()
    };
    let codes = cache::dir().map(|dir| Codes::in_dir(dir.join("code"))).unwrap_or_default();
    Ok((Engine::start(&settings)?, codes))
}

/// A batch, and what it is called.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) name: String,
    pub(super) request: Request,
}

/// Reads files of batches; a directory stands for the files in it that are batches.
pub(super) fn batches(paths: &[PathBuf]) -> Result<Vec<Batch>, Stop> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(listed(path, is_batch)?);
        } else {
            files.push(path.clone());
        }
    }
    if files.is_empty() {
        return Err(Stop::refused("--batches: there is none"));
    }
    if files.len() > BATCHES_MAX {
        let many = format!("--batches: {} files, {BATCHES_MAX} at most", files.len());
        return Err(Stop::refused(many));
    }
    let batch = |file: PathBuf| {
        let bytes = read(&file, FILE_BYTES_MAX)?;
        let request = Request::read(&bytes)
            .map_err(|what| Stop::refused(format!("{}: {what}", file.display())))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Batch { name, request })
    };
    files.into_iter().map(batch).collect()
}

/// By what a file is called.
pub(super) fn is_batch(path: &Path) -> bool {
    let ext = path.extension().and_then(|ext| ext.to_str());
    matches!(ext, Some("otlp" | "pb" | "json")) && !is_record(path)
}

/// What stands beside a batch that was captured.
pub(super) fn is_record(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".record.json")
}

/// The files of a directory, in the order of their names.
pub(super) fn listed(dir: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Stop> {
    let fault = |fault: std::io::Error| Stop::refused(format!("{}: {fault}", dir.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.is_file() && wanted(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A file as a whole, unless it is too large.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Stop> {
    let named = |what: String| Stop::refused(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|fault| named(fault.to_string()))?;
    let mut bytes = Vec::new();
    let mut file = file.take(bytes_max + 1);
    file.read_to_end(&mut bytes).map_err(|fault| named(fault.to_string()))?;
    if bytes.len() as u64 > bytes_max {
        return Err(named(format!("it is larger than {} MiB", bytes_max >> 20)));
    }
    Ok(bytes)
}

/// A file in JSON or YAML.
pub(super) fn value(path: &Path) -> Result<Value, Stop> {
    let bytes = read(path, TEXT_BYTES_MAX)?;
    let named = |what: String| Stop::refused(format!("{}: {what}", path.display()));
    let text = String::from_utf8(bytes).map_err(|_| named("it is no text".to_owned()))?;
    if path.extension().is_some_and(|ext| ext == "json") {
        return serde_json::from_str(&text).map_err(|fault| named(fault.to_string()));
    }
    let parsed = serde_saphyr::from_str(&text);
    let brief = |fault: serde_saphyr::Error| {
        named(fault.to_string().lines().next().unwrap_or_default().to_owned())
    };
    parsed.map_err(brief)
}
