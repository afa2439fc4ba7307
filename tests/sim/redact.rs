//! Traces that are redacted: nobody sees them from then on, whatever happens, and no file has them in
//! the end.

use model::{TenantId, TraceId};
use store::{Chore, Kind, Step, Store};

use crate::disk::SimDisk;
use crate::keep::{files, find, search, send, send_to, write};
use crate::ledger::Running;

fn id(number: u8) -> TraceId {
    TraceId::from_array([number; 16])
}

fn redact(store: &Store, traces: &[u8]) -> Result<(), store::Error> {
    let traces = traces.iter().map(|number| id(*number)).collect();
    store.redact(&TenantId::single(), traces).map(drop)
}

/// Takes out what there is to take out, until a step fails.
fn take_out(store: &Store) -> Result<(), store::Error> {
    while store.step(Chore::TakeOut)? == Step::Worked {}
    store.step(Chore::Tidy).map(drop)
}

/// How many spans there are in blocks.
fn spans(store: &Store) -> u64 {
    store.status().blocks.spans
}

/// Traces 1 and 2 in one block, 1 and 3 in another, 4 alone in a third.
fn three_blocks(disk: &SimDisk) -> Running {
    let mut running = Running::start(disk).unwrap();
    let tenant = TenantId::single();
    send_to(&mut running, &tenant, 1, 0..4);
    send(&mut running, 2, 5);
    write(&mut running, true);
    send_to(&mut running, &tenant, 1, 4..7);
    send(&mut running, 3, 2);
    write(&mut running, true);
    send(&mut running, 4, 6);
    write(&mut running, true);
    running
}

#[test]
fn what_is_redacted_is_hidden_at_once_and_taken_out_of_every_block() {
    let disk = SimDisk::new(1);
    let running = three_blocks(&disk);
    let store = &running.store;
    assert_eq!((find(store, 1), search(store), spans(store)), ((7, false), (4, false), 20));
    redact(store, &[1, 4]).unwrap();
    // Nothing was done with the files.
    assert_eq!(spans(store), 20);
    for (trace, expected) in [(1, 0), (2, 5), (3, 2), (4, 0)] {
        assert_eq!(find(store, trace), (expected, false), "{trace}");
    }
    assert_eq!(search(store), (2, false));
    let told = store.redactions();
    // What came late of the first is in a block of its own.
    assert_eq!((told.len(), told[0].traces, told[0].blocks_left), (1, 2, 4));
    assert_eq!(told[0].done_at, None);

    take_out(store).unwrap();
    assert_eq!((spans(store), search(store)), (7, (2, false)));
    assert_eq!(store.keep_stats().redacted_spans.get(), 13);
    // The block that had nothing else is gone.
    assert_eq!(files(&disk, "blocks/default").len(), 2);
    let told = store.redactions();
    assert_eq!((told[0].blocks_left, told[0].done_at.is_some()), (0, true));
    drop(running);
    let mut running = Running::start(&disk.restart()).unwrap();
    assert_eq!((spans(&running.store), search(&running.store)), (7, (2, false)));
    // What comes late is hidden, too, and is in no block.
    send_to(&mut running, &TenantId::single(), 1, 7..9);
    assert_eq!((find(&running.store, 1), search(&running.store)), ((0, false), (2, false)));
    write(&mut running, true);
    assert_eq!((find(&running.store, 1), spans(&running.store)), ((0, false), 7));
}

#[test]
fn what_is_in_the_head_and_in_l0_is_hidden_and_does_not_come_into_blocks() {
    let disk = SimDisk::new(2);
    let mut running = Running::start(&disk).unwrap();
    send(&mut running, 1, 3);
    write(&mut running, false);
    send_to(&mut running, &TenantId::single(), 1, 3..5);
    send(&mut running, 2, 4);
    redact(&running.store, &[1]).unwrap();
    assert_eq!((find(&running.store, 1), search(&running.store)), ((0, false), (1, false)));
    // It is not done while the log, the head or L0 has some.
    take_out(&running.store).unwrap();
    assert_eq!(running.store.redactions()[0].done_at, None);
    write(&mut running, true);
    take_out(&running.store).unwrap();
    assert!(running.store.redactions()[0].done_at.is_some());
    assert_eq!((find(&running.store, 2), spans(&running.store)), ((4, false), 4));
}

#[test]
fn the_power_may_go_off_at_any_step_and_what_was_told_stays() {
    let whole = SimDisk::new(3);
    drop(three_blocks(&whole));
    for cut in 0.. {
        let disk = whole.fork();
        let running = Running::start(&disk).unwrap();
        let begun = disk.ops();
        disk.crash_after(cut);
        let is_told = redact(&running.store, &[1, 4]).is_ok();
        let is_done = is_told && take_out(&running.store).is_ok() && !disk.crashed();
        drop(running);
        let running = Running::start(&disk.restart()).unwrap();
        let store = &running.store;
        let hidden = (find(store, 1).0, find(store, 4).0);
        assert!(hidden == (0, 0) || !is_told && hidden == (7, 6), "cut {cut}: {hidden:?}");
        assert_eq!((find(store, 2), find(store, 3)), ((5, false), (2, false)), "cut {cut}");
        if hidden == (0, 0) {
            take_out(store).unwrap();
            assert_eq!((spans(store), search(store)), (7, (2, false)), "cut {cut}");
            assert!(store.redactions()[0].done_at.is_some(), "cut {cut}");
        }
        if is_done {
            assert!(disk.ops() - begun > 10, "it does something");
            break;
        }
    }
}

#[test]
fn a_tenant_whose_blocks_cannot_be_read_holds_up_no_other() {
    let disk = SimDisk::new(5);
    let mut running = Running::start(&disk).unwrap();
    let tenants = ["bad", "good"].map(|name| TenantId::parse(name).unwrap());
    for tenant in &tenants {
        send_to(&mut running, tenant, 1, 0..3);
    }
    write(&mut running, true);
    for tenant in &tenants {
        running.store.redact(tenant, vec![id(1)]).unwrap();
    }
    disk.fail_after(0, "/blocks/bad/", std::io::ErrorKind::PermissionDenied, 1_000);
    let is_done = |tenant: &str| {
        let told = running.store.redactions();
        told.iter().any(|of| of.tenant == tenant && of.done_at.is_some())
    };
    // Whichever comes first; it is told once, and rests then.
    let steps = (0..10).map(|_| running.store.step(Chore::TakeOut));
    let (failed, steps): (Vec<_>, Vec<_>) = steps.partition(Result::is_err);
    assert_eq!(failed.len(), 1);
    assert!(matches!(steps.last(), Some(Ok(Step::Idle))));
    assert_eq!((is_done("bad"), is_done("good")), (false, true));
}

#[test]
fn nothing_and_too_much_are_refused() {
    let disk = SimDisk::new(4);
    let running = Running::start(&disk).unwrap();
    assert_eq!(redact(&running.store, &[]).unwrap_err().kind(), Kind::Invalid);
    let many =
        (0..=store::REDACTED_MAX as u128).map(|at| TraceId::from_array((at + 1).to_be_bytes()));
    let refused = running.store.redact(&TenantId::single(), many.collect()).unwrap_err();
    assert_eq!(refused.to_string(), "10001 traces: from 1 to 10000 are redacted at a time");
    // Of a tenant that has nothing yet.
    redact(&running.store, &[9]).unwrap();
    take_out(&running.store).unwrap();
    assert!(running.store.redactions()[0].done_at.is_some());
}
