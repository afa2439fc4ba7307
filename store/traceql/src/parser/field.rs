//! Expressions over one span: what stands in braces, and in the arguments of functions.

use super::operator::{self, COMPARE, LOGIC, NOT};
use super::{Deep, Parser};
use crate::Place;
use crate::ast::{Field, FieldExpr, FieldKind, Intrinsic, Kind, Static, Status};
use crate::error::Fault;
use crate::lexer::{Op, Tok};

impl Parser<'_> {
    /// `{ … }`, of which the brace is next.
    pub(super) fn filter(&mut self) -> Result<Deep<(Option<FieldExpr>, Place)>, Fault> {
        let open = self.place();
        self.bump();
        if self.tok() == &Tok::CloseBrace {
            let place = open.to(self.place());
            self.bump();
            return Ok(Deep::leaf((None, place)));
        }
        let expr = self.deep_expr(LOGIC)?;
        let close = self.place();
        if !self.eat(&Tok::CloseBrace) {
            return Err(self.unclosed_filter());
        }
        Ok(expr.map(|expr| (Some(expr), open.to(close))))
    }

    /// An expression up to what cannot be a part of it.
    pub(super) fn field_expr(&mut self) -> Result<FieldExpr, Fault> {
        self.deep_expr(LOGIC).map(|expr| expr.node)
    }

    /// The same, of operators that bind at least so tightly.
    pub(super) fn deep_expr(&mut self, least: u8) -> Result<Deep<FieldExpr>, Fault> {
        self.enter()?;
        let mut lhs = self.unary()?;
        while let Some(op) = self.op() {
            let Some(level) = field_binding(op).filter(|level| *level >= least) else { break };
            self.bump();
            let rhs = self.deep_expr(operator::right_of(level))?;
            lhs = self.joined(op, lhs, rhs)?;
        }
        self.leave();
        Ok(lhs)
    }

    /// Two operands and what is between them.
    fn joined(
        &mut self,
        op: Op,
        lhs: Deep<FieldExpr>,
        rhs: Deep<FieldExpr>,
    ) -> Result<Deep<FieldExpr>, Fault> {
        let place = lhs.node.place.to(rhs.node.place);
        let (deep, and) = (lhs.depth, rhs.depth);
        let (lhs, rhs) = (lhs.node, rhs.node);
        // A chain of one operator is one node: it does not get deeper.
        let chained = match op {
            Op::And => matches!(lhs.kind, FieldKind::All(_)),
            Op::Or => matches!(lhs.kind, FieldKind::Any(_)),
            _ => false,
        };
        let kind = match op {
            Op::And => FieldKind::All(flat(lhs, rhs, |kind| match kind {
                FieldKind::All(of) => Ok(of),
                kind => Err(kind),
            })),
            Op::Or => FieldKind::Any(flat(lhs, rhs, |kind| match kind {
                FieldKind::Any(of) => Ok(of),
                kind => Err(kind),
            })),
            op => {
                let (lhs, rhs) = (Box::new(lhs), Box::new(rhs));
                match (operator::arithmetic(op), operator::comparison(op)) {
                    (Some((op, _)), _) => FieldKind::Arithmetic { op, lhs, rhs },
                    (None, Some(op)) => FieldKind::Compare { op, lhs, rhs },
                    (None, None) => {
                        return Err(Fault::syntax(place, "an operator between fields"));
                    }
                }
            }
        };
        let below = if chained { deep - 1 } else { deep };
        self.above(FieldExpr { kind, place }, below, and)
    }

    /// An operand with what is in front of it.
    pub(super) fn unary(&mut self) -> Result<Deep<FieldExpr>, Fault> {
        let start = self.place();
        match self.op() {
            Some(Op::Not) => {
                self.bump();
                let of = self.deep_expr(NOT)?;
                let place = start.to(of.node.place);
                let kind = FieldKind::Not(Box::new(of.node));
                self.above(FieldExpr { kind, place }, of.depth, 0)
            }
            Some(Op::Minus) => {
                self.bump();
                if let Some(value) = self.number(true)? {
                    let kind = FieldKind::Static(value);
                    return self.leaf(kind, start.to(self.before()));
                }
                self.enter()?;
                let of = self.unary()?;
                self.leave();
                let place = start.to(of.node.place);
                let kind = FieldKind::Negate(Box::new(of.node));
                self.above(FieldExpr { kind, place }, of.depth, 0)
            }
            // Apart from the others: what recurses has small frames.
            None if self.tok() == &Tok::OpenParen => self.group_of_fields(),
            _ => self.primary(),
        }
    }

    /// `( … )`, of which the parenthesis is next.
    fn group_of_fields(&mut self) -> Result<Deep<FieldExpr>, Fault> {
        let open = self.place();
        self.bump();
        let mut expr = self.deep_expr(LOGIC)?;
        let close = self.place();
        if !self.eat(&Tok::CloseParen) {
            return Err(self.unclosed_paren());
        }
        expr.node.place = open.to(close);
        Ok(expr)
    }

    fn primary(&mut self) -> Result<Deep<FieldExpr>, Fault> {
        let place = self.place();
        if let Some(value) = self.number(false)? {
            return self.leaf(FieldKind::Static(value), place);
        }
        match self.tok() {
            Tok::Text(text) => {
                let kind = FieldKind::Static(Static::Text(text.clone()));
                self.bump();
                self.leaf(kind, place)
            }
            Tok::Field(field) => {
                let kind = FieldKind::Field(field.clone());
                self.bump();
                self.leaf(kind, place)
            }
            Tok::Word(word) => match keyword(word) {
                Some(kind) => {
                    self.bump();
                    self.leaf(kind, place)
                }
                None => Err(self.unknown_word()),
            },
            _ => Err(self.no_operand()),
        }
    }

    fn leaf(&mut self, kind: FieldKind, place: Place) -> Result<Deep<FieldExpr>, Fault> {
        self.count()?;
        Ok(Deep::leaf(FieldExpr { kind, place }))
    }

    /// A number that is next, with the sign that was before it.
    pub(super) fn number(&mut self, is_negative: bool) -> Result<Option<Static>, Fault> {
        let place = self.place();
        let signed = |magnitude: u64| {
            let value = if is_negative {
                0i64.checked_sub_unsigned(magnitude)
            } else {
                i64::try_from(magnitude).ok()
            };
            value.ok_or_else(|| Fault::syntax(place, "a number of 64 bits"))
        };
        let value = match self.tok() {
            Tok::Int(magnitude) => Static::Int(signed(*magnitude)?),
            Tok::Duration(magnitude) => Static::Duration(signed(*magnitude)?),
            Tok::Float(value) => Static::Float(if is_negative { -value } else { *value }),
            _ => return Ok(None),
        };
        self.bump();
        Ok(Some(value))
    }

    /// `(a, b, …)` of fields, of which the parenthesis is next.
    pub(super) fn fields(&mut self) -> Result<Vec<Field>, Fault> {
        self.expect(&Tok::OpenParen, "`(`")?;
        let mut fields = vec![self.field()?];
        while self.eat(&Tok::Comma) {
            fields.push(self.field()?);
        }
        self.expect(&Tok::CloseParen, "`,` or `)`")?;
        Ok(fields)
    }

    /// An attribute or an intrinsic, and nothing else.
    pub(super) fn field(&mut self) -> Result<Field, Fault> {
        self.count()?;
        let field = match self.tok() {
            Tok::Field(field) => field.clone(),
            Tok::Word(word) => match keyword(word) {
                Some(FieldKind::Field(field)) => field,
                Some(_) => return Err(self.expected("an attribute or an intrinsic")),
                None => return Err(self.unknown_word()),
            },
            _ => return Err(self.expected("an attribute or an intrinsic")),
        };
        self.bump();
        Ok(field)
    }
}

