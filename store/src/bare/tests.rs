//! A directory that a server has is listed as it is; what is wrong in it is told.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use model::wire::{put_bytes, put_message};
use model::{ByteSize, Nanos, TenantId};

use super::{Bare, Found, Listed, Standing};
use crate::backend::{Backend, Local};
use crate::disk::RealDisk;
use crate::disk::read_only::ReadOnlyDisk;
use crate::tests::Still;
use crate::{Append, Config, Kind, Level, Store};

/// A store that runs all the while.
struct World {
    _home: tempfile::TempDir,
    data: PathBuf,
    store: Store,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        let mut config = Config::default();
        config.head.bytes_max = ByteSize::mib(16);
        config.wal.segment_bytes = ByteSize::mib(1);
        let (disk, random) = (Arc::new(RealDisk), || Ok(7));
        let store = Store::open(disk, &data, &config, Arc::new(Still), random).unwrap();
        store.replay().unwrap();
        Self { _home: home, data, store }
    }

    fn append(&self, tenant: &str, trace: u8) {
        let mut body = Vec::new();
        put_message(&mut body, 1, |rs| {
            put_message(rs, 2, |ss| {
                put_message(ss, 2, |span| {
                    put_bytes(span, 1, &[trace; 16]);
                    put_bytes(span, 2, &[trace; 8]);
                });
            });
        });
        let received_at = Nanos::from_secs(1_000);
        let (tenant, body) = (tenant_id(tenant), Bytes::from(body));
        self.store.append(Append { tenant, received_at, body }).unwrap();
    }

    /// A block of a tenant.
    fn block(&self, tenant: &str, trace: u8) {
        self.append(tenant, trace);
        self.store.flush(Level::L1).unwrap();
    }

    fn look(&self) -> Bare {
        Bare::open(Arc::new(ReadOnlyDisk), &self.data, None).unwrap()
    }

    fn list(&self) -> Found {
        self.look().list().unwrap()
    }

    fn path(&self, listed: &Listed) -> PathBuf {
        self.data.join(&listed.name)
    }
}

fn tenant_id(tenant: &str) -> TenantId {
    TenantId::parse(tenant).unwrap()
}

fn standings(found: &Found) -> Vec<Standing> {
    found.files.iter().map(|file| file.standing).collect()
}

fn fault(listed: &Listed) -> String {
    listed.header.as_ref().unwrap_err().to_string()
}

#[test]
fn l0_and_blocks_are_listed_while_the_store_runs() {
    let world = World::new();
    assert!(world.list().files.is_empty());
    world.block("one", 1);
    world.append("one", 2);
    world.append("two", 3);
    world.store.flush(Level::L0).unwrap();
    let found = world.list();
    assert!(found.damage.is_empty());
    let [l0, block] = &*found.files else { panic!("{found:?}") };
    assert_eq!(l0.tenants, [tenant_id("one"), tenant_id("two")]);
    assert_eq!(l0.header.as_ref().unwrap().rows, 2);
    assert_eq!(l0.header.as_ref().unwrap().number.to_string(), l0.id);
    assert_eq!((&*block.tenants, block.id.len()), (&[tenant_id("one")][..], 32));
    assert_eq!(block.header.as_ref().unwrap().level, Level::L1);
    assert_eq!(standings(&found), [Standing::Live, Standing::Live]);
    for file in [l0, block] {
        assert_eq!(file.bytes, fs::metadata(world.path(file)).unwrap().len());
        assert!(world.look().file(&file.name).unwrap().is_some());
    }
    assert!(world.look().file("l0/none").unwrap().is_none());
}

#[test]
fn a_merged_l0_that_still_stands_there_is_told() {
    let world = World::new();
    world.append("one", 1);
    world.store.flush(Level::L0).unwrap();
    let l0 = world.path(&world.list().files[0]);
    let bytes = fs::read(&l0).unwrap();
    world.store.flush(Level::L1).unwrap();
    fs::write(&l0, bytes).unwrap();
    assert_eq!(standings(&world.list()), [Standing::Merged, Standing::Live]);
}

#[test]
fn a_block_that_should_be_there_is_missing() {
    let world = World::new();
    world.block("one", 1);
    world.block("one", 2);
    let removed = world.list().files.remove(0);
    fs::remove_file(world.path(&removed)).unwrap();
    let found = world.list();
    assert_eq!(standings(&found), [Standing::Live, Standing::Missing]);
    assert_eq!(found.files[1].id, removed.id);
    assert!(fault(&found.files[1]).contains("is not there"), "{found:?}");
    // All of a tenant's are missing, and their directory.
    fs::remove_dir_all(world.data.join("blocks")).unwrap();
    assert_eq!(standings(&world.list()), [Standing::Missing, Standing::Missing]);
}

