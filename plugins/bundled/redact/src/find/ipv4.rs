//! IPv4 addresses: four numbers from 0 to 255 with dots between them, and neither digit nor dot around.

use std::ops::Range;

use super::{at, before, end_of, is_word};

/// The first address from `from` on.
pub(super) fn find(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut i = from;
    // 0.0.0.0
    while i + 7 <= bytes.len() {
        if !at(bytes, i).is_ascii_digit() {
            i += 1;
            continue;
        }
        let previous = before(bytes, i);
        let end = address(bytes, i).filter(|_| !is_word(previous) && previous != b'.');
        if let Some(end) = end {
            return Some(i..end);
        }
        i = end_of(bytes, i, |byte| byte.is_ascii_digit() || byte == b'.');
    }
    None
}

/// The end of an address that begins at `start`.
fn address(bytes: &[u8], start: usize) -> Option<usize> {
    let mut end = start;
    for octet in 0..4 {
        if octet > 0 {
            end = (at(bytes, end) == b'.').then_some(end + 1)?;
        }
        let digits = end_of(bytes, end, |byte| byte.is_ascii_digit());
        let number = bytes.get(end..digits).filter(|digits| (1..=3).contains(&digits.len()))?;
        let value = number.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        if value > 255 {
            return None;
        }
        end = digits;
    }
    let next = at(bytes, end);
    // A full stop at the end of a sentence is none of the address.
    let goes_on = is_word(next) || (next == b'.' && at(bytes, end + 1).is_ascii_digit());
    (!goes_on).then_some(end)
}
