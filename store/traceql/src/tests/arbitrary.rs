//! Any tree that a query can have, well typed or not.

use proptest::prelude::*;

use crate::Place;
use crate::ast::{
    Aggregate, AggregateKind, Arithmetic, Compare, Comparison, Field, FieldExpr, FieldKind,
    INTRINSICS, Keep, Key, Kind, MetricsExpr, MetricsFunction, MetricsQuery, Over, Pipeline, Query,
    Relation, Root, ScalarExpr, ScalarFilter, Scope, Second, SpansetExpr, SpansetKind, Stage,
    Static, Status, Whose, With,
};

fn nowhere() -> Place {
    Place::default()
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,4}(\\.[a-z]{1,4}){0,2}",
        "span\\.[a-z]{1,3}",
        Just("duration".to_owned()),
        "\\PC{1,6}",
        "[ {}()=~!<>&|^,.\"\\\\`'\n\t0-9a-z-]{1,6}",
    ]
}

pub(crate) fn field() -> impl Strategy<Value = Field> {
    let scope = prop::sample::select(vec![
        Scope::Unscoped,
        Scope::Span,
        Scope::Resource,
        Scope::Event,
        Scope::Link,
        Scope::Instrumentation,
    ]);
    let whose = prop_oneof![4 => Just(Whose::Own), 1 => Just(Whose::Parent)];
    let attribute = (scope, name(), whose)
        .prop_map(|(scope, name, whose)| Field { whose, key: Key::Attribute { scope, name } });
    let intrinsic = (prop::sample::select(INTRINSICS), any::<bool>()).prop_map(|(row, own)| {
        let whose = if own || row.of_parent.is_none() { Whose::Own } else { Whose::Parent };
        Field { whose, key: Key::Intrinsic(row.intrinsic) }
    });
    prop_oneof![attribute, intrinsic]
}

fn number() -> impl Strategy<Value = Static> {
    prop_oneof![
        any::<i64>().prop_map(Static::Int),
        (-9i64..9).prop_map(Static::Int),
        any::<f64>().prop_filter("a number", |value| !value.is_nan()).prop_map(Static::Float),
    ]
}

fn literal() -> impl Strategy<Value = Static> {
    prop_oneof![
        number(),
        Just(Static::Nil),
        any::<bool>().prop_map(Static::Bool),
        any::<i64>().prop_map(Static::Duration),
        (0i64..50).prop_map(|hours| Static::Duration(hours * 3_600_000_000_000)),
        any::<String>().prop_map(Static::Text),
        prop::sample::select(&Status::ALL[..]).prop_map(Static::Status),
        prop::sample::select(&Kind::ALL[..]).prop_map(Static::Kind),
    ]
}

fn arithmetic() -> impl Strategy<Value = Arithmetic> {
    prop::sample::select(vec![
        Arithmetic::Add,
        Arithmetic::Sub,
        Arithmetic::Mul,
        Arithmetic::Div,
        Arithmetic::Mod,
        Arithmetic::Pow,
    ])
}

fn comparison() -> impl Strategy<Value = Comparison> {
    prop::sample::select(vec![
        Comparison::Eq,
        Comparison::Ne,
        Comparison::Lt,
        Comparison::Le,
        Comparison::Gt,
        Comparison::Ge,
    ])
}

fn expr(kind: FieldKind) -> FieldExpr {
    FieldExpr { kind, place: nowhere() }
}

pub(crate) fn field_expr() -> impl Strategy<Value = FieldExpr> {
    let leaf = prop_oneof![
        literal().prop_map(FieldKind::Static).prop_map(expr),
        field().prop_map(FieldKind::Field).prop_map(expr),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let regex = prop::sample::select(vec![Comparison::Match, Comparison::NotMatch]);
        prop_oneof![
            boxed.clone().prop_map(FieldKind::Negate),
            boxed.clone().prop_map(FieldKind::Not),
            (arithmetic(), boxed.clone(), boxed.clone())
                .prop_map(|(op, lhs, rhs)| FieldKind::Arithmetic { op, lhs, rhs }),
            (prop_oneof![comparison(), regex], boxed.clone(), boxed)
                .prop_map(|(op, lhs, rhs)| FieldKind::Compare { op, lhs, rhs }),
            operands(inner.clone(), |expr| matches!(expr.kind, FieldKind::All(_)))
                .prop_map(FieldKind::All),
            operands(inner, |expr| matches!(expr.kind, FieldKind::Any(_))).prop_map(FieldKind::Any),
        ]
        .prop_map(expr)
    })
}

