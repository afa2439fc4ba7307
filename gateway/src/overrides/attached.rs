//! A plugin in the chain of a tenant: its name, or its name and more.
//!
//! ```yaml
//! plugins: [cards, {plugin: team, canary: 5%, mode: shadow, on_failure: drop}]
//! ```

use plugins::OnFailure;
use plugins::registry::Attachment;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A plugin in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its name.
    pub plugin: String,
    /// What becomes of a batch that it fails on; none: what its definition says.
    pub on_failure: Option<OnFailure>,
    /// Which share of all traces it is passed; none: all of them.
    pub canary: Option<Percent>,
    /// Whether what it answers counts.
    pub mode: Mode,
}

/// Whether what a plugin answers counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It does.
    #[default]
    Active,
    /// It is called and counted, and changes nothing.
    Shadow,
}

/// A share, in hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u32);

impl Percent {
    /// All of it.
    const ALL: u32 = 10_000;

    fn parse(text: &str) -> Result<Self, String> {
        let fault = || format!("{text:?}: a share such as 5% or 0.25%");
        let number = text.trim().strip_suffix('%').ok_or_else(fault)?;
        let number: f64 = number.trim().parse().map_err(|_| fault())?;
        let hundredths = (number * 100.0).round();
        if !(0.0..=f64::from(Self::ALL)).contains(&hundredths) {
            return Err(fault());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10,000")]
        Ok(Self(hundredths as u32))
    }

    fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}%", self.percent()))
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Name(String),
    More(More),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct More {
    plugin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_failure: Option<OnFailure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    canary: Option<Percent>,
    #[serde(default)]
    mode: Mode,
}

impl Serialize for Attached {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { plugin, on_failure, canary, mode } = self.clone();
        let is_plain = (on_failure, canary, mode) == (None, None, Mode::Active);
        match is_plain {
            true => Written::Name(plugin),
            false => Written::More(More { plugin, on_failure, canary, mode }),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Attached {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not untagged: what is wrong in a map is told by its key.
        let written = serde_json::Value::deserialize(deserializer)?;
        let More { plugin, on_failure, canary, mode } = match written {
            serde_json::Value::String(plugin) => {
                More { plugin, on_failure: None, canary: None, mode: Mode::Active }
            }
            more => serde_json::from_value(more).map_err(D::Error::custom)?,
        };
        Ok(Self { plugin, on_failure, canary, mode })
    }
}

impl Attached {
    /// As the registry takes it.
    #[must_use]
    pub fn as_attachment(&self) -> Attachment<'_> {
        Attachment {
            plugin: &self.plugin,
            on_failure: self.on_failure,
            canary: self.canary.map(Percent::percent),
            is_shadow: self.mode == Mode::Shadow,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_read_in_both_forms_and_written_in_the_shorter() {
        for (written, canary) in [
            (json!("cards"), None),
            (json!({"plugin": "team", "canary": "5%", "mode": "shadow"}), Some(5.0)),
            (
                json!({"plugin": "team", "canary": "0.25%", "mode": "active", "on_failure": "drop"}),
                Some(0.25),
            ),
        ] {
            let attached: Attached = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(attached.as_attachment().canary, canary);
            assert_eq!(serde_json::to_value(&attached).unwrap(), written);
        }
        for wrong in [
            json!({}),
            json!({"plugin": "a", "canary": 5}),
            json!({"plugin": "a", "canary": "101%"}),
            json!({"plugin": "a", "mod": "shadow"}),
            json!({"plugin": "a", "on_failure": "retry"}),
        ] {
            assert!(serde_json::from_value::<Attached>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
