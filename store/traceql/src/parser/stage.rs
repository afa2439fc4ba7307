//! What starts with a word between pipes: stages, aggregates, functions over time.

use super::item::Item;
use super::{Deep, Parser};
use crate::Place;
use crate::ast::{
    Aggregate, AggregateKind, Compare, Field, FieldKind, MetricsFunction, Over, ScalarExpr, Second,
    Stage, Static,
};
use crate::error::Fault;
use crate::lexer::Tok;

/// What may stand between pipes, as it is written without its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    By,
    Coalesce,
    Select,
    Aggregate(AggregateKind),
    Rate,
    Count,
    Over(Over),
    Quantile,
    Histogram,
    Compare,
    Top,
    Bottom,
}

/// Every one of them.
pub(super) const WORDS: [(&str, Word); 19] = [
    ("by", Word::By),
    ("coalesce", Word::Coalesce),
    ("select", Word::Select),
    ("count", Word::Aggregate(AggregateKind::Count)),
    ("min", Word::Aggregate(AggregateKind::Min)),
    ("max", Word::Aggregate(AggregateKind::Max)),
    ("sum", Word::Aggregate(AggregateKind::Sum)),
    ("avg", Word::Aggregate(AggregateKind::Avg)),
    ("rate", Word::Rate),
    ("count_over_time", Word::Count),
    ("min_over_time", Word::Over(Over::Min)),
    ("max_over_time", Word::Over(Over::Max)),
    ("sum_over_time", Word::Over(Over::Sum)),
    ("avg_over_time", Word::Over(Over::Avg)),
    ("quantile_over_time", Word::Quantile),
    ("histogram_over_time", Word::Histogram),
    ("compare", Word::Compare),
    ("topk", Word::Top),
    ("bottomk", Word::Bottom),
];

pub(super) fn word(text: &str) -> Option<Word> {
    WORDS.iter().find_map(|(name, word)| (*name == text).then_some(*word))
}

