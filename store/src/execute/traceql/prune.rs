//! Which row groups can have what a query asks for: it only narrows.
//!
//! Asked are the sorted terms and the filters of text columns, the keys of attributes without a
//! column, and the distinct resources. What none of them knows may be there.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::column::{Type, count};
use traceql::ast::{Field, FieldExpr, Intrinsic, Key, Scope, Whose};
use traceql::plan::{Condition, Test as Planned, implied};

use super::field::is_id;
use super::fragments::of_resources;
use super::program::{Filter, Program};
use super::value::{Test, any_of};
use crate::block::reader::Reader;
use crate::block::schema::{Id as Column, Source, Table};
use crate::block::section::hashes::Owner;
use crate::block::section::terms::{self, decode, decode_filters, hash};
use crate::block::section::{Id, Level};
use crate::disk::Content;
use crate::execute::{Carried, Parts, is_carried};
use crate::shelf::Part;
use crate::shelf::catalog::Of;

/// What a row group must have for something of a query to match in it.
pub(super) struct Prune {
    /// For each filter, clauses all of which hold where it is true: each is texts of fields of
    /// which one is there. A filter that lets everything through has none; nothing at all where
    /// any trace may match.
    filters: Option<Vec<Vec<Vec<Sought>>>>,
    /// By groups of filters: of each group one filter has to match in the trace.
    groups: Vec<Vec<usize>>,
    /// Whether a trace never stands in several row groups.
    is_alone: bool,
    known: Mutex<HashMap<ColumnOf, Place>>,
}

/// Texts of which a field must have one.
struct Sought {
    field: Field,
    test: Test,
    texts: Vec<String>,
    /// What catalogs have of them; nothing where they tell nothing of the field.
    hashes: Option<Vec<u32>>,
}

impl Sought {
    fn new(field: Field, test: Test, is_federated: bool) -> Option<Self> {
        let texts: Vec<String> = test.texts()?.into_iter().map(str::to_owned).collect();
        let owners = match &field.key {
            // Files know what was sent, not what is carried.
            Key::Attribute { name, .. } if is_federated && is_carried(name) => Vec::new(),
            Key::Intrinsic(Intrinsic::Name) => vec![Owner::Name],
            Key::Attribute { scope, name } => match scope {
                Scope::Span => vec![Owner::Span(name.as_bytes())],
                Scope::Resource => vec![Owner::Resource(name.as_bytes())],
                Scope::Unscoped => {
                    vec![Owner::Span(name.as_bytes()), Owner::Resource(name.as_bytes())]
                }
                _ => Vec::new(),
            },
            Key::Intrinsic(_) => Vec::new(),
        };
        let of = |owner: &Owner<'_>| {
            let text = |text: &String| owner.text(hash(text.as_bytes()));
            let texts = texts.iter().map(text);
            texts.chain([owner.untold()]).collect::<Vec<u32>>()
        };
        let hashes = (!owners.is_empty()).then(|| owners.iter().flat_map(of).collect());
        Some(Self { field, test, texts, hashes })
    }

    /// The name of the attribute.
    fn name(&self) -> Option<&[u8]> {
        match &self.field.key {
            Key::Attribute { name, .. } => Some(name.as_bytes()),
            Key::Intrinsic(_) => None,
        }
    }
}

/// In place of a column: the keys of attributes without one.
const REST: u32 = u32::MAX;

/// The writer and number of a block, and the place of a column.
type ColumnOf = (u64, u64, u32);
/// What is known of a column, once somebody has read it.
type Place = Arc<OnceLock<Option<Known>>>;

/// What a block says of the values of a column: row groups of the texts that were sought, and
/// filters.
struct Known {
    postings: HashMap<Vec<u8>, Vec<u32>>,
    filters: Vec<terms::Filter>,
}

