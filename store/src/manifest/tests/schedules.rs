//! Writers without any coordination, in every order of their operations that a bound on changes of
//! turns allows: processes that stand still at any point while others go on and remove what is old,
//! that are killed there, or whose request fails before or after it did what it should.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex};

use super::*;
use crate::backend::Upload;
use crate::disk::File;

/// What happens to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// It fails, and did nothing.
    Before,
    /// It fails, and did what it should.
    After,
    /// It is done, and the process with it.
    Kill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Between operations.
    Computing,
    /// Before its next one.
    Waiting,
    Done,
}

#[derive(Debug)]
struct World {
    objects: BTreeMap<String, Vec<u8>>,
    status: Vec<Status>,
    /// Who may do an operation, and what happens to it.
    turn: Option<(usize, Fault)>,
    killed: BTreeSet<usize>,
}

/// Objects whose operations are done in turns.
#[derive(Clone, Debug)]
struct Turns {
    world: Arc<(Mutex<World>, Condvar)>,
    /// `None` for whoever looks at the end.
    actor: Option<usize>,
}

fn fault(kind: std::io::ErrorKind) -> Error {
    Error::io("an operation", std::io::Error::new(kind, "as planned"))
}

impl Turns {
    fn operate<T>(&self, operation: impl FnOnce(&mut World) -> T) -> Result<T, Error> {
        let (lock, changed) = &*self.world;
        let mut world = lock.lock().unwrap();
        let Some(actor) = self.actor else { return Ok(operation(&mut world)) };
        let failed = || Err(fault(std::io::ErrorKind::Other));
        if world.killed.contains(&actor) {
            return failed();
        }
        world.status[actor] = Status::Waiting;
        changed.notify_all();
        let is_mine = |world: &mut World| !matches!(world.turn, Some((turn, _)) if turn == actor);
        world = changed.wait_while(world, is_mine).unwrap();
        let (_, what) = world.turn.take().unwrap();
        world.status[actor] = Status::Computing;
        let done = match what {
            Fault::None => Ok(operation(&mut world)),
            Fault::Before => failed(),
            Fault::After => {
                operation(&mut world);
                failed()
            }
            Fault::Kill => {
                operation(&mut world);
                world.killed.insert(actor);
                failed()
            }
        };
        changed.notify_all();
        done
    }
}