/// Operands of a chain, none of which is such a chain itself.
fn operands<T: std::fmt::Debug + Clone>(
    of: impl Strategy<Value = T>,
    is_chain: impl Fn(&T) -> bool + Clone,
) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(of.prop_filter("a chain", move |operand| !is_chain(operand)), 2..4)
}

fn spanset(kind: SpansetKind) -> SpansetExpr {
    SpansetExpr { kind, place: nowhere() }
}

fn spanset_expr() -> BoxedStrategy<SpansetExpr> {
    let leaf = prop::option::of(field_expr()).prop_map(SpansetKind::Filter).prop_map(spanset);
    let relation = prop::sample::select(vec![
        Relation::Child,
        Relation::Parent,
        Relation::Descendant,
        Relation::Ancestor,
        Relation::Sibling,
    ]);
    let keep = prop::sample::select(vec![Keep::Right, Keep::Unmatched, Keep::Both]);
    leaf.prop_recursive(3, 8, 3, move |inner| {
        let structural = (relation.clone(), keep.clone(), inner.clone(), inner.clone()).prop_map(
            |(relation, keep, lhs, rhs)| {
                let (lhs, rhs) = (Box::new(lhs), Box::new(rhs));
                SpansetKind::Structural { relation, keep, lhs, rhs }
            },
        );
        let inner_pipeline = (inner.clone(), stages_behind())
            .prop_filter("one stage", |(_, behind)| !behind.is_empty())
            .prop_map(|(first, behind)| {
                let stages = std::iter::once(Stage::Spanset(first)).chain(behind).collect();
                SpansetKind::Pipeline(Pipeline { stages })
            });
        prop_oneof![
            operands(inner.clone(), |expr| matches!(expr.kind, SpansetKind::All(_)))
                .prop_map(SpansetKind::All),
            operands(inner, |expr| matches!(expr.kind, SpansetKind::Any(_)))
                .prop_map(SpansetKind::Any),
            structural,
            inner_pipeline,
        ]
        .prop_map(spanset)
    })
    .boxed()
}

fn aggregate() -> impl Strategy<Value = Aggregate> {
    let kinds =
        vec![AggregateKind::Min, AggregateKind::Max, AggregateKind::Sum, AggregateKind::Avg];
    let of = (prop::sample::select(kinds), field_expr()).prop_map(|(kind, of)| Aggregate {
        kind,
        of: Some(of),
        place: nowhere(),
    });
    prop_oneof![Just(Aggregate { kind: AggregateKind::Count, of: None, place: nowhere() }), of,]
}

fn scalar() -> impl Strategy<Value = ScalarExpr> {
    let value = prop_oneof![number(), any::<i64>().prop_map(Static::Duration)];
    let piped = (field_expr(), aggregate()).prop_map(|(expr, aggregate)| {
        let stages = vec![Stage::Spanset(spanset(SpansetKind::Filter(Some(expr))))];
        ScalarExpr::Pipeline { pipeline: Pipeline { stages }, aggregate, place: nowhere() }
    });
    let leaf = prop_oneof![
        value.prop_map(|value| ScalarExpr::Static(value, nowhere())),
        aggregate().prop_map(ScalarExpr::Aggregate),
        piped,
    ];
    leaf.prop_recursive(3, 6, 2, |inner| {
        (arithmetic(), inner.clone(), inner).prop_map(|(op, lhs, rhs)| ScalarExpr::Arithmetic {
            op,
            lhs: Box::new(lhs),
            rhs: Box::new(rhs),
            place: nowhere(),
        })
    })
}

fn scalar_filter() -> impl Strategy<Value = ScalarFilter> {
    (comparison(), scalar(), scalar()).prop_map(|(op, lhs, rhs)| ScalarFilter {
        op,
        lhs,
        rhs,
        place: nowhere(),
    })
}

