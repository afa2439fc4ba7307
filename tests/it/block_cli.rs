//! `traceweir block` over what a real server wrote: what it tells is what was sent, and no damage
//! escapes it.

use std::borrow::Borrow;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use prost::Message;
use serde_json::Value;
use tests::api::hex;
use tests::gateway::{Ended, Gateway, Options, binary, run};
use tests::http::Request;
use tests::otlp;
use tests::random::{Arbitrary, Rng, seed};
use tests::spans::Spans;

fn block(data: &Path, arguments: &[&str]) -> Ended {
    run(binary().arg("block").arg("--data").arg(data).args(arguments))
}

/// The lines of JSON that a command that succeeds prints.
fn lines(data: &Path, arguments: &[&str]) -> Vec<Value> {
    let ended = block(data, arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))
}

fn sum(values: impl IntoIterator<Item = impl Borrow<Value>>) -> u64 {
    values.into_iter().map(|value| value.borrow().as_u64().unwrap()).sum()
}

/// The spans of OTLP/JSON lines, by way of a gateway that takes them.
fn read_back(lines: &[String], trace_ids: &[Vec<u8>]) -> Spans {
    let other = Gateway::start();
    for line in lines {
        let reply = Request::otlp_json(line.as_str()).send(other.at.otlp_http);
        assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{line}: {reply:?}");
    }
    let mut spans = Spans::new();
    for id in trace_ids {
        spans.extend(other.trace(id));
    }
    spans
}

/// A gateway with one block of some traces, and the path of that block.
fn one_block(traces: usize) -> (Gateway, PathBuf) {
    let (gateway, mut rng) = (Gateway::start(), Rng::new(1));
    for _ in 0..traces {
        gateway.export(&otlp::request("shop", otlp::trace(&mut rng, 5)));
    }
    gateway.flush("l1");
    let [listed] = &*lines(gateway.data(), &["ls", "--json"]) else { panic!("not one block") };
    let path = gateway.data().join(text(listed, "file"));
    (gateway, path)
}

#[test]
fn what_is_told_of_blocks_is_what_was_sent() {
    let seed = seed();
    let gateway = Gateway::start();
    let mut arbitrary = Arbitrary::new(Rng::new(seed), 12);
    let mut sent = Spans::new();
    for number in 0..60 {
        let request = arbitrary.request();
        gateway.export(&request);
        sent.add(&request.resource_spans);
        if number == 30 {
            gateway.flush("l1");
        }
    }
    gateway.flush("l1");
    // The server has the directory all the while.
    let data = gateway.data();
    let listed = lines(data, &["ls", "--json"]);
    assert!(listed.len() >= 2, "seed {seed}: {listed:?}");
    let rows = sum(listed.iter().map(|file| &file["header"]["rows"]));
    assert_eq!(rows, sent.len() as u64, "seed {seed}: {listed:?}");

    let mut printed = Vec::new();
    for file in &listed {
        assert_eq!((text(file, "standing"), &file["fault"]), ("live", &Value::Null), "{file}");
        let id = text(file, "id");
        let [told] = &*lines(data, &["inspect", id, "--json"]) else { panic!("no inspection") };
        assert_accounted(told, file);
        let ended = block(data, &["cat", id, "--limit", "100000"]);
        assert_eq!((ended.code, &*ended.err), (Some(0), ""), "seed {seed}");
        printed.extend(ended.out.lines().map(str::to_owned));
    }
    assert_eq!(printed.len(), sent.len(), "seed {seed}");
    let back = read_back(&printed, arbitrary.trace_ids());
    back.with_one_nan().assert_same(&sent.with_one_nan(), &format!("seed {seed}"));

    let verified = block(data, &["verify"]);
    assert_eq!((verified.code, verified.err.as_str()), (Some(0), ""), "seed {seed}: {verified:?}");
    assert_eq!(verified.out.lines().count(), listed.len(), "seed {seed}: {verified:?}");
}

