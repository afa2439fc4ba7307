//! What a tree means, before any span is read: types, and which stage may stand where.
//!
//! Literals and intrinsics have types, and what cannot be is refused (`status = "error"`). An
//! attribute may be anything: compared with whatever literal, it is no fault, and a span whose
//! attribute has another type does not match.

mod field;
mod metrics;

use crate::Regex;
use crate::ast::{
    Aggregate, Field, FieldExpr, FieldKind, Intrinsic, Key, Pipeline, Query, Root, ScalarExpr,
    ScalarFilter, SpansetExpr, SpansetKind, Stage, Static, Type, With,
};
use crate::error::Fault;
use crate::limit::{REGEX_MEMORY_MAX, REGEXES_MEMORY_MAX};

/// Refuses what means nothing.
pub(crate) fn query(query: &Query) -> Result<(), Fault> {
    let mut check = Check::default();
    match &query.root {
        Root::Spans(pipeline) => check.pipeline(pipeline)?,
        Root::Metrics(metrics) => check.metrics(metrics)?,
    }
    query.with.iter().try_for_each(with)
}

/// What is summed over the query.
#[derive(Debug, Default)]
pub(crate) struct Check {
    /// The memory that its regexes take, in bytes.
    regex_bytes: usize,
}

impl Check {
    fn pipeline(&mut self, pipeline: &Pipeline) -> Result<(), Fault> {
        if let Some(Stage::Coalesce(place)) = pipeline.stages.first() {
            let expected = "a stage before it that makes more than one spanset, such as `by(…)`";
            return Err(Fault::meaning(*place, expected));
        }
        pipeline.stages.iter().try_for_each(|stage| self.stage(stage))
    }

    fn stage(&mut self, stage: &Stage) -> Result<(), Fault> {
        match stage {
            Stage::Spanset(spanset) => self.spanset(spanset),
            Stage::Filter(filter) => self.filter(filter),
            Stage::By(expr) => {
                let of = self.type_of(expr)?;
                if !reads(expr) {
                    let expected = "an attribute or an intrinsic to group by";
                    return Err(Fault::meaning(expr.place, expected));
                }
                shown(of, expr)
            }
            Stage::Select(_) | Stage::Coalesce(_) => Ok(()),
        }
    }

    fn spanset(&mut self, spanset: &SpansetExpr) -> Result<(), Fault> {
        match &spanset.kind {
            SpansetKind::Filter(None) => Ok(()),
            SpansetKind::Filter(Some(expr)) => self.condition(expr),
            SpansetKind::All(operands) | SpansetKind::Any(operands) => {
                operands.iter().try_for_each(|operand| self.spanset(operand))
            }
            SpansetKind::Structural { lhs, rhs, .. } => {
                self.spanset(lhs)?;
                self.spanset(rhs)
            }
            SpansetKind::Pipeline(pipeline) => self.pipeline(pipeline),
        }
    }

    fn filter(&mut self, filter: &ScalarFilter) -> Result<(), Fault> {
        let left = self.scalar(&filter.lhs)?;
        let right = self.scalar(&filter.rhs)?;
        if left || right {
            return Ok(());
        }
        Err(Fault::meaning(filter.place, "an aggregate on one of the sides, such as `count()`"))
    }

