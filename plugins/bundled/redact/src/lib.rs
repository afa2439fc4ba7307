//! A processor that masks what should not be seen, and removes attributes that nobody allows: on spans, resources,
//! scopes, events and links, in names and in what statuses say, and inside of arrays and maps.
//!
//! What becomes of a key is worked out once for each key of a batch, what becomes of a text once for each text.

mod find;
mod mask;
mod summary;

use kit::{Keys, Pattern};
use serde::Deserialize;
use traceweir_plugin::{
    Answer, Any, Batch, Column, ConfigError, Field, Info, Intrinsic, Owner, Pairs, Plugin,
    PluginError, Processor, Projection, Read, Texts, Value, Values, Write, config,
    export_processor,
};

use self::find::Builtin;
use self::mask::Masks;
use self::summary::{Level, Summary};

/// What `configure` takes: what the Collector's `redaction` takes, and more.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Whether keys that are in no list stay; without it, they do unless there are `allowed_keys`.
    allow_all_keys: Option<bool>,
    allowed_keys: Keys,
    ignored_keys: Keys,
    blocked_keys: Keys,
    blocked_key_patterns: Vec<String>,
    ignored_key_patterns: Vec<String>,
    /// Whether numbers and truths are looked at as texts, too.
    redact_all_types: bool,
    blocked_values: Vec<String>,
    allowed_values: Vec<String>,
    patterns: Vec<Builtin>,
    mask: String,
    summary: Level,
    /// Whose attributes are looked at.
    owners: Vec<Who>,
    /// Whether names of spans and messages of statuses are looked at.
    names: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Who {
    Span,
    Resource,
    Scope,
    Event,
    Link,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allow_all_keys: None,
            allowed_keys: Keys::default(),
            ignored_keys: Keys::default(),
            blocked_keys: Keys::default(),
            blocked_key_patterns: Vec::new(),
            ignored_key_patterns: Vec::new(),
            redact_all_types: false,
            blocked_values: Vec::new(),
            allowed_values: Vec::new(),
            patterns: vec![Builtin::Card, Builtin::Email, Builtin::Token],
            mask: "****".to_owned(),
            summary: Level::Silent,
            owners: vec![Who::Span, Who::Resource, Who::Scope, Who::Event, Who::Link],
            names: true,
        }
    }
}

/// What becomes of the attributes by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// They stay as they are.
    Ignored,
    /// They go.
    Removed,
    /// Their whole value is masked.
    Masked,
    /// Their value is looked at.
    Scanned,
}

/// Which keys have which fate.
#[derive(Debug)]
struct Rules {
    /// `None`: all.
    allowed: Option<Keys>,
    ignored: Keys,
    ignored_like: Vec<Pattern>,
    blocked: Keys,
    masked: Vec<Pattern>,
}

impl Rules {
    fn fate(&self, key: &str) -> Fate {
        let refused = self.allowed.as_ref().is_some_and(|allowed| !allowed.has(key));
        let like = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.is_match(key));
        if self.ignored.has(key) || like(&self.ignored_like) {
            Fate::Ignored
        } else if self.blocked.has(key) || refused {
            Fate::Removed
        } else if like(&self.masked) {
            Fate::Masked
        } else {
            Fate::Scanned
        }
    }
}

/// An instance.
#[derive(Debug)]
pub struct Redact {
    rules: Rules,
    masks: Masks,
    owners: Vec<(Owner, Read)>,
    /// What is written where names are looked at.
    names: Option<(Write, Write)>,
    summary: Summary,
}

impl Plugin for Redact {
    fn describe() -> Info {
        Info {
            name: "redact".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "masks what should not be seen, and removes what nobody allows".to_owned(),
            config_schema: include_str!("../schema.json").to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let config: Config = config::parse(json)?;
        let allow_all = config.allow_all_keys.unwrap_or_else(|| config.allowed_keys.is_empty());
        let rules = Rules {
            allowed: (!allow_all).then_some(config.allowed_keys),
            ignored: config.ignored_keys,
            ignored_like: patterns("$.ignored_key_patterns", &config.ignored_key_patterns)?,
            blocked: config.blocked_keys,
            masked: patterns("$.blocked_key_patterns", &config.blocked_key_patterns)?,
        };
        let masks = Masks::new(
            config.mask,
            config.redact_all_types,
            &config.patterns,
            patterns("$.blocked_values", &config.blocked_values)?,
            patterns("$.allowed_values", &config.allowed_values)?,
        );
        let mut projection = Projection::default();
        let owners = config.owners.into_iter().map(|who| {
            let owner = match who {
                Who::Span => Owner::Span,
                Who::Resource => Owner::Resource,
                Who::Scope => Owner::Scope,
                Who::Event => Owner::Event,
                Who::Link => Owner::Link,
            };
            projection.write(Field::attributes(owner, ""));
            (owner, projection.read(Field::attributes(owner, "").complex()))
        });
        let owners = owners.collect();
        let names = config.names.then(|| {
            projection.read(Intrinsic::Name);
            projection.read(Intrinsic::StatusMessage);
            (projection.write(Intrinsic::Name), projection.write(Intrinsic::StatusMessage))
        });
        let summary = Summary::new(config.summary, &mut projection);
        Ok((Self { rules, masks, owners, names, summary }, projection))
    }
}

fn patterns(path: &str, list: &[String]) -> Result<Vec<Pattern>, ConfigError> {
    let pattern = |(i, text): (usize, &String)| Pattern::new(&format!("{path}[{i}]"), text);
    list.iter().enumerate().map(pattern).collect()
}

impl Processor for Redact {
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let mut answer = Answer::edits(batch);
        for (owner, read) in &self.owners {
            self.attributes(*owner, &batch.pairs(*read)?, &mut answer)?;
        }
        if let Some((name, message)) = self.names {
            self.texts(batch.names()?, answer.set(name, Owner::Span));
            self.texts(batch.status_messages()?, answer.set(message, Owner::Span));
        }
        Ok(answer)
    }
}