#[test]
fn a_block_without_an_entry_is_unnamed() {
    let world = World::new();
    world.block("one", 1);
    let named = world.path(&world.list().files[0]);
    fs::copy(&named, named.with_file_name(format!("{:032x}.parquet", 1))).unwrap();
    assert_eq!(standings(&world.list()), [Standing::Unnamed, Standing::Live]);
}

#[test]
fn a_file_in_the_place_of_another_is_told() {
    let world = World::new();
    world.block("one", 1);
    world.block("one", 2);
    let found = world.list();
    fs::copy(world.path(&found.files[0]), world.path(&found.files[1])).unwrap();
    let found = world.list();
    assert!(found.files[0].header.is_ok());
    assert!(fault(&found.files[1]).contains("not the block that the manifest names"), "{found:?}");
}

#[test]
fn a_damaged_file_is_listed_with_what_is_wrong() {
    let world = World::new();
    world.block("one", 1);
    let block = world.path(&world.list().files[0]);
    fs::write(&block, b"PAR1 and then nothing").unwrap();
    let found = world.list();
    assert_eq!(found.files[0].header.as_ref().unwrap_err().kind(), Kind::Corrupt);
    assert!(fault(&found.files[0]).contains("blocks/one/"), "{found:?}");
}

#[test]
fn damage_beside_the_files_is_told() {
    let world = World::new();
    world.block("one", 1);
    world.block("one", 2);
    let entry = world.data.join(format!("manifest/one/{:020}", 2));
    let mut bytes = fs::read(&entry).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&entry, bytes).unwrap();
    let aside = world.data.join("quarantine");
    fs::create_dir_all(&aside).unwrap();
    fs::write(aside.join("block--two--1.parquet"), b"").unwrap();
    fs::write(aside.join("notes of the operator"), b"").unwrap();
    let found = world.list();
    // The block that the entry added is known to nobody now.
    assert_eq!(standings(&found), [Standing::Live, Standing::Unnamed]);
    let [entry, aside] = &*found.damage else { panic!("{found:?}") };
    assert_eq!(entry.tenant, Some(tenant_id("one")));
    assert!(entry.what.contains("checksum mismatch"), "{entry:?}");
    assert_eq!(aside.tenant, Some(tenant_id("two")));
    assert!(aside.what.contains("quarantine/block--two--1.parquet"), "{aside:?}");
}

#[test]
fn a_directory_that_is_not_ours_is_refused_with_what_was_found() {
    let home = tempfile::tempdir().unwrap();
    let open = || Bare::open(Arc::new(ReadOnlyDisk), home.path(), None).unwrap_err();
    assert_eq!(open().kind(), Kind::Refused);
    fs::write(home.path().join("photo.jpg"), b"").unwrap();
    let error = open();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("photo.jpg"), "{error}");
    fs::write(home.path().join("FORMAT"), b"traceweir 999\n").unwrap();
    let error = open();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("999"), "{error}");
}

#[test]
fn blocks_are_looked_at_where_they_are() {
    let world = World::new();
    world.block("one", 1);
    let far: Arc<dyn Backend> = Arc::new(Local::new(Arc::new(ReadOnlyDisk), &world.data));
    let own = tempfile::tempdir().unwrap();
    let open = |dir: &str, url| {
        let bucket = Some((url, Arc::clone(&far)));
        Bare::open(Arc::new(ReadOnlyDisk), &own.path().join(dir), bucket)
    };
    // The server's directory is on another machine.
    assert_eq!(open("none", "s3://a").unwrap().list().unwrap().files.len(), 1);
    for (dir, bucket) in [("here", "s3://a\n"), ("there", "s3://b\n")] {
        fs::create_dir(own.path().join(dir)).unwrap();
        fs::write(own.path().join(dir).join("FORMAT"), b"traceweir 1\n").unwrap();
        fs::write(own.path().join(dir).join("BUCKET"), bucket).unwrap();
    }
    assert_eq!(open("here", "s3://a").unwrap().list().unwrap().files.len(), 1);
    let error = open("there", "s3://a").unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("s3://b"), "{error}");
    let error = open("", "s3://a").unwrap_err();
    assert!(error.to_string().contains("not in s3://a"), "{error}");
    let error = Bare::open(Arc::new(ReadOnlyDisk), &own.path().join("here"), None).unwrap_err();
    assert!(error.to_string().contains("bucket.url=s3://a"), "{error}");
}
