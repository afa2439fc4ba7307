//! Keeping with a probability, so that all who decide about a trace agree, and whoever counts knows what a kept span
//! stands for: consistent probability sampling, as opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling
//! has it, with the entry `ot` of the tracestate as in tracestate-handling.

use model::TraceId;

/// The randomness and the threshold have so many bits.
const BITS: u32 = 56;
const HEX_DIGITS: usize = 14;
/// Most characters of the value of `ot`, and most entries of a tracestate (W3C Trace Context).
const VALUE_CHARS_MAX: usize = 256;
const ENTRIES_MAX: usize = 32;

/// Of 2^56 traces so many are rejected: those whose randomness is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Threshold(u64);

impl Threshold {
    /// The one of a probability; none where nothing is kept, which is no probability (the least is 2^-56).
    pub(super) fn of(probability: f64) -> Option<Self> {
        const ALL: u64 = 1 << BITS;
        if probability <= 0.0 {
            return None;
        }
        // A power of two: the product is exact, and it is the kept part that is rounded, as that may be tiny.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "within 0 and 2^56, which a double has exactly"
        )]
        let kept = (probability * ALL as f64).round() as u64;
        Some(Self(ALL - kept.clamp(1, ALL)))
    }

    /// Whether a trace is kept.
    pub(super) const fn keeps(self, randomness: u64) -> bool {
        randomness >= self.0
    }

    /// Whether every trace is kept.
    pub(super) const fn is_all(self) -> bool {
        self.0 == 0
    }

    /// As it is written: without the zeros at its end.
    fn text(self) -> String {
        let digits = format!("{:014x}", self.0);
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let digits = (1..=HEX_DIGITS).contains(&text.len()).then_some(text.len())?;
        Some(Self(hex(text)? << (4 * (HEX_DIGITS - digits))))
    }
}

fn hex(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |value, byte| {
        char::from(*byte).to_digit(16).map(|digit| value << 4 | u64::from(digit))
    })
}

/// What a tracestate says of sampling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Its own randomness, which counts instead of the trace id's.
    pub(super) randomness: Option<u64>,
    threshold: Option<Threshold>,
}

impl Said {
    /// Reads a tracestate; what is malformed says nothing.
    pub(super) fn of(state: &[u8]) -> Self {
        let mut said = Self::default();
        for (key, value) in entries(state).find_map(ot).into_iter().flat_map(members) {
            match key {
                b"rv" if value.len() == HEX_DIGITS => said.randomness = hex(value),
                b"th" => said.threshold = Threshold::parse(value),
                _ => {}
            }
        }
        said
    }

    /// Whether it says with which threshold the span was kept.
    pub(super) const fn has_threshold(self) -> bool {
        self.threshold.is_some()
    }
}

/// The last 56 bits of a trace id, which W3C Trace Context Level 2 has random.
pub(super) fn randomness(trace: TraceId) -> u64 {
    let bytes = trace.as_bytes().last_chunk().map_or(0, |low| u64::from_be_bytes(*low));
    bytes & ((1 << BITS) - 1)
}

/// The tracestate of a span that was kept with this threshold and randomness. Everything that others have in it stays,
/// `rv` too; `ot` moves to the front, as an entry that was changed does.
///
/// A sampler behind others may raise a threshold, and never lower it: that would say of spans which were dropped
/// before that they had been counted ("Equalizing downstream sampler"). So where the span has a higher one already it
/// stays; the decision is right in any case, as a span that passed the higher one passes the lower. But a threshold
/// that the span itself does not pass is inconsistent, was set by somebody who did not go by it, and is erased
/// ("General requirements"): then ours is all that is known.
pub(super) fn state(old: &[u8], threshold: Threshold, randomness: u64) -> Vec<u8> {
    let before = Said::of(old).threshold.filter(|before| before.keeps(randomness));
    let threshold = before.map_or(threshold, |before| before.max(threshold));
    let mut value = format!("th:{}", threshold.text()).into_bytes();
    let own = value.len();
    for (key, said) in entries(old).find_map(ot).into_iter().flat_map(members) {
        if key != b"th" {
            value.push(b';');
            value.extend_from_slice(key);
            value.push(b':');
            value.extend_from_slice(said);
        }
    }
    // Too long to be passed on; then what it stands for is not known, which is said by saying nothing.
    if value.len() > VALUE_CHARS_MAX {
        value.drain(..(own + 1).min(value.len()));
    }
    let mut new = b"ot=".to_vec();
    new.extend_from_slice(&value);
    let others = entries(old).filter(|entry| ot(entry).is_none());
    for entry in others.take(ENTRIES_MAX - 1) {
        new.push(b',');
        new.extend_from_slice(entry);
    }
    new
}

