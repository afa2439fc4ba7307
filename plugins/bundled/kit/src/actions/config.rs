//! Actions as configurations write them.

use serde::Deserialize;
use traceweir_plugin::{Any, ConfigError};

use super::{Slot, Source, Step, Type, When};
use crate::pattern::Pattern;

/// Keys are at most so long, in bytes.
const KEY_BYTES_MAX: usize = 512;

/// What `from_context` may be.
const CLIENT_ADDRESS: &str = "client.address";

/// One action.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionConfig {
    action: Kind,
    key: Option<String>,
    value: Option<Any>,
    from_attribute: Option<String>,
    from_context: Option<String>,
    pattern: Option<String>,
    converted_type: Option<Converted>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Insert,
    Update,
    Upsert,
    Delete,
    Hash,
    Extract,
    Convert,
    Rename,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Converted {
    Int,
    Double,
    Bool,
    String,
}

impl ActionConfig {
    /// The step, whose keys are put into `slots`; `path` is where the action stands.
    pub(super) fn step(self, path: &str, slots: &mut Vec<Slot>) -> Result<Step, ConfigError> {
        self.check(path)?;
        let missing = |key: &str| ConfigError::new(format!("{path}.{key}"), "is missing");
        let pattern = self.pattern.as_ref();
        let pattern =
            pattern.map(|text| Pattern::new(&format!("{path}.pattern"), text)).transpose()?;
        let mut slot = |key: &str, name: &Option<String>| {
            let name = name.as_ref().ok_or_else(|| missing(key))?;
            place(slots, &format!("{path}.{key}"), name)
        };
        let key = slot("key", &self.key);
        match (self.action, pattern) {
            (Kind::Insert | Kind::Update | Kind::Upsert, _) => {
                let from = match &self.value {
                    Some(value) => Source::Literal(value.clone()),
                    None if self.from_attribute.is_some() => {
                        Source::Slot(slot("from_attribute", &self.from_attribute)?)
                    }
                    None if self.from_context.is_some() => Source::Peer,
                    None => return Err(missing("value")),
                };
                let when = match self.action {
                    Kind::Insert => When::Absent,
                    Kind::Update => When::Present,
                    _ => When::Always,
                };
                Ok(Step::Put { to: key?, from, when })
            }
            (Kind::Rename, _) => {
                Ok(Step::Rename { from: slot("from_attribute", &self.from_attribute)?, to: key? })
            }
            (Kind::Delete, Some(pattern)) => Ok(Step::DeleteLike { pattern }),
            (Kind::Delete, None) => Ok(Step::Delete { slot: key? }),
            (Kind::Hash, Some(pattern)) => Ok(Step::HashLike { pattern }),
            (Kind::Hash, None) => Ok(Step::Hash { slot: key? }),
            (Kind::Extract, Some(pattern)) => {
                let names: Vec<String> = pattern.names().map(str::to_owned).collect();
                if names.is_empty() {
                    let why = "must have groups with names: (?P<name>…)";
                    return Err(ConfigError::new(format!("{path}.pattern"), why));
                }
                let to = names.iter().map(|name| place(slots, &format!("{path}.pattern"), name));
                let to = to.collect::<Result<_, _>>()?;
                Ok(Step::Extract { slot: key?, pattern, to })
            }
            (Kind::Extract, None) => Err(missing("pattern")),
            (Kind::Convert, _) => {
                let to = match self.converted_type.ok_or_else(|| missing("converted_type"))? {
                    Converted::Int => Type::Int,
                    Converted::Double => Type::Double,
                    Converted::Bool => Type::Bool,
                    Converted::String => Type::Text,
                };
                Ok(Step::Convert { slot: key?, to })
            }
        }
    }

    /// Refuses what the action does not take: whoever writes it means something that would not happen.
    fn check(&self, path: &str) -> Result<(), ConfigError> {
        use Kind::{Convert, Delete, Extract, Hash, Insert, Rename, Update, Upsert};
        let given = [
            ("value", self.value.is_some(), &[Insert, Update, Upsert][..]),
            ("from_attribute", self.from_attribute.is_some(), &[Insert, Update, Upsert, Rename]),
            ("from_context", self.from_context.is_some(), &[Insert, Update, Upsert]),
            ("pattern", self.pattern.is_some(), &[Delete, Hash, Extract]),
            ("converted_type", self.converted_type.is_some(), &[Convert]),
        ];
        for (key, there, takes) in given {
            if there && !takes.contains(&self.action) {
                return Err(ConfigError::new(
                    format!("{path}.{key}"),
                    "is of no use to the action",
                ));
            }
        }
        let from = [
            ("value", self.value.is_some()),
            ("from_attribute", self.from_attribute.is_some()),
            ("from_context", self.from_context.is_some()),
        ];
        let mut from = from.into_iter().filter(|(_, there)| *there).map(|(key, _)| key);
        if let (Some(first), Some(second)) = (from.next(), from.next()) {
            let why = format!("must not be there beside {first}");
            return Err(ConfigError::new(format!("{path}.{second}"), why));
        }
        if self.from_context.as_deref().is_some_and(|from| from != CLIENT_ADDRESS) {
            let why = format!("must be {CLIENT_ADDRESS}: nothing else of the request is here");
            return Err(ConfigError::new(format!("{path}.from_context"), why));
        }
        let alone = matches!(self.action, Delete | Hash);
        if alone && self.pattern.is_some() && self.key.is_some() {
            let why = "must not be there beside a key";
            return Err(ConfigError::new(format!("{path}.pattern"), why));
        }
        Ok(())
    }
}

/// The slot of a key.
fn place(slots: &mut Vec<Slot>, path: &str, key: &str) -> Result<usize, ConfigError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(ConfigError::new(path, format!("must have 1 to {KEY_BYTES_MAX} bytes")));
    }
    if let Some(at) = slots.iter().position(|slot| slot.key == key) {
        return Ok(at);
    }
    slots.push(Slot { key: key.to_owned(), read: None, write: None });
    Ok(slots.len() - 1)
}
