//! What plugins cost, in nanoseconds per row, beside the same work done natively: `cargo bench -p plugins --bench rows`.
//!
//! A request of spans as an instrumented service sends them goes through a chain of one plugin, and so does a small
//! one. What is told of each, all measured in turn in one run:
//!
//! | column | |
//! |---|---|
//! | `outline` | what noting where things stand adds to the look that every request gets |
//! | `project` | choosing rows and making the batch |
//! | `call` | the guest, with the way into it and back |
//! | `apply` | reading the answer and applying it to the draft |
//! | `write` | the new request |
//! | `all` | all of that, measured as a whole: what the same request takes more than without plugins |
//! | `native` | the guest's own code, compiled for this machine, over the same batch |
//! | `twin` | the same work over structs that a request was decoded into before, and is not encoded again from |
//!
//! `-- --json` prints a line of JSON for each plugin instead, `-- NAME` only what has that in its name. Guests in other
//! languages are found in the directory that `GUESTS` names, as `LANGUAGE-PLUGIN.wasm` (`go-tenth.wasm`): they are the
//! examples `tenth`, `enrich` and `scrub` of the SDKs, which have to leave the same request. `./dev prove rows` builds
//! them all, and runs this.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a bench reports, and fails by panicking"
)]

#[path = "rows/guests.rs"]
mod guests;
#[path = "rows/measure.rs"]
mod measure;
#[path = "rows/request.rs"]
mod request;
#[path = "rows/twins.rs"]
mod twins;

use guests::Guest;
use measure::{Figures, Rig};

/// As in the program: another one gives memory back to the system between two requests, and has it mapped anew.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Spans of a request, and how often each thing is measured.
const REQUESTS: [(usize, usize); 2] = [(1_000, 400), (50, 2_000)];

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments.retain(|argument| argument != "--bench");
    let json = arguments.iter().any(|argument| argument == "--json");
    let wanted: Vec<&String> = arguments.iter().filter(|of| !of.starts_with("--")).collect();
    let guests = guests::all();
    let is_wanted = |guest: &&Guest| {
        wanted.is_empty() || wanted.iter().any(|name| guest.title().contains(name.as_str()))
    };
    let guests: Vec<&Guest> = guests.iter().filter(is_wanted).collect();
    if guests.is_empty() {
        println!("no guests: were they left out (TRACEWEIR_BUNDLED=none)? nothing measured");
        return;
    }
    let rig = Rig::new(&guests);
    for (spans, times) in REQUESTS {
        let body = request::body(spans);
        if !json {
            let bytes = body.len() as f64 / spans as f64;
            println!("\n{spans} spans of {bytes:.0} bytes, ns per row");
            println!("{}", Figures::HEAD);
        }
        let mut left: Vec<(&str, Vec<u8>)> = Vec::new();
        for guest in &guests {
            let (figures, after) = rig.measure(guest, &body, spans, times);
            match left.iter().find(|(plugin, _)| *plugin == guest.plugin) {
                None => left.push((guest.plugin, after)),
                Some((_, first)) => {
                    assert!(*first == after, "{} leaves another request", guest.title());
                }
            }
            println!("{}", if json { figures.json(guest, spans) } else { figures.row(guest) });
        }
    }
}
