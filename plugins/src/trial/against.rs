//! A request after one version of a plugin against the same after another: what was recorded, and what comes out now.

use std::fmt;

use serde::Serialize;

use super::change::{Change, changes};
use super::request::{Request, Row, rows};
use super::run::Ran;

/// A span that another version does something else to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Apart {
    /// Which, in the request.
    pub span: usize,
    /// Its trace, in hexadecimal digits.
    pub trace_id: String,
    /// Its id, in hexadecimal digits.
    pub span_id: String,
    /// Its name, as it was received.
    pub name: String,
    /// Whether it stayed, and whether it does now.
    pub is_kept: (bool, bool),
    /// From what was recorded to what it is now, of the span and of what it shares.
    pub changes: Vec<Change>,
}

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { span, trace_id, span_id, name, is_kept, changes } = self;
        let kept = |kept: bool| if kept { "kept" } else { "dropped" };
        write!(f, "span {span} {trace_id}/{span_id} {name:?}: ")?;
        match is_kept {
            (before, now) if before != now => {
                writeln!(f, "was {}, is {}", kept(*before), kept(*now))
            }
            _ => writeln!(f, "is different"),
        }?;
        changes.iter().try_for_each(|change| writeln!(f, "  {change}"))
    }
}

/// Holds what comes out now against a recorded body of the same request.
///
/// # Errors
/// Says why the record is none of this request.
pub fn apart(request: &Request, recorded: &[u8], ran: &Ran) -> Result<Vec<Apart>, String> {
    let (before, now) = (left(request, recorded)?, left(request, &ran.body)?);
    let mut apart = Vec::new();
    for ((row, span), (before, now)) in request.rows().iter().zip(0..).zip(before.iter().zip(&now))
    {
        let is_kept = (before.is_some(), now.is_some());
        let changes = match (before, now) {
            (Some(before), Some(now)) => all_changes(before, now),
            _ => Vec::new(),
        };
        if is_kept.0 == is_kept.1 && changes.is_empty() {
            continue;
        }
        apart.push(Apart {
            span,
            trace_id: row.trace_id().to_owned(),
            span_id: row.span_id().to_owned(),
            name: row.name().to_owned(),
            is_kept,
            changes,
        });
    }
    Ok(apart)
}

fn all_changes(before: &Row, now: &Row) -> Vec<Change> {
    let within = |whose: &str, found: Vec<Change>| {
        let named = |change: Change| Change { path: format!("{whose}{}", change.path), ..change };
        found.into_iter().map(named).collect::<Vec<_>>()
    };
    let mut all = within("", changes(&before.span, &now.span));
    all.extend(within("", changes(&before.resource.1, &now.resource.1)));
    all.extend(within("", changes(&before.scope.1, &now.scope.1)));
    all
}

/// What is left of each span of a request: ids do not change, and neither does the order.
fn left(request: &Request, body: &[u8]) -> Result<Vec<Option<Row>>, String> {
    let mut rest = rows(body)?.into_iter().peekable();
    let ids = |row: &Row| (row.trace_id().to_owned(), row.span_id().to_owned());
    let mut all = Vec::with_capacity(request.spans());
    for row in request.rows() {
        let wanted = ids(row);
        all.push(rest.next_if(|left| ids(left) == wanted));
    }
    match rest.next() {
        None => Ok(all),
        Some(left) => {
            Err(format!("it has a span {} that the request does not have", left.span_id()))
        }
    }
}
