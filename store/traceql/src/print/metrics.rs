//! Series, as text.

use std::fmt::{self, Display, Formatter};

use super::field::arithmetic_level;
use super::{ATOM, joined, value, wrapped};
use crate::ast::{Compare, MetricsExpr, MetricsFunction, MetricsQuery, Second};

impl MetricsExpr {
    /// How tightly it binds as an operand.
    const fn level(&self) -> u8 {
        match self {
            Self::Query(_) | Self::Second { .. } => 0,
            Self::Arithmetic { op, .. } => arithmetic_level(*op).0,
            Self::Scalar(..) => ATOM,
        }
    }
}

impl Display for MetricsExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(query) => write!(f, "{query}"),
            Self::Scalar(value, _) => write!(f, "{value}"),
            Self::Arithmetic { op, lhs, rhs, .. } => {
                let (_, left, right) = arithmetic_level(*op);
                wrapped(f, lhs, lhs.level(), left)?;
                write!(f, " {} ", op.symbol())?;
                wrapped(f, rhs, rhs.level(), right)
            }
            Self::Second { of, stages } => {
                write!(f, "{of}")?;
                stages.iter().try_for_each(|stage| write!(f, "{stage}"))
            }
        }
    }
}

impl Display for MetricsQuery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {}", self.pipeline, self.function)?;
        if self.by.is_empty() {
            return Ok(());
        }
        f.write_str(" by(")?;
        joined(f, &self.by, ", ")?;
        f.write_str(")")
    }
}

impl Display for MetricsFunction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate => f.write_str("rate()"),
            Self::Count => f.write_str("count_over_time()"),
            Self::Over(over, field) => write!(f, "{}({field})", over.name()),
            Self::Histogram(field) => write!(f, "histogram_over_time({field})"),
            Self::Compare(compare) => write!(f, "{compare}"),
            Self::Quantile(field, quantiles) => {
                write!(f, "quantile_over_time({field}")?;
                for quantile in quantiles {
                    f.write_str(", ")?;
                    value::float(f, *quantile)?;
                }
                f.write_str(")")
            }
        }
    }
}

impl Display for Compare {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.selection {
            Some(expr) => write!(f, "compare({{ {expr} }}")?,
            None => f.write_str("compare({ }")?,
        }
        if self.top != Self::TOP || self.during.is_some() {
            write!(f, ", {}", self.top)?;
        }
        if let Some((from, to)) = self.during {
            write!(f, ", {from}, {to}")?;
        }
        f.write_str(")")
    }
}

impl Display for Second {
    /// With what goes before it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(count, _) => write!(f, " | topk({count})"),
            Self::Bottom(count, _) => write!(f, " | bottomk({count})"),
            Self::Compare { op, value, .. } => write!(f, " {} {value}", op.symbol()),
        }
    }
}
