//! The real disk, and the data directory on it.

use super::data_dir::DataDir;
use super::*;
use crate::error::Kind;

fn open(dir: &Path, random: u64) -> Result<DataDir, crate::Error> {
    DataDir::open(Arc::new(RealDisk), dir, || Ok(random))
}

#[test]
fn a_file_reads_back_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let file = RealDisk.create_new(&path).unwrap();
    assert!(RealDisk.create_new(&path).is_err());
    file.allocate(0).unwrap();
    file.allocate(8192).unwrap();
    file.allocate(100).unwrap();
    assert_eq!(file.len().unwrap(), 8192);
    file.write_at(b"hello", 4096).unwrap();
    file.sync().unwrap();
    let mut buffer = [1; 8];
    assert_eq!(RealDisk.open(&path).unwrap().read_at(&mut buffer, 4096).unwrap(), 8);
    assert_eq!(&buffer, b"hello\0\0\0");
    assert_eq!(file.read_at(&mut buffer, 8190).unwrap(), 2);
    file.set_len(10).unwrap();
    assert_eq!(file.read_at(&mut buffer, 10).unwrap(), 0);
    RealDisk.rename(&path, &dir.path().join("b")).unwrap();
    RealDisk.sync_dir(dir.path()).unwrap();
    assert_eq!(RealDisk.list(dir.path()).unwrap(), ["b"]);
    RealDisk.remove(&dir.path().join("b")).unwrap();
    assert!(RealDisk.free_bytes(dir.path()).unwrap() > 0);
    assert_ne!(RealDisk.random().unwrap(), RealDisk.random().unwrap());
}

#[test]
fn zeros_take_the_room_where_nothing_can_be_allocated() {
    let dir = tempfile::tempdir().unwrap();
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(dir.path().join("a"))
        .unwrap();
    file.write_all_at(b"kept", 0).unwrap();
    write_zeros(&file, 100_000).unwrap();
    let bytes = fs::read(dir.path().join("a")).unwrap();
    assert_eq!((bytes.len(), &bytes[..6]), (100_000, b"kept\0\0".as_slice()));
}

#[test]
fn a_writer_id_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/er/data");
    assert_eq!(open(&path, 7).unwrap().writer(), 7);
    assert_eq!(open(&path, 8).unwrap().writer(), 7);
}

#[test]
fn a_second_opener_is_refused_and_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), 1).unwrap();
    let refused = open(dir.path(), 1).unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused);
    let pid = std::process::id().to_string();
    assert!(refused.to_string().contains(&pid), "{refused}");
    drop(first);
    open(dir.path(), 1).unwrap();
}

#[test]
fn what_is_not_ours_is_refused_by_name() {
    for (name, text, says) in [
        ("FORMAT", "traceweir 2\n", "newer traceweir"),
        ("FORMAT", "zebra\n", "not ours"),
        ("photo.jpg", "", "photo.jpg"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), text).unwrap();
        let refused = open(dir.path(), 1).unwrap_err();
        assert_eq!(refused.kind(), Kind::Refused);
        assert!(refused.to_string().contains(says), "{refused}");
    }
}

#[test]
fn an_interrupted_first_start_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["LOCK", "WRITER", "WRITER.tmp", "FORMAT.tmp"] {
        fs::write(dir.path().join(name), "junk").unwrap();
    }
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    assert_eq!(open(dir.path(), 9).unwrap().writer(), 9);
    assert_eq!(open(dir.path(), 3).unwrap().writer(), 9);
}
