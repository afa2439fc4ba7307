//! Near misses: what was probably meant by what stands where it cannot. Each fault brings the
//! change that makes it right there; [`crate::correct`] tries whether the query is then one.

use super::Parser;
use super::field::keyword;
use super::stage::{WORDS, Word, word};
use crate::Place;
use crate::ast::{
    Aggregate, AggregateKind, FieldKind, INTRINSICS, Intrinsic, Kind, ScalarExpr, Scope, Static,
    Status,
};
use crate::error::Fault;
use crate::lexer::{Op, Tok, ends_name, written};
use crate::near::nearest;

/// Names of attributes that resources have by the semantic conventions: how they start.
const OF_RESOURCES: [&str; 13] = [
    "service.",
    "k8s.",
    "deployment.",
    "host.",
    "cloud.",
    "container.",
    "telemetry.",
    "process.",
    "os.",
    "device.",
    "faas.",
    "aws.",
    "gcp.",
];

/// Words of other languages for ours.
const SYNONYMS: [(&str, &str); 12] = [
    ("null", "nil"),
    ("none", "nil"),
    ("undefined", "nil"),
    ("err", "error"),
    ("histogram", "histogram_over_time"),
    ("quantile", "quantile_over_time"),
    ("percentile", "quantile_over_time"),
    ("groupby", "by"),
    ("group_by", "by"),
    ("group", "by"),
    ("mean", "avg"),
    ("average", "avg"),
];

/// What others call fields, and what they are here.
const FIELDS: [(&str, &str); 12] = [
    ("traceid", "trace:id"),
    ("trace_id", "trace:id"),
    ("spanid", "span:id"),
    ("span_id", "span:id"),
    ("parentid", "span:parentID"),
    ("parent_id", "span:parentID"),
    ("parentspanid", "span:parentID"),
    ("service", "resource.service.name"),
    ("service_name", "resource.service.name"),
    ("operation", "name"),
    ("span_name", "name"),
    ("status_message", "statusMessage"),
];

const FIELD: &str =
    "an attribute with its scope (`.x`, `span.x`, `resource.x`), an intrinsic or a literal";

