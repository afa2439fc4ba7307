//! Which columns a block has: the fixed ones in [`COLUMNS`], and those of attributes, which each
//! block chooses.
//!
//! One table drives the writer, the reader, `traceweir block` and the reference. A column is known
//! by its number: a reader of any version passes over numbers that it does not know, and takes a
//! column that is missing for one without values.

use model::column::Type;

use super::footer::Node;
use super::page::Physical;

mod columns;

pub use columns::COLUMNS;

/// What the rows of a column stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// Spans: the rows of the block.
    Span = 0,
    /// Events: a list in each span.
    Event = 1,
    /// Links: a list in each span.
    Link = 2,
}

/// All tables, by number.
pub const TABLES: [Table; 3] = [Table::Span, Table::Event, Table::Link];

/// Whether every row has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Each row (span, event, link, attribute of the rest) has one.
    Always,
    /// Few have one.
    Sparse,
}

/// How values are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// A sorted dictionary and codes.
    Dictionary,
    /// A dictionary where values repeat, else as they are (texts with their lengths apart).
    Adaptive,
    /// Differences of neighbours.
    Delta,
    /// Byte by byte of all values; 64-bit numbers.
    Split,
    /// As they are.
    Plain,
}

/// One fixed column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its number, for good.
    pub id: Id,
    /// What its rows are.
    pub table: Table,
    /// Whether it is of the attributes that have no column of their own (a list in each row).
    pub rest: bool,
    /// Its name in the Parquet schema, without the groups around it.
    pub name: &'static str,
    /// What it stores.
    pub physical: Physical,
    /// Whether bytes are text.
    pub logical: Logical,
    /// Whether every row has a value.
    pub presence: Presence,
    /// How it is encoded.
    pub coding: Coding,
    /// The block version that first had it.
    pub since: u16,
    /// What it means.
    pub doc: &'static str,
}

/// What a column means to other readers of Parquet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logical {
    /// Just what it stores.
    None,
    /// UTF-8.
    Text,
    /// Nanoseconds since the epoch, UTC.
    Time,
}

macro_rules! ids {
    ($($name:ident = $number:literal),* $(,)?) => {
        /// The number of a fixed column; numbers are never used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        #[expect(missing_docs, reason = "each row of COLUMNS has its doc")]
        #[expect(clippy::enum_variant_names, reason = "named as the columns are")]
        pub enum Id { $($name = $number),* }
    };
}
ids! {
    TraceId = 1, SpanId = 2, ParentDistance = 3, ParentId = 4, Start = 5, Duration = 6,
    Effective = 7, Name = 8, Service = 9, Kind = 10, Status = 11, StatusMessage = 12,
    TraceState = 13, Flags = 14, DroppedAttributes = 15, DroppedEvents = 16, DroppedLinks = 17,
    Resource = 18, Scope = 19, Shape = 20, Weight = 21,
    RestKey = 22, RestText = 23, RestValue = 24,
    EventTime = 30, EventName = 31, EventDropped = 32, EventShape = 33,
    EventRestKey = 34, EventRestText = 35, EventRestValue = 36,
    LinkTraceId = 40, LinkSpanId = 41, LinkTraceState = 42, LinkFlags = 43, LinkDropped = 44,
    LinkShape = 45, LinkRestKey = 46, LinkRestText = 47, LinkRestValue = 48,
}

/// Why an attribute has a column of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Why {
    /// It is of the core of semantic conventions that every block has.
    Pinned = 0,
    /// Its values take enough bytes.
    Bytes = 1,
    /// It had one in the tenant's blocks before, and still has values.
    Sticky = 2,
    /// It was asked for.
    Queried = 3,
}

/// A column of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// Whose attribute it is.
    pub table: Table,
    /// Its key.
    pub key: String,
    /// What its values are; a key with values of several types has several columns.
    pub kind: Type,
}

/// The columns of one block.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Columns of attributes: those of spans, then of events, then of links. A shape names one by
    /// its place among those of its table.
    pub attributes: Vec<(Attribute, Why)>,
}

/// A leaf of the Parquet schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A fixed column.
    Fixed(Id),
    /// A column of an attribute, by its place among those of its table.
    Attribute(Table, u32),
}

/// One column of a block, in the order in which its chunks stand in a row group.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Which one.
    pub source: Source,
    /// The table that its rows are of.
    pub table: Table,
    /// Whether it is of the attributes without a column.
    pub rest: bool,
    /// The Parquet path, dotted.
    pub path: String,
    /// What it stores.
    pub physical: Physical,
    /// Whether bytes are text.
    pub logical: Logical,
    /// Whether every row has a value.
    pub presence: Presence,
    /// How it is encoded.
    pub coding: Coding,
    /// Highest repetition level: how many lists it is in.
    pub max_rep: u8,
    /// Highest definition level.
    pub max_def: u8,
}

/// What the values of an attribute of this type are stored as.
#[must_use]
pub const fn physical(kind: Type) -> (Physical, Logical, Coding) {
    match kind {
        Type::String => (Physical::Bytes, Logical::Text, Coding::Adaptive),
        Type::Bytes | Type::Any | Type::Overflow => {
            (Physical::Bytes, Logical::None, Coding::Adaptive)
        }
        Type::Int => (Physical::Int64, Logical::None, Coding::Adaptive),
        Type::Double => (Physical::Double, Logical::None, Coding::Plain),
        Type::Bool | Type::Empty => (Physical::Boolean, Logical::None, Coding::Plain),
    }
}

