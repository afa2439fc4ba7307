//! What it costs to hold a request against its limits: `cargo bench -p gateway --bench limits`.

use std::sync::Arc;

use divan::{Bencher, black_box};
use gateway::clock::SystemClock;
use gateway::limits::account::Unit;
use gateway::limits::{Accounts, Admission, admission};
use gateway::overrides::{Limits, Overrides};
use model::{Clock, TenantId};

fn main() {
    divan::main();
}

/// Accounts of so many tenants with rates that are never reached.
fn accounts(tenants: usize) -> (Arc<Accounts>, Vec<TenantId>) {
    let mut limits = Limits::default();
    limits.ingestion.rate_spans = 1_000_000_000;
    limits.ingestion.rate_bytes = model::ByteSize(1 << 40);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let accounts = Accounts::new(Overrides::of(limits), clock);
    let tenants: Vec<TenantId> =
        (0..tenants).map(|n| TenantId::parse(&format!("tenant-{n}")).expect("an id")).collect();
    for tenant in &tenants {
        drop(accounts.source(tenant, None, None));
    }
    (accounts, tenants)
}

/// One rate of one request.
#[divan::bench]
fn admit(bencher: Bencher<'_, '_>) {
    let (accounts, tenants) = accounts(1);
    let source = accounts.source(&tenants[0], None, None);
    bencher.bench_local(|| black_box(source.admit(Unit::Spans, 1)).is_ok());
}

/// Finding the account of a request among a thousand, and both rates.
#[divan::bench]
fn found_and_admitted(bencher: Bencher<'_, '_>) {
    let (accounts, tenants) = accounts(1_000);
    let mut next = tenants.iter().cycle();
    bencher.bench_local(|| {
        let tenant = next.next().expect("a cycle");
        let source = accounts.source(tenant, None, None);
        black_box(source.admit(Unit::Bytes, 1)).is_ok() && source.admit(Unit::Spans, 1).is_ok()
    });
}

/// A place and memory for a request, and giving them back.
#[divan::bench]
fn place_and_memory(bencher: Bencher<'_, '_>) {
    let admission = Admission::new(admission::Config::default());
    let (accounts, tenants) = accounts(1);
    let account = accounts.account(&tenants[0], None).id;
    bencher.bench_local(|| {
        let mut held = admission.enter(account).expect("there are places");
        held.try_grow(black_box(100_000)).is_ok()
    });
}
