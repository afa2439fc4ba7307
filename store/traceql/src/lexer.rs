//! From text to tokens.
//!
//! Attributes are one token, scope and quotes included: where a name ends is a matter of characters
//! (`.a-b` is one name, `.a - b` a difference). A text that cannot be read on ends with a
//! [`Tok::Bad`], so that faults before it are told first.

mod name;
mod number;
mod string;

pub(crate) use name::{ends_name, quoted_name};
pub use number::UNITS;
pub(crate) use string::written;

use crate::Place;
use crate::ast::{Field, Intrinsic, Key, Scope, Whose};
use crate::error::Fault;

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) tok: Tok,
    pub(crate) place: Place,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tok {
    OpenBrace,
    CloseBrace,
    OpenParen,
    CloseParen,
    Comma,
    Op(Op),
    /// A number without its sign.
    Int(u64),
    Float(f64),
    /// Nanoseconds without their sign.
    Duration(u64),
    Text(String),
    /// `.x`, `span.x`, `parent.x`
    Field(Field),
    /// `rate`, `duration`, `span:name`; also `service.name`, which is no attribute without scope.
    Word(String),
    Bad(Box<Bad>),
    End,
}

/// A fault as a part of a token.
#[derive(Clone, Debug)]
pub(crate) struct Bad(pub(crate) Fault);

impl PartialEq for Bad {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

/// Operators, as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    And,
    Or,
    Pipe,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Match,
    /// `!~`: of a regex between fields, of siblings between spansets.
    NotTilde,
    Not,
    Tilde,
    Below,
    Above,
    NotGt,
    NotLt,
    NotBelow,
    NotAbove,
    BothGt,
    BothLt,
    BothBelow,
    BothAbove,
    BothTilde,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Caret,
}

/// Longest first where one starts another.
const SYMBOLS: &[(&str, Tok)] = &[
    ("!>>", Tok::Op(Op::NotBelow)),
    ("!<<", Tok::Op(Op::NotAbove)),
    ("&>>", Tok::Op(Op::BothBelow)),
    ("&<<", Tok::Op(Op::BothAbove)),
    ("&&", Tok::Op(Op::And)),
    ("||", Tok::Op(Op::Or)),
    ("!=", Tok::Op(Op::Ne)),
    ("<=", Tok::Op(Op::Le)),
    (">=", Tok::Op(Op::Ge)),
    ("=~", Tok::Op(Op::Match)),
    ("!~", Tok::Op(Op::NotTilde)),
    (">>", Tok::Op(Op::Below)),
    ("<<", Tok::Op(Op::Above)),
    ("!>", Tok::Op(Op::NotGt)),
    ("!<", Tok::Op(Op::NotLt)),
    ("&>", Tok::Op(Op::BothGt)),
    ("&<", Tok::Op(Op::BothLt)),
    ("&~", Tok::Op(Op::BothTilde)),
    ("|", Tok::Op(Op::Pipe)),
    ("=", Tok::Op(Op::Eq)),
    ("<", Tok::Op(Op::Lt)),
    (">", Tok::Op(Op::Gt)),
    ("!", Tok::Op(Op::Not)),
    ("~", Tok::Op(Op::Tilde)),
    ("+", Tok::Op(Op::Plus)),
    ("-", Tok::Op(Op::Minus)),
    ("*", Tok::Op(Op::Star)),
    ("/", Tok::Op(Op::Slash)),
    ("%", Tok::Op(Op::Percent)),
    ("^", Tok::Op(Op::Caret)),
    ("{", Tok::OpenBrace),
    ("}", Tok::CloseBrace),
    ("(", Tok::OpenParen),
    (")", Tok::CloseParen),
    (",", Tok::Comma),
];

/// Operators of other languages, and ours for them. Longest first.
const FOREIGN: &[(&str, &str)] = &[
    ("===", "="),
    ("!==", "!="),
    ("!=~", "!~"),
    ("==", "="),
    ("=<", "<="),
    ("=>", ">="),
    ("<>", "!="),
    ("~=", "=~"),
    (";", ""),
];

