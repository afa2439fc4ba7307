//! Regexes as queries use them: of the whole value, in linear time, bounded.
//!
//! The syntax is that of RE2 (which Tempo has), as far as it differs from that of the engine below:
//! see `regex/re2.rs`. A value is matched as a whole, as if between `\A(?:` and `)\z`; `.` does not match a
//! line feed unless `(?s)` says so.

mod re2;

use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::syntax;
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Hir, Look};

use crate::limit::{REGEX_BYTES_MAX, REGEX_MEMORY_MAX};

/// Memory that a search may use for states that it has met, in bytes: beyond it, they are forgotten.
const CACHE_BYTES: usize = 256 << 10;

/// Parentheses within parentheses.
const NESTING_MAX: u32 = 64;

/// The most strings that [`Regex::strings`] lists.
const STRINGS_MAX: usize = 250;

/// A compiled regex that matches whole values. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Regex {
    compiled: meta::Regex,
    strings: Option<Vec<String>>,
    prefix: String,
}

impl Regex {
    /// Compiles a pattern in RE2's syntax.
    ///
    /// # Errors
    /// Says why the pattern is none, or that it is over [`REGEX_BYTES_MAX`] or, compiled,
    /// [`REGEX_MEMORY_MAX`].
    pub fn new(pattern: &str) -> Result<Self, String> {
        if pattern.len() > REGEX_BYTES_MAX {
            return Err(format!("it is longer than {REGEX_BYTES_MAX} bytes"));
        }
        let config = syntax::Config::new().nest_limit(NESTING_MAX);
        let hir =
            syntax::parse_with(&re2::translated(pattern), &config).map_err(
                |error| match error {
                    regex_syntax::Error::Parse(error) => error.kind().to_string(),
                    regex_syntax::Error::Translate(error) => error.kind().to_string(),
                    _ => "it is no regex".to_owned(),
                },
            )?;
        let (strings, prefix) = literals(&hir);
        let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        let config = meta::Config::new()
            .nfa_size_limit(Some(REGEX_MEMORY_MAX))
            .hybrid_cache_capacity(CACHE_BYTES)
            .which_captures(WhichCaptures::None);
        let compiled = meta::Builder::new().configure(config).build_from_hir(&whole);
        let compiled = compiled.map_err(|error| match error.size_limit() {
            Some(_) => format!("compiled, it is larger than {REGEX_MEMORY_MAX} bytes"),
            None => error.to_string(),
        })?;
        Ok(Self { compiled, strings, prefix })
    }

    /// Whether it matches the whole of a value. Linear in the length of the value.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        self.compiled.is_match(value)
    }

    /// The only values that it can match, where they are few, each once: `GET|POST`.
    #[must_use]
    pub fn strings(&self) -> Option<&[String]> {
        self.strings.as_deref()
    }

    /// What all values that it matches start with; perhaps nothing.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The memory that its compiled form takes, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.compiled.memory_usage()
    }
}

/// The strings that an expression can match where they are few, and what all start with.
fn literals(hir: &Hir) -> (Option<Vec<String>>, String) {
    let mut extractor = Extractor::new();
    extractor.limit_total(STRINGS_MAX);
    let found = extractor.extract(hir);
    let is_plain = hir.properties().look_set().is_empty();
    let strings = found.literals().filter(|_| found.is_exact() && is_plain).and_then(|literals| {
        let mut strings = literals
            .iter()
            .map(|literal| String::from_utf8(literal.as_bytes().to_vec()).ok())
            .collect::<Option<Vec<_>>>()?;
        strings.sort();
        strings.dedup();
        Some(strings)
    });
    let prefix = found.longest_common_prefix().unwrap_or_default();
    // A prefix may end within a character.
    let prefix = prefix.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    (strings, prefix.to_owned())
}

#[cfg(test)]
mod tests;
