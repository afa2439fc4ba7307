//! Addresses of mail, as they are written: a name, `@`, a domain with a dot.

use std::ops::Range;

use super::{at, count, end_of};

/// The first address from `from` on.
pub(super) fn find(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    if from == 0 && count(bytes, |byte| byte == b'@') == 0 {
        return None;
    }
    let mut search = from;
    loop {
        let rest = bytes.get(search..)?;
        let sign = search + rest.iter().position(|byte| *byte == b'@')?;
        let name = bytes.get(from..sign)?.iter().rev().take_while(|byte| is_name(**byte)).count();
        let start = sign - name;
        let end = domain(bytes, sign + 1);
        if let Some(end) = end.filter(|_| name > 0) {
            return Some(start..end);
        }
        search = sign + 1;
    }
}

/// What names are made of in practice; the standard allows more, such as `/` and `=`, which in a URL are none of them.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%'*+-^_`{|}~".contains(&byte)
}

/// The end of a domain that begins at `start`: labels with dots between them, the last of letters.
fn domain(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at_label = start;
    let mut found = None;
    loop {
        let end = end_of(bytes, at_label, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let label = bytes.get(at_label..end)?;
        if label.is_empty() {
            return found;
        }
        if at_label > start && label.len() >= 2 && label.iter().all(u8::is_ascii_alphabetic) {
            found = Some(end);
        }
        if at(bytes, end) != b'.' {
            return found;
        }
        at_label = end + 1;
    }
}