/// All tokens of a text; the last one is [`Tok::End`] or [`Tok::Bad`].
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip();
        let start = lexer.at;
        let tok = lexer.token().unwrap_or_else(|fault| Tok::Bad(Box::new(Bad(fault))));
        let last = matches!(tok, Tok::End | Tok::Bad(_));
        tokens.push(Token { tok, place: Place::new(start, lexer.at) });
        if last {
            return tokens;
        }
    }
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    /// The next byte; always at the border of a character.
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn eat(&mut self, text: &str) -> bool {
        let there = self.rest().starts_with(text);
        if there {
            self.at += text.len();
        }
        there
    }

    fn from(&self, start: usize) -> Place {
        Place::new(start, self.at)
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Goes on while characters are of a kind.
    fn run(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let run = rest.find(|c| !is(c)).and_then(|end| rest.get(..end)).unwrap_or(rest);
        self.at += run.len();
        run
    }

    /// Skips spaces and comments: `// …` to the end of the line, `/* … */`.
    fn skip(&mut self) {
        loop {
            self.run(char::is_whitespace);
            if self.rest().starts_with("//") {
                self.run(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                let end = self.rest().find("*/").map_or_else(|| self.rest().len(), |end| end + 2);
                self.at += end;
            } else {
                return;
            }
        }
    }

    fn token(&mut self) -> Result<Tok, Fault> {
        let Some(next) = self.peek() else { return Ok(Tok::End) };
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        match next {
            '"' => self.quoted(),
            '`' => self.raw(),
            '\'' | '“' | '”' | '‘' | '’' => Err(self.foreign_quotes()),
            '0'..='9' => self.number(),
            '.' if digit(self.second()) => self.number(),
            '.' => {
                self.bump();
                Ok(Tok::Field(Field::attribute(Scope::Unscoped, self.name()?)))
            }
            c if c.is_ascii_alphabetic() || c == '_' => self.word(),
            _ => self.symbol(),
        }
    }

    fn symbol(&mut self) -> Result<Tok, Fault> {
        let start = self.at;
        if let Some((_, ours)) = FOREIGN.iter().find(|(theirs, _)| self.eat(theirs)) {
            let expected = if ours.is_empty() { "nothing here".to_owned() } else { quote(ours) };
            return Err(Fault::syntax(self.from(start), expected).replace(*ours));
        }
        if let Some((_, tok)) = SYMBOLS.iter().find(|(text, _)| self.eat(text)) {
            return Ok(tok.clone());
        }
        let c = self.bump();
        let fault = Fault::syntax(self.from(start), "an operator, a field or a literal");
        Err(if c == Some('&') { fault.replace("&&") } else { fault })
    }

    /// A word, and what belongs to it: the name behind a scope, the rest of `span:name`.
    fn word(&mut self) -> Result<Tok, Fault> {
        let start = self.at;
        let word = self.run(is_word);
        match (self.peek(), self.second()) {
            (Some('.'), _) if Scope::named(word).is_some() => {
                self.bump();
                let scope = Scope::named(word).unwrap_or(Scope::Unscoped);
                Ok(Tok::Field(Field::attribute(scope, self.name()?)))
            }
            (Some('.'), _) if word == "parent" => {
                self.bump();
                self.of_parent().map(Tok::Field)
            }
            (Some('.'), Some(c)) if is_word(c) => {
                self.run(|c| is_word(c) || matches!(c, '.' | '-' | '/'));
                Ok(Tok::Word(self.since(start).to_owned()))
            }
            (Some(':'), Some(c)) if is_word(c) => {
                self.bump();
                self.run(is_word);
                Ok(Tok::Word(self.since(start).to_owned()))
            }
            _ => Ok(Tok::Word(word.to_owned())),
        }
    }

    /// What follows `parent.`.
    fn of_parent(&mut self) -> Result<Field, Fault> {
        let start = self.at;
        let scope = Scope::NAMED.iter().find(|(_, name)| {
            let there = self.rest().strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
            there && self.eat(name) && self.eat(".")
        });
        let is_raw = self.peek() != Some('"');
        let name = self.name()?;
        let key = match (scope, Intrinsic::of_parent(&name)) {
            (Some((scope, _)), _) => Key::Attribute { scope: *scope, name },
            (None, Some(intrinsic)) if is_raw && self.since(start) == name => {
                Key::Intrinsic(intrinsic)
            }
            (None, _) => Key::Attribute { scope: Scope::Unscoped, name },
        };
        Ok(Field { whose: Whose::Parent, key })
    }
}

/// Whether words are made of it.
pub(crate) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A piece of the language in a message.
pub(crate) fn quote(text: &str) -> String {
    format!("`{text}`")
}

/// An operator as it is written.
pub(crate) fn symbol_of(op: Op) -> &'static str {
    let row = SYMBOLS.iter().find(|(_, tok)| *tok == Tok::Op(op));
    row.map_or("", |(text, _)| text)
}
