//! `a || b && c` without parentheses: here both bind alike, from left to right.

use super::{Found, Remark};
use crate::Place;
use crate::error::Edit;
use crate::lexer::{self, Op, Tok};

/// What is open: one bracket's worth of tokens.
#[derive(Default)]
struct Level {
    /// Where the operand behind the last `||` starts, if there was one.
    after_or: Option<u32>,
    /// Where the chain of `&&` starts that is to be put in parentheses.
    chain: Option<u32>,
    /// Where the last token ended.
    end: u32,
}

/// Finds them by the tokens: the tree does not tell parentheses.
pub(super) fn find(text: &str, found: &mut Found) {
    let mut levels = vec![Level::default()];
    for token in lexer::tokens(text) {
        let Some(level) = levels.last_mut() else { return };
        match token.tok {
            Tok::OpenBrace | Tok::OpenParen => {
                level.begins(token.place.start);
                levels.push(Level::default());
            }
            Tok::CloseBrace | Tok::CloseParen | Tok::End | Tok::Bad(_) => {
                found.remarks.extend(level.ended());
                levels.pop();
                if let Some(outer) = levels.last_mut() {
                    outer.end = token.place.end;
                }
            }
            Tok::Op(Op::Or) => {
                found.remarks.extend(level.ended());
                // The next token says where the operand starts.
                *level = Level { after_or: Some(u32::MAX), ..Level::default() };
            }
            Tok::Op(Op::And) => {
                level.chain = level.chain.or(level.after_or);
                level.end = token.place.end;
            }
            Tok::Op(Op::Pipe) | Tok::Comma => {
                found.remarks.extend(level.ended());
                *level = Level::default();
            }
            _ => {
                level.begins(token.place.start);
                level.end = token.place.end;
            }
        }
    }
}

impl Level {
    /// A token is here, which may be the first of an operand.
    fn begins(&mut self, at: u32) {
        if self.after_or == Some(u32::MAX) {
            self.after_or = Some(at);
        }
    }

    fn ended(&mut self) -> Option<Remark> {
        let start = self.chain.take()?;
        let place = Place { start, end: self.end };
        let at =
            |at, text: &str| Edit { place: Place { start: at, end: at }, text: text.to_owned() };
        let edits = vec![at(place.start, "("), at(place.end, ")")];
        let message =
            "`&&` and `||` bind alike, from left to right; parentheses tell what is meant";
        Some(Remark { place, message: message.to_owned(), edits })
    }
}
