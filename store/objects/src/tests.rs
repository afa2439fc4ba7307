//! What every backend does, and a store over a bucket.

mod fake;

use fake::{Fake, Loses};
use object_store::memory::InMemory;
use store::backend::{Local, Split};
use store::disk::RealDisk;

use super::*;

fn bucket(objects: &Arc<InMemory>, root: &str) -> Bucket {
    let objects = Arc::clone(objects) as Arc<dyn ObjectStore>;
    Bucket::new(objects, Path::from(root), "memory".to_owned()).unwrap()
}

fn over(loses: Loses) -> Bucket {
    Bucket::new(Arc::new(Fake::new(loses)), Path::from("p"), "fake".to_owned()).unwrap()
}

fn contract(backend: &dyn Backend) {
    assert!(backend.list("blocks").unwrap().is_empty());
    assert!(backend.create("blocks/a/1.parquet", b"one").unwrap());
    assert!(!backend.create("blocks/a/1.parquet", b"other").unwrap());
    assert_eq!(backend.read("blocks/a/1.parquet", 9).unwrap(), b"one");
    assert_eq!(backend.read("blocks/a/1.parquet", 2).unwrap_err().kind(), Kind::Corrupt);
    assert!(backend.open("blocks/a/2.parquet").is_err());

    // Larger than a part, and not a multiple of one.
    let bytes: Vec<u8> = (0..20u32 << 20).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let mut upload = backend.begin("blocks/b/2.parquet").unwrap();
    bytes.chunks(3 << 20).for_each(|part| upload.write(part).unwrap());
    assert!(backend.list("blocks/b").unwrap().is_empty(), "seen before it was finished");
    assert!(upload.finish().unwrap());
    let mut upload = backend.begin("blocks/b/2.parquet").unwrap();
    upload.write(&bytes).unwrap();
    assert!(!upload.finish().unwrap());
    let file = backend.open("blocks/b/2.parquet").unwrap();
    assert_eq!(file.len().unwrap(), 20 << 20);
    let mut some = vec![0; 100];
    assert_eq!(file.read_at(&mut some, 9 << 20).unwrap(), 100);
    assert_eq!(some, bytes[9 << 20..][..100]);
    assert_eq!(file.read_at(&mut some, (20 << 20) - 7).unwrap(), 7);
    assert_eq!(file.read_at(&mut some, 21 << 20).unwrap(), 0);
    drop(backend.begin("blocks/b/3.parquet").unwrap());

    assert_eq!(backend.list("blocks").unwrap(), ["a", "b"]);
    assert_eq!(backend.list("blocks/b").unwrap(), ["2.parquet"]);
    for _ in 0..2 {
        backend.set_aside("blocks/a/1.parquet", "quarantine/block--a--1.parquet").unwrap();
    }
    assert_eq!(backend.list("quarantine").unwrap(), ["block--a--1.parquet"]);
    for _ in 0..2 {
        backend.remove("blocks/b/2.parquet").unwrap();
    }
    backend.settle("blocks/b").unwrap();
    assert!(backend.list("blocks/b").unwrap().is_empty());
    for odd in ["", "../x", "a//b", "/a", "a/", "."] {
        assert!(backend.create(odd, b"").is_err(), "{odd:?}");
    }
}

#[test]
fn a_bucket_and_a_directory_do_the_same() {
    let objects = Arc::new(InMemory::new());
    contract(&bucket(&objects, ""));
    contract(&bucket(&objects, "some/prefix"));
    let dir = tempfile::tempdir().unwrap();
    contract(&Local::new(Arc::new(RealDisk), dir.path()));
}

