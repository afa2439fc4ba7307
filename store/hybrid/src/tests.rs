//! The cache before a backend that counts what it is asked.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Condvar, Mutex};

use model::ByteSize;
use store::Kind;

use super::*;
use crate::file::CHUNK_BYTES;

/// Objects in memory. While its gate is shut, reads wait.
#[derive(Debug, Default)]
struct Objects {
    all: Mutex<HashMap<String, Bytes>>,
    /// Ranges that were read.
    reads: Mutex<Vec<Range<u64>>>,
    shut: Mutex<bool>,
    opened: Condvar,
    is_away: Mutex<bool>,
}

#[derive(Debug)]
struct Object(Arc<Objects>, Bytes);

impl Objects {
    /// How many reads there were since this was last asked.
    fn reads(&self) -> usize {
        std::mem::take(&mut *self.reads.lock().unwrap()).len()
    }
}

/// A backend is shared, and so is what it counts.
#[derive(Debug)]
struct Far(Arc<Objects>);

struct Uploading(Arc<Objects>, String, Vec<u8>);

impl Upload for Uploading {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.2.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<bool, Error> {
        self.0.all.lock().unwrap().insert(self.1, self.2.into());
        Ok(true)
    }
}

impl Backend for Far {
    fn begin(&self, name: &str) -> Result<Box<dyn Upload>, Error> {
        Ok(Box::new(Uploading(Arc::clone(&self.0), name.to_owned(), Vec::new())))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn File>, Error> {
        let found = self.0.all.lock().unwrap().get(name).cloned();
        let bytes = found.ok_or_else(|| Error::new(Kind::Io, "it is not there"))?;
        Ok(Arc::new(Object(Arc::clone(&self.0), bytes)))
    }

    fn list(&self, _: &str) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        self.0.all.lock().unwrap().remove(name);
        Ok(())
    }

    fn set_aside(&self, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }

    fn settle(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

impl File for Object {
    fn len(&self) -> io::Result<u64> {
        Ok(self.1.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let Self(objects, bytes) = self;
        let mut shut = objects.shut.lock().unwrap();
        while *shut {
            shut = objects.opened.wait(shut).unwrap();
        }
        let begin = usize::try_from(offset).unwrap().min(bytes.len());
        let end = (begin + buffer.len()).min(bytes.len());
        objects.reads.lock().unwrap().push(begin as u64..end as u64);
        if *objects.is_away.lock().unwrap() {
            return Err(io::Error::other("it is away"));
        }
        buffer[..end - begin].copy_from_slice(&bytes[begin..end]);
        Ok(end - begin)
    }
}

/// Bytes that tell where they stand.
fn content(len: u64) -> Vec<u8> {
    (0..len).map(|at| (at / 7 % 251).to_le_bytes()[0]).collect()
}

fn name(number: u64) -> String {
    format!("blocks/t-default/{:016x}{number:016x}.parquet", 1)
}

/// A cache before one block of so many bytes, and a directory of its own.
struct World {
    dir: tempfile::TempDir,
    objects: Arc<Objects>,
    hybrid: Hybrid,
}

/// A clock that stands still.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Nanos {
        OLD.plus(YOUNG)
    }
    fn monotonic(&self) -> Nanos {
        Nanos(1)
    }
}

/// When blocks were written.
const OLD: Nanos = Nanos::from_secs(1_800_000_000);

const LEN: u64 = 40 * CHUNK_BYTES + 100;

impl World {
    fn new(memory: ByteSize, disk: ByteSize) -> Self {
        let (dir, objects) = (tempfile::tempdir().unwrap(), Arc::<Objects>::default());
        objects.all.lock().unwrap().insert(name(1), content(LEN).into());
        let hybrid = open(&objects, dir.path(), memory, disk);
        Self { dir, objects, hybrid }
    }

    /// The same after the process was killed: nothing is closed that is not there on the disk.
    fn again(self, memory: ByteSize, disk: ByteSize) -> Self {
        let Self { dir, objects, hybrid } = self;
        drop(hybrid);
        let hybrid = open(&objects, dir.path(), memory, disk);
        Self { dir, objects, hybrid }
    }

