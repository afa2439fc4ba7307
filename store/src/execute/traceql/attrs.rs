//! The values of one key in a table of attributes (of spans, events or links).

use model::attributes::Attributes;
use model::batch::Batch;
use model::column::{Column, Interner, Type, Values, count};
use model::otlp::{key_value, overflow};
use traceql::ast::Static;

use super::rows::Rows;
use super::value::{Test, any_of, of_any};

/// What a condition is for each row of a table: whether some value of the row meets it, and
/// whether one has a type that fits it.
#[derive(Clone, Debug)]
pub(super) struct Met {
    pub(super) met: Rows,
    pub(super) fits: Rows,
}

/// What is asked of rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'t> {
    pub(super) test: &'t Test,
    /// Whether anybody asks for the rows with a type that fits.
    pub(super) wants_fits: bool,
}

impl Asked<'_> {
    /// What is known of the number that each row has; of numbers past the end, nothing.
    pub(super) fn by_number<N: Copy + Into<u32>>(
        self,
        known: &[Option<bool>],
        numbers: &[N],
        within: &Rows,
    ) -> Met {
        let is = |of: fn(&Option<bool>) -> bool| known.iter().map(of).collect::<Vec<bool>>();
        let (met, fits) = (is(|known| *known == Some(true)), is(Option::is_some));
        let rows = |table: &[bool]| {
            let first = table.iter().position(|is| *is);
            let last = table.iter().rposition(|is| *is);
            let Some((first, last)) = first.zip(last) else { return Rows::none(within.len()) };
            if table.get(first..=last).is_some_and(|between| between.iter().all(|is| *is)) {
                // One, mostly: compared, not looked up.
                let (first, len) = (count(first), count(last - first));
                return within
                    .filter_by(numbers, |number| number.into().wrapping_sub(first) <= len);
            }
            within.filter_by(numbers, |number| {
                table.get(number.into() as usize).copied().unwrap_or_default()
            })
        };
        let met_rows = rows(&met);
        // What is asked for in most queries is of one type, and all of it fits.
        let fits_rows =
            if !self.wants_fits || met == fits { met_rows.clone() } else { rows(&fits) };
        Met { met: met_rows, fits: fits_rows }
    }

    /// Notes the rows of a column by their values, all of which fit.
    fn note<T: Copy>(
        self,
        found: &mut Met,
        (rows, values): (&[u32], &[T]),
        is_met: impl Fn(T) -> bool,
    ) {
        for (row, value) in rows.iter().zip(values) {
            if is_met(*value) {
                found.met.set(*row);
            }
        }
        if self.wants_fits {
            rows.iter().for_each(|row| found.fits.set(*row));
        }
    }
}

impl Met {
    pub(super) fn none(len: u32) -> Self {
        Self { met: Rows::none(len), fits: Rows::none(len) }
    }

    #[inline]
    pub(super) fn note(&mut self, row: u32, is: Option<bool>) {
        if let Some(is) = is {
            self.fits.set(row);
            if is {
                self.met.set(row);
            }
        }
    }
}

/// The columns of a key.
#[derive(Clone, Debug)]
pub(super) struct Attrs<'b> {
    key: &'b str,
    columns: Vec<&'b Column>,
}

impl<'b> Attrs<'b> {
    /// The columns of `key` in a table of a batch, and the one of attributes without a column.
    pub(super) fn new(batch: &'b Batch, table: &'b Attributes, key: &'b str) -> Self {
        let is_one = |column: &&Column| {
            let is_searchable = !matches!(column.kind, Type::Empty | Type::Bytes);
            let is_key = batch.keys().get(column.key) == key.as_bytes();
            is_searchable && !column.rows.is_empty() && (is_key || column.kind == Type::Overflow)
        };
        Self { key, columns: table.columns().iter().filter(is_one).collect() }
    }

    /// Whether no row has a value.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Its only column, if that is of texts.
    pub(super) fn only_text(&self) -> Option<(&'b [u32], &'b [u32], &'b Interner)> {
        match self.columns.as_slice() {
            [Column { kind: Type::String, rows, values: Values::Codes(codes, texts), .. }] => {
                Some((rows, codes, texts))
            }
            _ => None,
        }
    }

