//! Tables for terminals, and numbers and times in them.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// Rows of cells; each column as wide as its widest.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(super) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                write!(line, "{cell:<width$}  ").unwrap_or_default();
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// A quotient with one decimal.
pub(super) fn ratio(bytes: u64, of: u64) -> String {
    let tenths = bytes.saturating_mul(10).checked_div(of).unwrap_or(0);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Nanoseconds since the epoch as a time of day in UTC, to the second.
pub(super) fn time(nanos: u64) -> String {
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(nanos / 1_000_000_000));
    at.map_or_else(|| nanos.to_string(), |at| humantime::format_rfc3339_seconds(at).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["ID", "BYTES"]);
        table.row(vec!["a long one".to_owned(), "7".to_owned()]);
        assert_eq!(table.text(), "ID          BYTES\na long one  7\n");
        assert_eq!(ratio(75, 10), "7.5");
        assert_eq!(ratio(75, 0), "0.0");
        assert_eq!(time(1_700_000_000_000_000_000), "2023-11-14T22:13:20Z");
    }
}