/// The number of a type in files.
#[must_use]
pub const fn type_code(kind: Type) -> u8 {
    match kind {
        Type::Empty => 0,
        Type::String => 1,
        Type::Bool => 2,
        Type::Int => 3,
        Type::Double => 4,
        Type::Bytes => 5,
        Type::Any => 6,
        Type::Overflow => 7,
    }
}

/// The type with this number.
#[must_use]
pub const fn type_of(code: u8) -> Option<Type> {
    Some(match code {
        0 => Type::Empty,
        1 => Type::String,
        2 => Type::Bool,
        3 => Type::Int,
        4 => Type::Double,
        5 => Type::Bytes,
        6 => Type::Any,
        7 => Type::Overflow,
        _ => return None,
    })
}

const fn type_name(kind: Type) -> &'static str {
    match kind {
        Type::Empty => "empty",
        Type::String => "string",
        Type::Bool => "bool",
        Type::Int => "int",
        Type::Double => "double",
        Type::Bytes => "bytes",
        Type::Any => "any",
        Type::Overflow => "overflow",
    }
}

/// The list of a table's rest, and the groups around it.
const REST: &str = "other_attributes";

impl Schema {
    /// The attribute columns of a table, by place.
    pub fn of(&self, table: Table) -> impl Iterator<Item = &(Attribute, Why)> {
        self.attributes.iter().filter(move |(attribute, _)| attribute.table == table)
    }

    /// The Parquet schema.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        let mut nodes = self.group(Table::Span);
        let list =
            |name: &str, table| Node::List { name: name.to_owned(), fields: self.group(table) };
        nodes.push(list("events", Table::Event));
        nodes.push(list("links", Table::Link));
        nodes
    }

    fn group(&self, table: Table) -> Vec<Node> {
        let leaf = |name: String, presence, physical, logical| Node::Leaf {
            name,
            required: presence == Presence::Always,
            physical,
            logical,
        };
        let of = |rest| COLUMNS.iter().filter(move |c| c.table == table && c.rest == rest);
        let fixed = |c: &Column| leaf(c.name.to_owned(), c.presence, c.physical, c.logical);
        let mut nodes: Vec<Node> = of(false).map(fixed).collect();
        for name in self.names(table).into_iter().zip(self.of(table)) {
            let (name, (attribute, _)) = name;
            let (stored, logical, _) = physical(attribute.kind);
            nodes.push(leaf(name, Presence::Sparse, stored, logical));
        }
        nodes.push(Node::List { name: REST.to_owned(), fields: of(true).map(fixed).collect() });
        nodes
    }

    /// The names of a table's attribute columns: `span.KEY`, and the type behind it where a key
    /// has several.
    fn names(&self, table: Table) -> Vec<String> {
        let prefix = match table {
            Table::Span => "span",
            Table::Event => "event",
            Table::Link => "link",
        };
        let mut taken = std::collections::HashSet::new();
        let name = |(attribute, _): &(Attribute, Why)| {
            let Attribute { key, kind, .. } = attribute;
            let plain = format!("{prefix}.{key}");
            if taken.insert(plain.clone()) {
                return plain;
            }
            // A key may hold a colon, so even this may be taken.
            let mut typed = format!("{plain}:{}", type_name(*kind));
            while !taken.insert(typed.clone()) {
                typed.push('_');
            }
            typed
        };
        self.of(table).map(name).collect()
    }

    /// All columns, in the order of the Parquet schema's leaves.
    #[must_use]
    pub fn leaves(&self) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        for table in TABLES {
            let (rep, def, path) = match table {
                Table::Span => (0, 0, String::new()),
                Table::Event => (1, 1, "events.list.element.".to_owned()),
                Table::Link => (1, 1, "links.list.element.".to_owned()),
            };
            let optional = |presence| u8::from(presence == Presence::Sparse);
            let fixed = |c: &Column| {
                let (rep, def, path) = match c.rest {
                    false => (rep, def, path.clone()),
                    true => (rep + 1, def + 1, format!("{path}{REST}.list.element.")),
                };
                Leaf {
                    source: Source::Fixed(c.id),
                    table,
                    rest: c.rest,
                    path: format!("{path}{}", c.name),
                    physical: c.physical,
                    logical: c.logical,
                    presence: c.presence,
                    coding: c.coding,
                    max_rep: rep,
                    max_def: def + optional(c.presence),
                }
            };
            let of = |rest| COLUMNS.iter().filter(move |c| c.table == table && c.rest == rest);
            leaves.extend(of(false).map(fixed));
            for (place, (name, (attribute, _))) in
                self.names(table).into_iter().zip(self.of(table)).enumerate()
            {
                let (stored, logical, coding) = physical(attribute.kind);
                leaves.push(Leaf {
                    source: Source::Attribute(table, model::column::count(place)),
                    table,
                    rest: false,
                    path: format!("{path}{name}"),
                    physical: stored,
                    logical,
                    presence: Presence::Sparse,
                    coding,
                    max_rep: rep,
                    max_def: def + 1,
                });
            }
            leaves.extend(of(true).map(fixed));
        }
        leaves
    }
}
