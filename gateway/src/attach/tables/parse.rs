//! Tables as JSON and CSV.
//!
//! JSON is an object: keys, and values that are texts, or anything else, which plugins are given as JSON. CSV has a line of
//! names first, and keys in its first column; where there is one column more, it is the value, and where there are several
//! the value is a JSON object of them, by their names.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use plugins::Entries;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sink::{Fault, Kind};

/// What a table is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// An object.
    Json,
    /// Lines.
    Csv,
}

impl Format {
    /// Lines where a name ends in `.csv`, else an object.
    pub(super) fn by_name(name: &str) -> Self {
        let is_csv = Path::new(name).extension().is_some_and(|of| of.eq_ignore_ascii_case("csv"));
        if is_csv { Self::Csv } else { Self::Json }
    }
}

/// Reads a table.
pub(super) fn entries(format: Format, bytes: &[u8]) -> Result<Entries, Fault> {
    match format {
        Format::Json => json(bytes),
        Format::Csv => csv(bytes),
    }
}

fn malformed(why: &dyn fmt::Display) -> Fault {
    Fault::new(Kind::Malformed, why.to_string())
}

fn json(bytes: &[u8]) -> Result<Entries, Fault> {
    let mut into = Taken { entries: Entries::default(), full: None };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = json.deserialize_map(&mut into).and_then(|()| json.end());
    match (into.full, read) {
        (Some(full), _) => Err(full),
        (None, Err(why)) => Err(malformed(&why)),
        (None, Ok(())) => Ok(into.entries),
    }
}

/// Takes entries one by one: what is too much ends it, and the whole is never there as values.
struct Taken {
    entries: Entries,
    full: Option<Fault>,
}

impl<'de> Visitor<'de> for &mut Taken {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of keys and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            let value = match value {
                Value::String(text) => Arc::from(text),
                Value::Null => continue,
                other => Arc::from(other.to_string()),
            };
            if let Err(full) = self.entries.insert(&key, &value) {
                self.full = Some(full.into());
                return Err(serde::de::Error::custom("it is too large"));
            }
        }
        Ok(())
    }
}

fn csv(bytes: &[u8]) -> Result<Entries, Fault> {
    let mut entries = Entries::default();
    let mut lines = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let names = lines.headers().map_err(|why| malformed(&why))?.clone();
    if names.len() < 2 {
        return Err(malformed(&"its first line names less than two columns"));
    }
    for line in lines.records() {
        let line = line.map_err(|why| malformed(&why))?;
        let Some(key) = line.get(0).filter(|key| !key.is_empty()) else { continue };
        let value: Arc<str> = match line.len() {
            2 => Arc::from(line.get(1).unwrap_or_default()),
            _ => {
                let fields = names.iter().zip(&line).skip(1).filter(|(_, of)| !of.is_empty());
                let fields: BTreeMap<&str, &str> = fields.collect();
                Arc::from(serde_json::to_string(&fields).map_err(|why| malformed(&why))?)
            }
        };
        entries.insert(key, &value)?;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(format: Format, text: &str, key: &str) -> Option<String> {
        entries(format, text.as_bytes()).unwrap().get(key).map(|value| value.to_string())
    }

    #[test]
    fn json_is_an_object_of_texts_or_anything_else() {
        let text = r#"{"a": "x", "b": {"k8s.pod.name": "shop"}, "c": 7, "d": null, "a": "y"}"#;
        let found = |key: &str| value(Format::Json, text, key);
        assert_eq!(found("a").as_deref(), Some("y"), "the last one counts");
        assert_eq!(found("b").as_deref(), Some(r#"{"k8s.pod.name":"shop"}"#));
        assert_eq!(found("c").as_deref(), Some("7"));
        assert_eq!(found("d"), None);
        for wrong in ["", "[]", "{", "{} x", r#"{"a": }"#] {
            assert_eq!(
                entries(Format::Json, wrong.as_bytes()).unwrap_err().kind,
                Kind::Malformed,
                "{wrong}"
            );
        }
    }

    #[test]
    fn csv_has_keys_in_its_first_column() {
        let plain = "service,team\nshop,checkout\n\"a, b\",\"says \"\"x\"\"\"\n,nobody\n";
        assert_eq!(value(Format::Csv, plain, "shop").as_deref(), Some("checkout"));
        assert_eq!(value(Format::Csv, plain, "a, b").as_deref(), Some("says \"x\""));
        assert_eq!(entries(Format::Csv, plain.as_bytes()).unwrap().len(), 2);
        let wide = "service,team,tier\nshop,checkout,1\npay,,2\n";
        assert_eq!(
            value(Format::Csv, wide, "shop").as_deref(),
            Some(r#"{"team":"checkout","tier":"1"}"#)
        );
        assert_eq!(value(Format::Csv, wide, "pay").as_deref(), Some(r#"{"tier":"2"}"#));
        for wrong in ["", "a\nb\n", "a,b\nc\n", "a,b\nc,d,e\n"] {
            assert_eq!(
                entries(Format::Csv, wrong.as_bytes()).unwrap_err().kind,
                Kind::Malformed,
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_is_too_large_is_told_so() {
        let value = "x".repeat(plugins::TABLE_BYTES_MAX / 2);
        let json = format!(r#"{{"a": "{value}", "b": "{value}", "c": "{value}"}}"#);
        assert_eq!(entries(Format::Json, json.as_bytes()).unwrap_err().kind, Kind::TooLarge);
        let csv = format!("k,v\na,{value}\nb,{value}\nc,{value}\n");
        assert_eq!(entries(Format::Csv, csv.as_bytes()).unwrap_err().kind, Kind::TooLarge);
    }

    proptest! {
        #[test]
        fn nothing_is_too_strange_to_be_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(entries(Format::Csv, &bytes));
            drop(entries(Format::Json, &bytes));
        }

        #[test]
        fn what_is_written_as_json_is_read(map: BTreeMap<String, String>) {
            let json = serde_json::to_vec(&map).unwrap();
            let read = entries(Format::Json, &json).unwrap();
            prop_assert_eq!(read.len(), map.len());
            for (key, value) in &map {
                prop_assert_eq!(&**read.get(key).unwrap(), value.as_str());
            }
        }
    }
}
