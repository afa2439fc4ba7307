//! What a condition is of a span: true, false, or without meaning, where the span lacks what is asked for or it is of
//! another type. What has no meaning is not true, and neither is its opposite.

/// One of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    No,
    Unknown,
    Yes,
}

impl From<Option<bool>> for Truth {
    fn from(bool: Option<bool>) -> Self {
        match bool {
            Some(true) => Self::Yes,
            Some(false) => Self::No,
            None => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(bool: bool) -> Self {
        Some(bool).into()
    }
}

impl Truth {
    pub(crate) fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }

    /// True where both are, false where one is.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Unknown,
        }
    }

    /// True where one is, false where both are.
    pub(crate) fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }
}
