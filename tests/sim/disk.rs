//! A disk in memory that forgets, at a power cut, whatever was not synced.
//!
//! A file keeps what its last sync covered; of later writes each sector is kept or lost on its
//! own, and the length is the old or the new one. A name is there as its directory's last sync
//! had it; each later change of a name is kept or lost on its own (a rename within one directory
//! as a whole). After a kill all of that is there, to be lost at a later power cut. A failed sync loses what it should have covered, and the next one does not bring
//! it back. All chance comes from the seed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::disk::{Disk, File};

/// What survives or tears as one.
const SECTOR_BYTES: usize = 512;

/// Chance from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// True `percent` times of a hundred.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Create,
    Open,
    Read,
    Write,
    Allocate,
    SetLen,
    Sync,
    Rename,
    Remove,
    SyncDir,
    CreateDir,
}

/// The simulated disk; clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk(Arc<Mutex<World>>);

#[derive(Debug)]
struct World {
    rng: Rng,
    ops: u64,
    crash_at: Option<u64>,
    crashed: bool,
    capacity: u64,
    faults: Vec<Fault>,
    nodes: BTreeMap<u64, Node>,
    dirs: BTreeMap<PathBuf, Dir>,
    locked: Vec<u64>,
    number: u64,
}

#[derive(Debug)]
struct Fault {
    /// Any, where there is none.
    op: Option<Op>,
    path: String,
    kind: io::ErrorKind,
    /// So many go well before.
    skip: u64,
    times: u64,
    failed: u64,
}

#[derive(Clone, Debug, Default)]
struct Node {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Len(usize),
}

#[derive(Clone, Debug, Default)]
struct Dir {
    now: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    /// Each is a set of names with what they then stand for.
    pending: Vec<Vec<(String, Option<u64>)>>,
}

/// Directories have no node of their own.
const DIRECTORY: u64 = 0;

/// How large the disk is. Space that is kept in reserve is a share of it, and zeros in memory.
const CAPACITY: u64 = 16 << 20;

impl SimDisk {
    /// An empty disk.
    pub(crate) fn new(seed: u64) -> Self {
        let dirs = BTreeMap::from([(PathBuf::from("/"), Dir::default())]);
        Self(Arc::new(Mutex::new(World {
            rng: Rng(seed),
            ops: 0,
            crash_at: None,
            crashed: false,
            capacity: CAPACITY,
            faults: Vec::new(),
            nodes: BTreeMap::new(),
            dirs,
            locked: Vec::new(),
            number: DIRECTORY,
        })))
    }

    /// Cuts the power at the operation after `ops` more of them, half way through it. Reading
    /// does not count.
    pub(crate) fn crash_after(&self, ops: u64) {
        let mut world = self.world();
        world.crash_at = Some(world.ops + ops);
    }

    /// Whether the power was cut.
    pub(crate) fn crashed(&self) -> bool {
        self.world().crashed
    }

    /// Operations that changed something, so far.
    pub(crate) fn ops(&self) -> u64 {
        self.world().ops
    }

    /// Makes the next `times` operations of this kind fail on paths that contain `path`.
    pub(crate) fn fail(&self, op: Op, path: &str, kind: io::ErrorKind, times: u64) {
        let (op, path) = (Some(op), path.to_owned());
        self.world().faults.push(Fault { op, path, kind, skip: 0, times, failed: 0 });
    }

    /// Lets `skip` operations of any kind on such paths go well, reading included, and makes the
    /// next `times` of them fail.
    pub(crate) fn fail_after(&self, skip: u64, path: &str, kind: io::ErrorKind, times: u64) {
        let path = path.to_owned();
        self.world().faults.push(Fault { op: None, path, kind, skip, times, failed: 0 });
    }

    /// Makes nothing fail any more; whether anything was made to.
    pub(crate) fn heal(&self) -> bool {
        std::mem::take(&mut self.world().faults).iter().any(|fault| fault.failed > 0)
    }

    /// Bytes of all files.
    pub(crate) fn used(&self) -> u64 {
        self.world().used()
    }

