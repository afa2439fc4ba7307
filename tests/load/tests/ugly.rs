//! The ugly set is as ugly as it says, and its truth knows what of it is to be kept.

use std::collections::{BTreeMap, HashMap, HashSet};

use gateway::demo::truth::Truth;
use gateway::demo::ugly::Ugly;
use gateway::demo::{Config, Request};
use model::{Nanos, SpanId, TraceId};

use super::{Seen, decode, text};

const SPANS: u64 = 40_000;
const START: u64 = 1_790_000_000_000_000_000;

fn make() -> (Vec<Request>, Truth) {
    let config = Config {
        seed: 5,
        spans: SPANS,
        batch: 800,
        start: Nanos(START),
        window: Nanos::from_secs(600),
    };
    let mut set = Ugly::new(config);
    let requests = set.by_ref().collect();
    (requests, set.truth())
}

/// Whether a receiver must keep the span.
fn valid(seen: &Seen) -> bool {
    TraceId::from_wire(&seen.span.trace_id).is_some()
        && SpanId::from_wire(&seen.span.span_id).is_some()
}

/// How many of a thousand spans are so.
fn per_mille(seen: &[Seen], is: impl Fn(&Seen) -> bool) -> usize {
    seen.iter().filter(|seen| is(seen)).count() * 1_000 / seen.len()
}

#[test]
fn it_is_as_ugly_as_it_says() {
    let (requests, truth) = make();
    let seen = decode(&requests);
    assert_eq!(seen.len() as u64, truth.spans);
    let clock = |seen: &Seen| seen.span.start_time_unix_nano;
    let bad = |seen: &Seen| clock(seen) < START || clock(seen) > START + 700_000_000_000;
    assert!((7..=13).contains(&per_mille(&seen, bad)));
    for wrong in [0, START / 1_000, 4_070_908_800_000_000_000] {
        let near = |seen: &Seen| clock(seen).abs_diff(wrong) < 1_000_000_000;
        assert!(seen.iter().any(near), "{wrong}");
    }
    let keys: HashSet<&str> = seen
        .iter()
        .flat_map(|seen| &seen.span.attributes)
        .map(|pair| &*pair.key)
        .filter(|key| key.starts_with("app.custom."))
        .collect();
    assert_eq!(keys.len(), 3_000);
    let instances: HashSet<&str> =
        seen.iter().map(|seen| text(&seen.resource.attributes, "service.instance.id")).collect();
    assert!((450..550).contains(&(instances.len() * 1_000 / seen.len())));
    let long: Vec<usize> = seen
        .iter()
        .map(|seen| text(&seen.span.attributes, "http.request.body.text").len())
        .filter(|length| *length > 0)
        .collect();
    assert!((80..180).contains(&long.len()));
    assert!(long.iter().all(|length| (2_000..=100_000).contains(length)));
    assert!(long.iter().any(|length| *length > 40_000));
    let short = |seen: &Seen| seen.span.trace_id.starts_with(&[0; 8]) && valid(seen);
    assert!((50..110).contains(&per_mille(&seen, short)));
    let huge = |seen: &Seen| seen.span.trace_id == [0x4d; 16];
    assert!((230..270).contains(&per_mille(&seen, huge)));
    let shared = |seen: &Seen| seen.span.trace_id == [0x11; 16];
    assert!(per_mille(&seen, shared) >= 1);
}

#[test]
fn a_tenth_comes_late() {
    let (requests, _) = make();
    let seen = decode(&requests);
    // Within a tenant, a span is late when spans that started 50 s later came before it.
    let of_one = |seen: &&Seen| seen.tenant.as_deref() == Some("tenant-0000");
    let (mut latest, mut late) = (0, 0);
    for seen in seen.iter().filter(of_one) {
        let start = seen.span.start_time_unix_nano;
        if (START..START + 700_000_000_000).contains(&start) {
            latest = latest.max(start);
            late += usize::from(start + 50_000_000_000 < latest);
        }
    }
    let late = late * 1_000 / seen.iter().filter(of_one).count();
    assert!((80..160).contains(&late), "{late}");
}

#[test]
fn the_truth_knows_what_is_to_be_kept() {
    let (requests, truth) = make();
    let seen = decode(&requests);
    let refused = seen.iter().filter(|seen| !valid(seen)).count();
    assert_eq!(refused as u64, truth.refused);
    assert!(truth.refused > 0);

    let mut identities = HashSet::new();
    let mut kept: BTreeMap<String, u64> = BTreeMap::new();
    let mut traces: HashMap<(String, Vec<u8>), Vec<String>> = HashMap::new();
    for seen in seen.iter().filter(|seen| valid(seen)) {
        let tenant = seen.tenant.clone().unwrap();
        let span = &seen.span;
        let identity = (tenant.clone(), span.trace_id.clone(), span.span_id.clone(), span.kind);
        if identities.insert(identity) {
            *kept.entry(tenant.clone()).or_default() += 1;
            let ids = traces.entry((tenant, span.trace_id.clone())).or_default();
            ids.push(crate::check::hex(&span.span_id));
        }
    }
    assert_eq!(kept, truth.tenants);
    assert!(truth.tenants.len() > 600);
    assert!(truth.samples.len() > 50);
    for sample in &truth.samples {
        let id = TraceId::parse(&sample.id).unwrap();
        let mut ids = traces[&(sample.tenant.clone().unwrap(), id.as_bytes().to_vec())].clone();
        ids.sort_unstable();
        assert_eq!(ids.len() as u64, sample.spans, "{}", sample.id);
        assert!(sample.span_ids.is_empty() || sample.span_ids == ids);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    assert_eq!(make(), make());
}
