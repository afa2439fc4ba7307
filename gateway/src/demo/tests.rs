//! The generator is deterministic, and its catalogue hangs together.

use super::*;

fn config(spans: u64) -> Config {
    Config { seed: 7, spans, start: Nanos::from_secs(1_790_000_000), ..Config::default() }
}

#[test]
fn every_call_and_root_of_the_catalogue_is_an_operation() {
    for op in OPERATIONS {
        for call in op.calls {
            plan::find(call.service, call.name);
        }
    }
    for (service, name, _) in catalog::ROOTS {
        plan::find(service, name);
    }
    assert_eq!(catalog::ROOTS.iter().map(|(_, _, share)| share).sum::<u64>(), 10_000);
    assert_eq!(Fleet::new(1).pods.len(), 207);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_the_same_truth() {
    let make = |seed| {
        let mut set = Nice::new(Config { seed, ..config(20_000) });
        let requests: Vec<Request> = set.by_ref().collect();
        (requests, set.truth())
    };
    assert_eq!(make(1), make(1));
    assert_ne!(make(1).0, make(2).0);
}
