//! Named points where a test has the process end at once, as `kill -9` would.
//!
//! Armed by the program that runs the store ([`arm`]), never by itself; unarmed, a point is one
//! look at an empty cell.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Every point, in the order in which a span passes them.
pub const POINTS: [&str; 16] = [
    "seal.begin",
    "seal.written",
    "seal.shown",
    "merge.begin",
    "merge.written",
    "merge.committed",
    "merge.shown",
    "l0.buried",
    "compact.begin",
    "compact.written",
    "compact.committed",
    "compact.shown",
    "catalog.begin",
    "catalog.written",
    "catalog.committed",
    "tidy",
];

#[derive(Debug)]
struct Armed {
    point: String,
    left: AtomicU64,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Has the process end at the `n`th time that it comes to a point, given as `POINT:N`.
///
/// # Errors
/// Names the points there are where it is none of them.
pub fn arm(at: &str) -> Result<(), String> {
    let (point, n) = at.split_once(':').unwrap_or((at, "1"));
    let n = n.parse().ok().filter(|_| POINTS.contains(&point));
    let Some(n) = n else {
        return Err(format!("{at:?} is no point to end at, known are {}", POINTS.join(", ")));
    };
    ARMED.get_or_init(|| Armed { point: point.to_owned(), left: AtomicU64::new(n) });
    Ok(())
}

/// Ends the process here, if that was asked for.
pub(crate) fn point(name: &str) {
    debug_assert!(POINTS.contains(&name), "{name} is not in POINTS");
    if let Some(armed) = ARMED.get().filter(|armed| armed.point == name)
        && armed.left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}
