//! Numbers and durations, without their sign.

use super::{Lexer, Tok};
use crate::Place;
use crate::error::Fault;

/// Nanoseconds by unit: Go's, and the longer ones of Prometheus. Where the name of one starts
/// another's, the longer name comes first.
pub const UNITS: [(&str, u64); 11] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
    ("y", 31_536_000_000_000_000),
];

/// What people write for a unit.
const NEAR_UNITS: [(&str, &str); 22] = [
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("S", "s"),
    ("msec", "ms"),
    ("millis", "ms"),
    ("milliseconds", "ms"),
    ("MS", "ms"),
    ("usec", "us"),
    ("micros", "us"),
    ("microseconds", "us"),
    ("min", "m"),
    ("mins", "m"),
    ("minute", "m"),
    ("minutes", "m"),
    ("hr", "h"),
    ("hour", "h"),
    ("hours", "h"),
    ("H", "h"),
    ("day", "d"),
    ("days", "d"),
];

impl Lexer<'_> {
    pub(super) fn number(&mut self) -> Result<Tok, Fault> {
        let start = self.at;
        self.digits_of_number();
        self.exponent();
        if self.peek().is_some_and(char::is_alphabetic) {
            self.at = start;
            return self.duration(start);
        }
        let text = self.since(start);
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let refuse = |_| Fault::syntax(self.from(start), "an integer of 64 bits");
            return text.parse().map(Tok::Int).map_err(refuse);
        }
        let refuse = |_| Fault::syntax(self.from(start), "a number");
        text.parse().map(Tok::Float).map_err(refuse)
    }

    fn digits_of_number(&mut self) {
        let digit = |c: char| c.is_ascii_digit();
        self.run(digit);
        if self.eat(".") {
            self.run(digit);
        }
    }

    fn exponent(&mut self) {
        let start = self.at;
        if self.eat("e") || self.eat("E") {
            // One sign at most.
            let _signed = self.eat("-") || self.eat("+");
            if self.run(|c| c.is_ascii_digit()).is_empty() {
                self.at = start;
            }
        }
    }

    /// `1h30m`, `1.5s`: numbers with units, one behind the other.
    fn duration(&mut self, start: usize) -> Result<Tok, Fault> {
        let mut sum = 0u64;
        while self.peek().is_some_and(|c| c.is_ascii_digit() || c == '.') {
            let begin = self.at;
            self.digits_of_number();
            let number = self.since(begin);
            let unit = self.unit()?;
            let more = scaled(number, unit).and_then(|value| sum.checked_add(value));
            // A sign may be in front, and the smallest number has one more than the largest.
            let fits = more.filter(|sum| *sum <= i64::MAX.unsigned_abs() + 1);
            let Some(fits) = fits else {
                self.run(char::is_alphanumeric);
                let expected = "a duration of less than 292 years";
                return Err(Fault::syntax(self.from(start), expected));
            };
            sum = fits;
        }
        Ok(Tok::Duration(sum))
    }

    fn unit(&mut self) -> Result<u64, Fault> {
        let start = self.at;
        let name = self.run(char::is_alphabetic);
        if let Some((_, unit)) = UNITS.iter().find(|(unit, _)| *unit == name) {
            return Ok(*unit);
        }
        let known = "a unit: ns, us, ms, s, m, h, d, w or y";
        let end = if name.is_empty() { self.at + 1 } else { self.at };
        let fault = Fault::syntax(Place::new(start, end.min(self.text.len())), known);
        let near = NEAR_UNITS.iter().find(|(near, _)| *near == name);
        Err(match near {
            Some((_, unit)) => fault.replace(*unit),
            None => fault,
        })
    }
}

/// A decimal number of a unit, its fraction cut to whole nanoseconds. Nothing where it is too long.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut value = u128::from(whole).checked_mul(u128::from(unit))?;
    let digits = fraction.get(..fraction.len().min(18))?;
    if !digits.is_empty() {
        let parts: u64 = digits.parse().ok()?;
        let scale = 10u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
        value = value.checked_add(u128::from(parts) * u128::from(unit) / scale)?;
    }
    u64::try_from(value).ok()
}
