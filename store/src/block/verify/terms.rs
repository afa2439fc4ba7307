//! What a block tells about its values, to compare with the values that it has.

use std::collections::HashMap;

use crate::block::reader::Reader;
use crate::block::section::Id;
use crate::block::section::terms::{self, Filter, decode, decode_filters};
use crate::error::Error;

/// The row groups of each value.
type Postings = HashMap<Vec<u8>, Vec<u32>>;

/// Terms and filters of the columns, by their place, and the keys of the rest.
#[derive(Debug, Default)]
pub(super) struct Told {
    terms: HashMap<u32, Postings>,
    filters: HashMap<u32, Vec<Filter>>,
    keys: Option<Postings>,
}

impl Told {
    /// Reads all of it.
    pub(super) fn read(reader: &Reader) -> Result<Self, Error> {
        let mut told = Self::default();
        for section in &reader.directory().sections {
            let part = section.part;
            if !matches!(section.id, Id::Terms | Id::Filters | Id::RestKeys) {
                continue;
            }
            // What cannot be read is told with the sections.
            let Ok(Some(bytes)) = reader.section(section.id, part) else { continue };
            match section.id {
                Id::Filters => drop(told.filters.insert(part, decode_filters(&bytes)?)),
                Id::Terms => drop(told.terms.insert(part, postings(&bytes)?)),
                _ => told.keys = Some(postings(&bytes)?),
            }
        }
        Ok(told)
    }

    /// Whether anything is told about the values of a column, so that a value that is not told
    /// would not be found.
    pub(super) fn has(&self, place: u32) -> bool {
        self.terms.contains_key(&place) || self.filters.contains_key(&place)
    }

    /// Whether somebody who looks for a value in a column is led to a row group.
    pub(super) fn leads(&self, place: u32, row_group: u32, value: &[u8]) -> bool {
        let term = self.terms.get(&place).and_then(|terms| terms.get(value));
        term.is_some_and(|groups| groups.binary_search(&row_group).is_ok())
            || self.filters.get(&place).is_some_and(|filters| {
                let mut filters = filters.iter().filter(|filter| filter.row_group == row_group);
                filters.any(|filter| filter.may_hold(terms::hash(value)))
            })
    }

    /// Whether somebody who looks for a key of the rest is led to a row group.
    pub(super) fn leads_to_key(&self, row_group: u32, key: &[u8]) -> bool {
        let Some(keys) = &self.keys else { return true };
        keys.get(key).is_some_and(|groups| groups.binary_search(&row_group).is_ok())
    }
}

fn postings(bytes: &[u8]) -> Result<Postings, Error> {
    let mut all = Postings::new();
    decode(bytes, |term, row_groups| {
        all.insert(term.to_vec(), row_groups.to_vec());
        true
    })?;
    Ok(all)
}