fn entries(state: &[u8]) -> impl Iterator<Item = &[u8]> {
    state.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty())
}

/// The value of the entry of OpenTelemetry.
fn ot(entry: &[u8]) -> Option<&[u8]> {
    entry.strip_prefix(b"ot=")
}

/// The keys in it with their values.
fn members(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    value.split(|byte| *byte == b';').filter_map(|member| {
        let colon = member.iter().position(|byte| *byte == b':')?;
        Some((member.get(..colon)?, member.get(colon + 1..)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(old: &str, probability: f64, randomness: u64) -> String {
        let threshold = Threshold::of(probability).unwrap();
        String::from_utf8(state(old.as_bytes(), threshold, randomness)).unwrap()
    }

    /// More than any threshold below 2^56 - 1.
    const HIGH: u64 = (1 << 56) - 1;

    #[test]
    fn thresholds_are_those_of_the_specification() {
        let text = |probability| Threshold::of(probability).map(Threshold::text);
        assert_eq!(text(1.0).as_deref(), Some("0"));
        assert_eq!(text(0.5).as_deref(), Some("8"));
        assert_eq!(text(0.25).as_deref(), Some("c"));
        assert_eq!(text(0.01).as_deref(), Some("fd70a3d70a3d71"));
        assert_eq!(text(0.0), None);
        assert_eq!(text(f64::MIN_POSITIVE).as_deref(), Some("ffffffffffffff"));
        assert!(!Threshold::of(0.5).unwrap().keeps((1 << 55) - 1));
        assert!(Threshold::of(0.5).unwrap().keeps(1 << 55));
        assert!(Threshold::of(1.0).unwrap().keeps(0));
    }

    #[test]
    fn what_others_have_said_stays() {
        assert_eq!(written("", 0.5, HIGH), "ot=th:8");
        assert_eq!(written("a=1,b=2", 0.5, HIGH), "ot=th:8,a=1,b=2");
        let old = "a=1 , ot=x:1;th:4;rv:ffffffffffffff , b=2";
        assert_eq!(written(old, 0.5, HIGH), "ot=th:8;x:1;rv:ffffffffffffff,a=1,b=2");
    }

    #[test]
    fn a_threshold_is_raised_and_never_lowered_unless_it_is_inconsistent() {
        assert_eq!(written("ot=th:c", 0.5, HIGH), "ot=th:c");
        assert_eq!(written("ot=th:c", 1.0, HIGH), "ot=th:c");
        assert_eq!(written("ot=th:4", 0.5, HIGH), "ot=th:8");
        assert_eq!(written("ot=th:c", 0.5, 0x8f << 48), "ot=th:8");
        assert_eq!(written("ot=th:xyz", 0.5, HIGH), "ot=th:8");
        assert_eq!(written("ot=th:", 0.5, HIGH), "ot=th:8");
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let long = format!("ot=x:{}", "y".repeat(254));
        assert_eq!(written(&long, 0.5, HIGH), long);
        let many: Vec<String> = (0..32).map(|n| format!("k{n}=v")).collect();
        let new = written(&many.join(","), 0.5, HIGH);
        assert_eq!(new.split(',').count(), 32);
        assert!(new.starts_with("ot=th:8,k0=v,") && new.ends_with("k30=v"));
    }

    #[test]
    fn randomness_is_that_of_the_state_or_the_last_56_bits() {
        let trace = TraceId::parse("0102030405060708090a0b0c0d0e0f10").unwrap();
        assert_eq!(randomness(trace), 0x0a_0b0c_0d0e_0f10);
        let said = |state: &str| Said::of(state.as_bytes()).randomness;
        assert_eq!(said("ot=rv:0000000000000a"), Some(10));
        assert_eq!(said("a=1,ot=th:8;rv:0000000000000A"), Some(10));
        for state in ["", "ot=rv:1", "ot=rv:0000000000000g", "rv:0000000000000a", "x=ot=rv"] {
            assert_eq!(said(state), None, "{state}");
        }
    }
}
