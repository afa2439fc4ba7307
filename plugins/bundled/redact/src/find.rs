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

/// A bit for each class that a byte is of: each byte of each text is looked up, mostly several times.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "it is less than 256")]
        let of = byte as u8;
        let is_word = of.is_ascii_alphanumeric() || of == b'_';
        classes[byte] = if is_word || of >= 0x80 { WORD } else { 0 };
        if is_word || of == b'-' {
            classes[byte] |= TOKEN;
        }
        byte += 1;
    }
    classes
};
const WORD: u8 = 1;
const TOKEN: u8 = 2;

/// Whether it is part of a word.
fn is_word(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & WORD != 0
}

/// Base64url, as keys and JWT have it.
fn is_token(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// How many bytes are such: all of them are looked at, sixteen at a time.
fn count(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    let (chunks, rest) = bytes.as_chunks::<16>();
    let of = |bytes: &[u8]| bytes.iter().fold(0, |count: u8, byte| count + u8::from(is(*byte)));
    chunks.iter().map(|chunk| usize::from(of(chunk))).sum::<usize>() + usize::from(of(rest))
}

#[cfg(test)]
mod tests;