impl Prune {
    pub(super) fn new(program: &Program, parts: &Parts<'_>) -> Self {
        let is_federated = parts.view.is_federated();
        let of = |filter: &Filter| {
            filter.source.as_ref().map(|of| clauses(of, is_federated)).unwrap_or_default()
        };
        let all = || program.filters.iter().map(of).collect();
        let filters = (!program.groups.is_empty()).then(all);
        let is_alone = parts.view.parts.len() < 2;
        let groups = program.groups.clone();
        Self { filters, groups, is_alone, known: Mutex::default() }
    }

    /// Whether a span of a row group of a part, by its place, may matter.
    pub(super) fn may_match(
        &self,
        parts: &Parts<'_>,
        at: usize,
        reader: &Reader,
        group: u32,
    ) -> bool {
        let Some(filters) = &self.filters else { return true };
        let header = &reader.directory().header;
        if header.level != Level::L1 {
            return true;
        }
        let carried = parts.carried(at);
        let has = |sought: &Sought| self.has(reader, group, sought, carried);
        let may = |clauses: &Vec<Vec<Sought>>| clauses.iter().all(|any| any.iter().any(has));
        if self.is_alone && !header.oversized {
            let of = |filter: &usize| filters.get(*filter).is_none_or(may);
            return self.groups.iter().all(|group| group.iter().any(of));
        }
        // Another filter may be true for a span of the trace that stands elsewhere.
        filters.iter().any(may)
    }

    /// Whether a span of a part may matter, by catalogs: before anything is read of it.
    pub(super) fn may_match_part(&self, parts: &Parts<'_>, part: &Part) -> bool {
        let (Some(filters), Part::Block(block)) = (&self.filters, part) else { return true };
        let id = block.meta.id;
        if !parts.asked.covers(id) {
            return true;
        }
        let has = |sought: &Sought| {
            let hashes = sought.hashes.as_ref();
            hashes.is_none_or(|hashes| parts.asked.may_have(Of::Texts, hashes, id))
        };
        let may = |clauses: &Vec<Vec<Sought>>| clauses.iter().all(|any| any.iter().any(has));
        // Another filter may be true for a span of the trace that stands elsewhere.
        let may_match = filters.iter().any(may);
        parts.readers.catalogs.spared.add(u64::from(!may_match));
        may_match
    }

    fn has(&self, reader: &Reader, group: u32, sought: &Sought, carried: Carried<'_>) -> bool {
        match &sought.field.key {
            Key::Intrinsic(Intrinsic::Name) => {
                self.column(reader, group, sought, &Source::Fixed(Column::Name))
            }
            Key::Intrinsic(_) => true,
            Key::Attribute { scope: Scope::Span, name } => self.span(reader, group, sought, name),
            Key::Attribute { scope: Scope::Resource, name } => {
                resource(reader, group, (sought, name), carried)
            }
            Key::Attribute { scope: Scope::Unscoped, name } => {
                self.span(reader, group, sought, name)
                    || resource(reader, group, (sought, name), carried)
            }
            Key::Attribute { .. } => true,
        }
    }

    /// Whether spans may have one of the texts as an attribute.
    fn span(&self, reader: &Reader, group: u32, sought: &Sought, name: &str) -> bool {
        let attributes = (0..).zip(reader.directory().schema.of(Table::Span));
        let own = attributes.filter(|(_, (attribute, _))| attribute.key == name);
        for (place, (attribute, _)) in own {
            let may = match attribute.kind {
                Type::String => {
                    self.column(reader, group, sought, &Source::Attribute(Table::Span, place))
                }
                // Arrays have texts, too.
                Type::Any | Type::Overflow => true,
                _ => false,
            };
            if may {
                return true;
            }
        }
        self.rest_has(reader, group, name)
    }

