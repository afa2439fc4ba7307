//! Commits, checkpoints, damage, and who may write what.

mod schedules;

use proptest::prelude::*;

use super::*;
use crate::backend::Local;
use crate::block::section::{Location, Sort};
use crate::disk::RealDisk;

fn tenant() -> TenantId {
    TenantId::parse("team-a").unwrap()
}

fn block(number: u64) -> BlockMeta {
    BlockMeta {
        id: BlockId { writer: 7, number },
        sort: Sort::Normal,
        rows: 10,
        traces: 2,
        bytes: 1_000,
        starts: (number * 100, number * 100 + 99),
        received: (number * 100, number * 100 + 99),
        created_at: number * 100,
        compactions: 0,
        directory: Location { offset: 900, len: 50, crc: 1 },
        oversized: false,
    }
}

fn l0(number: u64) -> L0Id {
    L0Id { writer: 7, number }
}

fn adds(number: u64) -> Change {
    Change { added: vec![block(number)], consumed: vec![l0(number)], ..Change::default() }
}

struct Fixture {
    dir: tempfile::TempDir,
    manifest: Manifest,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let backend = Arc::new(Local::new(Arc::new(RealDisk), dir.path()));
    Fixture { manifest: Manifest::new(backend), dir }
}

impl Fixture {
    fn state(&self) -> State {
        self.manifest.load_tenant(&tenant()).unwrap().state
    }

    fn commit(&self, state: &State, change: &Change) -> State {
        self.manifest.commit(&tenant(), state, change, Nanos(1)).unwrap()
    }
}

#[test]
fn names_that_are_somebody_elses_are_named_and_end_no_start() {
    let fixture = fixture();
    let mut state = State::default();
    for number in 1..4 {
        state = fixture.commit(&state, &adds(number));
    }
    let far = 10_u64.pow(18);
    for sequence in [far, u64::MAX] {
        fixture.manifest.backend.create(&entry_name(&tenant(), sequence), b"foreign").unwrap();
    }
    let Loaded { state, damaged, .. } = fixture.manifest.load_tenant(&tenant()).unwrap();
    assert_eq!((state.blocks.len(), state.sequence), (3, far));
    assert_eq!(damaged.iter().map(|damaged| damaged.sequence).collect::<Vec<_>>(), [far]);
    // What goes on, goes on behind it.
    let state = fixture.commit(&state, &Change { is_repair: true, ..adds(4) });
    assert_eq!((fixture.state().blocks.len(), state.sequence), (4, far + 1));
}

#[test]
fn what_a_list_may_have_missed_is_asked_for() {
    let all = |listed: &[u64]| without_gaps(listed).collect::<Vec<_>>();
    assert_eq!(all(&[]), [0; 0]);
    assert_eq!(all(&[7]), [7]);
    assert_eq!(all(&[3, 4, 7]), [7, 6, 5, 4, 3]);
    assert_eq!(all(&[3, 3 + GAP_MAX, 10 * GAP_MAX]).len() as u64, GAP_MAX + 2);
    assert_eq!(all(&[3, 4 + GAP_MAX + 1]), [4 + GAP_MAX + 1, 3]);
}

#[test]
fn what_is_committed_is_loaded_over_any_number_of_checkpoints() {
    let fixture = fixture();
    let mut state = State::default();
    for number in 1..=100 {
        let mut change = adds(number);
        if number > 3 {
            change.removed.push((BlockId { writer: 7, number: number - 3 }, Removal::Retention));
            change.forgotten.push(l0(number - 3));
        }
        state = fixture.commit(&state, &change);
        assert_eq!(fixture.state(), state, "{number}");
    }
    assert_eq!(state.blocks.iter().map(|block| block.id.number).collect::<Vec<_>>(), [98, 99, 100]);
    assert_eq!(state.consumed_max[&7], 100);
    let entries = std::fs::read_dir(fixture.dir.path().join("manifest/team-a")).unwrap().count();
    assert!(entries <= 70, "{entries} entries are left");
    let all = fixture.manifest.load(4).unwrap();
    assert_eq!((all.len(), &all[0].tenant), (1, &tenant()));
}

