//! Reads of a block: traces by id, all rows, and its verification.
//!
//! `BLOCK=FILE cargo bench -p store --bench block`: prints CPU time (user and system, of this
//! process). The file is one that `POST /flush?level=l1` has made.

use std::path::Path;
use std::sync::Arc;

use model::TenantId;
use model::batch::Indexed;
use rustix::time::{ClockId, clock_gettime};
use store::block::cache::Cache;
use store::block::reader::{Reader, Wanted};
use store::block::verify::verify;
use store::disk::{Disk as _, RealDisk};

/// Traces that are looked up.
const LOOK_UPS: usize = 2_000;

fn cpu_nanos() -> i64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

#[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench reports")]
fn main() {
    let Ok(path) = std::env::var("BLOCK") else {
        println!("set BLOCK to a block; nothing measured");
        return;
    };
    let file = RealDisk.open(Path::new(&path)).expect("the block is there");
    let cache = Arc::new(Cache::new(64 << 20));
    let reader = Reader::open_file(Arc::clone(&file), path.clone(), cache).expect("a block");
    let tenant = reader.directory().header.tenant().unwrap_or_else(TenantId::single);
    let mut ids = Vec::new();
    for group in 0..reader.row_groups() {
        ids.extend(reader.summary(group).expect("a summary").traces.iter().map(|trace| trace.id));
    }
    // Far from each other, so that no page is met twice in a row.
    let step = ids.len() / LOOK_UPS + 1;
    for round in 0..3 {
        let started = cpu_nanos();
        let (mut looked_up, mut spans) = (0, 0);
        for id in ids.iter().skip(round).step_by(step) {
            for (group, rows) in reader.find(*id).expect("an index") {
                let read = reader.read(group, rows, Wanted::All, &tenant, Indexed::No);
                spans += read.expect("rows").len();
            }
            looked_up += 1;
        }
        let spent = (cpu_nanos() - started) as f64 / 1e3 / f64::from(looked_up);
        println!("by id: {looked_up} traces of {spans} spans, {spent:.0} us each");
        if std::env::var("ONLY").is_ok() {
            continue;
        }
        let started = cpu_nanos();
        let mut spans = 0;
        for group in 0..reader.row_groups() {
            let rows = reader.rows_of(group);
            let rows = 0..rows.end - rows.start;
            let read = reader.read(group, rows, Wanted::All, &tenant, Indexed::No);
            spans += read.expect("rows").len();
        }
        let spent = (cpu_nanos() - started) as f64 / spans as f64;
        println!("all rows: {spans} spans, {spent:.0} ns each");
    }
    if std::env::var("ONLY").is_ok() {
        return;
    }
    let started = cpu_nanos();
    let problems = verify(&file, &path);
    let spent = (cpu_nanos() - started) as f64 / 1e9;
    println!("verify: {} problems, {spent:.2} s", problems.len());
}