    /// Whether it has an aggregate.
    fn scalar(&mut self, scalar: &ScalarExpr) -> Result<bool, Fault> {
        match scalar {
            ScalarExpr::Static(..) => Ok(false),
            ScalarExpr::Aggregate(aggregate) => self.aggregate(aggregate).map(|()| true),
            ScalarExpr::Pipeline { pipeline, aggregate, .. } => {
                self.pipeline(pipeline)?;
                self.aggregate(aggregate).map(|()| true)
            }
            ScalarExpr::Arithmetic { lhs, rhs, .. } => {
                let left = self.scalar(lhs)?;
                Ok(self.scalar(rhs)? || left)
            }
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Result<(), Fault> {
        let Some(of) = &aggregate.of else { return Ok(()) };
        let found = self.type_of(of)?;
        if found != Type::Any && !found.is_number() {
            let fault = Fault::meaning(of.place, "a number, such as `duration`");
            return Err(fault.instead(found.name()));
        }
        if reads(of) {
            return Ok(());
        }
        Err(Fault::meaning(of.place, "an attribute or an intrinsic in it"))
    }
}

/// Whether an expression reads the span.
fn reads(expr: &FieldExpr) -> bool {
    match &expr.kind {
        FieldKind::Static(_) => false,
        FieldKind::Field(_) => true,
        FieldKind::Negate(of) | FieldKind::Not(of) => reads(of),
        FieldKind::Arithmetic { lhs, rhs, .. } | FieldKind::Compare { lhs, rhs, .. } => {
            reads(lhs) || reads(rhs)
        }
        FieldKind::All(operands) | FieldKind::Any(operands) => operands.iter().any(reads),
    }
}

/// Refuses what has no value to be shown.
fn shown(of: Type, expr: &FieldExpr) -> Result<(), Fault> {
    match of {
        Type::Span => Err(Fault::meaning(expr.place, "something that has a value")),
        _ => Ok(()),
    }
}

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    Switch,
    /// A switch or a share from 0 to 1.
    Share,
    /// A switch or a number from 0 on.
    Count,
    /// Of Tempo's engine: taken, and without effect.
    Ignored,
}

/// The settings of `with(…)`.
const SETTINGS: [(&str, Setting); 11] = [
    ("sample", Setting::Share),
    ("span_sample", Setting::Share),
    ("trace_sample", Setting::Share),
    ("exemplars", Setting::Count),
    ("most_recent", Setting::Switch),
    ("extrapolate", Setting::Switch),
    ("job_size", Setting::Ignored),
    ("concurrent_blocks", Setting::Ignored),
    ("time_overlap_cutoff", Setting::Ignored),
    ("spanonly_fetch", Setting::Ignored),
    ("skip_ast_transformations", Setting::Ignored),
];

/// Whether a setting is known. An unknown one is taken, as Tempo does, and without effect.
pub(crate) fn is_setting(name: &str) -> bool {
    SETTINGS.iter().any(|(known, _)| *known == name) || name.starts_with("debug") || name == "info"
}

/// The setting that was probably meant.
pub(crate) fn near_setting(name: &str) -> Option<&'static str> {
    crate::near::nearest(name, SETTINGS.iter().map(|(known, _)| *known))
}

fn with(with: &With) -> Result<(), Fault> {
    let setting = SETTINGS.iter().find(|(name, _)| *name == with.name).map(|(_, setting)| *setting);
    let share = with.value.as_f64().filter(|_| with.value.of() != Type::Duration);
    let expected = match (setting, &with.value) {
        (None | Some(Setting::Ignored), _) | (Some(_), Static::Bool(_)) => return Ok(()),
        (Some(Setting::Share), _) if share.is_some_and(|share| (0.0..=1.0).contains(&share)) => {
            return Ok(());
        }
        (Some(Setting::Count), Static::Int(count)) if *count >= 0 => return Ok(()),
        (Some(Setting::Share), _) => "`true`, `false` or a share from 0 to 1",
        (Some(Setting::Count), _) => "`true`, `false` or a number",
        (Some(Setting::Switch), _) => "`true` or `false`",
    };
    Err(Fault::meaning(with.place, format!("for `{}` {expected}", with.name)))
}

/// Whether every span has a field, so that the lack of it is no condition.
fn is_always(field: &Field) -> bool {
    use crate::ast::{Scope, Whose};
    match (&field.key, field.whose) {
        (Key::Intrinsic(Intrinsic::Parent), _) | (_, Whose::Parent) => false,
        (Key::Intrinsic(_), Whose::Own) => true,
        (Key::Attribute { scope, name }, Whose::Own) => {
            *scope == Scope::Resource && name == "service.name"
        }
    }
}

impl Check {
    /// Compiles a regex; nothing where all of them together are too large.
    fn regex(&mut self, pattern: &str) -> Option<Result<Regex, String>> {
        if self.regex_bytes > REGEXES_MEMORY_MAX {
            return None;
        }
        let regex = Regex::new(pattern);
        // What is too large has cost that much, too.
        let bytes = regex.as_ref().map_or(REGEX_MEMORY_MAX, Regex::memory_bytes);
        self.regex_bytes = self.regex_bytes.saturating_add(bytes);
        (regex.is_err() || self.regex_bytes <= REGEXES_MEMORY_MAX).then_some(regex)
    }
}