impl Parser<'_> {
    /// A word that means nothing within an expression over a span.
    pub(super) fn unknown_word(&self) -> Fault {
        let place = self.place();
        let word = self.word().unwrap_or_default();
        let fault = Fault::syntax(place, FIELD);
        if word.eq_ignore_ascii_case("not") {
            return fault.replace("!");
        }
        if self.is_right_of_comparison() && !word.contains(':') {
            return self.value_without_quotes(fault);
        }
        if let Some(known) = similar_keyword(word).or_else(|| similar_field(word)) {
            return fault.replace(known);
        }
        if let Some((scope, name)) = word.split_once(':') {
            return self.unknown_intrinsic(fault, scope, name);
        }
        if self.second() == &Tok::OpenParen {
            return self.function_in_filter();
        }
        if word.starts_with("http.") || !OF_RESOURCES.iter().any(|start| word.starts_with(start)) {
            return fault.insert(place.start, ".");
        }
        fault.insert(place.start, "resource.")
    }

    /// `name = GET` lacks quotes; `status = ERROR` does not.
    fn value_without_quotes(&self, fault: Fault) -> Fault {
        let of_attribute = self
            .at
            .checked_sub(2)
            .and_then(|at| self.tokens.get(at))
            .is_some_and(|token| matches!(token.tok, Tok::Field(_)));
        let fits = |known: &str| match keyword(known) {
            // An attribute is no status and no kind, but may be a string that reads like one.
            Some(FieldKind::Static(value)) => {
                !of_attribute || matches!(value, Static::Bool(_) | Static::Nil)
            }
            _ => false,
        };
        let known = self.word().and_then(similar_keyword).filter(|known| fits(known));
        let (raw, place) = self.raw_value();
        match known {
            Some(known) => fault.replace(known),
            None => Fault::syntax(place, "quotes around a string").replace(written(raw)),
        }
    }

    /// `span:http.method` is an attribute; `trace:status` is one of the span.
    fn unknown_intrinsic(&self, fault: Fault, scope: &str, name: &str) -> Fault {
        let place = self.place();
        let suffix = |row: &&crate::ast::IntrinsicRow| {
            [Some(row.name), row.alias].into_iter().flatten().any(|text| {
                text.split_once(':').is_some_and(|(_, known)| known.eq_ignore_ascii_case(name))
            })
        };
        let fault = Fault { expected: "an intrinsic that there is".to_owned(), ..fault };
        let named = Intrinsic::named(name);
        let known = named.or_else(|| INTRINSICS.iter().find(suffix).map(|row| row.intrinsic));
        if let Some(known) = known {
            return fault.replace(known.name());
        }
        let names = INTRINSICS.iter().flat_map(|row| [Some(row.name), row.alias]).flatten();
        let whole = format!("{scope}:{name}");
        if let Some(near) = nearest(&whole, names) {
            return fault.replace(near);
        }
        if Scope::named(scope).is_some() {
            let colon = place.start + Place::new(0, scope.len()).end;
            return fault.edit(Place { start: colon, end: colon + 1 }, ".");
        }
        fault
    }

    /// `{ count() > 1 }`: what is made of spansets stands behind a pipe.
    fn function_in_filter(&self) -> Fault {
        let place = self.place();
        let fault = Fault::syntax(place, format!("{FIELD}; functions stand behind a `|`"));
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let is_known = self.word().and_then(word).is_some();
        match (before, self.closing()) {
            (Some(open), Some(close)) if open.tok == Tok::OpenBrace && is_known => {
                fault.edit(open.place, "{ } |").edit(close, "")
            }
            _ => fault,
        }
    }

    /// What follows an operand in braces, and is neither an operator nor the end.
    pub(super) fn unclosed_filter(&self) -> Fault {
        self.unclosed(" }", "an operator or `}`")
    }

    /// The same in parentheses.
    pub(super) fn unclosed_paren(&self) -> Fault {
        self.unclosed(")", "an operator or `)`")
    }

    fn unclosed(&self, close: &str, expected: &str) -> Fault {
        let place = self.place();
        let fault = self.expected(expected);
        let in_braces = close != ")" || self.tok() == &Tok::CloseBrace;
        match self.tok() {
            Tok::Bad(_) => fault,
            Tok::End | Tok::CloseBrace => fault.insert(self.before().end, close),
            Tok::Comma if in_braces => fault.replace(" &&"),
            Tok::CloseParen => fault.replace(""),
            Tok::Op(Op::Pipe) if in_braces => {
                let is_stage = matches!(self.second(), Tok::Word(text) if word(text).is_some());
                if is_stage { fault.insert(place.start, "} ") } else { fault.replace("||") }
            }
            Tok::Word(text) if text.eq_ignore_ascii_case("and") => fault.replace("&&"),
            Tok::Word(text) if text.eq_ignore_ascii_case("or") => fault.replace("||"),
            Tok::Word(text) if text == "is" => fault.replace("="),
            Tok::Word(text) => match self.split_duration(text) {
                Some(gap) => fault.edit(gap, ""),
                None => fault.insert(place.start, "&& "),
            },
            Tok::Field(_) | Tok::OpenParen => fault.insert(place.start, "&& "),
            _ => fault,
        }
    }

    /// The gap in `1 s`, of which the unit is next.
    fn split_duration(&self, unit: &str) -> Option<Place> {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at))?;
        let is_number = matches!(before.tok, Tok::Int(_) | Tok::Float(_));
        let is_unit = crate::lexer::UNITS.iter().any(|(known, _)| *known == unit);
        let gap = Place { start: before.place.end, end: self.place().start };
        (is_number && is_unit).then_some(gap)
    }

    /// What stands where an operand of an expression over a span should.
    pub(super) fn no_operand(&self) -> Fault {
        let fault = self.expected(FIELD);
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let Some(before) = before else { return fault };
        let dangling = |tok: &Tok| matches!(tok, Tok::Op(Op::And | Op::Or));
        match self.tok() {
            Tok::CloseBrace | Tok::CloseParen if dangling(&before.tok) => {
                fault.edit(before.place, "")
            }
            next if dangling(next) && (dangling(&before.tok) || before.tok == Tok::OpenBrace) => {
                fault.replace("")
            }
            Tok::Op(Op::Star) if self.second() == &Tok::CloseBrace => fault.replace(""),
            Tok::Op(Op::Tilde) if before.tok == Tok::Op(Op::Eq) => {
                fault.edit(before.place.to(self.place()), "=~")
            }
            Tok::Op(Op::Pipe) if before.tok == Tok::Op(Op::Pipe) => fault.replace(""),
            _ => fault,
        }
    }

    /// What stands where an item of a pipeline should, and is no word.
    pub(super) fn no_item(&self) -> Fault {
        let fault = self.expected("`{ … }`, a stage, or a function");
        match self.tok() {
            Tok::Field(_) | Tok::Text(_) | Tok::Op(Op::Not) => self.in_braces(fault),
            Tok::Op(Op::Star) => fault.replace("{ }"),
            _ => fault,
        }
    }

    /// A word between pipes that is no stage.
    pub(super) fn unknown_stage(&self) -> Fault {
        let fault = self.expected("`{ … }`, a stage, or a function");
        let text = self.word().unwrap_or_default();
        if self.second() == &Tok::OpenParen {
            let names = WORDS.iter().map(|(name, _)| *name);
            let near = synonym(text).or_else(|| nearest(text, names));
            return match near {
                Some(near) => fault.replace(near),
                None => fault,
            };
        }
        self.in_braces(fault)
    }

    /// A condition without its braces: up to the next pipe.
    fn in_braces(&self, fault: Fault) -> Fault {
        fault.insert(self.place().start, "{ ").insert(self.end_of_item(), " }")
    }

    /// `| rate` without its parentheses; the word has been read.
    pub(super) fn without_arguments(&self, word: Word, at: Place) -> Fault {
        let fault = self.expected("`(`");
        let needs_none = matches!(
            word,
            Word::Coalesce | Word::Rate | Word::Count | Word::Aggregate(AggregateKind::Count)
        );
        match self.tok() {
            Tok::Bad(_) => fault,
            Tok::Field(_) | Tok::Word(_) if !needs_none => {
                let place = self.place();
                fault.insert(place.start, "(").insert(place.end, ")")
            }
            _ if needs_none => fault.insert(at.end, "()"),
            _ => fault,
        }
    }

    /// A number that is compared with nothing.
    pub(super) fn lone_scalar(&self, scalar: &ScalarExpr) -> Fault {
        if let ScalarExpr::Aggregate(aggregate) = scalar {
            return self.lone_aggregate(aggregate);
        }
        Fault::syntax(scalar.place(), "a comparison with an aggregate, such as `count() > 2`")
    }

    /// An aggregate that is compared with nothing.
    pub(super) fn lone_aggregate(&self, aggregate: &Aggregate) -> Fault {
        let place = aggregate.place;
        let fault = Fault::syntax(place, "a comparison behind an aggregate, such as `> 2`");
        if self.word() == Some("by") {
            let name = Place { end: place.start + 3, ..place };
            return match aggregate.kind {
                AggregateKind::Count => {
                    fault.edit(Place { end: place.start + 5, ..place }, "count_over_time")
                }
                kind => fault.edit(name, format!("{}_over_time", kind.name())),
            };
        }
        fault.insert(place.end, " > 0")
    }

    /// What stands behind a pipeline, and is no part of it.
    pub(super) fn unexpected_end_of_pipeline(&self) -> Fault {
        let place = self.place();
        let fault = self.expected("`|`, an operator, `with(…)` or the end of the query");
        match self.tok() {
            Tok::CloseBrace | Tok::CloseParen => fault.replace(""),
            Tok::OpenBrace => fault.insert(place.start, "&& "),
            Tok::Op(Op::Pipe) => fault,
            Tok::Word(text) if text.eq_ignore_ascii_case("and") => fault.replace("&&"),
            Tok::Word(text) if text.eq_ignore_ascii_case("or") => fault.replace("||"),
            Tok::Word(text) if word(text).is_some() => fault.insert(place.start, "| "),
            _ => fault,
        }
    }

    /// Whether a comparison is before the next token, and none behind it.
    fn is_right_of_comparison(&self) -> bool {
        let compares = |tok: &Tok| match tok {
            Tok::Op(op) => super::operator::comparison(*op).is_some(),
            _ => false,
        };
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        before.is_some_and(|token| compares(&token.tok)) && !compares(self.second())
    }

    /// The text that starts with the next token, up to a space or what ends a name.
    fn raw_value(&self) -> (&str, Place) {
        let start = self.place().start;
        let rest = self.text.get(start as usize..).unwrap_or_default();
        let raw = rest.find(ends_name).and_then(|end| rest.get(..end)).unwrap_or(rest);
        (raw, Place { start, end: start + Place::new(0, raw.len()).end })
    }

    /// Where the bracket stands that closes the one that was last opened.
    pub(super) fn closing(&self) -> Option<Place> {
        let mut open = 0u32;
        for token in self.tokens.iter().skip(self.at) {
            match token.tok {
                Tok::OpenBrace | Tok::OpenParen => open += 1,
                Tok::CloseBrace | Tok::CloseParen if open == 0 => return Some(token.place),
                Tok::CloseBrace | Tok::CloseParen => open -= 1,
                _ => {}
            }
        }
        None
    }

    /// The end of the last token that belongs to the next item.
    fn end_of_item(&self) -> u32 {
        self.end_before(|tok| matches!(tok, Tok::Op(Op::Pipe)))
    }

    /// The end of the last token of the query but for its settings.
    pub(super) fn end_of_query(&self) -> u32 {
        self.end_before(|_| false)
    }

    fn end_before(&self, ends: impl Fn(&Tok) -> bool) -> u32 {
        let mut open = 0u32;
        let mut end = self.place().end;
        for token in self.tokens.iter().skip(self.at) {
            match &token.tok {
                Tok::OpenBrace | Tok::OpenParen => open += 1,
                Tok::CloseBrace | Tok::CloseParen if open == 0 => break,
                Tok::CloseBrace | Tok::CloseParen => open -= 1,
                Tok::Word(word) if word == "with" => break,
                Tok::End => break,
                tok if open == 0 && ends(tok) => break,
                _ => {}
            }
            end = token.place.end;
        }
        end
    }
}

