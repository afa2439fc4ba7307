//! Hints about single conditions.

use super::Remark;
use crate::ast::{
    Comparison, Field, FieldExpr, FieldKind, Intrinsic, Key, Scope, SpansetExpr, SpansetKind,
    Static, Type, Whose,
};
use crate::{Place, parser};

/// Attributes that are numbers by the semantic conventions.
const NUMBERS: [&str; 14] = [
    "http.status_code",
    "http.response.status_code",
    "http.request.body.size",
    "http.response.body.size",
    "http.request_content_length",
    "http.response_content_length",
    "http.request.resend_count",
    "rpc.grpc.status_code",
    "server.port",
    "client.port",
    "net.peer.port",
    "net.host.port",
    "network.peer.port",
    "process.pid",
];

/// Below this a number that is compared with a duration was not meant in nanoseconds.
const NANOSECONDS_MIN: i64 = 1_000_000;

/// What is odd about a comparison of a field with a literal.
pub(super) fn comparison(
    op: Comparison,
    lhs: &FieldExpr,
    rhs: &FieldExpr,
    place: Place,
) -> Option<Remark> {
    let (field_expr, field, value_expr, value) = match (&lhs.kind, &rhs.kind) {
        (FieldKind::Field(field), FieldKind::Static(value)) => (lhs, field, rhs, value),
        (FieldKind::Static(value), FieldKind::Field(field)) => (rhs, field, lhs, value),
        _ => return None,
    };
    match &field.key {
        Key::Attribute { scope, name } if field.whose == Whose::Own => {
            status_of_attribute(name, (field_expr, field), (value_expr, value))
                .or_else(|| intrinsic_meant(*scope, name, field_expr, (value_expr, value), op))
                .or_else(|| number_in_quotes(name, value_expr, value))
                .or_else(|| pattern(op, field, (value_expr, value), place))
        }
        Key::Attribute { .. } => pattern(op, field, (value_expr, value), place),
        Key::Intrinsic(intrinsic) => few_nanoseconds(*intrinsic, value_expr, value)
            .or_else(|| pattern(op, field, (value_expr, value), place)),
    }
}

/// `.status = error`: no attribute is a status.
fn status_of_attribute(
    name: &str,
    (field_expr, field): (&FieldExpr, &Field),
    (value_expr, value): (&FieldExpr, &Static),
) -> Option<Remark> {
    let intrinsic = match value {
        Static::Status(_) => Intrinsic::Status,
        Static::Kind(_) => Intrinsic::Kind,
        _ => return None,
    };
    let message = format!(
        "the attribute `{field}` is never {}: that is the intrinsic `{}`",
        value.of().name(),
        intrinsic.name()
    );
    let last = name.rsplit(['.', '_']).next().unwrap_or(name);
    if name.eq_ignore_ascii_case(intrinsic.name()) || last.eq_ignore_ascii_case("status") {
        return Some(Remark::replace(field_expr.place, intrinsic.name(), message));
    }
    let text = Static::Text(value.to_string()).to_string();
    let message = format!("the attribute `{field}` is never {}, but a string", value.of().name());
    Some(Remark::replace(value_expr.place, text, message))
}

/// `.duration > 1s`: the intrinsic has no dot.
fn intrinsic_meant(
    scope: Scope,
    name: &str,
    field_expr: &FieldExpr,
    (value_expr, value): (&FieldExpr, &Static),
    op: Comparison,
) -> Option<Remark> {
    let near = match scope {
        Scope::Unscoped => Intrinsic::named(name)?,
        // `span.name` may well be an attribute; `span.duration > 1s` is none.
        Scope::Span => Intrinsic::named(name).filter(|near| near.of() != Type::Text)?,
        // `event.name`
        Scope::Event | Scope::Link | Scope::Instrumentation => {
            Intrinsic::named(&format!("{}:{name}", scope.name()))?
        }
        Scope::Resource => return None,
    };
    let message = format!(
        "`{}` is an attribute of that name, which spans hardly have: the intrinsic is `{}`",
        field_expr.kind,
        near.name()
    );
    let mut remark = Remark::replace(field_expr.place, near.name(), message);
    let of = value.of();
    let fits = of == near.of() || (of.is_number() && near.of().is_number());
    if !fits {
        let text = parser::meant(near.of(), value).filter(|_| !op.is_regex())?;
        remark.edits.push(crate::error::Edit { place: value_expr.place, text });
    }
    Some(remark)
}

/// `.http.status_code = "500"`: a number never equals a string.
fn number_in_quotes(name: &str, value_expr: &FieldExpr, value: &Static) -> Option<Remark> {
    let Static::Text(text) = value else { return None };
    text.parse::<i64>().ok().filter(|_| NUMBERS.contains(&name))?;
    let message = format!("`{name}` is a number, which a string never equals");
    Some(Remark::replace(value_expr.place, text.as_str(), message))
}

