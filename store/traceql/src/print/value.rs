//! Literals, as text.

use std::fmt::{self, Display, Formatter};

use crate::ast::Static;
use crate::lexer::{UNITS, written};

impl Display for Static {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => float(f, *value),
            Self::Duration(value) => duration(f, *value),
            Self::Text(text) => f.write_str(&written(text)),
            Self::Status(status) => f.write_str(status.name()),
            Self::Kind(kind) => f.write_str(kind.name()),
        }
    }
}

/// With a point or an exponent, or else it would be an integer.
pub(super) fn float(f: &mut Formatter<'_>, value: f64) -> fmt::Result {
    if value.is_infinite() {
        // Too large for a float: it is read as infinite.
        return f.write_str(if value > 0.0 { "1e999" } else { "-1e999" });
    }
    write!(f, "{value:?}")
}

/// As a whole number of the longest unit up to hours.
fn duration(f: &mut Formatter<'_>, value: i64) -> fmt::Result {
    let magnitude = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    let fits = |(unit, scale): &&(&str, u64)| {
        *unit == "ns" || (*scale <= HOUR && magnitude != 0 && magnitude.is_multiple_of(*scale))
    };
    let (unit, scale) = UNITS.iter().rev().find(fits).copied().unwrap_or(("ns", 1));
    let unit = if scale == 1_000 { "us" } else { unit };
    write!(f, "{sign}{}{unit}", magnitude / scale)
}

const HOUR: u64 = 3_600_000_000_000;