/// A keyword that differs in case only, or that others write so.
fn similar_keyword(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    let of_otlp = ["status_code_", "span_kind_"].iter().find_map(|start| lower.strip_prefix(start));
    let name = of_otlp.unwrap_or(&lower);
    let statuses = Status::ALL.iter().map(|status| status.name());
    let kinds = Kind::ALL.iter().map(|kind| kind.name());
    let literals = ["true", "false", "nil", "minInt", "maxInt"].into_iter();
    let intrinsics = INTRINSICS.iter().flat_map(|row| [Some(row.name), row.alias]).flatten();
    let known = literals.chain(statuses).chain(kinds).chain(intrinsics);
    let same = |known: &&str| known.eq_ignore_ascii_case(name);
    known.into_iter().find(same).or_else(|| synonym(name).filter(|word| keyword(word).is_some()))
}

/// A field that others write so: `trace.duration`, `traceID`, `service`.
fn similar_field(word: &str) -> Option<&'static str> {
    let known = |other: &&(&str, &str)| other.0.eq_ignore_ascii_case(word);
    let of_trace = word.strip_prefix("trace.").map(|name| format!("trace:{name}"));
    let intrinsic = of_trace.and_then(|name| Intrinsic::named(&name)).map(Intrinsic::name);
    intrinsic.or_else(|| FIELDS.iter().find(known).map(|(_, ours)| *ours))
}