impl Parser<'_> {
    /// What starts with the word that is next.
    pub(super) fn stage(&mut self) -> Result<Deep<Item>, Fault> {
        let start = self.place();
        let Some(word) = self.word().and_then(word) else { return Err(self.unknown_stage()) };
        if self.second() != &Tok::OpenParen {
            self.bump();
            return Err(self.without_arguments(word, start));
        }
        self.bump();
        self.count()?;
        match word {
            Word::By => self.group(start),
            Word::Coalesce => {
                self.no_arguments()?;
                let place = start.to(self.before());
                Ok(Deep::leaf(Item::Stages(vec![Stage::Coalesce(place)], place)))
            }
            Word::Select => {
                let fields = self.fields()?;
                let place = start.to(self.before());
                Ok(Deep::leaf(Item::Stages(vec![Stage::Select(fields)], place)))
            }
            Word::Aggregate(kind) => self.aggregate(kind, start),
            Word::Top => {
                let (count, place) = (self.argument_count()?, start.to(self.before()));
                Ok(Deep::leaf(Item::Second(vec![Second::Top(count, place)], place)))
            }
            Word::Bottom => {
                let (count, place) = (self.argument_count()?, start.to(self.before()));
                Ok(Deep::leaf(Item::Second(vec![Second::Bottom(count, place)], place)))
            }
            _ => {
                let function = self.function(word)?;
                let by = if self.eat_word("by") { self.by()? } else { Vec::new() };
                let place = start.to(self.before());
                let depth = function.depth;
                let function = function.node;
                let item = Item::Function { function, by, place, second: Vec::new() };
                Ok(Deep { node: item, depth })
            }
        }
    }

    /// `by(x, …)` between pipes: a stage for each.
    fn group(&mut self, start: Place) -> Result<Deep<Item>, Fault> {
        self.bump();
        let mut stages = Vec::new();
        let mut depth = 0;
        loop {
            let expr = self.deep_expr(super::operator::LOGIC)?;
            depth = expr.depth.max(depth);
            stages.push(Stage::By(expr.node));
            if !self.eat(&Tok::Comma) {
                break;
            }
        }
        self.expect(&Tok::CloseParen, "`,` or `)`")?;
        self.above(Item::Stages(stages, start.to(self.before())), depth, 0)
    }

    fn aggregate(&mut self, kind: AggregateKind, start: Place) -> Result<Deep<Item>, Fault> {
        let (of, depth) = if kind == AggregateKind::Count {
            self.no_arguments()?;
            (None, 0)
        } else {
            self.bump();
            let expr = self.deep_expr(super::operator::LOGIC)?;
            self.expect(&Tok::CloseParen, "`)`")?;
            (Some(expr.node), expr.depth)
        };
        let place = start.to(self.before());
        let aggregate = Aggregate { kind, of, place };
        self.above(Item::Scalar(ScalarExpr::Aggregate(aggregate)), depth, 0)
    }

    fn function(&mut self, word: Word) -> Result<Deep<MetricsFunction>, Fault> {
        Ok(Deep::leaf(match word {
            Word::Count => {
                self.no_arguments()?;
                MetricsFunction::Count
            }
            Word::Over(over) => MetricsFunction::Over(over, self.one_field()?),
            Word::Histogram => MetricsFunction::Histogram(self.one_field()?),
            Word::Quantile => self.quantile()?,
            Word::Compare => return Ok(self.compare()?.map(MetricsFunction::Compare)),
            _ => {
                self.no_arguments()?;
                MetricsFunction::Rate
            }
        }))
    }

    fn quantile(&mut self) -> Result<MetricsFunction, Fault> {
        self.bump();
        let field = self.field()?;
        let mut quantiles = Vec::new();
        while self.eat(&Tok::Comma) {
            let place = self.place();
            let value = self.literal()?;
            let quantile = match value {
                Static::Int(_) | Static::Float(_) => value.as_f64(),
                _ => None,
            };
            self.count()?;
            quantiles.push(quantile.ok_or_else(|| Fault::syntax(place, "a number from 0 to 1"))?);
        }
        if quantiles.is_empty() && self.tok() == &Tok::CloseParen {
            let at = self.place().start;
            return Err(self.expected("`,` and a quantile from 0 to 1").insert(at, ", 0.9"));
        }
        self.expect(&Tok::CloseParen, "`,` or `)`")?;
        Ok(MetricsFunction::Quantile(field, quantiles))
    }

    fn compare(&mut self) -> Result<Deep<Compare>, Fault> {
        self.bump();
        if self.tok() != &Tok::OpenBrace {
            return Err(self.expected("the selection: `{ … }`"));
        }
        let filter = self.filter()?;
        let depth = filter.depth;
        let mut compare = Compare { selection: filter.node.0, top: Compare::TOP, during: None };
        if self.eat(&Tok::Comma) {
            compare.top = self.positive()?;
        }
        if self.eat(&Tok::Comma) {
            let from = self.integer()?;
            self.expect(&Tok::Comma, "`,` and the end of the selection in nanoseconds")?;
            let to = self.integer()?;
            // Zeros are Tempo's way to say nothing.
            compare.during = Some((from, to)).filter(|during| *during != (0, 0));
        }
        self.expect(&Tok::CloseParen, "`,` or `)`")?;
        self.above(compare, depth, 0)
    }

    /// `by(x, …)` behind a function, of which the word has been read.
    fn by(&mut self) -> Result<Vec<Field>, Fault> {
        if self.tok() != &Tok::OpenParen {
            let place = self.place();
            let fault = self.expected("`(`");
            return Err(match self.tok() {
                Tok::Word(_) | Tok::Field(_) => {
                    fault.insert(place.start, "(").insert(place.end, ")")
                }
                _ => fault,
            });
        }
        self.fields()
    }

    fn one_field(&mut self) -> Result<Field, Fault> {
        self.bump();
        let field = self.field()?;
        self.expect(&Tok::CloseParen, "`)`")?;
        Ok(field)
    }

    /// `()`; what is in them is too much.
    fn no_arguments(&mut self) -> Result<(), Fault> {
        self.expect(&Tok::OpenParen, "`(`")?;
        if self.eat(&Tok::CloseParen) {
            return Ok(());
        }
        let fault = self.expected("`)`: it has no arguments");
        let close = self.closing();
        Err(match close {
            Some(close) => fault.edit(Place { start: self.place().start, end: close.start }, ""),
            None => fault,
        })
    }

    /// `(5)`
    fn argument_count(&mut self) -> Result<u32, Fault> {
        self.expect(&Tok::OpenParen, "`(`")?;
        let count = self.positive()?;
        self.expect(&Tok::CloseParen, "`)`")?;
        Ok(count)
    }

    fn positive(&mut self) -> Result<u32, Fault> {
        let refuse = |this: &Self| this.expected("an integer from 1 on");
        let Tok::Int(value) = self.tok() else { return Err(refuse(self)) };
        let value = u32::try_from(*value).ok().filter(|value| *value > 0);
        let value = value.ok_or_else(|| refuse(self))?;
        self.bump();
        Ok(value)
    }

    fn integer(&mut self) -> Result<i64, Fault> {
        let expr = self.unary()?;
        match expr.node.kind {
            FieldKind::Static(Static::Int(value)) => Ok(value),
            _ => Err(Fault::syntax(expr.node.place, "nanoseconds since 1970")),
        }
    }
}
