//! Columns of cells that actions work on: an attribute as it came, gone, copied from another, or made by an action.

use traceweir_plugin::{Any, Column, PluginError, TextId, Value, Values};

/// The number of a value that an action has made.
pub(super) type Made = usize;

/// What an attribute of one owner is by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// As it came.
    Came,
    /// There is none any more.
    Gone,
    /// As that of this slot came.
    Copy(usize),
    /// A value that an action has made.
    Made(Made),
}

/// What one slot of one owner has.
#[derive(Clone, Copy)]
enum Now {
    Nothing,
    Came(usize),
    Made(Made),
}

/// A batch while actions are done on it.
#[derive(Debug)]
pub(super) struct Work<'a> {
    columns: Vec<Option<Column<'a>>>,
    /// Of each slot; empty until something changes.
    cells: Vec<Vec<Cell>>,
    made: Vec<Any>,
    entries: usize,
    rows: Option<&'a [bool]>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        columns: Vec<Option<Column<'a>>>,
        entries: usize,
        rows: Option<&'a [bool]>,
    ) -> Self {
        let cells = vec![Vec::new(); columns.len()];
        Self { columns, cells, made: Vec::new(), entries, rows }
    }

    /// Makes a value.
    pub(super) fn make(&mut self, value: Any) -> Made {
        self.made.push(value);
        self.made.len() - 1
    }

    fn now(&self, slot: usize, i: usize) -> Now {
        let came = |slot: usize| match self.columns.get(slot) {
            Some(Some(column)) if column.tags().get(i).is_some_and(|tag| *tag != 0) => {
                Now::Came(slot)
            }
            _ => Now::Nothing,
        };
        match self.cell(slot, i) {
            Cell::Came => came(slot),
            Cell::Copy(slot) => came(slot),
            Cell::Gone => Now::Nothing,
            Cell::Made(made) => Now::Made(made),
        }
    }

    fn cell(&self, slot: usize, i: usize) -> Cell {
        self.cells.get(slot).and_then(|cells| cells.get(i)).copied().unwrap_or(Cell::Came)
    }

    /// Whether there is a value.
    pub(super) fn is_there(&self, slot: usize, i: usize) -> bool {
        !matches!(self.now(slot, i), Now::Nothing)
    }

    /// A cell with the value that `slot` has by now.
    pub(super) fn copy(&self, slot: usize, i: usize) -> Option<Cell> {
        match self.now(slot, i) {
            Now::Nothing => None,
            Now::Came(slot) => Some(Cell::Copy(slot)),
            Now::Made(made) => Some(Cell::Made(made)),
        }
    }

    /// Asks for a new cell of each owner that is looked at.
    pub(super) fn each(&mut self, slot: usize, mut what: impl FnMut(&Self, usize) -> Option<Cell>) {
        for i in 0..self.entries {
            if self.is_due(i)
                && let Some(cell) = what(self, i)
            {
                self.put(slot, i, cell);
            }
        }
    }

    /// Whether an owner is looked at.
    fn is_due(&self, i: usize) -> bool {
        self.rows.is_none_or(|rows| rows.get(i) == Some(&true))
    }

    fn put(&mut self, slot: usize, i: usize, cell: Cell) {
        let Some(cells) = self.cells.get_mut(slot) else { return };
        if cells.is_empty() {
            cells.resize(self.entries, Cell::Came);
        }
        if let Some(there) = cells.get_mut(i) {
            *there = cell;
        }
    }

    /// Changes values, each text once; what becomes `None` stays.
    pub(super) fn change(
        &mut self,
        slot: usize,
        what: impl Fn(&Any) -> Option<Any>,
    ) -> Result<(), PluginError> {
        self.spread(slot, &[slot], |value| what(value).map(|value| vec![Some(value)]))
    }

    /// Makes values for the slots `to` of those that `slot` has, each text once; where `what` makes none, they stay.
    pub(super) fn spread(
        &mut self,
        slot: usize,
        to: &[usize],
        what: impl Fn(&Any) -> Option<Vec<Option<Any>>>,
    ) -> Result<(), PluginError> {
        let mut known = Known::default();
        let mut results: Vec<Vec<Option<Made>>> = Vec::new();
        for i in 0..self.entries {
            if !self.is_due(i) {
                continue;
            }
            let now = self.now(slot, i);
            let key = self.key(now, i);
            let at = match key.and_then(|key| known.get(key)) {
                Some(at) => at,
                None => {
                    let values = self.value(now, i)?.as_ref().and_then(&what).unwrap_or_default();
                    let made = values.into_iter().map(|value| value.map(|value| self.make(value)));
                    results.push(made.collect());
                    if let Some(key) = key {
                        known.set(key, results.len() - 1);
                    }
                    results.len() - 1
                }
            };
            for (slot, made) in to.iter().zip(results.get(at).into_iter().flatten()) {
                if let Some(made) = made {
                    self.put(*slot, i, Cell::Made(*made));
                }
            }
        }
        Ok(())
    }

    /// What is the same for all owners that have the same value, where that is cheap to say.
    fn key(&self, now: Now, i: usize) -> Option<Key> {
        match now {
            Now::Nothing => None,
            Now::Made(made) => Some((0, made)),
            Now::Came(slot) => Some((slot + 1, self.columns.get(slot)?.as_ref()?.index(i)?)),
        }
    }

    fn value(&self, now: Now, i: usize) -> Result<Option<Any>, PluginError> {
        match now {
            Now::Nothing => Ok(None),
            Now::Made(made) => Ok(self.made.get(made).cloned()),
            Now::Came(slot) => match self.columns.get(slot) {
                Some(Some(column)) => simple(column.value(i)),
                _ => Ok(None),
            },
        }
    }

    /// Whether any owner has something else than it came with.
    pub(super) fn has_changed(&self, slot: usize) -> bool {
        self.cells.get(slot).is_some_and(|cells| cells.iter().any(|cell| *cell != Cell::Came))
    }

    /// Puts what has changed into an answer, each text once.
    pub(super) fn write(&self, slot: usize, values: &mut Values) {
        let mut known = Known::default();
        let mut texts: Vec<TextId> = Vec::new();
        let mut blob = Vec::new();
        for (i, cell) in self.cells.get(slot).into_iter().flatten().enumerate() {
            let value = match *cell {
                Cell::Came => continue,
                Cell::Gone => {
                    values.remove(i);
                    continue;
                }
                Cell::Made(made) => match self.made.get(made) {
                    Some(any) => any.as_value(&mut blob),
                    None => continue,
                },
                Cell::Copy(from) => match self.columns.get(from) {
                    Some(Some(column)) => column.value(i),
                    _ => continue,
                },
            };
            let key = self.key(self.now(slot, i), i);
            match (value, key, key.and_then(|key| known.get(key)).and_then(|at| texts.get(at))) {
                (_, _, Some(text)) => values.put_text(i, *text),
                (Value::Text(text), Some(key), None) => {
                    let text = values.text(text);
                    known.set(key, texts.len());
                    texts.push(text);
                    values.put_text(i, text);
                }
                _ => values.put(i, value),
            }
        }
    }
}

/// A value that actions look into: what arrays and maps hold is not there.
fn simple(value: Value<'_>) -> Result<Option<Any>, PluginError> {
    match value {
        Value::Bytes(_) | Value::Array(_) | Value::Map(_) => Ok(None),
        value => Any::from_value(value),
    }
}

/// A list and a place in it.
type Key = (usize, usize);

/// Numbers by keys that are small.
#[derive(Default)]
struct Known(Vec<Vec<usize>>);

const UNKNOWN: usize = usize::MAX;

impl Known {
    fn get(&self, (list, at): Key) -> Option<usize> {
        self.0.get(list)?.get(at).copied().filter(|number| *number != UNKNOWN)
    }

    fn set(&mut self, (list, at): Key, number: usize) {
        if self.0.len() <= list {
            self.0.resize(list + 1, Vec::new());
        }
        let Some(list) = self.0.get_mut(list) else { return };
        if list.len() <= at {
            list.resize(at + 1, UNKNOWN);
        }
        if let Some(there) = list.get_mut(at) {
            *there = number;
        }
    }
}
