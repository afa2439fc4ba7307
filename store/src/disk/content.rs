//! What bytes of a file are: who reads or writes them tells, and a cache before a bucket goes by it
//! and counts by it.

/// What bytes of a block are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Where everything stands.
    Directory,
    /// Which rows traces have.
    TraceIndex,
    /// Distinct values, and keys.
    Terms,
    /// Filters of values.
    Filters,
    /// What is shown of traces.
    Summary,
    /// Where pages stand, resources, scopes, shapes.
    Tables,
    /// Pages with a few rows: of a trace.
    Pages,
    /// Columns of whole row groups.
    Columns,
    /// What is read once and not soon again: by merging.
    Once,
}

impl Content {
    /// All of them, with their names in metrics.
    pub const ALL: [(Self, &str); 9] = [
        (Self::Directory, "directory"),
        (Self::TraceIndex, "trace_index"),
        (Self::Terms, "terms"),
        (Self::Filters, "filters"),
        (Self::Summary, "summary"),
        (Self::Tables, "tables"),
        (Self::Pages, "pages"),
        (Self::Columns, "columns"),
        (Self::Once, "once"),
    ];

    /// Whether it tells where things are: it is small, and asked for by every query.
    #[must_use]
    pub const fn is_index(self) -> bool {
        !matches!(self, Self::Pages | Self::Columns | Self::Once)
    }
}