/// `duration > 500`: nanoseconds were hardly meant.
fn few_nanoseconds(intrinsic: Intrinsic, value_expr: &FieldExpr, value: &Static) -> Option<Remark> {
    let Static::Int(count) = value else { return None };
    let is_few = (1..NANOSECONDS_MIN).contains(count) && intrinsic.of() == Type::Duration;
    let message = format!("a number without a unit is nanoseconds: {count}ns");
    is_few.then(|| Remark::replace(value_expr.place, format!("{count}ms"), message))
}

/// `=~ "api*"` is no wildcard, and `= "api.*"` no regex.
fn pattern(
    op: Comparison,
    field: &Field,
    (value_expr, value): (&FieldExpr, &Static),
    place: Place,
) -> Option<Remark> {
    let Static::Text(text) = value else { return None };
    let plain = |c: char| c.is_alphanumeric() || "_-/: *".contains(c);
    let is_glob = text.contains('*') && text.chars().all(plain) && text.len() > 1;
    let is_regex = text.contains(".*") || text.contains(".+");
    let as_regex = |pattern: &str| Static::Text(pattern.to_owned()).to_string();
    match op {
        Comparison::Match | Comparison::NotMatch if is_glob => {
            let message = "in a regex `*` repeats what is before it; any characters are `.*`";
            let meant = as_regex(&text.replace('*', ".*"));
            Some(Remark::replace(value_expr.place, meant, message))
        }
        Comparison::Eq | Comparison::Ne if is_glob || is_regex => {
            let meant = if is_regex { text.clone() } else { text.replace('*', ".*") };
            let symbol = if op == Comparison::Eq { "=~" } else { "!~" };
            let message =
                format!("`{}` compares letter by letter; a regex has `{symbol}`", op.symbol());
            let text = format!("{field} {symbol} {}", as_regex(&meant));
            Some(Remark::replace(place, text, message))
        }
        _ => None,
    }
}

/// `.a+1`: names go on over operators.
pub(super) fn operator_in_name(field: &Field, expr: &FieldExpr) -> Option<Remark> {
    let Key::Attribute { name, .. } = &field.key else { return None };
    let written = field.to_string();
    if !name.contains(['+', '*']) || written.contains('"') {
        return None;
    }
    let apart = written.replace('+', " + ").replace('*', " * ");
    let message = format!("`{written}` is one name; around an operator there are spaces");
    Some(Remark::replace(expr.place, apart, message))
}

/// `{ .a = "x" && .a = "y" }`: no span has both, but a trace may.
pub(super) fn two_values(expr: &FieldExpr, filter: Place) -> Option<Remark> {
    let FieldKind::All(operands) = &expr.kind else { return None };
    let required = |operand: &FieldExpr| match &operand.kind {
        FieldKind::Compare { op: Comparison::Eq, lhs, rhs } => match (&lhs.kind, &rhs.kind) {
            (FieldKind::Field(field), FieldKind::Static(value)) if is_single(field) => {
                (*value != Static::Nil).then(|| (field.clone(), value.clone()))
            }
            _ => None,
        },
        _ => None,
    };
    let all: Vec<_> = operands.iter().map(required).collect();
    let (first, second) = all.iter().enumerate().find_map(|(at, one)| {
        let (field, value) = one.as_ref()?;
        let differs = |other: &Option<(Field, Static)>| {
            other.as_ref().is_some_and(|(also, other)| also == field && other != value)
        };
        let later = all.iter().skip(at + 1).position(differs)?;
        Some((at, at + 1 + later))
    })?;
    let without = |left_out: usize| {
        let kept = operands.iter().enumerate().filter(|(at, _)| *at != left_out);
        let mut kept: Vec<FieldExpr> = kept.map(|(_, operand)| operand.clone()).collect();
        let kind = match (kept.pop(), kept.is_empty()) {
            (Some(only), true) => only.kind,
            (last, _) => FieldKind::All(kept.into_iter().chain(last).collect()),
        };
        let expr = FieldExpr { kind, place: expr.place };
        SpansetExpr { kind: SpansetKind::Filter(Some(expr)), place: filter }
    };
    let text = format!("{} && {}", without(second), without(first));
    let (field, _) = all.get(first)?.as_ref()?;
    let message = format!("no span has two values of `{field}`; two spans of a trace may");
    Some(Remark::replace(filter, text, message))
}

/// Whether a span has one value of it at most, arrays apart.
const fn is_single(field: &Field) -> bool {
    match &field.key {
        Key::Attribute { scope, .. } => !matches!(scope, Scope::Event | Scope::Link),
        Key::Intrinsic(intrinsic) => !matches!(
            intrinsic,
            Intrinsic::EventName
                | Intrinsic::EventTimeSinceStart
                | Intrinsic::LinkSpanId
                | Intrinsic::LinkTraceId
        ),
    }
}
