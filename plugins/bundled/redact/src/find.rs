//! What is found without being described: numbers of cards, addresses, tokens.

pub(crate) mod card;
mod email;
mod ipv4;
mod token;

use std::ops::Range;

use serde::Deserialize;

/// What can be looked for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Builtin {
    /// Numbers of payment cards, with their check digit.
    Card,
    /// Addresses of mail.
    Email,
    /// JWT, credentials behind `Bearer` and `Basic`, keys of well-known makers, values of `password=` and its like.
    Token,
    /// IPv4 addresses.
    Ipv4,
}

impl Builtin {
    /// The first such thing from `from` on, which is where a character begins. What is found begins and ends there,
    /// too.
    pub(crate) fn find(self, text: &str, from: usize) -> Option<Range<usize>> {
        match self {
            Self::Card => card::find(text, from),
            Self::Email => email::find(text, from),
            Self::Token => token::find(text, from),
            Self::Ipv4 => ipv4::find(text, from),
        }
    }
}

/// Byte `i`, or 0 behind the end.
fn at(bytes: &[u8], i: usize) -> u8 {
    bytes.get(i).copied().unwrap_or_default()
}

/// The byte before `i`, or 0 before the start.
fn before(bytes: &[u8], i: usize) -> u8 {
    i.checked_sub(1).map_or(0, |i| at(bytes, i))
}

/// The end of the bytes from `from` on that are such.
fn end_of(bytes: &[u8], from: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|byte| !is(*byte)).unwrap_or(rest.len())
}

/// Whether it is part of a word.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests;
