//! Queries of those who mean harm, or do it without meaning to: the same ones for the same seed.

use crate::api::escape;
use crate::random::Rng;

/// A question to the query API that nobody should ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostile {
    /// The path without parameters.
    pub path: &'static str,
    /// TraceQL, or what looks like it.
    pub query: String,
    /// The other parameters, as they are sent.
    pub parameters: String,
}

impl Hostile {
    /// The whole path.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("{}?q={}{}", self.path, escape(&self.query), self.parameters)
    }

    /// Whether it is a metrics query.
    #[must_use]
    pub fn is_metrics(&self) -> bool {
        self.path.starts_with("/api/metrics")
    }
}

const FIELDS: [&str; 16] = [
    ".n",
    ".t",
    ".mixed",
    ".missing",
    "span.mixed",
    "resource.service.name",
    "event.exception.message",
    "link.x",
    "parent.mixed",
    "duration",
    "name",
    "traceDuration",
    "nestedSetLeft",
    "span:childCount",
    "event:timeSinceStart",
    "rootServiceName",
];
const VALUES: [&str; 16] = [
    "0",
    "1",
    "-1",
    "maxInt",
    "minInt",
    "1e308",
    "1e-320",
    "0.1",
    "9223372036854775807ns",
    "106751d",
    "\"\"",
    "\"x\"",
    "true",
    "nil",
    "error",
    "client",
];
const COMPARISONS: [&str; 8] = ["=", "!=", "<", "<=", ">", ">=", "=~", "!~"];
const ARITHMETIC: [&str; 6] = ["+", "-", "*", "/", "%", "^"];
const STRUCTURAL: [&str; 15] =
    [">", ">>", "<", "<<", "~", "!>", "!>>", "!<", "!<<", "!~", "&>", "&>>", "&<", "&<<", "&~"];
const REGEXES: [&str; 10] = [
    "(a+)+$",
    "(.*.*.*.*.*.*.*)*x",
    "((x{1,100}){1,100}){1,100}",
    "(\\\\p{L}|\\\\d|.){1,500}",
    "(?i)(straße|ß|ſ){1,200}",
    "(x|xx|xxx|xxxx)*y",
    "[^a]{0,1000}[^b]{0,1000}",
    "(((((((((((((((((((((",
    "\\\\pZ\\\\PZ{99999}",
    ".{0,65535}",
];
const FUNCTIONS: [&str; 8] = [
    "rate()",
    "count_over_time()",
    "sum_over_time(.n)",
    "avg_over_time(duration)",
    "min_over_time(.mixed)",
    "histogram_over_time(duration)",
    "quantile_over_time(duration, 0, .1, .5, .9, .99, .999, 1)",
    "quantile_over_time(.mixed, 2, -1)",
];
/// What a client sends as the numbers of a range or a limit.
const NUMBERS: [&str; 12] = [
    "0",
    "1",
    "-1",
    "10000",
    "10001",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999",
    "1e9",
    "NaN",
];
const STEPS: [&str; 8] = ["1ns", "1us", "1ms", "0", "0.001", "1", "100y", "-1s"];

const SEARCH: &str = "/api/search";
const PATHS: [&str; 8] = [
    SEARCH,
    SEARCH,
    SEARCH,
    "/api/metrics/query_range",
    "/api/metrics/query_range",
    "/api/metrics/query",
    "/api/v2/search/tags",
    "/api/v2/search/tag/.mixed/values",
];

/// Makes them one after the other.
#[derive(Debug)]
pub struct Hostiles {
    rng: Rng,
    /// In seconds: around when the spans were made.
    now: u64,
}

impl Hostiles {
    /// Questions that follow from `seed`, about spans of about `now` (in seconds).
    #[must_use]
    pub const fn new(seed: u64, now: u64) -> Self {
        Self { rng: Rng::new(seed), now }
    }