/// Stages that are no expression over spans.
fn stages_behind() -> impl Strategy<Value = Vec<Stage>> {
    let stage = prop_oneof![
        scalar_filter().prop_map(Stage::Filter),
        field_expr().prop_map(Stage::By),
        Just(Stage::Coalesce(nowhere())),
        prop::collection::vec(field(), 1..3).prop_map(Stage::Select),
    ];
    prop::collection::vec(stage, 0..3)
}

fn pipeline() -> impl Strategy<Value = Pipeline> {
    let stages =
        (prop::option::of(spanset_expr()), stages_behind(), prop::option::of(spanset_expr()));
    stages
        .prop_map(|(first, behind, last)| {
            let spansets = |spanset: Option<SpansetExpr>| spanset.map(Stage::Spanset);
            let stages = spansets(first).into_iter().chain(behind).chain(spansets(last)).collect();
            Pipeline { stages }
        })
        .prop_filter("no stage", |pipeline: &Pipeline| !pipeline.stages.is_empty())
}

fn function() -> impl Strategy<Value = MetricsFunction> {
    let over = prop::sample::select(vec![Over::Min, Over::Max, Over::Sum, Over::Avg]);
    let compare =
        (prop::option::of(field_expr()), 1u32..20, prop::option::of((any::<i64>(), any::<i64>())))
            .prop_map(|(selection, top, during)| Compare { selection, top, during });
    prop_oneof![
        Just(MetricsFunction::Rate),
        Just(MetricsFunction::Count),
        (over, field()).prop_map(|(over, field)| MetricsFunction::Over(over, field)),
        (field(), prop::collection::vec(0.0..1.0, 1..3))
            .prop_map(|(field, quantiles)| MetricsFunction::Quantile(field, quantiles)),
        field().prop_map(MetricsFunction::Histogram),
        compare.prop_map(MetricsFunction::Compare),
    ]
}

fn second() -> impl Strategy<Value = Second> {
    prop_oneof![
        (1u32..).prop_map(|count| Second::Top(count, nowhere())),
        (1u32..).prop_map(|count| Second::Bottom(count, nowhere())),
        (comparison(), prop_oneof![number(), any::<i64>().prop_map(Static::Duration)])
            .prop_map(|(op, value)| Second::Compare { op, value, place: nowhere() }),
    ]
}

fn metrics() -> impl Strategy<Value = MetricsExpr> {
    let query = (pipeline(), function(), prop::collection::vec(field(), 0..3)).prop_map(
        |(pipeline, function, by)| {
            MetricsExpr::Query(MetricsQuery { pipeline, function, by, place: nowhere() })
        },
    );
    query.prop_recursive(3, 6, 2, |inner| {
        let ops = vec![Arithmetic::Add, Arithmetic::Sub, Arithmetic::Mul, Arithmetic::Div];
        let scalar = number().prop_map(|value| MetricsExpr::Scalar(value, nowhere())).boxed();
        let sides = prop_oneof![
            (inner.clone(), inner.clone()),
            (inner.clone(), scalar.clone()),
            (scalar, inner.clone()),
        ];
        let arithmetic = (prop::sample::select(ops), sides).prop_map(|(op, (lhs, rhs))| {
            let (lhs, rhs) = (Box::new(lhs), Box::new(rhs));
            MetricsExpr::Arithmetic { op, lhs, rhs, place: nowhere() }
        });
        let of =
            inner.prop_filter("a second stage", |of| !matches!(of, MetricsExpr::Second { .. }));
        let second = (of, prop::collection::vec(second(), 1..3))
            .prop_map(|(of, stages)| MetricsExpr::Second { of: Box::new(of), stages });
        prop_oneof![arithmetic, second]
    })
}

/// Any query.
pub(crate) fn query() -> impl Strategy<Value = Query> {
    let root = prop_oneof![pipeline().prop_map(Root::Spans), metrics().prop_map(Root::Metrics)];
    let with =
        ("[a-z_]{1,8}", literal()).prop_map(|(name, value)| With { name, value, place: nowhere() });
    (root, prop::collection::vec(with, 0..3)).prop_map(|(root, with)| Query { root, with })
}
