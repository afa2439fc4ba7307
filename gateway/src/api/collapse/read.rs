//! What a request says about joining like spans.

use super::Collapse;
use crate::api::call::Parameters;
use crate::api::error::Fault;

/// Like leaves that become one, where the request does not say.
const SPANS_MIN: u64 = 5;

/// Levels above them that are joined, too, where the request does not say.
const PARENTS_MAX: usize = 1;

/// What -1 is: all of them, as far as anybody nests like spans.
const PARENTS_ALL: usize = 64;

/// The most patterns of attributes.
const GLOBS_MAX: usize = 32;

/// The longest pattern, in bytes.
const GLOB_BYTES_MAX: usize = 256;

impl Collapse {
    /// What a request asks for; nothing where it asks for spans as they are.
    ///
    /// # Errors
    /// Says which parameter cannot be.
    pub(in crate::api) fn read(parameters: &Parameters<'_>) -> Result<Option<Self>, Fault> {
        if !parameters.flag("span_pruning")? {
            return Ok(None);
        }
        let name = "span_pruning_min_spans";
        let spans_min = parameters.number(name)?.unwrap_or(SPANS_MIN);
        if spans_min < 2 {
            return Err(Fault::invalid(format!("{name}: {spans_min}, at least 2 become one")));
        }
        let name = "span_pruning_max_parent_depth";
        let parents_max = parameters.levels(name, Some(PARENTS_MAX))?.unwrap_or(PARENTS_ALL);
        let name = "span_pruning_group_by";
        let patterns = parameters.get(name).unwrap_or_default().split(',').map(str::trim);
        let patterns: Vec<&str> = patterns.filter(|pattern| !pattern.is_empty()).collect();
        if patterns.len() > GLOBS_MAX {
            let words = format!("{name}: {} patterns, at most {GLOBS_MAX}", patterns.len());
            return Err(Fault::invalid(words));
        }
        if let Some(long) = patterns.iter().find(|pattern| pattern.len() > GLOB_BYTES_MAX) {
            let words = format!("{name}: {} bytes, at most {GLOB_BYTES_MAX} each", long.len());
            return Err(Fault::invalid(words));
        }
        Ok(Some(Self {
            group_by: patterns.into_iter().map(|pattern| Glob(pattern.to_owned())).collect(),
            spans_min: usize::try_from(spans_min).unwrap_or(usize::MAX),
            parents_max: parents_max.min(PARENTS_ALL),
        }))
    }
}

/// A pattern of keys: `*` is any text, `?` is any byte.
#[derive(Debug)]
pub(super) struct Glob(String);

impl Glob {
    /// Whether all of the key fits. Costs at most the product of the lengths.
    pub(super) fn matches(&self, key: &[u8]) -> bool {
        let pattern = self.0.as_bytes();
        let (mut at, mut of, mut star) = (0, 0, None);
        while let Some(byte) = key.get(at) {
            match pattern.get(of) {
                Some(b'*') => {
                    star = Some((of, at));
                    of += 1;
                    continue;
                }
                Some(wanted) if *wanted == b'?' || wanted == byte => {
                    (at, of) = (at + 1, of + 1);
                    continue;
                }
                _ => {}
            }
            // The last `*` takes one more.
            let Some((place, from)) = star else { return false };
            (at, of, star) = (from + 1, place + 1, Some((place, from + 1)));
        }
        pattern.get(of..).unwrap_or_default().iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_keys() {
        for (pattern, key, matches) in [
            ("db.*", "db.system", true),
            ("db.*", "db.", true),
            ("db.*", "xdb.system", false),
            ("*.name", "service.name", true),
            ("*.name", "service.name.x", false),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
            ("http.?", "http.x", true),
            ("http.?", "http.xy", false),
            ("*", "", true),
            ("", "", true),
            ("http.method", "http.method", true),
        ] {
            assert_eq!(
                Glob(pattern.to_owned()).matches(key.as_bytes()),
                matches,
                "{pattern} {key}"
            );
        }
    }
}