    /// How many bytes files may have in all.
    pub(crate) fn set_capacity(&self, bytes: u64) {
        self.world().capacity = bytes;
    }

    /// Cuts the power, if that was not done yet: this disk answers nothing but errors from now
    /// on, and the returned one has what survived.
    pub(crate) fn restart(&self) -> Self {
        let mut world = self.world();
        world.crashed = true;
        let mut rng = Rng(world.rng.next());
        let mut next = World {
            rng: Rng(rng.next()),
            ops: 0,
            crash_at: None,
            crashed: false,
            capacity: world.capacity,
            faults: Vec::new(),
            nodes: BTreeMap::new(),
            dirs: BTreeMap::new(),
            locked: Vec::new(),
            number: world.number,
        };
        for (path, dir) in &world.dirs {
            let names = dir.survive(&mut rng);
            next.dirs.insert(
                path.clone(),
                Dir { now: names.clone(), durable: names, pending: Vec::new() },
            );
        }
        // A directory whose own name was lost is gone with all that is in it.
        let whole = next.dirs.clone();
        next.dirs.retain(|path, _| is_reachable(&whole, path));
        for (number, node) in &world.nodes {
            let bytes = node.survive(&mut rng);
            next.nodes
                .insert(*number, Node { now: bytes.clone(), durable: bytes, pending: Vec::new() });
        }
        Self(Arc::new(Mutex::new(next)))
    }

    /// Ends whatever uses this disk, as a kill does: the returned one has all that was written,
    /// which is no more durable than before.
    pub(crate) fn kill(&self) -> Self {
        let next = self.fork();
        self.world().crashed = true;
        let mut world = next.world();
        (world.crashed, world.ops) = (false, 0);
        drop(world);
        next
    }

    /// A copy of this disk as it is now, without its locks: to try several things with one state.
    pub(crate) fn fork(&self) -> Self {
        let world = self.world();
        Self(Arc::new(Mutex::new(World {
            rng: world.rng.clone(),
            ops: world.ops,
            crash_at: None,
            crashed: world.crashed,
            capacity: world.capacity,
            faults: Vec::new(),
            nodes: world.nodes.clone(),
            dirs: world.dirs.clone(),
            locked: Vec::new(),
            number: world.number,
        })))
    }

    /// Starts chance anew: other things are kept at the next power cut.
    pub(crate) fn reseed(&self, seed: u64) {
        self.world().rng = Rng(seed);
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        let world = self.world();
        world.find(path).map(|number| world.nodes[&number].now.clone()).unwrap_or_default()
    }

    /// Replaces the bytes of a file, durably.
    pub(crate) fn set_bytes(&self, path: &Path, bytes: Vec<u8>) {
        let mut world = self.world();
        let number = world.find(path).expect("the file is there");
        let node = Node { now: bytes.clone(), durable: bytes, pending: Vec::new() };
        world.nodes.insert(number, node);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    fn survive(&self, rng: &mut Rng) -> Vec<u8> {
        let keep = [0, 50, 90, 100][usize::try_from(rng.below(4)).unwrap()];
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            match change {
                Change::Len(len) => bytes.resize((*len).max(bytes.len()), 0),
                Change::Write { offset, bytes: written } => {
                    let mut from = 0;
                    while from < written.len() {
                        let edge = (offset + from) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES;
                        let to = (edge - offset).min(written.len());
                        if rng.chance(keep) {
                            put(&mut bytes, offset + from, &written[from..to]);
                        }
                        from = to;
                    }
                }
            }
        }
        let len = if rng.chance(50) { self.durable.len() } else { self.now.len() };
        bytes.resize(len, 0);
        bytes
    }

    fn apply(bytes: &mut Vec<u8>, change: &Change) {
        match change {
            Change::Len(len) => bytes.resize(*len, 0),
            Change::Write { offset, bytes: written } => put(bytes, *offset, written),
        }
    }
}

