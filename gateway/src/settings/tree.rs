//! The settings as a tree: which keys there are, which of them a text means, and whether each
//! value fits. Every entry is tried alone over the defaults, so that each fault is told with its
//! own key, not only the first that a parser meets.

use std::collections::BTreeMap;

use model::Faults;
use serde_json::{Map, Value};

use super::source::{Entry, Origin, Sources, readings};

/// Sections nest two or three deep; deeper than this is not ours.
const DEPTH_MAX: usize = 8;

/// The merged settings and where each of them came from.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The tree of defaults, with the accepted entries in place.
    pub value: Value,
    /// Who set the keys that are not defaults.
    pub origins: BTreeMap<String, Origin>,
    /// Keys whose values are never printed.
    pub secrets: Vec<String>,
    /// Those of which that is known beforehand.
    always: &'static [&'static str],
}

/// Whether a whole tree is a configuration; else what is wrong with it.
pub type Fits<'a> = &'a dyn Fn(&Value) -> Result<(), String>;

impl Tree {
    /// A tree of nothing but defaults. `always` are keys whose values are never printed.
    #[must_use]
    pub fn new(defaults: Value, always: &'static [&'static str]) -> Self {
        Self { value: defaults, origins: BTreeMap::new(), secrets: Vec::new(), always }
    }

    /// Puts the entries over the tree, later ones over earlier ones; what does not fit is noted
    /// and left out.
    pub fn apply(
        &mut self,
        entries: Vec<Entry>,
        sources: &Sources,
        fits: Fits<'_>,
        faults: &mut Faults,
    ) {
        let defaults = self.value.clone();
        let mut leaves = Vec::new();
        for entry in entries {
            flatten(&defaults, entry, 0, &mut leaves, faults);
        }
        for leaf in leaves {
            self.apply_leaf(&defaults, leaf, sources, fits, faults);
        }
    }

    fn apply_leaf(
        &mut self,
        defaults: &Value,
        mut leaf: Entry,
        sources: &Sources,
        fits: Fits<'_>,
        faults: &mut Faults,
    ) {
        leaf.secret |= self.always.contains(&leaf.key.as_str());
        if let Err(fault) = expand(&mut leaf, sources) {
            faults.push(
                &leaf.key,
                format!("{fault} (from {})", leaf.origin),
                "a value that can be had",
            );
            return;
        }
        let attempt = |value: &Value| {
            let mut tree = defaults.clone();
            set(&mut tree, &leaf.key, value.clone());
            fits(&tree)
        };
        let tried: Vec<_> = leaf.readings.iter().map(|value| (value, attempt(value))).collect();
        if let Some((value, _)) = tried.iter().find(|(_, outcome)| outcome.is_ok()) {
            set(&mut self.value, &leaf.key, (*value).clone());
            if leaf.secret {
                self.secrets.push(leaf.key.clone());
            }
            self.origins.insert(leaf.key, leaf.origin);
            return;
        }
        if let Some((value, Err(fault))) = tried.first() {
            let found = if leaf.secret { "***".to_owned() } else { shown(value) };
            let accepted =
                if leaf.secret { "a value that fits".to_owned() } else { accepted(fault) };
            faults.push(&leaf.key, format!("{found} (from {})", leaf.origin), accepted);
        }
    }

    /// Sets a key that nobody has set.
    pub fn fill(&mut self, key: &str, value: Value, origin: Origin) {
        if !self.origins.contains_key(key) {
            set(&mut self.value, key, value);
            self.origins.insert(key.to_owned(), origin);
        }
    }

    /// The tree as it may be printed.
    #[must_use]
    pub fn printable(&self) -> Value {
        let mut value = self.value.clone();
        // An empty one is none, and says so.
        let is_set = |key: &&String| get(&self.value, key).is_some_and(|value| value != "");
        for key in self.secrets.iter().filter(is_set) {
            set(&mut value, key, Value::String("***".to_owned()));
        }
        value
    }

    /// Every key with its value as it may be printed, and where it came from; sorted by key.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String, Origin)> {
        let printable = self.printable();
        let row = |(key, value): (String, &Value)| {
            let origin = self.origins.get(&key).cloned().unwrap_or(Origin::Default);
            (key, shown(value), origin)
        };
        leaves(&printable).into_iter().map(row).collect()
    }
}

/// The keys of a tree with their values, in the tree's own order.
#[must_use]
pub fn leaves(tree: &Value) -> Vec<(String, &Value)> {
    let mut out = Vec::new();
    collect(tree, String::new(), &mut out);
    out
}

fn collect<'a>(value: &'a Value, key: String, out: &mut Vec<(String, &'a Value)>) {
    match section(value) {
        Some(map) => map.iter().for_each(|(name, value)| collect(value, join(&key, name), out)),
        None => out.push((key, value)),
    }
}

/// A section is an object with keys of its own; an empty one is a value (a map that is filled).
fn section(value: &Value) -> Option<&Map<String, Value>> {
    value.as_object().filter(|map| !map.is_empty())
}

fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// Splits an entry along the sections of `defaults` until each part is one setting.
fn flatten(
    defaults: &Value,
    entry: Entry,
    depth: usize,
    out: &mut Vec<Entry>,
    faults: &mut Faults,
) {
    let known = match entry.key.as_str() {
        "" => Some(defaults),
        key => get(defaults, key),
    };
    let Some(known) = known else {
        faults.push(
            &entry.key,
            format!("an unknown key (from {})", entry.origin),
            suggest(defaults, &entry.key),
        );
        return;
    };
    let Some(keys) = section(known) else { return out.push(entry) };
    match entry.readings.into_iter().next() {
        Some(Value::Object(values)) if depth < DEPTH_MAX => {
            for (name, value) in values {
                let key = join(&entry.key, &name);
                let part = Entry {
                    key,
                    readings: vec![value],
                    secret: false,
                    origin: entry.origin.clone(),
                };
                flatten(defaults, part, depth + 1, out, faults);
            }
        }
        // `wal:` with nothing below it says nothing.
        None | Some(Value::Null) => {}
        Some(other) => {
            let names: Vec<_> = keys.keys().map(String::as_str).collect();
            let accepted = format!("a section with some of {}", names.join(", "));
            faults.push(&entry.key, format!("{} (from {})", shown(&other), entry.origin), accepted);
        }
    }
}

/// Replaces `${…}` in a value from a file; what it becomes is text, with all its readings.
fn expand(leaf: &mut Entry, sources: &Sources) -> Result<(), String> {
    let Origin::File(_) = leaf.origin else { return Ok(()) };
    let mut expanded = false;
    for reading in &mut leaf.readings {
        expanded |= expand_value(reading, sources)?;
    }
    leaf.secret |= expanded;
    if let (true, [Value::String(text)]) = (expanded, leaf.readings.as_slice()) {
        leaf.readings = readings(text);
    }
    Ok(())
}

fn expand_value(value: &mut Value, sources: &Sources) -> Result<bool, String> {
    match value {
        Value::String(text) => match sources.expand(text)? {
            Some(new) => {
                *text = new;
                Ok(true)
            }
            None => Ok(false),
        },
        Value::Array(values) => {
            values.iter_mut().try_fold(false, |any, value| Ok(expand_value(value, sources)? | any))
        }
        Value::Object(map) => {
            map.values_mut().try_fold(false, |any, value| Ok(expand_value(value, sources)? | any))
        }
        _ => Ok(false),
    }
}

fn get<'a>(tree: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(tree, |value, name| section(value)?.get(name))
}

fn set(tree: &mut Value, key: &str, value: Value) {
    let mut at = tree;
    for name in key.split('.') {
        let Value::Object(map) = at else { return };
        at = map.entry(name).or_insert(Value::Null);
    }
    *at = value;
}

/// A value in one line, as YAML would have it; credentials in a URL are left out.
#[must_use]
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => without_credentials(text),
        other => other.to_string(),
    }
}

fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((secret, _)) => format!("{scheme}://***{}", rest.trim_start_matches(secret)),
        None => text.to_owned(),
    }
}

/// What is accepted, out of what serde says: `invalid type: …, expected …`, or the words of the
/// type's own reader.
fn accepted(message: &str) -> String {
    let expected = message.split_once(", expected ").map_or(message, |(_, expected)| expected);
    let words = [
        ("u16", "a whole number from 0 to 65535"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("u64", "a whole number, not negative"),
        ("usize", "a whole number, not negative"),
        ("i32", "a whole number"),
        ("f64", "a number"),
        ("invalid socket address syntax", "an address with its port, such as 127.0.0.1:4317"),
    ];
    if let Some((_, plain)) = words.iter().find(|(word, _)| *word == expected) {
        return (*plain).to_owned();
    }
    // `"12 parsecs" is no size, write one as 64KiB`: what was found is said already.
    let written = expected.split_once(", write one as ").map(|(_, forms)| forms);
    written.map_or_else(|| expected.to_owned(), |forms| format!("one such as {forms}"))
}

/// What an unknown key may have meant.
fn suggest(defaults: &Value, key: &str) -> String {
    let known: Vec<String> = leaves(defaults).into_iter().map(|(key, _)| key).collect();
    let name = key.rsplit('.').next().unwrap_or(key);
    let same_name = known.iter().find(|known| known.rsplit('.').next() == Some(name));
    let near = || {
        let ranked = known.iter().map(|known| (distance(known, key), known));
        ranked.min().filter(|(steps, _)| *steps <= 3).map(|(_, known)| known)
    };
    match near().or(same_name) {
        Some(meant) => format!("a known key; did you mean `{meant}`?"),
        None => {
            let parent = key.rsplit_once('.').map_or("", |(parent, _)| parent);
            let (place, map) = match get(defaults, parent).and_then(section) {
                Some(map) => (format!("a key of {parent}"), Some(map)),
                None => ("a known key".to_owned(), section(defaults)),
            };
            let names: Vec<_> = map.into_iter().flat_map(Map::keys).map(String::as_str).collect();
            format!("{place}: {}", names.join(", "))
        }
    }
}

/// Letters to insert, delete or replace until `a` is `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(128).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().take(128).enumerate() {
        let mut diagonal = i;
        let mut previous = i + 1;
        if let Some(first) = row.first_mut() {
            *first = previous;
        }
        for (cell, right) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = *cell;
            previous = replaced.min(diagonal + 1).min(previous + 1);
            *cell = previous;
        }
    }
    row.last().copied().unwrap_or(0)
}