#[test]
fn what_is_ours_stays_here_and_what_is_shared_does_not() {
    let (dir, objects) = (tempfile::tempdir().unwrap(), Arc::new(InMemory::new()));
    let local = Arc::new(Local::new(Arc::new(RealDisk), dir.path()));
    let there = Arc::new(bucket(&objects, "p"));
    let here = Arc::clone(&local) as Arc<dyn Backend>;
    let split = Split::new(here, Arc::clone(&there) as _, &["blocks", "manifest"], "quarantine");
    for name in ["blocks/t/1", "manifest/t/1", "l0/1"] {
        assert!(split.create(name, b"x").unwrap());
        let (own, other): (&dyn Backend, &dyn Backend) =
            if name == "l0/1" { (&*local, &*there) } else { (&*there, &*local) };
        assert!(own.open(name).is_ok() && other.open(name).is_err(), "{name}");
    }
    split.set_aside("blocks/t/1", "quarantine/block--t--1").unwrap();
    split.set_aside("l0/1", "quarantine/l0--1").unwrap();
    assert_eq!(split.list("quarantine").unwrap(), ["block--t--1", "l0--1"]);
    assert_eq!(there.list("quarantine").unwrap(), ["block--t--1"]);
    assert_eq!(split.list("blocks").unwrap(), there.list("blocks").unwrap());
}

#[test]
fn of_many_that_create_the_same_one_wins() {
    let bucket = bucket(&Arc::new(InMemory::new()), "p");
    let won = std::thread::scope(|scope| {
        let create = |n: u8| {
            let bucket = &bucket;
            scope.spawn(move || bucket.create("manifest/t/1", &[n]).unwrap())
        };
        let all: Vec<_> = (0..8).map(create).collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(won, 1);
    assert_eq!(bucket.stats().puts.get(), 8);
}

#[test]
fn what_cannot_be_a_bucket_says_why() {
    let why =
        |url: &str| Bucket::open(url, &Settings::default()).map(drop).unwrap_err().to_string();
    assert!(why("s3//x").contains("no URL"));
    assert_eq!(why("ftp://x/y"), "only s3://, gs:// and az:// are buckets");
    assert!(why("s3://key:secret@bucket/x").contains("secrets"));
    let settings = Settings {
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        region: Some("us-east-1".to_owned()),
        is_path_style: true,
        timeout: std::time::Duration::from_millis(200),
        retry: std::time::Duration::from_millis(1),
        ..Settings::default()
    };
    let bucket = Bucket::open("s3://bucket/some/prefix", &settings).unwrap();
    let error = bucket.list("blocks").unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.to_string().contains("list some/prefix/blocks"), "{error}");
    assert_eq!(bucket.stats().failed.get(), 1);
}

#[test]
fn what_an_attempt_before_has_made_is_ours() {
    let bucket = over(Loses::AnAnswer);
    assert!(bucket.create("manifest/t/1", b"ours").unwrap());
    assert!(!bucket.create("manifest/t/1", b"other").unwrap());
    assert_eq!(bucket.read("manifest/t/1", 9).unwrap(), b"ours");
}

#[test]
fn what_may_be_there_or_not_is_told_so() {
    for loses in [Loses::AllAnswers, Loses::Requests] {
        let bucket = over(loses);
        let error = bucket.create("manifest/t/1", b"ours").unwrap_err();
        assert_eq!(error.kind(), Kind::Fatal, "{loses:?}");
        assert_eq!(bucket.open("manifest/t/1").is_ok(), loses == Loses::AllAnswers);
        // Of a block nobody asks.
        let mut upload = bucket.begin("blocks/t/1").unwrap();
        upload.write(b"a block").unwrap();
        assert_eq!(upload.finish().unwrap_err().kind(), Kind::Io, "{loses:?}");
    }
}

#[test]
fn an_upload_in_parts_is_finished_where_only_its_answer_is_lost() {
    for (loses, is_finished) in [(Loses::AllAnswers, true), (Loses::Requests, false)] {
        let bucket = over(loses);
        let mut upload = bucket.begin("blocks/t/1").unwrap();
        upload.write(&vec![7; 9 << 20]).unwrap();
        upload.write(&[8; 100]).unwrap();
        assert_eq!(upload.finish().unwrap_or(false), is_finished, "{loses:?}");
        let file = bucket.open("blocks/t/1").map(|file| file.len().unwrap());
        assert_eq!(file.ok(), is_finished.then_some((9 << 20) + 100));
    }
}

#[test]
fn no_more_requests_are_under_way_than_may_be() {
    let limits = Limits { requests_max: 1, ..Limits::default() };
    let objects = Arc::new(InMemory::new());
    let bucket =
        Bucket::with(objects, Path::from("p"), "memory".to_owned(), limits, Arc::default());
    let bucket = bucket.unwrap();
    let taken = bucket.client.handle.block_on(bucket.client.begin());
    assert_eq!(bucket.stats().in_flight.get(), 1);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| bucket.list("blocks"));
        until(|| bucket.stats().waits.get() == 1);
        assert!(!waiting.is_finished());
        drop(taken);
        assert!(waiting.join().unwrap().unwrap().is_empty());
    });
    assert_eq!(bucket.stats().in_flight.get(), 0);
}

