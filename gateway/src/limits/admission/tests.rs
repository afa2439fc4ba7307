//! Places and bytes, and who gets them.

use std::time::Duration;

use super::*;

const ONE: AccountId = AccountId(1);
const OTHER: AccountId = AccountId(2);

fn small(requests_max: u32) -> Admission {
    Admission::new(Config {
        body_bytes_max: ByteSize(1 << 10),
        in_flight_bytes_max: ByteSize(32 << 10),
        requests_max,
        wait: Wait::millis(20),
    })
}

#[test]
fn places_are_refused_at_once_and_given_back() {
    let admission = small(2);
    let first = admission.enter(ONE).unwrap();
    let _second = admission.enter(ONE).unwrap();
    assert_eq!(admission.enter(ONE).unwrap_err(), Full { what: "requests", limit: 2 });
    drop(first);
    assert!(admission.enter(ONE).is_ok());
}

#[test]
fn one_account_leaves_places_to_others() {
    let admission = small(300);
    let held: Vec<_> = std::iter::from_fn(|| admission.enter(ONE).ok()).collect();
    assert_eq!(held.len(), 200);
    assert_eq!(admission.enter(ONE).unwrap_err().what, "requests of one tenant");
    let others: Vec<_> = std::iter::from_fn(|| admission.enter(OTHER).ok()).collect();
    assert_eq!(others.len(), 67);
}

#[tokio::test]
async fn bytes_are_waited_for_and_given_back() {
    let admission = small(2);
    let mut first = admission.enter(ONE).unwrap();
    let mut second = admission.enter(ONE).unwrap();
    first.grow(31 << 10).await.unwrap();
    first.grow(10).await.unwrap();
    assert_eq!(admission.stats().bytes.get(), 32 << 10);
    assert!(second.try_grow(1).is_err());
    assert_eq!(first.grow_at_most(usize::MAX).await, Ok(0));
    assert_eq!(second.grow(1).await.unwrap_err().what, "bytes");
    let (got, ()) = tokio::join!(second.grow(1), async { drop(first) });
    got.unwrap();
    drop(second);
    let stats = admission.stats();
    assert_eq!((stats.bytes.get(), stats.requests.get(), stats.refused.get()), (0, 0, 2));
    assert!(admission.shared.free().holders.is_empty());
}

#[tokio::test]
async fn whoever_holds_the_least_is_next() {
    let admission = small(9);
    let mut all = admission.enter(ONE).unwrap();
    all.grow(16 << 10).await.unwrap();
    let mut rest = admission.enter(ONE).unwrap();
    rest.grow(16 << 10).await.unwrap();
    let (mut more, mut innocent) = (admission.enter(ONE).unwrap(), admission.enter(OTHER).unwrap());
    let order = Mutex::new(Vec::new());
    let grown = |name, held: Result<(), Full>| {
        held.unwrap();
        order.lock().unwrap().push(name);
    };
    // The flood has waited for longer.
    tokio::join!(
        async { grown("flood", more.grow(20 << 10).await) },
        async { grown("innocent", innocent.grow(10 << 10).await) },
        async {
            drop(rest);
            drop(all);
        },
    );
    assert_eq!(*order.lock().unwrap(), ["innocent", "flood"]);
}

#[tokio::test]
async fn who_goes_away_while_it_waits_holds_nobody_up() {
    let admission = small(9);
    let mut first = admission.enter(ONE).unwrap();
    first.grow(20 << 10).await.unwrap();
    let (mut large, mut small) = (admission.enter(OTHER).unwrap(), admission.enter(OTHER).unwrap());
    let gone = clock::timeout(Duration::from_millis(1), large.grow(30 << 10));
    let (gone, small) = tokio::join!(gone, small.grow(1 << 10));
    assert!(gone.is_none());
    small.unwrap();
    let free = admission.shared.free();
    assert_eq!((free.waiting, free.units), (0, 11));
}

#[test]
fn a_budget_below_two_bodies_is_a_fault() {
    let mut faults = Faults::default();
    let config = Config { in_flight_bytes_max: ByteSize::mib(20), ..Config::default() };
    config.check("receiver.limits", &mut faults);
    assert_eq!(faults.list().len(), 1);
    assert_eq!(faults.list()[0].key, "receiver.limits.in_flight_bytes_max");
    let mut none = Faults::default();
    Config::default().check("receiver.limits", &mut none);
    assert!(none.is_empty());
}

fn made() -> Admission {
    Admission::of_made(Config {
        body_bytes_max: ByteSize(0),
        in_flight_bytes_max: ByteSize(30 << 10),
        requests_max: 100,
        wait: Wait::millis(20),
    })
}

#[tokio::test]
async fn of_what_is_made_little_waits() {
    let admission = made();
    let enter = || admission.enter(ONE).unwrap();
    let (mut first, mut second, mut third, mut fourth) = (enter(), enter(), enter(), enter());
    first.grow(19 << 10).await.unwrap();
    // It is held to the end: the flood never is the one that holds the least.
    let mut kept = enter();
    kept.grow(1 << 10).await.unwrap();
    let ended = Mutex::new(Vec::new());
    let end = |name, outcome: Result<(), Full>| {
        ended.lock().unwrap().push((name, outcome.is_ok()));
    };
    // As much as there is in all may wait; what is more is told at once. One of another account may, too.
    let mut innocent = admission.enter(OTHER).unwrap();
    tokio::join!(
        async { end("second", second.grow(18 << 10).await) },
        async { end("third", third.grow(12 << 10).await) },
        async { end("fourth", fourth.grow(1 << 10).await) },
        async {
            let outcome = innocent.grow(11 << 10).await;
            end("innocent", outcome);
            drop(innocent);
        },
        async { drop(first) },
    );
    let ended = ended.into_inner().unwrap();
    assert_eq!(ended, [("fourth", false), ("innocent", true), ("second", true), ("third", false)]);
}

#[tokio::test]
async fn of_what_is_made_no_account_gets_all() {
    let admission = made();
    let mut held: Vec<_> = (0..5).map(|_| admission.enter(ONE).unwrap()).collect();
    let mut got = 0;
    for one in &mut held {
        got += usize::from(one.grow(5 << 10).await.is_ok());
    }
    assert_eq!(got, 4);
    // Those that wait for their share do not hold up others.
    let mut last = admission.enter(ONE).unwrap();
    let mut innocent = admission.enter(OTHER).unwrap();
    let (mine, theirs) = tokio::join!(last.grow(5 << 10), innocent.grow(7 << 10));
    assert!(mine.is_err());
    theirs.unwrap();
    // What is larger than a share is sent where there is nothing else.
    drop((held, last, innocent));
    admission.enter(ONE).unwrap().grow(30 << 10).await.unwrap();
}