    fn of(&mut self, among: &[&'static str]) -> &'static str {
        self.rng.pick::<&str>(among)
    }

    fn many(
        &mut self,
        most: usize,
        with: &str,
        mut one: impl FnMut(&mut Self) -> String,
    ) -> String {
        let count = 1 + self.rng.below(most);
        (0..count).map(|_| one(self)).collect::<Vec<_>>().join(with)
    }

    /// A condition of mixed types, as deep as told.
    fn condition(&mut self, depth: usize) -> String {
        if depth == 0 || self.rng.once_in(5) {
            let (field, op) = (self.of(&FIELDS), self.of(&COMPARISONS));
            let value = if op.contains('~') { self.regex() } else { self.operand() };
            return format!("{field} {op} {value}");
        }
        match self.rng.below(4) {
            0 => format!("!({})", self.condition(depth - 1)),
            1 => format!("({}) || ({})", self.condition(depth - 1), self.condition(depth - 1)),
            2 => format!("({}) && ({})", self.condition(depth - 1), self.condition(depth - 1)),
            _ => {
                let (op, compare) = (self.of(&ARITHMETIC), self.of(&COMPARISONS[..6]));
                format!("({} {op} {}) {compare} {}", self.operand(), self.operand(), self.operand())
            }
        }
    }

    fn operand(&mut self) -> String {
        match self.rng.below(4) {
            0 => self.of(&FIELDS).to_owned(),
            1 => {
                let op = self.of(&ARITHMETIC);
                format!("({} {op} {})", self.of(&FIELDS), self.of(&VALUES))
            }
            2 => format!("({} / (.n - .n))", self.of(&VALUES)),
            _ => self.of(&VALUES).to_owned(),
        }
    }

    fn regex(&mut self) -> String {
        if self.rng.once_in(8) {
            let words = self.many(4_000, "|", |all| format!("{:x}", all.rng.number() >> 40));
            return format!("\"{words}\"");
        }
        format!("\"{}\"", self.of(&REGEXES))
    }

    fn filter(&mut self) -> String {
        match self.rng.below(3) {
            0 => "{ }".to_owned(),
            1 => format!("{{ {} != nil }}", self.of(&FIELDS)),
            _ => format!("{{ {} }}", self.condition(2)),
        }
    }

    fn spans(&mut self) -> String {
        match self.rng.below(9) {
            0 => {
                let depth = 1 + self.rng.below(300);
                format!("{{ {}.t = 1{} }}", "(".repeat(depth), ")".repeat(depth))
            }
            1 => {
                let depth = 1 + self.rng.below(200);
                format!("{{ {}(.mixed = 1) }}", "!".repeat(depth))
            }
            2 => {
                let wide = self.many(3_000, " || ", |all| {
                    format!("{} = {}", all.of(&FIELDS[..5]), all.rng.below(9_999))
                });
                format!("{{ {wide} }}")
            }
            3 => format!("{{ {} =~ {} }}", self.of(&FIELDS), self.regex()),
            4 => {
                let mut chain = self.filter();
                for _ in 0..self.rng.below(130) {
                    let (op, side) = (self.of(&STRUCTURAL), self.filter());
                    chain = format!("{chain} {op} {side}");
                }
                chain
            }
            5 => {
                let stages = self.many(40, " | ", |all| match all.rng.below(4) {
                    0 => format!("by({})", all.of(&FIELDS)),
                    1 => "coalesce()".to_owned(),
                    2 => format!("count() {} {}", all.of(&COMPARISONS[..6]), all.of(&VALUES)),
                    _ => {
                        let of = all.of(&["avg", "sum", "min", "max"]);
                        format!("{of}({}) / count() > {}", all.of(&FIELDS), all.of(&VALUES))
                    }
                });
                format!("{} | {stages}", self.filter())
            }
            6 => {
                let fields = self.many(400, ", ", |all| all.of(&FIELDS).to_owned());
                format!("{} | select({fields})", self.filter())
            }
            7 => {
                let side =
                    |all: &mut Self| format!("({} | by(.mixed) | count() > 1)", all.filter());
                self.many(30, " && ", side)
            }
            _ => format!("{{ {} }}", self.condition(6)),
        }
    }

    fn series(&mut self) -> String {
        let (filter, function) = (self.filter(), self.of(&FUNCTIONS));
        match self.rng.below(5) {
            0 => format!("{filter} | {function} by(span:id, {})", self.of(&FIELDS)),
            1 => {
                let by = self.many(40, ", ", |all| all.of(&FIELDS).to_owned());
                format!("{filter} | {function} by({by})")
            }
            2 => {
                let stages = self.many(50, " | ", |all| {
                    let k = all.of(&NUMBERS);
                    format!("{}({k})", all.of(&["topk", "bottomk"]))
                });
                format!("{filter} | {function} by({}) | {stages}", self.of(&FIELDS))
            }
            3 => {
                let side = |all: &mut Self| {
                    format!("({} | {} by(.mixed))", all.filter(), all.of(&FUNCTIONS[..5]))
                };
                self.many(40, " / ", side)
            }
            _ => {
                let top = self.of(&NUMBERS);
                format!("{filter} | compare({{ {} }}, {top})", self.condition(2))
            }
        }
    }

    /// A good query with a few bytes that are not.
    fn broken(&mut self) -> String {
        let mut text: Vec<char> = self.spans().chars().take(400).collect();
        for _ in 0..1 + self.rng.below(4) {
            let at = self.rng.below(text.len().max(1));
            let odd = *self.rng.pick(&['{', '}', '"', '`', '\\', '\0', '|', '𝄞', '(', '~']);
            if let Some(char) = text.get_mut(at) {
                *char = odd;
            }
        }
        text.into_iter().collect()
    }

    /// A range: one that holds spans mostly, and what no clock says.
    fn range(&mut self) -> String {
        match self.rng.below(20) {
            0 => format!("&start={}&end={}", self.of(&NUMBERS), self.of(&NUMBERS)),
            1 => format!("&start={}&end={}", self.now + 60, self.now - 3_600),
            2 => "&start=1&end=9999999999".to_owned(),
            3..6 => String::new(),
            _ => format!("&start={}&end={}", self.now - 3_000, self.now + 60),
        }
    }

    /// A number that will do, mostly.
    fn number(&mut self, good: &'static str) -> &'static str {
        if self.rng.once_in(12) { self.of(&NUMBERS) } else { good }
    }

    /// A range and its steps: as many as are computed, mostly.
    fn steps(&mut self) -> String {
        let exemplars = self.number("1000");
        let steps = match self.rng.below(8) {
            0 => format!("{}&step={}", self.range(), self.of(&STEPS)),
            1..4 => format!("&start={}&end={}&step=1ms", self.now - 6, self.now + 3),
            _ => format!("&start={}&end={}&step=1", self.now - 9_000, self.now + 60),
        };
        format!("{steps}&exemplars={exemplars}")
    }
}

impl Iterator for Hostiles {
    type Item = Hostile;

    fn next(&mut self) -> Option<Hostile> {
        let path = *self.rng.pick(&PATHS);
        let (query, parameters) = if path.starts_with("/api/metrics") {
            (self.series(), self.steps())
        } else {
            let query = if self.rng.once_in(8) { self.broken() } else { self.spans() };
            let limit = self.number("10000");
            let spans = if path == SEARCH { self.number("100") } else { "" };
            (query, format!("{}&limit={limit}&spss={spans}", self.range()))
        };
        let parameters = parameters.trim_end_matches("&spss=").to_owned();
        Some(Hostile { path, query, parameters })
    }
}
