//! Literals and their types.

/// A literal.
#[derive(Clone, Debug, PartialEq)]
pub enum Static {
    /// `nil`: what a span has not.
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// `42`, `minInt`
    Int(i64),
    /// `1.5`, `1e6`. Never NaN.
    Float(f64),
    /// `1.5s`, `1h30m`, `2d`, in nanoseconds.
    Duration(i64),
    /// `"x"`, and the same in backticks.
    Text(String),
    /// `ok`, `error`, `unset`
    Status(Status),
    /// `server`, `client`, …
    Kind(Kind),
}

/// The status of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// `unset`
    Unset,
    /// `ok`
    Ok,
    /// `error`
    Error,
}

/// The kind of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `unspecified`
    Unspecified,
    /// `internal`
    Internal,
    /// `server`
    Server,
    /// `client`
    Client,
    /// `producer`
    Producer,
    /// `consumer`
    Consumer,
}

/// What is known of an expression's value before any span is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// An attribute: whatever the program has put there.
    Any,
    /// `nil`
    Nil,
    /// True or false.
    Bool,
    /// An integer.
    Int,
    /// A number with a fraction.
    Float,
    /// A time in nanoseconds. With [`Type::Int`] and [`Type::Float`] one tower of numbers.
    Duration,
    /// A string.
    Text,
    /// A status.
    Status,
    /// A kind.
    Kind,
    /// Another span; only compared with `nil`.
    Span,
}

impl Static {
    /// Its type.
    #[must_use]
    pub const fn of(&self) -> Type {
        match self {
            Self::Nil => Type::Nil,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Float(_) => Type::Float,
            Self::Duration(_) => Type::Duration,
            Self::Text(_) => Type::Text,
            Self::Status(_) => Type::Status,
            Self::Kind(_) => Type::Kind,
        }
    }

    /// The number that it is, durations in nanoseconds; integers beyond 2⁵³ are rounded.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "documented; exact where it matters is i64")]
    pub const fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(value) | Self::Duration(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }
}

impl Status {
    /// All, by OTLP's number.
    pub const ALL: [Self; 3] = [Self::Unset, Self::Ok, Self::Error];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

impl Kind {
    /// All, by OTLP's number.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::Internal,
        Self::Server,
        Self::Client,
        Self::Producer,
        Self::Consumer,
    ];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

impl Type {
    /// Whether it is one of the numbers.
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Duration)
    }

    /// What to call it in a message.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "an attribute",
            Self::Nil => "nil",
            Self::Bool => "a truth value",
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Duration => "a duration",
            Self::Text => "a string",
            Self::Status => "a status",
            Self::Kind => "a kind",
            Self::Span => "a span",
        }
    }
}