#[test]
fn what_is_small_is_read_in_one_entry() {
    let mut fixture = fixture();
    fixture.manifest.small = 10;
    let mut state = State::default();
    for number in 1..=5 {
        state = fixture.commit(&state, &adds(number));
    }
    // Whatever became of the others.
    for sequence in 1..5u64 {
        let path = fixture.dir.path().join("manifest/team-a").join(format!("{sequence:020}"));
        std::fs::write(path, "damaged").unwrap();
    }
    let all = fixture.manifest.load(4).unwrap();
    assert_eq!((all.len(), all[0].damaged.len(), &all[0].state), (1, 0, &state));
}

#[test]
fn two_writers_never_win_the_same_sequence_and_lose_nothing() {
    let fixture = fixture();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let manifest = &fixture.manifest;
            scope.spawn(move || {
                let mut state = State::default();
                for number in 0..10 {
                    let change = adds(writer * 100 + number);
                    // Whoever loses too often is told to come back.
                    let commit = || manifest.commit(&tenant(), &state, &change, Nanos(1));
                    let again = |error: &Error| error.kind() == Kind::Unavailable;
                    let mut done = commit();
                    while done.as_ref().is_err_and(again) {
                        done = commit();
                    }
                    state = done.unwrap();
                }
            });
        }
    });
    let state = fixture.state();
    assert_eq!((state.blocks.len(), state.sequence), (40, 40));
}

#[test]
fn what_another_writer_has_taken_is_refused() {
    let fixture = fixture();
    fixture.commit(&State::default(), &adds(1));
    // This one has not seen the other's commit.
    let again = fixture.manifest.commit(&tenant(), &State::default(), &adds(1), Nanos(2));
    assert_eq!(again.unwrap_err().kind(), Kind::Refused);
    assert_eq!(fixture.state().blocks.len(), 1);
}

#[test]
fn a_damaged_entry_is_named_and_the_others_count() {
    let fixture = fixture();
    let mut state = State::default();
    for number in 1..=3 {
        state = fixture.commit(&state, &adds(number));
    }
    let path = fixture.dir.path().join("manifest/team-a").join(format!("{:020}", 2));
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        match fixture.manifest.load_tenant(&tenant()) {
            Ok(loaded) => {
                let numbers: Vec<_> =
                    loaded.state.blocks.iter().map(|block| block.id.number).collect();
                assert_eq!(numbers, [1, 3], "byte {at}");
                assert_eq!((loaded.damaged.len(), loaded.damaged[0].sequence), (1, 2));
                assert_eq!(loaded.state.sequence, 3);
            }
            // Only the version is outside of the checksum.
            Err(error) => assert_eq!(error.kind(), Kind::Refused, "byte {at}: {error}"),
        }
    }
}

#[test]
fn blocks_expire_by_their_spans_and_their_upload_both() {
    let mut state = State::default();
    state.apply(1, 1, &adds(1));
    state.apply(
        2,
        2,
        &Change { added: vec![BlockMeta { created_at: 900, ..block(2) }], ..adds(2) },
    );
    state.apply(3, 3, &adds(9));
    assert_eq!(state.expired(Nanos(1_000), Some(Nanos(500))), [BlockId { writer: 7, number: 1 }]);
    assert_eq!(state.expired(Nanos(1_000), None), []);
}

proptest! {
    #[test]
    fn any_bytes_are_an_entry_or_refused(bytes: Vec<u8>) {
        drop(Entry::decode(&bytes, &tenant(), 1));
        let mut framed = MAGIC_FOR_TESTS.to_vec();
        framed.extend_from_slice(&1u32.to_le_bytes());
        framed.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        framed.extend_from_slice(&bytes);
        drop(Entry::decode(&framed, &tenant(), 1));
    }

    #[test]
    fn tenants_have_names_of_their_own(name in "([A-Za-z0-9!_.*'()-]{1,20}|[!.*'()a]{1,150})") {
        if let Ok(tenant) = TenantId::parse(&name) {
            let dir = tenant_dir(&tenant);
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_-%".contains(&b);
            prop_assert!(dir.bytes().all(is_plain) || dir == name);
            prop_assert!(dir.len() <= 190 && dir != "." && dir != "..");
            prop_assert_eq!(tenant_of(&dir), Some(tenant));
        }
    }
}

const MAGIC_FOR_TESTS: &[u8] = b"TWMF";