impl Dir {
    fn survive(&self, rng: &mut Rng) -> BTreeMap<String, u64> {
        let keep = [0, 50, 100][usize::try_from(rng.below(3)).unwrap()];
        let mut names = self.durable.clone();
        for change in &self.pending {
            if rng.chance(keep) {
                set_names(&mut names, change);
            }
        }
        names
    }

    fn change(&mut self, change: Vec<(String, Option<u64>)>) {
        set_names(&mut self.now, &change);
        self.pending.push(change);
    }
}

fn set_names(names: &mut BTreeMap<String, u64>, change: &[(String, Option<u64>)]) {
    for (name, number) in change {
        match number {
            Some(number) => names.insert(name.clone(), *number),
            None => names.remove(name),
        };
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    if bytes.len() < offset + written.len() {
        bytes.resize(offset + written.len(), 0);
    }
    bytes[offset..offset + written.len()].copy_from_slice(written);
}

fn is_reachable(dirs: &BTreeMap<PathBuf, Dir>, path: &Path) -> bool {
    let Some(above) = path.parent() else { return true };
    let named = dirs.get(above).is_some_and(|dir| dir.now.contains_key(&name_of(path)));
    named && is_reachable(dirs, above)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn dir_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl World {
    /// Counts one operation; the error when the power is off or the operation is made to fail.
    /// `true` when the power goes off in the middle of it.
    fn begin(&mut self, op: Op, path: &Path) -> io::Result<bool> {
        if self.crashed {
            return Err(io::Error::other("the power is off"));
        }
        let text = path.to_string_lossy();
        let hit = |fault: &&mut Fault| {
            fault.op.is_none_or(|of| of == op) && fault.times > 0 && text.contains(&fault.path)
        };
        if let Some(fault) = self.faults.iter_mut().find(hit) {
            if fault.skip == 0 {
                fault.times -= 1;
                fault.failed += 1;
                return Err(fault.kind.into());
            }
            fault.skip -= 1;
        }
        if matches!(op, Op::Open | Op::Read) {
            return Ok(false);
        }
        self.ops += 1;
        self.crashed = self.crash_at.is_some_and(|at| self.ops > at);
        Ok(self.crashed)
    }

    fn end(&self) -> io::Result<()> {
        if self.crashed { Err(io::Error::other("the power went off")) } else { Ok(()) }
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        let number = self.dirs.get(&dir_of(path)).and_then(|dir| dir.now.get(&name_of(path)));
        number.copied().filter(|number| *number != DIRECTORY).ok_or_else(not_found)
    }

    fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        self.dirs.get_mut(path).ok_or_else(not_found)
    }

    fn used(&self) -> u64 {
        let numbers = self.dirs.values().flat_map(|dir| dir.now.values());
        numbers.filter_map(|number| self.nodes.get(number)).map(|node| node.now.len() as u64).sum()
    }

    fn room_for(&self, number: u64, len: usize) -> io::Result<()> {
        let more = len.saturating_sub(self.nodes[&number].now.len()) as u64;
        if self.used() + more > self.capacity {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn change(&mut self, number: u64, change: Change) {
        let node = self.nodes.entry(number).or_default();
        Node::apply(&mut node.now, &change);
        node.pending.push(change);
    }

    fn sync(&mut self, number: u64) {
        let node = self.nodes.entry(number).or_default();
        for change in std::mem::take(&mut node.pending) {
            Node::apply(&mut node.durable, &change);
        }
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let Some(above) = dir.parent() else { return Ok(()) };
        if self.world().dirs.contains_key(dir) {
            return Ok(());
        }
        self.create_dir(above)?;
        let mut world = self.world();
        world.begin(Op::CreateDir, dir)?;
        world.dir(above)?.change(vec![(name_of(dir), Some(DIRECTORY))]);
        world.dirs.insert(dir.to_owned(), Dir::default());
        world.end()?;
        drop(world);
        self.sync_dir(above)
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut world = self.world();
        world.begin(Op::Create, path)?;
        world.number += 1;
        let number = world.number;
        let dir = world.dir(&dir_of(path))?;
        if dir.now.contains_key(&name_of(path)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        dir.change(vec![(name_of(path), Some(number))]);
        world.nodes.insert(number, Node::default());
        world.end()?;
        Ok(SimFile::opened(self, number, path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut world = self.world();
        world.begin(Op::Open, path)?;
        let number = world.find(path)?;
        Ok(SimFile::opened(self, number, path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut world = self.world();
        world.begin(Op::Read, dir)?;
        Ok(world.dir(dir)?.now.keys().cloned().collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.begin(Op::Rename, from)?;
        let number = world.find(from)?;
        let (gone, there) = ((name_of(from), None), (name_of(to), Some(number)));
        if from.parent() == to.parent() {
            world.dir(&dir_of(from))?.change(vec![gone, there]);
        } else {
            world.dir(&dir_of(to))?.change(vec![there]);
            world.dir(&dir_of(from))?.change(vec![gone]);
        }
        world.end()
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        // A power cut may leave both.
        self.link(from, to)?;
        self.remove(from)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        let number = world.find(from)?;
        if world.find(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.begin(Op::Rename, from)?;
        world.dir(&dir_of(to))?.change(vec![(name_of(to), Some(number))]);
        world.end()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        // What is not there changes nothing.
        world.find(path)?;
        world.begin(Op::Remove, path)?;
        world.dir(&dir_of(path))?.change(vec![(name_of(path), None)]);
        world.end()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        if !world.begin(Op::SyncDir, dir)? {
            let dir = world.dir(dir)?;
            dir.durable = dir.now.clone();
            dir.pending.clear();
        }
        world.end()
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        let world = self.world();
        Ok(world.capacity.saturating_sub(world.used()))
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    number: u64,
    path: PathBuf,
    locked: AtomicBool,
}

impl SimFile {
    fn opened(disk: &SimDisk, number: u64, path: &Path) -> Arc<dyn File> {
        let (disk, path) = (disk.clone(), path.to_owned());
        Arc::new(Self { disk, number, path, locked: AtomicBool::new(false) })
    }
}

impl File for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut world = self.disk.world();
        world.begin(Op::Read, &self.path)?;
        Ok(world.nodes[&self.number].now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.disk.world();
        world.begin(Op::Read, &self.path)?;
        let bytes = &world.nodes[&self.number].now;
        let from = usize::try_from(offset).unwrap().min(bytes.len());
        let count = buffer.len().min(bytes.len() - from);
        buffer[..count].copy_from_slice(&bytes[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        world.begin(Op::Write, &self.path)?;
        let offset = usize::try_from(offset).unwrap();
        world.room_for(self.number, offset + bytes.len())?;
        world.change(self.number, Change::Write { offset, bytes: bytes.to_vec() });
        world.end()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        world.begin(Op::Allocate, &self.path)?;
        let len = usize::try_from(len).unwrap();
        world.room_for(self.number, len)?;
        if len > world.nodes[&self.number].now.len() {
            world.change(self.number, Change::Len(len));
        }
        world.end()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        world.begin(Op::SetLen, &self.path)?;
        let len = usize::try_from(len).unwrap();
        world.room_for(self.number, len)?;
        world.change(self.number, Change::Len(len));
        world.end()
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.disk.world();
        match world.begin(Op::Sync, &self.path) {
            Ok(false) => world.sync(self.number),
            Ok(true) => {}
            Err(fault) => {
                // The system drops what it could not write, and says so only once.
                if !world.crashed {
                    world.nodes.entry(self.number).or_default().pending.clear();
                }
                return Err(fault);
            }
        }
        world.end()
    }

    fn lock(&self) -> io::Result<bool> {
        let mut world = self.disk.world();
        world.begin(Op::Open, &self.path)?;
        if world.locked.contains(&self.number) {
            return Ok(self.locked.load(Ordering::Relaxed));
        }
        world.locked.push(self.number);
        self.locked.store(true, Ordering::Relaxed);
        Ok(true)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if self.locked.load(Ordering::Relaxed) {
            self.disk.world().locked.retain(|number| *number != self.number);
        }
    }
}
