//! Expressions over one span: its fields, literals, and what is computed of them.

use super::{Intrinsic, Static, Type};
use crate::Place;

/// An expression over one span.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldExpr {
    /// What it is.
    pub kind: FieldKind,
    /// Where it stands; of one in parentheses, with them.
    pub place: Place,
}

/// What kind of expression over one span.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    /// A literal.
    Static(Static),
    /// An attribute or an intrinsic.
    Field(Field),
    /// `-x`, of a number. The parser makes `-1` a literal.
    Negate(Box<FieldExpr>),
    /// `!x`, of a truth value. False, too, where `x` reads an attribute that the span has not.
    Not(Box<FieldExpr>),
    /// `x + y` and the like, of numbers.
    Arithmetic {
        /// The operator.
        op: Arithmetic,
        /// The left operand.
        lhs: Box<FieldExpr>,
        /// The right operand.
        rhs: Box<FieldExpr>,
    },
    /// `x = y` and the like. With `nil` on a side (`=` and `!=` only) it asks whether the span has
    /// the other. The right side of a regex operator is a string literal that compiles as a
    /// [`crate::Regex`], or else something of the span itself, whose value may compile or not.
    Compare {
        /// The operator.
        op: Comparison,
        /// The left operand.
        lhs: Box<FieldExpr>,
        /// The right operand.
        rhs: Box<FieldExpr>,
    },
    /// `x && y && …`. At least two operands, none of which is itself an `All`.
    All(Vec<FieldExpr>),
    /// `x || y || …`. At least two operands, none of which is itself an `Any`.
    Any(Vec<FieldExpr>),
}

/// Something that a span has: the leaf that an engine reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Field {
    /// Of the span itself, or of its parent.
    pub whose: Whose,
    /// What of it.
    pub key: Key,
}

/// Whose field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Whose {
    /// The span's own.
    Own,
    /// `parent.…`: of the span's parent; a span without one has no such field.
    Parent,
}

/// What of a span.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// What the instrumented program has put there.
    Attribute {
        /// Where to look.
        scope: Scope,
        /// The whole name, without quotes: `http.status_code`.
        name: String,
    },
    /// What every span has, or could have, by definition.
    Intrinsic(Intrinsic),
}

/// Where an attribute is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// `.x`: of the span, and where it has none, of its resource.
    Unscoped,
    /// `span.x`
    Span,
    /// `resource.x`
    Resource,
    /// `event.x`: any of the span's events.
    Event,
    /// `link.x`: any of the span's links.
    Link,
    /// `instrumentation.x`: of the instrumentation scope.
    Instrumentation,
}

/// Operators on two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`; of two integers it truncates, of durations it does not.
    Div,
    /// `%`
    Mod,
    /// `^`, the power.
    Pow,
}

/// Operators that compare two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Comparison {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `=~`: the whole value matches.
    Match,
    /// `!~`: the whole value does not match.
    NotMatch,
}

impl Field {
    /// An attribute of the span itself.
    #[must_use]
    pub fn attribute(scope: Scope, name: impl Into<String>) -> Self {
        Self { whose: Whose::Own, key: Key::Attribute { scope, name: name.into() } }
    }

    /// An intrinsic of the span itself.
    #[must_use]
    pub const fn intrinsic(intrinsic: Intrinsic) -> Self {
        Self { whose: Whose::Own, key: Key::Intrinsic(intrinsic) }
    }

    /// The type of its values.
    #[must_use]
    pub fn of(&self) -> Type {
        match &self.key {
            Key::Attribute { .. } => Type::Any,
            Key::Intrinsic(intrinsic) => intrinsic.of(),
        }
    }
}

impl Scope {
    /// All scopes that have a name, with it.
    pub const NAMED: [(Self, &'static str); 5] = [
        (Self::Span, "span"),
        (Self::Resource, "resource"),
        (Self::Event, "event"),
        (Self::Link, "link"),
        (Self::Instrumentation, "instrumentation"),
    ];

    /// Its name; empty for [`Scope::Unscoped`].
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = Self::NAMED.iter().find(|(scope, _)| *scope == self);
        named.map_or("", |(_, name)| name)
    }

    /// The scope of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find_map(|(scope, known)| (*known == name).then_some(*scope))
    }
}

impl Arithmetic {
    /// As it is written.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
        }
    }
}

impl Comparison {
    /// As it is written.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Match => "=~",
            Self::NotMatch => "!~",
        }
    }

    /// The operator that says the same with its sides swapped; a regex operator has none.
    #[must_use]
    pub const fn flipped(self) -> Option<Self> {
        match self {
            Self::Eq | Self::Ne => Some(self),
            Self::Lt => Some(Self::Gt),
            Self::Le => Some(Self::Ge),
            Self::Gt => Some(Self::Lt),
            Self::Ge => Some(Self::Le),
            Self::Match | Self::NotMatch => None,
        }
    }

    /// Whether the right side is a regex.
    #[must_use]
    pub const fn is_regex(self) -> bool {
        matches!(self, Self::Match | Self::NotMatch)
    }
}
