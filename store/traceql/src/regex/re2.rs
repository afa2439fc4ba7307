//! RE2's syntax in that of the engine.
//!
//! They agree but for this: a `{` that starts no repetition stands for itself (`/users/{id}`), and so
//! do `[`, `&&`, `--` and `~~` within brackets; `\d`, `\s`, `\w` and `\b` know ASCII only; `\Q…\E`
//! quotes; `\z` is the end and `\C` is not supported.

use std::iter::Peekable;
use std::str::Chars;

/// The same expression in the engine's syntax. What is wrong stays wrong.
pub(super) fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => escape(&mut out, &mut rest, Within::Nothing),
            '[' => class(&mut out, &mut rest),
            '{' if !is_repetition(&rest) => out.push_str("\\{"),
            c => out.push(c),
        }
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    Brackets,
}

/// What follows a backslash.
fn escape(out: &mut String, rest: &mut Peekable<Chars<'_>>, within: Within) {
    let (open, close) = if within == Within::Nothing { ("[", "]") } else { ("", "") };
    match rest.next() {
        Some('d') => out.extend([open, "0-9", close]),
        Some('s') => out.extend([open, r"\t\n\f\r ", close]),
        Some('w') => out.extend([open, "0-9A-Za-z_", close]),
        Some('D') => out.push_str("[^0-9]"),
        Some('S') => out.push_str(r"[^\t\n\f\r ]"),
        Some('W') => out.push_str("[^0-9A-Za-z_]"),
        Some('b') if within == Within::Nothing => out.push_str(r"(?-u:\b)"),
        Some('Q') if within == Within::Nothing => quoted(out, rest),
        // An end that nothing has opened.
        Some('E') if within == Within::Nothing => {}
        Some(c) => {
            out.push('\\');
            out.push(c);
            // `\p{Greek}`, `\x{1F600}`
            if matches!(c, 'p' | 'P' | 'x') && rest.peek() == Some(&'{') {
                out.extend(std::iter::from_fn(|| rest.next_if(|c| *c != '}')));
            }
        }
        None => out.push('\\'),
    }
}

/// What stands between `\Q` and `\E`, or the end.
fn quoted(out: &mut String, rest: &mut Peekable<Chars<'_>>) {
    while let Some(c) = rest.next() {
        if c == '\\' && rest.peek() == Some(&'E') {
            rest.next();
            return;
        }
        out.push_str(&regex_syntax::escape(c.encode_utf8(&mut [0; 4])));
    }
}

/// What stands in brackets, of which the first has been read.
fn class(out: &mut String, rest: &mut Peekable<Chars<'_>>) {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    // Right at the start it is one of the characters.
    if rest.next_if_eq(&']').is_some() {
        out.push_str("\\]");
    }
    while let Some(c) = rest.next() {
        match c {
            ']' => {
                out.push(']');
                return;
            }
            '\\' => escape(out, rest, Within::Brackets),
            '[' if rest.peek() == Some(&':') => posix(out, rest),
            '[' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '-' if rest.peek() == Some(&'-') => out.push_str("\\-"),
            c => out.push(c),
        }
    }
}

/// `[:alpha:]`, of which the first bracket has been read.
fn posix(out: &mut String, rest: &mut Peekable<Chars<'_>>) {
    out.push('[');
    for c in rest.by_ref() {
        out.push(c);
        if c == ']' {
            return;
        }
    }
}

/// Whether what follows a `{` makes it a repetition: `{2}`, `{2,}`, `{2,3}`.
fn is_repetition(rest: &Peekable<Chars<'_>>) -> bool {
    let mut rest = rest.clone();
    let digits = |rest: &mut Peekable<Chars<'_>>| {
        std::iter::from_fn(|| rest.next_if(char::is_ascii_digit)).count()
    };
    if digits(&mut rest) == 0 {
        return false;
    }
    if rest.next_if_eq(&',').is_some() {
        digits(&mut rest);
    }
    rest.next() == Some('}')
}
