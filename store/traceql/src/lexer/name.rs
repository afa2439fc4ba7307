//! Names of attributes: dotted parts, each of which may be in quotes.

use super::Lexer;
use crate::error::Fault;

/// Whether a name without quotes ends before it.
pub(crate) fn ends_name(c: char) -> bool {
    c.is_whitespace() || "{}()=~!<>&|^,".contains(c)
}

impl Lexer<'_> {
    /// The name that starts here, behind the dot of its scope.
    pub(super) fn name(&mut self) -> Result<String, Fault> {
        let start = self.at;
        let mut name = String::new();
        loop {
            match self.peek() {
                Some('"') => self.quoted_part(&mut name)?,
                _ => name.push_str(self.run(|c| c != '.' && c != '"' && !ends_name(c))),
            }
            match self.peek() {
                Some('.') => {
                    self.bump();
                    name.push('.');
                }
                Some('"') => {
                    let place = crate::Place::new(self.at, self.at + 1);
                    return Err(Fault::syntax(place, "the end of the name, or quotes around it"));
                }
                _ => break,
            }
        }
        if name.is_empty() {
            let place = crate::Place::new(start, start + self.peek().map_or(0, char::len_utf8));
            return Err(Fault::syntax(place, "the name of an attribute"));
        }
        Ok(name)
    }

    /// A part in quotes, in which `\"` and `\\` stand for `"` and `\`.
    fn quoted_part(&mut self, name: &mut String) -> Result<(), Fault> {
        let start = self.at;
        self.bump();
        loop {
            let at = self.at;
            match self.bump() {
                Some('"') => break,
                Some('\\') => match self.bump() {
                    Some(c @ ('"' | '\\')) => name.push(c),
                    _ => {
                        let fault = Fault::syntax(self.from(at), "`\\\"` or `\\\\`");
                        return Err(fault.edit(crate::Place::new(at, at), "\\"));
                    }
                },
                Some(c) => name.push(c),
                None => return Err(self.open_end(start, '"')),
            }
        }
        match self.peek() {
            Some(c) if c != '.' && !ends_name(c) => {
                let place = crate::Place::new(self.at, self.at + c.len_utf8());
                Err(Fault::syntax(place, "a dot, or the end of the name"))
            }
            _ => Ok(()),
        }
    }
}

/// A name in quotes.
pub(crate) fn quoted_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    out.push('"');
    for c in name.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}