/// How tightly an operator binds between fields.
const fn field_binding(op: Op) -> Option<u8> {
    match operator::binding(op) {
        Some(COMPARE) if operator::comparison(op).is_none() => None,
        level => level,
    }
}

/// The operands of a chain of one operator.
fn flat(
    lhs: FieldExpr,
    rhs: FieldExpr,
    open: impl Fn(FieldKind) -> Result<Vec<FieldExpr>, FieldKind>,
) -> Vec<FieldExpr> {
    let operands = |expr: FieldExpr| {
        let place = expr.place;
        open(expr.kind).unwrap_or_else(|kind| vec![FieldExpr { kind, place }])
    };
    let mut all = operands(lhs);
    all.extend(operands(rhs));
    all
}

/// What a word means within an expression over a span.
pub(super) fn keyword(word: &str) -> Option<FieldKind> {
    let literal = match word {
        "true" => Some(Static::Bool(true)),
        "false" => Some(Static::Bool(false)),
        "nil" => Some(Static::Nil),
        "minInt" => Some(Static::Int(i64::MIN)),
        "maxInt" => Some(Static::Int(i64::MAX)),
        _ => None,
    };
    let status = || Status::ALL.into_iter().find(|status| status.name() == word);
    let kind = || Kind::ALL.into_iter().find(|kind| kind.name() == word);
    literal
        .or_else(|| status().map(Static::Status))
        .or_else(|| kind().map(Static::Kind))
        .map(FieldKind::Static)
        .or_else(|| Intrinsic::named(word).map(Field::intrinsic).map(FieldKind::Field))
}
