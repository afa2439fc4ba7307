//! The data directory: one process at a time, no newer format, nobody else's files.

use std::fs;
use std::path::Path;

use tests::gateway::{Gateway, Options};
use tests::otlp;
use tests::random::Rng;

/// Every file below a directory with its length.
fn files(dir: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut rest = vec![dir.to_owned()];
    while let Some(dir) = rest.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                rest.push(entry.path());
            } else {
                found.push((entry.path().display().to_string(), metadata.len()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_second_process_is_refused_and_the_first_goes_on() {
    let gateway = Gateway::start();
    let ended = Options::new().run_on(gateway.data());
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let text = format!("{}{}", ended.out, ended.err);
    assert!(text.contains(&gateway.pid().to_string()), "says who has it: {text}");
    assert!(!text.contains("listening"), "no port was bound: {text}");
    gateway.export(&otlp::request("x", otlp::trace(&mut Rng::new(1), 1)));
    assert_eq!(gateway.get("/ready").status, 200);
}

#[test]
fn a_format_from_the_future_is_refused_and_left_alone() {
    let stopped = Gateway::start().stop();
    let format = stopped.data().join("FORMAT");
    let known = fs::read_to_string(&format).unwrap();
    fs::write(&format, "traceweir 999\n").unwrap();
    let before = files(stopped.data());
    let ended = stopped.run();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("999") && ended.err.contains("newer"), "{ended:?}");
    assert!(!ended.err.contains("listening"), "{ended:?}");
    assert_eq!(files(stopped.data()), before);
    fs::write(&format, known).unwrap();
    drop(stopped.start().stop());
}

#[test]
fn somebody_elses_directory_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("thesis.tex"), "precious").unwrap();
    let ended = Options::new().run_on(home.path());
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("thesis.tex"), "says what is in the way: {ended:?}");
    let left: Vec<_> = files(home.path()).into_iter().map(|(name, _)| name).collect();
    assert!(left.iter().all(|name| name.ends_with("thesis.tex") || name.ends_with("LOCK")));
}

#[test]
fn a_directory_that_is_a_file_or_forbidden_is_told() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "x").unwrap();
    let ended = Options::new().run_on(&file);
    assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
    assert!(ended.err.contains(&file.display().to_string()), "names it: {ended:?}");
    assert!(!ended.err.contains("panicked"), "{ended:?}");
}

#[test]
fn the_writer_id_stays_with_the_directory() {
    let gateway = Gateway::start();
    let id = fs::read(gateway.data().join("WRITER")).unwrap();
    let gateway = gateway.kill_and_restart();
    assert_eq!(fs::read(gateway.data().join("WRITER")).unwrap(), id);
    let other = Gateway::start();
    assert_ne!(fs::read(other.data().join("WRITER")).unwrap(), id);
}