    /// What a test is for the rows of `within`. It runs once per distinct value.
    pub(super) fn test(&self, asked: Asked<'_>, within: &Rows) -> Met {
        let test = asked.test;
        let mut found = Met::none(within.len());
        for column in &self.columns {
            let rows = &column.rows;
            match &column.values {
                Values::Codes(codes, values)
                    if column.kind == Type::String
                        && let Some(texts) =
                            test.texts().filter(|texts| texts.len() <= TEXTS_FEW) =>
                {
                    // Where most differ, equal ones have several numbers.
                    let is_one = |value: &[u8]| texts.iter().any(|text| text.as_bytes() == value);
                    let met: Vec<bool> = values.values().map(is_one).collect();
                    asked.note(&mut found, (rows, codes), |code| {
                        met.get(code as usize).copied().unwrap_or_default()
                    });
                }
                Values::Codes(codes, values) => {
                    let mut known = vec![UNKNOWN; values.len()];
                    for (row, code) in rows.iter().zip(codes) {
                        if !within.contains(*row) {
                            continue;
                        }
                        let Some(state) = known.get_mut(*code as usize) else { continue };
                        if *state == UNKNOWN {
                            *state = state_of(self.meets(column.kind, values.get(*code), test));
                        }
                        found.note(*row, met_of(*state));
                    }
                }
                // No number and no truth value meets a text, so there is nothing to note.
                Values::Words(_) if test.is_text() => {}
                Values::Words(words)
                    if column.kind == Type::Int
                        && let Some(range) = test.of_int() =>
                {
                    asked.note(&mut found, (rows, words), |word| {
                        range.contains(&word.cast_signed())
                    });
                }
                Values::Words(words) => {
                    for (row, word) in rows.iter().zip(words) {
                        if within.contains(*row) {
                            let value = word_value(column.kind, *word);
                            found.note(*row, value.and_then(|value| test.meets(&value)));
                        }
                    }
                }
            }
        }
        // Some were noted whether anybody asked for them or not.
        Met { met: found.met.and(within), fits: found.fits.and(within) }
    }

    fn meets(&self, kind: Type, bytes: &[u8], test: &Test) -> Option<bool> {
        if kind == Type::String {
            return test.meets_text(std::str::from_utf8(bytes).unwrap_or_default());
        }
        let mut values = Vec::new();
        self.decode(kind, bytes, &mut values);
        any_of(values.iter().map(|value| test.meets(value)), false)
    }

    fn decode(&self, kind: Type, bytes: &[u8], out: &mut Vec<Static>) {
        match kind {
            Type::String => out.push(Static::Text(String::from_utf8_lossy(bytes).into_owned())),
            Type::Any => of_any(bytes, out),
            Type::Overflow => {
                for kv in overflow(bytes) {
                    let (key, value) = key_value(kv);
                    if key == self.key.as_bytes() {
                        of_any(value, out);
                    }
                }
            }
            _ => {}
        }
    }

    /// The rows that have a value.
    pub(super) fn present(&self, len: u32) -> Rows {
        let mut present = Rows::none(len);
        let mut decoded = Vec::new();
        for column in &self.columns {
            let Values::Codes(codes, values) = &column.values else {
                column.rows.iter().for_each(|row| present.set(*row));
                continue;
            };
            if column.kind == Type::String {
                column.rows.iter().for_each(|row| present.set(*row));
                continue;
            }
            let mut known = vec![UNKNOWN; values.len()];
            for (row, code) in column.rows.iter().zip(codes) {
                let Some(state) = known.get_mut(*code as usize) else { continue };
                if *state == UNKNOWN {
                    decoded.clear();
                    self.decode(column.kind, values.get(*code), &mut decoded);
                    *state = state_of(Some(!decoded.is_empty()));
                }
                if *state == MET {
                    present.set(*row);
                }
            }
        }
        present
    }

    /// The values of a row.
    pub(super) fn values(&self, row: u32, out: &mut Vec<Static>) {
        for column in &self.columns {
            for at in column.positions(row) {
                match &column.values {
                    Values::Words(words) => {
                        out.extend(words.get(at).and_then(|word| word_value(column.kind, *word)));
                    }
                    Values::Codes(codes, values) => {
                        let Some(code) = codes.get(at) else { continue };
                        self.decode(column.kind, values.get(*code), out);
                    }
                }
            }
        }
    }
}

/// So few texts are compared with each value, byte by byte.
const TEXTS_FEW: usize = 4;

const UNKNOWN: u8 = 0;
const NEITHER: u8 = 1;
const UNMET: u8 = 2;
const MET: u8 = 3;

pub(super) fn state_of(met: Option<bool>) -> u8 {
    match met {
        None => NEITHER,
        Some(false) => UNMET,
        Some(true) => MET,
    }
}

pub(super) fn met_of(state: u8) -> Option<bool> {
    match state {
        MET => Some(true),
        UNMET => Some(false),
        _ => None,
    }
}

/// What a number of a column is.
pub(super) fn word_value(kind: Type, word: u64) -> Option<Static> {
    Some(match kind {
        Type::Bool => Static::Bool(word != 0),
        Type::Int => Static::Int(word.cast_signed()),
        Type::Double => Static::Float(f64::from_bits(word)),
        _ => return None,
    })
}
