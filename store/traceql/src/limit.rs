//! What a query may at most be. Over one of these it is refused with [`crate::Kind::TooLarge`]
//! before it can cost anything.

/// The longest text, in bytes.
pub const QUERY_BYTES_MAX: usize = 128 << 10;

/// The deepest tree: parentheses, operators within operators, pipelines within pipelines. Whoever
/// walks a tree may recurse: a level is a few stack frames.
pub const DEPTH_MAX: u32 = 128;

/// The most nodes of a tree: fields, literals, operators, stages. A chain of 6,000 comparisons with
/// an attribute each is below it.
pub const NODES_MAX: u32 = 20_000;

/// The longest pattern of a regex, in bytes.
pub const REGEX_BYTES_MAX: usize = 32 << 10;

/// The memory that the compiled form of one regex may take, in bytes.
pub const REGEX_MEMORY_MAX: usize = 1 << 20;

/// The memory that the compiled forms of all regexes of a query may take together, in bytes.
pub const REGEXES_MEMORY_MAX: usize = 4 << 20;
