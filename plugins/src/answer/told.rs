//! What an answer says of one row or trace, for whoever shows it to people.

use super::Edits;
use super::verdicts::Verdict;

/// What a sampler says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Said {
    Drop,
    Keep,
    Probability(f64),
}

impl Edits<'_> {
    /// The verdict on a row, or on a trace; nothing where the plugin is no sampler.
    pub(crate) fn said(&self, entry: usize) -> Option<Said> {
        self.verdicts.as_ref().map(|verdicts| match verdicts.get(entry) {
            Verdict::Drop => Said::Drop,
            Verdict::Keep => Said::Keep,
            Verdict::Probability(of) => Said::Probability(of),
        })
    }

    /// Why, if it says so.
    pub(crate) fn reason(&self, entry: usize) -> Option<&str> {
        let text = self.reasons.as_ref().and_then(|reasons| reasons.get(entry))?;
        std::str::from_utf8(text).ok().filter(|text| !text.is_empty())
    }
}