    fn file(&self) -> Arc<dyn File> {
        self.hybrid.open_known(&name(1), LEN, OLD).unwrap()
    }

    /// Waits for what is on its way to the disk.
    fn settle(&self) {
        while self.hybrid.queued_bytes() > 0 {
            std::thread::yield_now();
        }
    }

    fn counts(&self, of: Content) -> [u64; 5] {
        let counts = self.hybrid.stats().of(of).unwrap();
        let Counts { memory_hits, disk_hits, misses, admitted, dropped, .. } = counts;
        [memory_hits, disk_hits, misses, admitted, dropped].map(|counter| counter.get())
    }
}

fn open(objects: &Arc<Objects>, dir: &Path, memory: ByteSize, disk: ByteSize) -> Hybrid {
    let config = Config { memory_bytes_max: memory, disk_bytes_max: disk, dir: String::new() };
    let far = Arc::new(Far(Arc::clone(objects)));
    Hybrid::open(far, &config, &dir.join("cache"), Arc::new(Still)).unwrap()
}

/// Reads a range, and compares it with what is there.
fn check(file: &dyn File, content: Content, range: Range<u64>) {
    let mut buffer = vec![0; usize::try_from(range.end - range.start).unwrap()];
    let read = file.read_as(content, &mut buffer, range.start).unwrap();
    let all = self::content(LEN);
    let end = usize::try_from(range.end).unwrap().min(all.len());
    assert!(buffer[..read] == all[usize::try_from(range.start).unwrap()..end], "{range:?}");
}

const MEMORY: ByteSize = ByteSize::mib(16);
const DISK: ByteSize = ByteSize::mib(256);
const NONE: ByteSize = ByteSize(0);

#[test]
fn what_was_read_is_not_asked_for_again() {
    let world = World::new(MEMORY, NONE);
    let file = world.file();
    for _ in 0..2 {
        check(&*file, Content::Directory, CHUNK_BYTES - 10..CHUNK_BYTES + 10);
        check(&*file, Content::Columns, 5 * CHUNK_BYTES..9 * CHUNK_BYTES);
        // As far as the file goes.
        check(&*file, Content::Pages, LEN - 10..LEN + 10);
        check(&*file, Content::Pages, LEN..LEN + 10);
    }
    assert_eq!(world.objects.reads(), 3);
    assert_eq!(world.counts(Content::Directory), [2, 0, 2, 0, 0]);
    assert_eq!(world.counts(Content::Columns), [4, 0, 4, 0, 0]);
    // What is read once is not kept, and asked for as it is.
    check(&*file, Content::Once, 20 * CHUNK_BYTES..20 * CHUNK_BYTES + 7);
    check(&*file, Content::Once, 20 * CHUNK_BYTES..20 * CHUNK_BYTES + 7);
    let reads = std::mem::take(&mut *world.objects.reads.lock().unwrap());
    assert_eq!(reads, vec![20 * CHUNK_BYTES..20 * CHUNK_BYTES + 7; 2]);
}

#[test]
fn what_was_brought_near_is_read_from_there_and_no_hit() {
    let world = World::new(MEMORY, NONE);
    let file = world.file();
    file.prefetch(Content::Pages, &[0..10, 10 * CHUNK_BYTES..10 * CHUNK_BYTES + 10]);
    assert_eq!(world.objects.reads(), 1, "pages of one trace take one request");
    check(&*file, Content::Pages, 0..10);
    check(&*file, Content::Pages, 10 * CHUNK_BYTES..10 * CHUNK_BYTES + 10);
    assert_eq!(world.objects.reads(), 0);
    assert_eq!(world.counts(Content::Pages), [0, 0, 2, 0, 0]);
    check(&*file, Content::Pages, 0..10);
    assert_eq!(world.counts(Content::Pages), [1, 0, 2, 0, 0]);
    assert!(file.prefetch_bytes_max() > 0);
}

/// Directories of many blocks push out no other index with what was read along.
#[test]
fn what_comes_with_a_directory_is_an_index_once_it_is_read_as_one() {
    let world = World::new(ByteSize::mib(4), DISK);
    let file = world.file();
    let (chance, certain) = (0..9 * CHUNK_BYTES, 9 * CHUNK_BYTES..10 * CHUNK_BYTES);
    check(&*file, Content::TraceIndex, 12 * CHUNK_BYTES..15 * CHUNK_BYTES);
    // 1.3 MiB are kept of indexes: 20 chunks.
    for number in 2..6 {
        world.objects.all.lock().unwrap().insert(name(number), content(LEN).into());
        let other = world.hybrid.open_known(&name(number), LEN, OLD).unwrap();
        other.prefetch(Content::Directory, &[chance.clone(), certain.clone()]);
        assert_eq!(world.objects.reads(), 1 + usize::from(number == 2));
        check(&*other, Content::Directory, certain.clone());
        check(&*other, Content::Tables, 7 * CHUNK_BYTES..9 * CHUNK_BYTES);
    }
    check(&*file, Content::TraceIndex, 12 * CHUNK_BYTES..15 * CHUNK_BYTES);
    assert_eq!(world.objects.reads(), 0);
    world.settle();
    // In whichever part of the disk it is.
    let world = world.again(ByteSize::mib(4), DISK);
    let other = world.hybrid.open_known(&name(3), LEN, OLD).unwrap();
    check(&*other, Content::Tables, 7 * CHUNK_BYTES..10 * CHUNK_BYTES);
    assert_eq!(world.objects.reads(), 0);
}

#[test]
fn what_is_forgotten_is_asked_for_again_also_after_a_restart() {
    let world = World::new(MEMORY, DISK);
    let right = world.objects.all.lock().unwrap().get(&name(1)).cloned().unwrap();
    // Wrong on its way, and kept so.
    let wrong: Bytes = right.iter().map(|byte| byte ^ 1).collect();
    world.objects.all.lock().unwrap().insert(name(1), wrong.clone());
    let mut buffer = [0; 100];
    for content in [Content::Directory, Content::Pages] {
        world.file().read_as(content, &mut buffer, 3 * CHUNK_BYTES).unwrap();
    }
    world.settle();
    world.objects.all.lock().unwrap().insert(name(1), right);
    world.file().read_as(Content::Pages, &mut buffer, 3 * CHUNK_BYTES).unwrap();
    assert_eq!(buffer, wrong[3 * 65_536..][..100]);
    world.hybrid.forget(&name(1), LEN);
    for content in [Content::Directory, Content::Pages] {
        check(&*world.file(), content, 3 * CHUNK_BYTES..3 * CHUNK_BYTES + 100);
    }
    world.settle();
    let world = world.again(MEMORY, DISK);
    check(&*world.file(), Content::Pages, 3 * CHUNK_BYTES..3 * CHUNK_BYTES + 100);
}

#[test]
fn of_many_that_ask_for_the_same_one_asks_the_bucket() {
    let world = World::new(MEMORY, NONE);
    *world.objects.shut.lock().unwrap() = true;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| check(&*world.file(), Content::Tables, 0..3 * CHUNK_BYTES));
        }
        *world.objects.shut.lock().unwrap() = false;
        world.objects.opened.notify_all();
    });
    assert_eq!(world.objects.reads(), 1);
}