#[test]
fn ranges_are_read_in_their_order_and_several_at_a_time() {
    let limits = Limits { requests_max: 2, ..Limits::default() };
    let objects = Arc::new(InMemory::new());
    let bucket =
        Bucket::with(objects, Path::from("p"), "memory".to_owned(), limits, Arc::default());
    let bucket = bucket.unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    bucket.create("a", &bytes).unwrap();
    let file = bucket.open_known("a", 256, Nanos(0)).unwrap();
    let ranges: Vec<_> = (0..20).map(|at| at * 13..at * 13 + 9).collect();
    let asked = bucket.stats().gets.get();
    let read = file.read_ranges(&ranges).unwrap();
    for (range, read) in ranges.iter().zip(&read) {
        let end = range.end.min(256);
        assert_eq!(
            read,
            &bytes[usize::try_from(range.start).unwrap()..usize::try_from(end).unwrap()]
        );
    }
    assert_eq!((read.len(), bucket.stats().gets.get() - asked), (20, 20));
    // Those that follow each other are one.
    let read = file.read_ranges(&[3..10, 10..40, 40..41, 50..60]).unwrap();
    let lengths: Vec<_> = read.iter().map(Bytes::len).collect();
    assert_eq!((lengths, bucket.stats().gets.get() - asked), (vec![7, 30, 1, 10], 22));
    assert_eq!((read[1][0], read[2][0], read[3][0]), (10, 40, 50));
    // It is longer than what is there: no end of the object, and no block that is damaged.
    let file = bucket.open_known("a", 300, Nanos(0)).unwrap();
    let fault = file.read_ranges(&[250..290, 290..295]).unwrap_err();
    assert_eq!(fault.kind(), std::io::ErrorKind::UnexpectedEof, "{fault}");
}

/// Waits for something that another thread is about to do.
fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}

#[test]
fn credentials_are_taken_as_they_are_given_and_checked() {
    let settings = Settings {
        access_key_id: model::Secret::new("id"),
        secret_access_key: model::Secret::new("key"),
        account: Some("account".to_owned()),
        account_key: model::Secret::new("no base64!"),
        service_account_file: Some("/nonexistent/account.json".to_owned()),
        ..Settings::default()
    };
    assert!(check("s3://bucket/x", &settings).is_ok());
    // What cannot be a key, or be read, is told before anybody is asked.
    let why = check("az://container/x", &settings).unwrap_err().to_string();
    assert!(!why.contains("no base64!"), "{why}");
    let why = check("gs://bucket/x", &settings).unwrap_err().to_string();
    assert!(why.contains("/nonexistent/account.json"), "{why}");
    let settings = Settings {
        account: Some("account".to_owned()),
        sas_token: model::Secret::new("?sv=2021-10-04&sig=x"),
        ..Settings::default()
    };
    assert!(check("az://container/x", &settings).is_ok());
    assert!(!format!("{settings:?}").contains("sig=x"));
}

#[test]
fn a_bucket_may_stand_in_the_path_or_in_the_host() {
    let shown = |is_path_style| {
        let settings = Settings {
            endpoint: Some("https://localhost.invalid:9000".to_owned()),
            access_key_id: model::Secret::new("id"),
            secret_access_key: model::Secret::new("key"),
            is_path_style,
            timeout: std::time::Duration::from_millis(500),
            ..Settings::default()
        };
        let bucket = Bucket::open("s3://traces/x", &settings).unwrap();
        bucket.open("blocks/t/1").unwrap_err().to_string()
    };
    assert!(shown(true).contains("https://localhost.invalid:9000/traces/x/blocks/t/1"));
    assert!(shown(false).contains("https://traces.localhost.invalid:9000/x/blocks/t/1"));
    let settings =
        Settings { endpoint: Some("http://127.0.0.1:9".to_owned()), ..Settings::default() };
    assert!(check("s3://traces/x", &settings).is_err(), "an address takes no name before it");
}