fn synonym(word: &str) -> Option<&'static str> {
    SYNONYMS.iter().find_map(|(other, ours)| other.eq_ignore_ascii_case(word).then_some(*ours))
}

/// A word for a literal that is written as another type: `"error"` for `error`.
pub(crate) fn meant(of: crate::ast::Type, value: &Static) -> Option<String> {
    use crate::ast::Type;
    match (of, value) {
        (Type::Status, Static::Int(number)) => {
            let status = usize::try_from(*number).ok().and_then(|at| Status::ALL.get(at).copied());
            status.map(|status| status.name().to_owned())
        }
        (Type::Kind, Static::Int(number)) => {
            let kind = usize::try_from(*number).ok().and_then(|at| Kind::ALL.get(at).copied());
            kind.map(|kind| kind.name().to_owned())
        }
        (Type::Status | Type::Kind | Type::Bool, Static::Text(text)) => {
            let known = similar_keyword(text)?;
            let is =
                |kind: &FieldKind| matches!(kind, FieldKind::Static(value) if value.of() == of);
            keyword(known).filter(is).map(|_| known.to_owned())
        }
        (of, Static::Text(text)) if of.is_number() => {
            let is_number = |kind: &FieldKind| match kind {
                FieldKind::Static(value) => value.of().is_number(),
                _ => false,
            };
            let expr = super::expression(text).ok()?;
            is_number(&expr.kind).then(|| text.clone())
        }
        (Type::Text, Static::Int(_) | Static::Float(_) | Static::Duration(_) | Static::Bool(_)) => {
            Some(written(&value.to_string()))
        }
        (Type::Text, Static::Status(status)) => Some(written(status.name())),
        (Type::Text, Static::Kind(kind)) => Some(written(kind.name())),
        _ => None,
    }
}