#[test]
fn whoever_waits_for_a_fetch_that_fails_asks_by_itself() {
    let world = World::new(MEMORY, NONE);
    *world.objects.is_away.lock().unwrap() = true;
    std::thread::scope(|scope| {
        let read = || world.file().read_as(Content::Tables, &mut [0; 10], 0);
        let reads: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
        assert!(reads.into_iter().all(|read| read.join().unwrap().is_err()));
    });
    *world.objects.is_away.lock().unwrap() = false;
    check(&*world.file(), Content::Tables, 0..10);
}

#[test]
fn scans_take_nothing_from_the_index() {
    let world = World::new(ByteSize::mib(4), DISK);
    let file = world.file();
    check(&*file, Content::TraceIndex, 0..8 * CHUNK_BYTES);
    // More than the whole of it, again and again.
    for number in 2..8 {
        world.objects.all.lock().unwrap().insert(name(number), content(LEN).into());
        let other = world.hybrid.open_known(&name(number), LEN, OLD).unwrap();
        check(&*other, Content::Columns, 0..LEN);
        check(&*other, Content::Columns, 0..LEN);
    }
    world.objects.reads();
    check(&*file, Content::TraceIndex, 0..8 * CHUNK_BYTES);
    assert_eq!(world.objects.reads(), 0);
    assert_eq!(world.counts(Content::TraceIndex)[0], 8);
    assert!(world.hybrid.memory_bytes() <= 4 << 20, "{}", world.hybrid.memory_bytes());
}

