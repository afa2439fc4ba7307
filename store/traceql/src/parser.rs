//! From tokens to a tree, by hand: precedence climbing, one token ahead.
//!
//! It recurses only where the tree gets deeper, and no deeper than [`limit::DEPTH_MAX`]. What the
//! tree means is judged by [`crate::check`]; here only its form is. Precedence, from low to high:
//! `|`; `&&` and `||` (alike, from left to right); comparisons and structural operators; `+ -`; `!`;
//! `* / %`; `^` (from right to left); `-` in front.

mod field;
mod fold;
mod item;
mod metrics;
mod operator;
mod stage;
mod word;

pub(crate) use word::meant;

use crate::Place;
use crate::ast::{Query, Root, Static, With};
use crate::error::Fault;
use crate::lexer::{self, Op, Tok, Token};
use crate::limit;

/// The tree of a text, unchecked.
pub(crate) fn parse(text: &str) -> Result<Query, Fault> {
    let mut parser = Parser::new(text)?;
    let query = parser.query()?;
    parser.end()?;
    Ok(query)
}

/// The expression of a filter without its braces, unchecked.
pub(crate) fn expression(text: &str) -> Result<crate::ast::FieldExpr, Fault> {
    let mut parser = Parser::new(text)?;
    let expr = parser.field_expr()?;
    parser.end()?;
    Ok(expr)
}

/// One field and nothing else.
pub(crate) fn field(text: &str) -> Result<crate::ast::Field, Fault> {
    let mut parser = Parser::new(text)?;
    let field = parser.field()?;
    parser.end()?;
    Ok(field)
}

/// A part of the tree with its depth.
#[derive(Debug)]
struct Deep<T> {
    node: T,
    depth: u32,
}

impl<T> Deep<T> {
    /// A leaf.
    const fn leaf(node: T) -> Self {
        Self { node, depth: 1 }
    }

    fn map<U>(self, of: impl FnOnce(T) -> U) -> Deep<U> {
        Deep { node: of(self.node), depth: self.depth }
    }
}

#[derive(Debug)]
struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    /// How deep the recursion is.
    depth: u32,
    nodes: u32,
    /// Where the pipeline starts that is being read.
    pipeline_start: u32,
    /// What is there behind the last token.
    none: Token,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, Fault> {
        if text.len() > limit::QUERY_BYTES_MAX {
            let place = Place::new(limit::QUERY_BYTES_MAX, limit::QUERY_BYTES_MAX);
            let found = format!("{} bytes", text.len());
            let expected = format!("a query of at most {} bytes", limit::QUERY_BYTES_MAX);
            return Err(Fault::too_large(place, &found, expected));
        }
        let end = text.len();
        Ok(Self {
            text,
            tokens: lexer::tokens(text),
            at: 0,
            depth: 0,
            nodes: 0,
            pipeline_start: 0,
            none: Token { tok: Tok::End, place: Place::new(end, end) },
        })
    }

    fn query(&mut self) -> Result<Query, Fault> {
        if self.tok() == &Tok::End {
            return Err(self.expected("a query, such as `{ }`").replace("{ }"));
        }
        let folded = self.pipeline()?;
        let root = match folded.node {
            fold::Folded::Stages(stages) => Root::Spans(crate::ast::Pipeline { stages }),
            fold::Folded::Metrics(metrics) => Root::Metrics(metrics),
            fold::Folded::Scalar(scalar) => return Err(self.lone_scalar(&scalar)),
            fold::Folded::Aggregated(_, aggregate) => return Err(self.lone_aggregate(&aggregate)),
        };
        let with = if self.eat_word("with") { self.with()? } else { Vec::new() };
        Ok(Query { root, with })
    }

    /// `(name=value, …)`
    fn with(&mut self) -> Result<Vec<With>, Fault> {
        self.expect(&Tok::OpenParen, "`(`")?;
        let mut all = Vec::new();
        loop {
            let place = self.place();
            let Tok::Word(name) = self.tok().clone() else {
                return Err(self.expected("the name of a setting, such as `sample`"));
            };
            self.bump();
            self.expect(&Tok::Op(Op::Eq), "`=`")?;
            let value = self.literal()?;
            self.count()?;
            all.push(With { name, value, place: place.to(self.before()) });
            if !self.eat(&Tok::Comma) {
                break;
            }
        }
        self.expect(&Tok::CloseParen, "`,` or `)`")?;
        Ok(all)
    }

    /// A literal with its sign.
    fn literal(&mut self) -> Result<Static, Fault> {
        let expr = self.unary()?;
        match expr.node.kind {
            crate::ast::FieldKind::Static(value) => Ok(value),
            _ => Err(Fault::syntax(expr.node.place, "a literal")),
        }
    }

    fn end(&self) -> Result<(), Fault> {
        match self.tok() {
            Tok::End => Ok(()),
            _ => Err(self.unexpected_end_of_pipeline()),
        }
    }

    fn token(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&self.none)
    }

    fn tok(&self) -> &Tok {
        &self.token().tok
    }

    /// The token behind the next one.
    fn second(&self) -> &Tok {
        self.tokens.get(self.at + 1).map_or(&Tok::End, |token| &token.tok)
    }

    fn place(&self) -> Place {
        self.token().place
    }

    /// Where the token before stands.
    fn before(&self) -> Place {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        before.map_or_else(Place::default, |token| token.place)
    }

    fn op(&self) -> Option<Op> {
        match self.tok() {
            Tok::Op(op) => Some(*op),
            _ => None,
        }
    }

    fn word(&self) -> Option<&str> {
        match self.tok() {
            Tok::Word(word) => Some(word),
            _ => None,
        }
    }

    fn bump(&mut self) {
        self.at += 1;
    }

    fn eat(&mut self, tok: &Tok) -> bool {
        let there = self.tok() == tok;
        if there {
            self.bump();
        }
        there
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let there = self.word() == Some(word);
        if there {
            self.bump();
        }
        there
    }

    fn expect(&mut self, tok: &Tok, what: &str) -> Result<Place, Fault> {
        let place = self.place();
        if self.eat(tok) { Ok(place) } else { Err(self.expected(what)) }
    }

    /// The fault that the next token is not what was expected; its own where it is a bad one.
    fn expected(&self, what: impl Into<String>) -> Fault {
        match self.tok() {
            Tok::Bad(bad) => bad.0.clone(),
            _ => Fault::syntax(self.place(), what),
        }
    }

    /// One more node.
    fn count(&mut self) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > limit::NODES_MAX {
            let expected = format!("at most {} fields, literals and operators", limit::NODES_MAX);
            return Err(Fault::too_large(self.place(), "more", expected));
        }
        Ok(())
    }

    /// One level deeper.
    fn enter(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        self.fits(self.depth)
    }

    const fn leave(&mut self) {
        self.depth -= 1;
    }

    fn fits(&self, depth: u32) -> Result<(), Fault> {
        if depth > limit::DEPTH_MAX {
            let expected = format!("at most {} levels", limit::DEPTH_MAX);
            return Err(Fault::too_large(self.place(), "a deeper query", expected));
        }
        Ok(())
    }

    /// A node above one or two others.
    fn above<T>(&mut self, node: T, of: u32, and: u32) -> Result<Deep<T>, Fault> {
        self.count()?;
        let depth = of.max(and) + 1;
        self.fits(depth)?;
        Ok(Deep { node, depth })
    }
}
