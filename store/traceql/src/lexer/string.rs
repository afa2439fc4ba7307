//! String literals: in double quotes with Go's escapes, in backticks without any.

use super::{Lexer, Tok};
use crate::Place;
use crate::error::Fault;

impl Lexer<'_> {
    /// A string in backticks: all characters stand for themselves.
    pub(super) fn raw(&mut self) -> Result<Tok, Fault> {
        let start = self.at;
        self.bump();
        let text = self.run(|c| c != '`').to_owned();
        match self.bump() {
            Some(_) => Ok(Tok::Text(text)),
            None => Err(self.open_end(start, '`')),
        }
    }

    /// A string in double quotes.
    pub(super) fn quoted(&mut self) -> Result<Tok, Fault> {
        let start = self.at;
        self.bump();
        let mut bytes = Vec::new();
        let mut wrong: Option<Fault> = None;
        loop {
            bytes.extend_from_slice(self.run(|c| c != '"' && c != '\\').as_bytes());
            match self.peek() {
                Some('"') => break,
                Some(_) => {
                    let at = self.at;
                    self.bump();
                    if self.escape(&mut bytes).is_none() {
                        let expected =
                            "an escape such as `\\n` or `\\\\`; in backticks none is needed";
                        let fault = |this: &Self| Fault::syntax(this.from(at), expected);
                        let fault = wrong.take().unwrap_or_else(|| fault(self));
                        wrong = Some(fault.edit(Place::new(at, at), "\\"));
                    }
                }
                None => return Err(self.open_end(start, '"')),
            }
        }
        self.bump();
        match (wrong, String::from_utf8(bytes)) {
            (Some(fault), _) => Err(fault),
            (None, Ok(text)) => Ok(Tok::Text(text)),
            (None, Err(_)) => Err(Fault::syntax(self.from(start), "a string in UTF-8")),
        }
    }

    /// What follows a backslash. Nothing where it is no escape; then at least a character is gone.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Option<()> {
        let first = self.bump()?;
        let simple = match first {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            '"' => b'"',
            'x' => u8::try_from(self.digits(2, 16)?).ok()?,
            'u' => return self.character(4, bytes),
            'U' => return self.character(8, bytes),
            '0'..='7' => {
                let high = first.to_digit(8)?;
                u8::try_from(high * 64 + self.digits(2, 8)?).ok()?
            }
            _ => return None,
        };
        bytes.push(simple);
        Some(())
    }

    fn character(&mut self, count: usize, bytes: &mut Vec<u8>) -> Option<()> {
        let c = char::from_u32(self.digits(count, 16)?)?;
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Some(())
    }

    fn digits(&mut self, count: usize, radix: u32) -> Option<u32> {
        let mut value = 0u32;
        for _ in 0..count {
            let digit = self.peek()?.to_digit(radix)?;
            value = value.checked_mul(radix)?.checked_add(digit)?;
            self.bump();
        }
        Some(value)
    }

    /// A string that starts there does not end. It was probably meant to end before what ends a
    /// filter or a comparison.
    pub(super) fn open_end(&mut self, start: usize, quote: char) -> Fault {
        let rest = self.text.get(start + 1..).unwrap_or_default();
        let ends = ["}", "&&", "||", "|"].iter().filter_map(|end| rest.find(end)).min();
        let inner = ends.and_then(|end| rest.get(..end)).unwrap_or(rest);
        let end = Place::new(start + 1 + inner.trim_end().len(), 0).start;
        self.at = self.text.len();
        let place = self.from(start);
        Fault::syntax(place, format!("a closing {quote} for this one"))
            .insert(end, quote.to_string())
    }

    /// Quotes of other languages: what is in them is put in ours.
    pub(super) fn foreign_quotes(&mut self) -> Fault {
        let start = self.at;
        let close: &[char] = match self.bump() {
            Some('\'') => &['\''],
            Some('“' | '”') => &['“', '”', '"'],
            _ => &['‘', '’', '\''],
        };
        let inner = self.run(|c| !close.contains(&c)).to_owned();
        let closed = self.bump().is_some();
        let fault = Fault::syntax(self.from(start), "double quotes or backticks around a string");
        if closed { fault.replace(written(&inner)) } else { fault }
    }
}

/// A string as the language writes it, in double quotes.
pub(crate) fn written(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let number = u32::from(c);
                out.push_str("\\u");
                out.extend(
                    (0..4).rev().filter_map(|at| char::from_digit((number >> (4 * at)) & 15, 16)),
                );
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
