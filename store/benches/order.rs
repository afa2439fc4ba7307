//! Rows into the order of a block: 100,000 spans in traces of 25, scattered over requests of 800
//! as a collector sends them, and what a bad sender makes of it.
//!
//! `cargo bench -p store --bench order`: spans per second; 150 ns a span are 6.7 Mitem/s.

use divan::Bencher;
use divan::counter::ItemsCount;
use model::batch::Limits;
use model::wire::{put_bytes, put_fixed64, put_message, put_u64};
use model::{Batch, Nanos, TenantId};
use store::block::order::{self, Ordered, Orderer};

const SPANS: u64 = 100_000;
const REQUEST_SPANS: u64 = 800;
/// Requests arrive so far behind each other.
const REQUEST_EVERY: u64 = 3_200_000;

fn main() {
    divan::main();
}

/// What the senders do.
#[derive(Clone, Copy, Debug)]
enum Senders {
    /// Each span once.
    Plain,
    /// Some spans start before their sender's clock is allowed to say.
    Skewed,
    /// Every request comes twice.
    Retrying,
    /// All spans are of one trace.
    OneTrace,
}

#[divan::bench(args = [Senders::Plain, Senders::Skewed, Senders::Retrying, Senders::OneTrace])]
fn seal(bencher: Bencher<'_, '_>, senders: Senders) {
    let batch = filled(senders);
    let (mut orderer, mut ordered) = (Orderer::default(), Ordered::default());
    let visible = u32::try_from(batch.len()).expect("a small batch");
    bencher.counter(ItemsCount::new(batch.len())).bench_local(|| {
        ordered.clear();
        order::tenants(&mut orderer, &batch, visible, &mut ordered);
        ordered.rows.len()
    });
}

/// Spans of 200 traces are under way at a time, so that each trace is spread over several
/// requests and none stands together.
fn filled(senders: Senders) -> Batch {
    let mut batch = Batch::new(Limits::default(), 42);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for request in 0..SPANS / REQUEST_SPANS {
        let received_at = 1_800_000_000_000_000_000 + request * REQUEST_EVERY;
        let mut body = Vec::new();
        put_message(&mut body, 1, |out| {
            put_message(out, 2, |out| {
                for place in 0..REQUEST_SPANS {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    put_span(out, senders, request * REQUEST_SPANS + place, received_at, random);
                }
            });
        });
        let times = if matches!(senders, Senders::Retrying) { 2 } else { 1 };
        for _ in 0..times {
            batch.append(&TenantId::single(), Nanos(received_at), &body, &[]).expect("valid OTLP");
        }
    }
    batch
}

fn put_span(out: &mut Vec<u8>, senders: Senders, number: u64, received_at: u64, random: u64) {
    const TRACES: u64 = 200;
    const TRACE_SPANS: u64 = 25;
    // Of 5,000 spans the first one of each trace comes first, and so on.
    let (group, within) = (number / (TRACES * TRACE_SPANS), number % (TRACES * TRACE_SPANS));
    let (trace, place) = match senders {
        Senders::OneTrace => (0, number),
        _ => (group * TRACES + within % TRACES, within / TRACES),
    };
    let start = match senders {
        Senders::Skewed if random.is_multiple_of(100) => 0,
        _ => received_at - 50_000_000 + random % 40_000_000,
    };
    put_message(out, 2, |out| {
        put_bytes(out, 1, &(0x5eed_u128 << 64 | u128::from(id(trace, 0))).to_be_bytes());
        put_bytes(out, 2, &id(trace, place + 1).to_be_bytes());
        if place > 0 {
            put_bytes(out, 4, &id(trace, random % place + 1).to_be_bytes());
        }
        put_bytes(out, 5, b"GET /orders");
        put_u64(out, 6, random % 5 + 1);
        put_fixed64(out, 7, start);
        put_fixed64(out, 8, start + random % 5_000_000);
    });
}

/// Ids as senders draw them: in no order.
fn id(trace: u64, place: u64) -> u64 {
    let mixed = (trace << 32 | place).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1
}