#[test]
fn it_is_told_when_a_block_goes() {
    let gateway = Gateway::start();
    gateway.export(&Arbitrary::new(Rng::new(1), 5).request());
    gateway.flush("l1");
    let of = |settings: &[&str]| {
        let mut arguments = vec!["ls", "--json"];
        arguments.extend(settings);
        let [file] = &*lines(gateway.data(), &arguments) else { panic!("one block") };
        let newest = |of: &str| file["header"][of].as_u64().unwrap();
        let uploaded = newest("created_at").max(file["header"]["starts"][1].as_u64().unwrap());
        file["goes"].as_u64().map(|goes| (goes - uploaded) / 1_000_000_000)
    };
    assert_eq!(of(&[]), Some(14 * 86_400));
    assert_eq!(of(&["--set", "retention.age=0s"]), None);
    assert_eq!(of(&["--set", "retention.tenants={default: 1h}"]), Some(3_600));
    let wrong = block(gateway.data(), &["ls", "--set", "retention.age=soon"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("retention.age"), "{wrong:?}");
}

/// Every byte of the file is a column's, a section's, the directory's or the footer's.
fn assert_accounted(told: &Value, listed: &Value) {
    let bytes = &told["bytes"];
    assert_eq!(bytes["file"], listed["bytes"]);
    let parts = ["columns", "sections", "directory", "footer"];
    let magic = 4;
    assert_eq!(sum(parts.map(|part| &bytes[part])) + magic, sum([&bytes["file"]]), "{told}");
    for part in ["columns", "sections"] {
        let each = told[part].as_array().unwrap().iter().map(|one| &one["bytes"]);
        assert_eq!(sum(each), sum([&bytes[part]]), "{part} of {told}");
    }
    let column = |path: &str| {
        let columns = told["columns"].as_array().unwrap();
        columns.iter().find(|column| column["path"] == path).unwrap_or_else(|| panic!("no {path}"))
    };
    assert_eq!(column("span_id")["values"], listed["header"]["rows"]);
    assert_eq!(column("span_id")["absent"], 0);
    assert_eq!(text(column("span.http.route"), "why"), "pinned");
    assert_eq!(column("trace_id")["encodings"][0], "dictionary");
}

#[test]
fn tables_for_people_name_what_matters() {
    let (gateway, path) = one_block(3);
    let data = gateway.data();
    let id = path.file_stem().unwrap().to_str().unwrap();
    let ls = block(data, &["ls"]);
    assert_eq!(ls.code, Some(0), "{ls:?}");
    let line = ls.out.lines().find(|line| line.starts_with(id)).unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    let tenant = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
    assert_eq!(cells[1..5], ["l1", tenant, "15", "3"], "{line}");
    // The beginning of an id will do, its name below the directory too, and a path without a
    // directory.
    let name = format!("blocks/{tenant}/{id}.parquet");
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.parquet");
    fs::copy(&path, &copy).unwrap();
    let beginning = id.split_at(31).0;
    let copy = copy.to_str().unwrap();
    for (data, wanted) in [(data, beginning), (data, &*name), (Path::new("/nowhere"), copy)] {
        let inspect = block(data, &["inspect", wanted]);
        assert_eq!(inspect.code, Some(0), "{wanted}: {inspect:?}");
        for word in ["span.number", "pinned", "TraceIndex", "15, 3", "events.list.element"] {
            assert!(inspect.out.contains(word), "{word} is not in {}", inspect.out);
        }
    }
}

#[test]
fn cat_prints_a_trace_and_no_more_than_asked_for() {
    let (gateway, path) = one_block(4);
    let (data, path) = (gateway.data(), path.to_str().unwrap());
    let all = lines(data, &["cat", path]);
    assert_eq!(all.len(), 20);
    assert_eq!(lines(data, &["cat", path, "--limit", "7"]).len(), 7);
    let id = |line: &Value| {
        let span = &line["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        text(span, "traceId").to_owned()
    };
    let last = id(&all[19]);
    let of_trace = lines(data, &["cat", path, "--trace", &last]);
    assert_eq!(of_trace, all[15..]);
    assert!(lines(data, &["cat", path, "--trace", "1234"]).is_empty());
    assert_eq!(block(data, &["cat", path, "--trace", "xyz"]).code, Some(2));
}

#[test]
fn tenants_are_told_apart_in_l0_and_blocks() {
    let gateway = Options::new().set("tenancy", "header").start();
    let mut rng = Rng::new(3);
    for (tenant, spans) in [("blue", 3), ("red", 5)] {
        let body = otlp::request(tenant, otlp::trace(&mut rng, spans)).encode_to_vec();
        let reply = Request::otlp(body).header("x-scope-orgid", tenant).send(gateway.at.otlp_http);
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let data = gateway.data();
    for level in ["l0", "l1"] {
        gateway.flush(level);
        for (tenant, spans) in [("blue", 3), ("red", 5), ("green", 0)] {
            let listed = lines(data, &["ls", "--json", "--tenant", tenant]);
            assert_eq!(listed.len(), usize::from(spans > 0), "{level} of {tenant}: {listed:?}");
            let Some(file) = listed.first() else { continue };
            assert_eq!(text(&file["header"], "level"), level);
            let printed = lines(data, &["cat", text(file, "id"), "--tenant", tenant]);
            assert_eq!(printed.len(), spans, "{level} of {tenant}");
            assert!(printed.iter().all(|line| line.to_string().contains(tenant)));
        }
        let verified = block(data, &["verify"]);
        assert_eq!(verified.code, Some(0), "{level}: {verified:?}");
    }
}

#[test]
fn any_byte_that_is_flipped_is_found() {
    let (_gateway, path) = one_block(20);
    let whole = fs::read(&path).unwrap();
    let home = tempfile::tempdir().unwrap();
    let places: Vec<usize> = (0..whole.len()).step_by(97).chain([whole.len() - 1]).collect();
    let name = |place: &usize| home.path().join(format!("{place}.parquet"));
    for place in &places {
        let mut bytes = whole.clone();
        bytes[*place] ^= 1 << (place % 8);
        fs::write(name(place), bytes).unwrap();
    }
    assert!(places.len() > 100, "only {} bytes", whole.len());
    let ended = run(binary().args(["block", "verify", "--json"]).args(places.iter().map(name)));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told: Vec<Value> =
        ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), places.len());
    for (told, place) in told.iter().zip(&places) {
        let file = name(place).display().to_string();
        assert_eq!(text(told, "file"), file);
        let problems = told["problems"].as_array().unwrap();
        assert!(!problems.is_empty(), "byte {place} of {} was flipped unseen", whole.len());
        let names = |problem: &Value| problem.as_str().unwrap().contains(&file);
        assert!(problems.iter().all(names), "{told}");
    }
    // Cut or longer is not what was written either.
    let odd = home.path().join("odd.parquet");
    for bytes in [&whole[..whole.len() - 1], &whole[..whole.len() / 2], &[&*whole, b"\n"].concat()]
    {
        fs::write(&odd, bytes).unwrap();
        let ended = run(binary().args(["block", "verify"]).arg(&odd));
        assert_eq!(ended.code, Some(1), "{} bytes: {ended:?}", bytes.len());
    }
}

#[test]
fn damage_in_a_directory_is_named() {
    let (gateway, path) = one_block(2);
    gateway.export(&otlp::request("shop", otlp::trace(&mut Rng::new(9), 2)));
    gateway.flush("l1");
    let data = gateway.stop();
    let data = data.data();
    let name = path.strip_prefix(data).unwrap().to_str().unwrap().to_owned();
    let whole = fs::read(&path).unwrap();
    let verify = |what: &str| {
        let ended = block(data, &["verify"]);
        assert_eq!(ended.code, Some(1), "{what}: {ended:?}");
        assert!(ended.err.contains(&name), "{what}: {ended:?}");
        assert_eq!(ended.out.lines().filter(|line| line.ends_with(": ok")).count(), 1, "{ended:?}");
        let ls = block(data, &["ls"]);
        assert_eq!((ls.code, ls.out.lines().count()), (Some(0), 3), "{what}: {ls:?}");
    };
    let mut bytes = whole.clone();
    bytes[whole.len() / 3] ^= 4;
    fs::write(&path, bytes).unwrap();
    verify("damaged");
    // Whole, and another one than the manifest names.
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let other = entries.map(|entry| entry.unwrap().path()).find(|other| *other != path).unwrap();
    fs::copy(other, &path).unwrap();
    verify("swapped");
    fs::remove_file(&path).unwrap();
    verify("missing");
    fs::write(&path, whole).unwrap();
    assert_eq!(block(data, &["verify"]).code, Some(0));
    let entries = fs::read_dir(data.join("manifest")).unwrap();
    let tenant = entries.map(|entry| entry.unwrap().path()).next().unwrap();
    let entry = tenant.join(format!("{:020}", 2));
    let mut bytes = fs::read(&entry).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&entry, bytes).unwrap();
    let ended = block(data, &["verify"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("manifest/") && ended.err.contains("checksum"), "{ended:?}");
}

#[test]
fn a_newer_format_is_refused_with_its_number() {
    let (gateway, path) = one_block(2);
    let data = gateway.stop();
    let mut bytes = fs::read(&path).unwrap();
    make_newer(&mut bytes);
    fs::write(&path, bytes).unwrap();
    let file = path.to_str().unwrap();
    for arguments in [&["inspect", file][..], &["cat", file], &["verify", file], &["verify"]] {
        let ended = block(data.data(), arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.err.contains("needs version 9"), "{arguments:?}: {ended:?}");
    }
    let ls = block(data.data(), &["ls"]);
    assert_eq!(ls.code, Some(0), "{ls:?}");
    assert!(ls.out.contains("needs version 9"), "{ls:?}");
}

/// Makes a block one of version 9, with all checksums right.
fn make_newer(bytes: &mut [u8]) {
    let after = |bytes: &[u8], key: &str| {
        let found = bytes.windows(key.len()).rposition(|window| window == key.as_bytes());
        found.unwrap() + key.len()
    };
    // Key and value are strings of the footer, a byte of type and one of length between them.
    let place = after(bytes, "traceweir.directory") + 2;
    let value: Vec<u8> = bytes[place..].iter().copied().take_while(u8::is_ascii_graphic).collect();
    let value = String::from_utf8(value).unwrap();
    let parts: Vec<&str> = value.split(':').collect();
    let start: usize = parts[0].parse().unwrap();
    let directory: Range<usize> = start..start + parts[1].parse::<usize>().unwrap();
    let old = br#""version":2,"#;
    let at = bytes[directory.clone()].windows(old.len()).position(|window| window == old).unwrap();
    bytes[start + at + old.len() - 2] = b'9';
    let crc = format!("{:08x}", crc32c::crc32c(&bytes[directory.clone()]));
    let digits = place + parts[0].len() + parts[1].len() + 2;
    bytes[digits..digits + 8].copy_from_slice(crc.as_bytes());
    let digits = after(bytes, "traceweir.footer_crc") + 2;
    bytes[digits..digits + 8].copy_from_slice(b"00000000");
    let crc = format!("{:08x}", crc32c::crc32c(&bytes[directory.end..]));
    bytes[digits..digits + 8].copy_from_slice(crc.as_bytes());
}

#[test]
fn what_is_not_ours_is_refused() {
    let home = tempfile::tempdir().unwrap();
    for command in ["ls", "verify"] {
        let ended = block(home.path(), &[command]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
    let photo = home.path().join("photo.jpg");
    fs::write(&photo, b"not a block at all").unwrap();
    for arguments in [&["ls"][..], &["verify"], &["inspect", "1234"], &["cat", "1234"]] {
        let ended = block(home.path(), arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.err.contains("photo.jpg"), "{arguments:?}: {ended:?}");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing was made in it");
    for command in ["inspect", "verify", "cat"] {
        let ended = block(home.path(), &[command, photo.to_str().unwrap()]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("photo.jpg"), "{ended:?}");
    }
    let gateway = Gateway::start();
    let ended = block(gateway.data(), &["inspect", "1234"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("1234"), "{ended:?}");
}

#[test]
fn files_that_go_while_a_server_merges_are_no_damage() {
    let gateway = Options::new().set("l0.window", "0s").start();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut rng = Rng::new(5);
            for _ in 0..25 {
                gateway.export(&otlp::request("shop", otlp::trace(&mut rng, 3)));
                gateway.flush("l0");
                gateway.flush("l1");
            }
        });
        while !writer.is_finished() {
            for command in ["ls", "verify"] {
                let ended = block(gateway.data(), &[command]);
                assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{command}: {ended:?}");
            }
        }
    });
    // What compaction replaced is listed until its files go, as such.
    let mut rows = lines(gateway.data(), &["ls", "--json"]);
    rows.retain(|file| file["standing"] == "live");
    assert_eq!(sum(rows.iter().map(|file| &file["header"]["rows"])), 75);
    // Each of the traces is in one place.
    let id = hex(&otlp::trace(&mut Rng::new(5), 3)[0].trace_id);
    let of = |file: &Value| lines(gateway.data(), &["cat", text(file, "id"), "--trace", &id]).len();
    assert_eq!(rows.iter().map(of).sum::<usize>(), 3);
}
