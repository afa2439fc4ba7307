//! What the bench of rows measures is what it says: every plugin that is part of the program loads with the
//! configuration that it is measured with, and leaves of a request what its own code, compiled for this machine, leaves.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a bench fails by panicking, and so does a test"
)]

#[path = "../benches/rows/guests.rs"]
mod guests;
#[path = "../benches/rows/measure.rs"]
#[expect(dead_code, reason = "nobody is told the figures of one round")]
mod measure;
#[path = "../benches/rows/request.rs"]
mod request;
#[path = "../benches/rows/twins.rs"]
mod twins;

use guests::Guest;
use measure::Rig;

const SPANS: usize = 150;

#[test]
fn guests_leave_what_their_own_code_leaves_natively() {
    let guests = guests::all();
    let guests: Vec<&Guest> = guests.iter().collect();
    // Nothing where they were left out of the build.
    assert!(guests.len() >= 13 || plugins::BUNDLED.is_empty(), "{}", guests.len());
    let rig = Rig::new(&guests);
    let body = request::body(SPANS);
    let changed = |guest: &&&Guest| !rig.measure(guest, &body, SPANS, 2).1.is_empty();
    // The others find nothing to do.
    assert!(guests.iter().filter(changed).count() >= 8 || guests.is_empty());
}