#[test]
fn old_columns_go_to_the_disk_when_they_are_read_twice_and_young_ones_at_once() {
    let world = World::new(MEMORY, DISK);
    let columns = |at: Nanos, chunks: Range<u64>| {
        let file = world.hybrid.open_known(&name(1), LEN, at).unwrap();
        check(&*file, Content::Columns, chunks.start * CHUNK_BYTES..chunks.end * CHUNK_BYTES);
        world.counts(Content::Columns)[3]
    };
    assert_eq!(columns(OLD, 0..4), 0);
    assert_eq!(columns(OLD, 0..2), 2);
    assert_eq!(columns(OLD, 0..2), 2);
    assert_eq!(columns(OLD.plus(Nanos(1)), 10..15), 7);
    world.settle();
    let world = world.again(MEMORY, DISK);
    check(&*world.file(), Content::Columns, 0..15 * CHUNK_BYTES);
    assert_eq!(world.counts(Content::Columns)[1], 7);
}

#[test]
fn what_is_on_the_disk_is_there_after_a_restart() {
    let world = World::new(MEMORY, DISK);
    check(&*world.file(), Content::Directory, 0..4 * CHUNK_BYTES);
    check(&*world.file(), Content::Pages, 6 * CHUNK_BYTES..9 * CHUNK_BYTES);
    world.settle();
    assert_eq!(world.hybrid.overflow(), 0);
    let world = world.again(MEMORY, DISK);
    world.objects.reads();
    for _ in 0..2 {
        check(&*world.file(), Content::Directory, 0..4 * CHUNK_BYTES);
        check(&*world.file(), Content::Pages, 6 * CHUNK_BYTES..9 * CHUNK_BYTES);
    }
    assert_eq!(world.objects.reads(), 0);
    assert_eq!(world.counts(Content::Directory), [4, 4, 0, 0, 0]);
    assert_eq!(world.counts(Content::Pages), [3, 3, 0, 0, 0]);
    // Of another size it begins anew, and the old one is gone.
    let world = world.again(MEMORY, ByteSize::mib(512));
    check(&*world.file(), Content::Directory, 0..4 * CHUNK_BYTES);
    assert_eq!(world.objects.reads(), 1);
    let left = fs::read_dir(world.dir.path().join("cache")).unwrap().count();
    assert_eq!(left, 1);
}

/// The files of a cache.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn damaged_bytes_on_the_disk_are_dropped_and_never_served() {
    let world = World::new(MEMORY, DISK);
    check(&*world.file(), Content::Directory, 0..20 * CHUNK_BYTES);
    world.settle();
    let World { dir, objects, hybrid } = world;
    drop(hybrid);
    // A byte in each page but those that tell where entries are.
    let mut damaged = 0;
    for path in files(dir.path()) {
        let file = fs::File::options().read(true).write(true).open(&path).unwrap();
        let all = fs::read(&path).unwrap();
        for (page, bytes) in all.chunks(4096).enumerate().skip(1) {
            if bytes.iter().any(|byte| *byte != 0) {
                let at = page as u64 * 4096 + 2000;
                File::write_at(&file, &[bytes[2000] ^ 1], at).unwrap();
                damaged += 1;
            }
        }
    }
    assert!(damaged > 200, "{damaged} pages");
    objects.reads();
    let hybrid = open(&objects, dir.path(), MEMORY, DISK);
    let world = World { dir, objects, hybrid };
    check(&*world.file(), Content::Directory, 0..20 * CHUNK_BYTES);
    assert!(world.objects.reads() > 0);
    assert_eq!(world.counts(Content::Directory)[1], 0, "no damaged chunk is a hit");
    assert!(world.hybrid.stats().lost.get() > 0);
}

