//! Regular expressions in RE2's syntax, as the Collector has them; matched in linear time and bounded memory, however
//! the pattern and the text are made.

use std::cell::RefCell;
use std::ops::Range;

use regex_automata::hybrid::dfa;
use regex_automata::hybrid::regex::{Cache, Regex};
use regex_automata::nfa::thompson::{self, WhichCaptures, pikevm};
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use traceweir_plugin::ConfigError;

// The one translation of RE2's syntax, which queries use, too.
#[path = "../../../../store/traceql/src/regex/re2.rs"]
mod re2;

/// The longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4096;
/// Memory of a compiled pattern.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Memory of states that a search has met; beyond it they are forgotten.
const CACHE_BYTES: usize = 256 << 10;
/// Parentheses within parentheses.
const NESTING_MAX: u32 = 64;

/// A compiled pattern. It matches anywhere in a text unless `^` and `$` say otherwise.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    cache: RefCell<Cache>,
    groups: pikevm::PikeVM,
    /// Made when groups are first asked for.
    groups_cache: RefCell<Option<(pikevm::Cache, Captures)>>,
}

impl Pattern {
    /// Compiles a pattern that stands at `path` of a configuration.
    ///
    /// # Errors
    ///
    /// Why it is none, or is too large.
    pub fn new(path: &str, pattern: &str) -> Result<Self, ConfigError> {
        compile(pattern).map_err(|why| ConfigError::new(path, why))
    }

    /// Whether it matches somewhere in `text`.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        let input = Input::new(text).earliest(true);
        let mut cache = self.cache.borrow_mut();
        let half = self.regex.forward().try_search_fwd(cache.as_parts_mut().0, &input);
        half.is_ok_and(|half| half.is_some())
    }

    /// Where it matches first, from `from` on.
    #[must_use]
    pub fn find(&self, text: &str, from: usize) -> Option<Range<usize>> {
        if from > text.len() {
            return None;
        }
        let input = Input::new(text).range(from..);
        let found = self.regex.try_search(&mut self.cache.borrow_mut(), &input);
        found.ok().flatten().map(|found| found.range())
    }

    /// Names and texts of the groups that have names, where it matches first.
    #[must_use]
    pub fn groups<'t>(&self, text: &'t str) -> Option<Vec<(&str, &'t str)>> {
        let found = self.find(text, 0)?;
        let mut cache = self.groups_cache.borrow_mut();
        let new = || (self.groups.create_cache(), self.groups.create_captures());
        let (cache, captures) = cache.get_or_insert_with(new);
        // It begins there: no other start is tried.
        let input = Input::new(text).range(found).anchored(Anchored::Yes);
        self.groups.search(cache, &input, captures);
        let info = self.groups.get_nfa().group_info();
        let names = info.pattern_names(captures.pattern()?).enumerate();
        let group = |(i, name): (usize, Option<_>)| {
            Some((name?, text.get(captures.get_group(i)?.range())?))
        };
        Some(names.filter_map(group).collect())
    }

    /// The names of its groups.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let groups = self.groups.get_nfa().group_info().all_names();
        groups.filter_map(|(_, _, name)| name)
    }
}

fn compile(pattern: &str) -> Result<Pattern, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("must be a pattern of at most {PATTERN_BYTES_MAX} bytes"));
    }
    let translated = re2::translated(pattern);
    let syntax = syntax::Config::new().nest_limit(NESTING_MAX);
    let hir = syntax::parse_with(&translated, &syntax).map_err(|error| match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        _ => "is no pattern".to_owned(),
    })?;
    let limit = thompson::Config::new().nfa_size_limit(Some(COMPILED_BYTES_MAX));
    // From the end of a match its start is found, backwards; groups need none of that.
    let backwards = limit.clone().reverse(true).which_captures(WhichCaptures::None);
    let nfa = |config| {
        let nfa = thompson::Compiler::new().configure(config).build_from_hir(&hir);
        nfa.map_err(|_| {
            format!("must be a pattern of at most {COMPILED_BYTES_MAX} bytes, compiled")
        })
    };
    let (forwards, backwards) = (nfa(limit)?, nfa(backwards)?);
    let cache = dfa::Config::new().cache_capacity(CACHE_BYTES).skip_cache_capacity_check(true);
    let dfa = |config, nfa| {
        let dfa = dfa::Builder::new().configure(config).build_from_nfa(nfa);
        dfa.map_err(|error| error.to_string())
    };
    let regex = Regex::builder().build_from_dfas(
        dfa(cache.clone(), forwards.clone())?,
        dfa(cache.match_kind(MatchKind::All), backwards)?,
    );
    let groups = pikevm::PikeVM::new_from_nfa(forwards).map_err(|error| error.to_string())?;
    let cache = RefCell::new(regex.create_cache());
    Ok(Pattern { regex, cache, groups, groups_cache: RefCell::new(None) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new("$", text).unwrap()
    }

    #[test]
    fn it_is_found_anywhere() {
        let digits = pattern(r"\d+");
        assert!(digits.is_match("order 4711 of 12"));
        assert_eq!(digits.find("order 4711 of 12", 0), Some(6..10));
        assert_eq!(digits.find("order 4711 of 12", 10), Some(14..16));
        assert_eq!(digits.find("order 4711 of 12", 16), None);
        assert!(!pattern("^order$").is_match("order 4711"));
    }

    #[test]
    fn case_folds_and_classes_are_those_of_re2() {
        assert!(pattern("(?i)größe").is_match("GRÖSSE GRÖßE"));
        assert!(!pattern(r"^\w$").is_match("ö"));
        assert!(pattern("/users/{id}").is_match("/users/{id}"));
        assert_eq!(pattern(".").find("🦊", 0), Some(0..4));
    }

    #[test]
    fn groups_have_names() {
        let url = pattern(r"^(?P<scheme>https?)://(?P<host>[^/]+)(?P<path>/.*)?(x)?");
        let groups = url.groups("http://shop:80").unwrap();
        assert_eq!(groups, [("scheme", "http"), ("host", "shop:80")]);
        assert_eq!(url.names().collect::<Vec<_>>(), ["scheme", "host", "path"]);
        assert_eq!(url.groups("ftp://shop"), None);
    }

    #[test]
    fn what_is_no_pattern_or_too_large_is_refused() {
        let why = |text: &str| Pattern::new("$.p", text).unwrap_err().to_string();
        assert_eq!(why("(a"), "$.p: unclosed group");
        assert_eq!(
            why("a{1000}{1000}"),
            "$.p: must be a pattern of at most 1048576 bytes, compiled"
        );
        assert_eq!(why(&"a".repeat(4097)), "$.p: must be a pattern of at most 4096 bytes");
    }
}