impl Backend for Turns {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, Error> {
        self.operate(|world| match world.objects.entry(name.to_owned()) {
            std::collections::btree_map::Entry::Occupied(_) => false,
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(bytes.to_vec());
                true
            }
        })
    }
    fn begin(&self, _: &str) -> Result<Box<dyn Upload>, Error> {
        unreachable!("entries are small")
    }
    fn open(&self, _: &str) -> Result<Arc<dyn File>, Error> {
        unreachable!("entries are read whole")
    }
    fn has(&self, name: &str) -> Result<bool, Error> {
        self.operate(|world| world.objects.contains_key(name))
    }
    fn read(&self, name: &str, _: u64) -> Result<Vec<u8>, Error> {
        let read = self.operate(|world| world.objects.get(name).cloned())?;
        read.ok_or_else(|| fault(std::io::ErrorKind::NotFound))
    }
    fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.operate(|world| {
            let below = |name: &String| {
                let rest = name.strip_prefix(prefix)?.strip_prefix('/')?;
                rest.split('/').next().map(str::to_owned)
            };
            world.objects.keys().filter_map(below).collect::<BTreeSet<_>>().into_iter().collect()
        })
    }
    fn remove(&self, name: &str) -> Result<(), Error> {
        self.operate(|world| drop(world.objects.remove(name)))
    }
    fn set_aside(&self, _: &str, _: &str) -> Result<(), Error> {
        unreachable!("nothing is damaged")
    }
    fn settle(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// Commits one change after the other, on what it knows, and tells how each ended.
fn run(manifest: &Manifest, mut state: State, changes: &[Change]) -> Vec<Result<u64, Kind>> {
    let mut outcomes = Vec::new();
    for change in changes {
        let outcome = manifest.commit(&tenant(), &state, change, Nanos(1));
        outcomes.push(match outcome {
            Ok(after) => {
                state = after;
                Ok(state.sequence)
            }
            Err(error) => Err(error.kind()),
        });
    }
    outcomes
}

/// What one order of operations came to.
struct Run {
    /// At each step: who did it with which fault, and who could have.
    steps: Vec<(usize, Fault, Vec<usize>)>,
}

/// A deviation from letting everybody go on: at this step, this one with this fault.
type Deviation = (usize, usize, Fault);

/// Runs the writers, each on what `first` left, with these deviations; checks what comes out.
fn play(first: &Change, writers: &[Vec<Change>], deviations: &[Deviation]) -> Run {
    let world = World {
        objects: BTreeMap::new(),
        status: vec![Status::Computing; writers.len()],
        turn: None,
        killed: BTreeSet::new(),
    };
    let world = Arc::new((Mutex::new(world), Condvar::new()));
    let manifest = |actor| {
        let turns = Turns { world: Arc::clone(&world), actor };
        // An entry with the whole state, and entries that go, as often as can be.
        Manifest { every: 2, small: 0, ..Manifest::remote(Arc::new(turns)) }
    };
    let begun = manifest(None).commit(&tenant(), &State::default(), first, Nanos(1)).unwrap();
    let mut steps: Vec<(usize, Fault, Vec<usize>)> = Vec::new();
    let outcomes: Vec<Vec<Result<u64, Kind>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = writers
            .iter()
            .enumerate()
            .map(|(actor, changes)| {
                let (manifest, begun, world) = (manifest(Some(actor)), begun.clone(), &world);
                scope.spawn(move || {
                    let outcomes = run(&manifest, begun, changes);
                    world.0.lock().unwrap().status[actor] = Status::Done;
                    world.1.notify_all();
                    outcomes
                })
            })
            .collect();
        let mut current = 0;
        loop {
            let (lock, changed) = &*world;
            let busy = |world: &mut World| {
                world.turn.is_some() || world.status.contains(&Status::Computing)
            };
            let mut world = changed.wait_while(lock.lock().unwrap(), busy).unwrap();
            let waiting = |actor: &usize| world.status[*actor] == Status::Waiting;
            let able: Vec<usize> = (0..writers.len()).filter(waiting).collect();
            let Some(next) = able.first().copied() else { break };
            if !able.contains(&current) {
                current = next;
            }
            let deviation = deviations.iter().find(|(step, ..)| *step == steps.len());
            let (actor, fault) = deviation.map_or((current, Fault::None), |(_, a, f)| (*a, *f));
            current = actor;
            steps.push((actor, fault, able));
            world.turn = Some((actor, fault));
            changed.notify_all();
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let what = || format!("{deviations:?}: {outcomes:?}");
    let loaded = manifest(None).load_tenant(&tenant()).unwrap();
    assert!(loaded.damaged.is_empty(), "{}: {:?}", what(), loaded.damaged);
    let state = loaded.state;
    let has = |id: BlockId| state.blocks.iter().filter(|block| block.id == id).count();
    for (changes, outcomes) in writers.iter().zip(&outcomes) {
        for (change, outcome) in changes.iter().zip(outcomes) {
            let there: Vec<usize> = change.added.iter().map(|block| has(block.id)).collect();
            match outcome {
                Ok(_) => {
                    assert!(there.iter().all(|there| *there == 1), "lost: {}", what());
                    let gone = change.removed.iter().all(|(id, _)| has(*id) == 0);
                    assert!(gone, "still there: {}", what());
                }
                // Whoever was told so removes the blocks.
                Err(Kind::Refused | Kind::Io | Kind::Unavailable) => {
                    assert!(there.iter().all(|there| *there == 0), "in spite of it: {}", what());
                }
                Err(_) => {}
            }
        }
    }
    // It goes on from here.
    let after = manifest(None).commit(&tenant(), &state, &adds(999), Nanos(1)).unwrap();
    assert_eq!(after.blocks.len(), state.blocks.len() + 1);
    Run { steps }
}

/// All orders with so many changes of turns, and so many faults, at most; how many there are.
fn explore(first: &Change, writers: &[Vec<Change>], turns: usize, faults: usize) -> usize {
    let mut open: Vec<(Vec<Deviation>, usize, usize)> = vec![(Vec::new(), turns, faults)];
    let mut played = 0;
    while let Some((deviations, turns, faults)) = open.pop() {
        let run = play(first, writers, &deviations);
        played += 1;
        let from = deviations.last().map_or(0, |(step, ..)| step + 1);
        for (step, (actor, _, able)) in run.steps.iter().enumerate().skip(from) {
            let with = |deviation: Deviation| {
                let mut deviations = deviations.clone();
                deviations.push(deviation);
                deviations
            };
            if turns > 0 {
                for other in able.iter().filter(|other| *other != actor) {
                    open.push((with((step, *other, Fault::None)), turns - 1, faults));
                }
            }
            if faults > 0 {
                for fault in [Fault::Before, Fault::After, Fault::Kill] {
                    open.push((with((step, *actor, fault)), turns, faults - 1));
                }
            }
        }
    }
    played
}

/// What is left out by default, as it takes minutes.
fn is_full() -> bool {
    std::env::var_os("TRACEWEIR_PROVE_MANIFEST").is_some()
}

fn compacts(of: &[u64], into: u64) -> Change {
    let removed = of.iter().map(|n| (BlockId { writer: 7, number: *n }, Removal::Compacted));
    Change { added: vec![block(into)], removed: removed.collect(), ..Change::default() }
}

/// Blocks that are there at first.
fn first() -> Change {
    Change { added: (1..=4).map(block).collect(), ..Change::default() }
}

#[test]
fn a_writer_that_stands_still_while_others_go_on_loses_nothing() {
    // The second goes on for so long that what the first knows is removed.
    let goes_on: Vec<Change> = (20..28).map(adds).collect();
    let writers = [vec![adds(10), adds(11)], goes_on];
    let turns = if is_full() { 3 } else { 2 };
    let played = explore(&first(), &writers, turns, 0);
    assert!(played > 150, "{played}");
}

#[test]
fn a_writer_that_fails_or_dies_anywhere_leaves_the_others_right() {
    let goes_on: Vec<Change> = (20..25).map(adds).collect();
    let writers = [vec![adds(10), adds(11)], goes_on];
    let (turns, faults) = if is_full() { (2, 2) } else { (1, 1) };
    let played = explore(&first(), &writers, turns, faults);
    assert!(played > 400, "{played}");
}

#[test]
fn of_those_that_compact_the_same_blocks_one_wins() {
    let writers = [
        vec![compacts(&[1, 2], 10), adds(11)],
        vec![compacts(&[2, 3], 20), adds(21)],
        vec![adds(30), compacts(&[1, 2, 3, 4], 31)],
    ];
    let (turns, faults) = if is_full() { (3, 1) } else { (2, 0) };
    let played = explore(&first(), &writers, turns, faults);
    assert!(played > 200, "{played}");
}
