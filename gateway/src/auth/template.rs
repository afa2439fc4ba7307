//! Text with places in it that what is known of a client fills: `team-{/groups}`, `{namespace}`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What one template may come to: a claim may be a list of any length.
pub(super) const VALUES_MAX: usize = 256;

/// Text with places in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// What stands between the braces.
    Place(String),
}

impl Template {
    /// Reads one.
    ///
    /// # Errors
    /// Says what is wrong with the braces.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (place, after) = after.split_once('}').ok_or("a { without its }")?;
            if before.contains('}') || place.is_empty() || place.contains('{') {
                return Err("braces that hold nothing, or each other".to_owned());
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Place(place.to_owned()));
            rest = after;
        }
        if rest.contains('}') {
            return Err("a } without its {".to_owned());
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The text of one without places.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        self.places().next().is_none().then_some(&self.text)
    }

    /// What stands between its braces.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Place(place) => Some(place.as_str()),
            Part::Text(_) => None,
        })
    }

    /// What it comes to: each place has some values, and each of them with each of the others' makes one;
    /// none where some place has none. At most [`VALUES_MAX`].
    pub fn fill(&self, values: impl Fn(&str) -> Vec<String>) -> Vec<String> {
        let mut filled = vec![String::new()];
        for part in &self.parts {
            let of = match part {
                Part::Text(text) => vec![text.clone()],
                Part::Place(place) => values(place),
            };
            let each = |before: &String| -> Vec<String> {
                of.iter().map(|value| format!("{before}{value}")).collect()
            };
            filled = filled.iter().flat_map(each).take(VALUES_MAX).collect();
        }
        filled
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|fault| de::Error::custom(format!("{text:?}: {fault}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Vec<String> {
        let template = Template::parse(text).unwrap();
        template.fill(|place| match place {
            "/groups" => vec!["a".to_owned(), "b".to_owned()],
            "ns" => vec!["shop".to_owned()],
            _ => Vec::new(),
        })
    }

    #[test]
    fn places_are_filled_with_all_that_they_have() {
        assert_eq!(filled("team"), ["team"]);
        assert_eq!(filled("{/groups}"), ["a", "b"]);
        assert_eq!(filled("team-{/groups}-{ns}!"), ["team-a-shop!", "team-b-shop!"]);
        assert_eq!(filled("{/groups}{/groups}").len(), 4);
        assert!(filled("{ns}{/absent}").is_empty());
        let many = Template::parse("{a}{b}").unwrap();
        assert_eq!(many.fill(|_| vec!["x".to_owned(); 100]).len(), VALUES_MAX);
    }

    #[test]
    fn braces_go_in_pairs() {
        for text in ["{", "}", "a}b{c}", "{}", "{a{b}}", "x{a"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        assert_eq!(Template::parse("*").unwrap().literal(), Some("*"));
        assert_eq!(Template::parse("{a}").unwrap().literal(), None);
    }
}