/// What becomes of a text or blob.
#[derive(Clone)]
enum Seen<T> {
    /// It was not looked at yet.
    Not,
    /// Nothing.
    Clean,
    /// It is this instead.
    Masked(T),
}

impl Redact {
    /// Does the attributes of one kind of owner, pair by pair.
    fn attributes(
        &self,
        owner: Owner,
        pairs: &Pairs<'_>,
        answer: &mut Answer,
    ) -> Result<(), PluginError> {
        let fates: Vec<Fate> = pairs.keys().values().map(|key| self.rules.fate(key)).collect();
        let mut told = self.summary.of(owner, pairs);
        let mut scan = Scan::new(&self.masks, pairs.values());
        let edits = answer.set_pairs(pairs);
        for i in 0..pairs.owners() {
            for pair in pairs.of(i) {
                let Some(key) = pairs.keys().index(pair) else { continue };
                let is_masked = match fates.get(key) {
                    Some(Fate::Removed) => {
                        edits.remove(pair);
                        told.removed(i, key);
                        false
                    }
                    Some(Fate::Masked) => {
                        edits.put(pair, self.masks.mask());
                        true
                    }
                    Some(Fate::Scanned) => scan.pair(pair, edits)?,
                    _ => false,
                };
                if is_masked {
                    told.masked(i, key);
                }
            }
        }
        told.write(answer);
        Ok(())
    }

    /// Does names or messages, each once.
    fn texts(&self, texts: Texts<'_>, edits: &mut Values) {
        let mut seen = vec![None; texts.value_count()];
        for (masked, text) in seen.iter_mut().zip(texts.values()) {
            *masked = self.masks.masked(text).map(|masked| edits.text(&masked));
        }
        if seen.iter().all(Option::is_none) {
            return;
        }
        for i in 0..texts.len() {
            if let Some(Some(masked)) = texts.index(i).and_then(|text| seen.get(text)) {
                edits.put_text(i, *masked);
            }
        }
    }
}

/// Looks into the values of a column, each text and blob once.
struct Scan<'a> {
    masks: &'a Masks,
    values: Column<'a>,
    texts: Vec<Seen<String>>,
    blobs: Vec<Seen<(Any, Vec<u8>)>>,
}

impl<'a> Scan<'a> {
    fn new(masks: &'a Masks, values: Column<'a>) -> Self {
        let texts = vec![Seen::Not; values.texts().value_count()];
        let blobs = vec![Seen::Not; values.blobs().value_count()];
        Self { masks, values, texts, blobs }
    }

    /// Masks what is in the value of a pair, and says whether there was something.
    fn pair(&mut self, pair: usize, edits: &mut Values) -> Result<bool, PluginError> {
        if let Some(text) = self.values.index(pair) {
            let Some(seen) = self.texts.get_mut(text) else { return Ok(false) };
            if let Seen::Not = seen {
                let masked =
                    self.values.texts().value(text).and_then(|text| self.masks.masked(text));
                *seen = masked.map_or(Seen::Clean, Seen::Masked);
            }
            let Seen::Masked(text) = seen else { return Ok(false) };
            edits.put(pair, text.as_str());
            return Ok(true);
        }
        match self.values.value(pair) {
            value @ (Value::Int(_) | Value::Double(_) | Value::Bool(_)) => {
                let masked =
                    Any::from_value(value)?.and_then(|value| self.masks.masked_scalar(&value));
                let Some(masked) = masked else { return Ok(false) };
                edits.put(pair, masked.as_str());
            }
            Value::Array(_) | Value::Map(_) => return self.blob(pair, edits),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn blob(&mut self, pair: usize, edits: &mut Values) -> Result<bool, PluginError> {
        let blob = self.values.blob_index(pair);
        let Some(seen) = blob.and_then(|blob| self.blobs.get_mut(blob)) else { return Ok(false) };
        if let Seen::Not = seen {
            let value = Any::from_value(self.values.value(pair))?;
            let masked = value.and_then(|value| self.masks.masked_any(&value));
            *seen = masked.map_or(Seen::Clean, |value| Seen::Masked((value, Vec::new())));
        }
        let Seen::Masked((value, bytes)) = seen else { return Ok(false) };
        edits.put(pair, value.as_value(bytes));
        Ok(true)
    }
}

export_processor!(Redact);

#[cfg(test)]
mod tests;