    /// Whether attributes without a column may have this key.
    fn rest_has(&self, reader: &Reader, group: u32, name: &str) -> bool {
        let known = self.known(reader, REST);
        let known = known.get_or_init(|| {
            let bytes = reader.section(Id::RestKeys, 0).ok()??;
            let mut postings = HashMap::new();
            let names = self.filters.iter().flatten().flatten().flatten();
            let names: HashSet<&[u8]> = names.filter_map(|sought| sought.name()).collect();
            decode(&bytes, |key, groups| {
                if names.contains(key) {
                    postings.insert(key.to_vec(), groups.to_vec());
                }
                true
            })
            .ok()?;
            Some(Known { postings, filters: Vec::new() })
        });
        let Some(known) = known else { return true };
        let groups = known.postings.get(name.as_bytes());
        groups.is_some_and(|groups| groups.binary_search(&group).is_ok())
    }

    /// Whether a column may have one of the texts.
    fn column(&self, reader: &Reader, group: u32, sought: &Sought, source: &Source) -> bool {
        let leaf = reader.leaves().iter().position(|leaf| leaf.source == *source);
        let Some(leaf) = leaf.map(count) else { return false };
        let known = self.known(reader, leaf);
        let Some(known) = known.get_or_init(|| self.read(reader, leaf)) else { return true };
        if let Some(filter) = known.filters.iter().find(|filter| filter.row_group == group) {
            return sought.texts.iter().any(|text| filter.may_hold(hash(text.as_bytes())));
        }
        sought.texts.iter().any(|text| {
            let groups = known.postings.get(text.as_bytes());
            groups.is_some_and(|groups| groups.binary_search(&group).is_ok())
        })
    }

    /// Where what is known of a column is put: whoever asks for the same waits, and no others.
    fn known(&self, reader: &Reader, leaf: u32) -> Place {
        let header = &reader.directory().header;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry((header.writer, header.number, leaf)).or_default())
    }

    /// What a block says of a column; nothing where it cannot be read, which is noted when its
    /// values are.
    fn read(&self, reader: &Reader, leaf: u32) -> Option<Known> {
        reader.near_sections(Content::Filters, &[(Id::Filters, leaf), (Id::Terms, leaf)]);
        let filters = match reader.section(Id::Filters, leaf).ok()? {
            Some(bytes) => decode_filters(&bytes).ok()?,
            None => Vec::new(),
        };
        let mut postings = HashMap::new();
        if let Some(bytes) = reader.section(Id::Terms, leaf).ok()? {
            let sought = self.filters.iter().flatten().flatten().flatten();
            let texts: HashSet<&[u8]> =
                sought.flat_map(|sought| &sought.texts).map(|text| text.as_bytes()).collect();
            let note = |term: &[u8], groups: &[u32]| {
                if texts.contains(term) {
                    postings.insert(term.to_vec(), groups.to_vec());
                }
                true
            };
            decode(&bytes, note).ok()?;
        }
        Some(Known { postings, filters })
    }
}

/// The clauses of a filter that storage can tell something of.
fn clauses(filter: &FieldExpr, is_federated: bool) -> Vec<Vec<Sought>> {
    let sought = |condition: &Condition| {
        let Planned::Compare(op, value) = &condition.test else { return None };
        let is_told = condition.field.whose == Whose::Own && !is_id(&condition.field);
        let test = Test::new(*op, value, false).filter(|_| is_told)?;
        Sought::new(condition.field.clone(), test, is_federated)
    };
    let all = implied(filter);
    // A clause of which one condition is not told says nothing.
    all.iter().filter_map(|clause| clause.iter().map(sought).collect()).collect()
}

/// Whether a resource has what is sought.
fn resource(
    reader: &Reader,
    group: u32,
    (sought, name): (&Sought, &str),
    carried: Carried<'_>,
) -> bool {
    let Ok(tables) = reader.tables(group) else { return true };
    of_resources(tables.resources(), name, carried).iter().any(|values| {
        any_of(values.iter().map(|value| sought.test.meets(value)), false) == Some(true)
    })
}
