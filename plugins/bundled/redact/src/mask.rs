//! Finds in a text what should not be seen, and puts the mask in its place.

use std::ops::Range;

use kit::{Pattern, text_of};
use traceweir_plugin::Any;

use crate::find::{Builtin, card};

/// What is looked for, and what stands in its place.
#[derive(Debug)]
pub(crate) struct Masks {
    mask: String,
    /// Whether numbers and truths are looked at as texts.
    all_types: bool,
    builtins: Vec<Builtin>,
    blocked: Vec<Pattern>,
    allowed: Vec<Pattern>,
}

impl Masks {
    pub(crate) fn new(
        mask: String,
        all_types: bool,
        builtins: &[Builtin],
        blocked: Vec<Pattern>,
        allowed: Vec<Pattern>,
    ) -> Self {
        Self { mask, all_types, builtins: builtins.to_vec(), blocked, allowed }
    }

    /// What stands in the place of what should not be seen.
    pub(crate) fn mask(&self) -> &str {
        &self.mask
    }

    /// What a number or truth becomes; `None` where there is nothing to mask.
    pub(crate) fn masked_scalar(&self, value: &Any) -> Option<String> {
        match value {
            Any::Int(int) if self.is_card(*int) => Some(self.mask.clone()),
            Any::Int(_) | Any::Double(_) | Any::Bool(_) if self.all_types => {
                self.masked(&text_of(value)?)
            }
            _ => None,
        }
    }

    /// Whether a number is one of a card.
    fn is_card(&self, number: i64) -> bool {
        // The shortest has twelve digits.
        number >= 100_000_000_000
            && self.builtins.contains(&Builtin::Card)
            && card::find(&number.to_string(), 0).is_some()
    }

    /// The text with its masks; `None` where there is nothing to mask.
    pub(crate) fn masked(&self, text: &str) -> Option<String> {
        if text.is_empty() || self.allowed.iter().any(|pattern| pattern.is_match(text)) {
            return None;
        }
        let mut masked = None;
        for builtin in &self.builtins {
            let now = masked.as_deref().unwrap_or(text);
            masked = self.replaced(now, |text, from| builtin.find(text, from)).or(masked);
        }
        for pattern in &self.blocked {
            let now = masked.as_deref().unwrap_or(text);
            masked = self.replaced(now, |text, from| pattern.find(text, from)).or(masked);
        }
        masked
    }

    /// Puts the mask wherever `find` finds something.
    fn replaced(
        &self,
        text: &str,
        find: impl Fn(&str, usize) -> Option<Range<usize>>,
    ) -> Option<String> {
        let mut out = String::new();
        let mut done = 0;
        let mut from = 0;
        while let Some(found) = find(text, from) {
            if found.is_empty() {
                // A pattern that matches nothing has nothing to hide; on with the next character.
                from = found.end + text.get(found.end..)?.chars().next().map_or(1, char::len_utf8);
            } else {
                if done == 0 {
                    out.reserve(text.len() + self.mask.len());
                }
                out += text.get(done..found.start)?;
                out += &self.mask;
                done = found.end;
                from = found.end;
            }
        }
        if done == 0 {
            return None;
        }
        out += text.get(done..)?;
        Some(out)
    }

    /// An array or map in which texts have their masks; `None` where there is nothing to mask.
    pub(crate) fn masked_any(&self, value: &Any) -> Option<Any> {
        let mut changed = value.clone();
        self.mask_inside(&mut changed).then_some(changed)
    }

    /// As deep as the decoder goes, which is 64.
    fn mask_inside(&self, value: &mut Any) -> bool {
        match value {
            Any::Text(text) => match self.masked(text) {
                Some(masked) => {
                    *text = masked;
                    true
                }
                None => false,
            },
            Any::Int(_) | Any::Double(_) | Any::Bool(_) => match self.masked_scalar(value) {
                Some(masked) => {
                    *value = Any::Text(masked);
                    true
                }
                None => false,
            },
            Any::Array(values) => {
                values.iter_mut().fold(false, |hit, value| self.mask_inside(value) | hit)
            }
            Any::Map(pairs) => {
                pairs.iter_mut().fold(false, |hit, (_, value)| self.mask_inside(value) | hit)
            }
            _ => false,
        }
    }
}