#[test]
fn files_that_are_no_cache_do_no_harm() {
    let world = World::new(MEMORY, DISK);
    check(&*world.file(), Content::Directory, 0..4 * CHUNK_BYTES);
    world.settle();
    let World { dir, objects, hybrid } = world;
    drop(hybrid);
    for (at, path) in files(dir.path()).into_iter().enumerate() {
        let len = fs::metadata(&path).unwrap().len();
        match at % 3 {
            0 => fs::write(&path, vec![0xa5; usize::try_from(len).unwrap()]).unwrap(),
            1 => fs::write(&path, b"").unwrap(),
            _ => fs::remove_file(&path).unwrap(),
        }
    }
    let hybrid = open(&objects, dir.path(), MEMORY, DISK);
    let world = World { dir, objects, hybrid };
    check(&*world.file(), Content::Directory, 0..LEN);
    world.settle();
}

#[test]
fn where_the_disk_cannot_be_used_memory_is() {
    let (dir, objects) = (tempfile::tempdir().unwrap(), Arc::<Objects>::default());
    objects.all.lock().unwrap().insert(name(1), content(LEN).into());
    // A file stands where the directory should.
    fs::write(dir.path().join("cache"), b"x").unwrap();
    let hybrid = open(&objects, dir.path(), MEMORY, DISK);
    let world = World { dir, objects, hybrid };
    world.hybrid.ready();
    assert_eq!(world.hybrid.stats().disk_failed.get(), 1);
    check(&*world.file(), Content::Tables, 0..10);
    check(&*world.file(), Content::Tables, 0..10);
    assert_eq!(world.objects.reads(), 1);
}

#[test]
fn the_index_of_a_block_is_kept_as_it_is_written() {
    let world = World::new(MEMORY, DISK);
    let all = content(LEN);
    let mut upload = world.hybrid.begin(&name(1)).unwrap();
    let begin = usize::try_from(30 * CHUNK_BYTES).unwrap() + 7;
    all[..begin].chunks(100_000).for_each(|part| upload.write(part).unwrap());
    upload.write_as(Content::Terms, &all[begin..begin + 100_000]).unwrap();
    upload.write_as(Content::Directory, &all[begin + 100_000..]).unwrap();
    assert!(upload.finish().unwrap());
    let file = world.file();
    check(&*file, Content::Terms, 30 * CHUNK_BYTES + 7..LEN);
    assert_eq!(world.objects.reads(), 0);
    check(&*file, Content::Columns, 0..CHUNK_BYTES);
    assert_eq!(world.objects.reads(), 1);
    world.settle();
    let world = world.again(MEMORY, DISK);
    check(&*world.file(), Content::Directory, 32 * CHUNK_BYTES..LEN);
    assert_eq!(world.objects.reads(), 0);
}

#[test]
fn an_object_that_is_shorter_than_it_should_be_is_told_and_not_kept() {
    let world = World::new(MEMORY, NONE);
    let file = world.hybrid.open_known(&name(1), LEN + CHUNK_BYTES, OLD).unwrap();
    let mut buffer = vec![0; 200];
    for _ in 0..2 {
        assert_eq!(file.read_as(Content::Directory, &mut buffer, LEN - 50).unwrap(), 50);
    }
    assert_eq!(world.objects.reads(), 2);
}

#[test]
fn only_blocks_are_cached() {
    let world = World::new(MEMORY, NONE);
    for name in ["manifest/t/1", "blocks/t/x.parquet", "quarantine/block--t--1"] {
        world.objects.all.lock().unwrap().insert(name.to_owned(), Bytes::from_static(b"x"));
        for _ in 0..2 {
            let file = world.hybrid.open_known(name, 1, OLD).unwrap();
            assert_eq!(file.read_as(Content::Directory, &mut [0], 0).unwrap(), 1);
        }
        assert_eq!(world.objects.reads(), 2, "{name}");
    }
}
