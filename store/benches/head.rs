//! The walk into the head, per span, on frames that `load make` wrote.
//!
//! `FRAMES=FILE cargo bench -p store --bench head`: prints CPU nanoseconds per span (user and
//! system, of this process), heap bytes per span and the bytes of the requests.

use std::io::Read;

use model::{Nanos, TenantId};
use rustix::time::{ClockId, clock_gettime};
use store::head::{Config, Head};

fn cpu_nanos() -> i64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Frames of `[u32 length][u32 spans][bytes]`.
fn frames(path: &str) -> std::io::Result<Vec<(u32, Vec<u8>)>> {
    let mut file = std::io::BufReader::new(std::fs::File::open(path)?);
    let (mut frames, mut head) = (Vec::new(), [0u8; 8]);
    while file.read_exact(&mut head).is_ok() {
        let [a, b, c, d, e, f, g, h] = head;
        let mut body = vec![0; u32::from_le_bytes([a, b, c, d]) as usize];
        file.read_exact(&mut body)?;
        frames.push((u32::from_le_bytes([e, f, g, h]), body));
    }
    Ok(frames)
}

#[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench reports")]
fn main() {
    let Ok(path) = std::env::var("FRAMES") else {
        println!("set FRAMES to a file that `load make` wrote; nothing measured");
        return;
    };
    let frames = frames(&path).expect("the frames are readable");
    let spans: u64 = frames.iter().map(|(spans, _)| u64::from(*spans)).sum();
    let bytes: usize = frames.iter().map(|(_, body)| body.len()).sum();
    for round in 0..3 {
        let head = Head::new(Config::default(), 42);
        let started = cpu_nanos();
        for (_, body) in &frames {
            let mut turn = head.turn().expect("no writer has panicked");
            let now = Nanos::from_secs(1_800_000_000);
            let (_, rows) = turn.append(&TenantId::single(), now, body, &[]).expect("valid OTLP");
            rows.publish();
        }
        let spent = cpu_nanos() - started;
        println!(
            "round {round}: {spans} spans of {:.0} B, walk {:.0} ns/span, head {:.0} B/span",
            bytes as f64 / spans as f64,
            spent as f64 / spans as f64,
            head.stats().bytes.get() as f64 / spans as f64,
        );
    }
}
