//! Which spans are logged, with what, and how many.

use std::io::{self, Write};
use std::sync::Mutex;

use model::wire::{put_bytes, put_message};
use proptest::prelude::*;
use store::Refusal;

use super::*;

#[derive(Debug, Default)]
struct HandClock(Mutex<u64>);

impl Clock for HandClock {
    fn now(&self) -> Nanos {
        Nanos(0)
    }
    fn monotonic(&self) -> Nanos {
        Nanos::from_secs(*self.0.lock().unwrap())
    }
}

/// Two resources; the second has two scopes. Span `n` is named `span n`; number 2 has no id.
fn request() -> bytes::Bytes {
    let mut out = Vec::new();
    let mut number = 0u8;
    for (service, scopes) in [("shop", vec![2]), ("pay", vec![1, 2])] {
        put_message(&mut out, 1, |out| {
            put_message(out, 1, |out| {
                put_message(out, 1, |out| {
                    put_bytes(out, 1, b"service.name");
                    put_message(out, 2, |out| put_bytes(out, 1, service.as_bytes()));
                });
            });
            for spans in scopes {
                put_message(out, 2, |out| {
                    for _ in 0..spans {
                        put_message(out, 2, |out| {
                            let id = if number == 2 { 0 } else { number + 1 };
                            put_bytes(out, 1, &[id; 16]);
                            put_bytes(out, 2, &[id; 8]);
                            put_bytes(out, 5, format!("span {number}").as_bytes());
                        });
                        number += 1;
                    }
                });
            }
        });
    }
    out.into()
}

#[test]
fn spans_are_counted_over_the_whole_request() {
    let body = request();
    let lines: Vec<_> = spans(&body).collect();
    let shown: Vec<_> = lines.iter().map(|l| (l.place, &*l.name, &*l.service)).collect();
    let expected = [
        (0, "span 0", "shop"),
        (1, "span 1", "shop"),
        (2, "span 2", "pay"),
        (3, "span 3", "pay"),
        (4, "span 4", "pay"),
    ];
    assert_eq!(shown, expected);
    assert_eq!(lines[0].trace_id, "01".repeat(16));
    assert_eq!(lines[2].span_id, "00".repeat(8));
}

fn accepted() -> Accepted {
    let refusal =
        Refusal { span: 2, name: "span 2".to_owned(), reason: "trace id is all zeros".to_owned() };
    Accepted { spans: 4, refused: 1, refusals: vec![refusal], ..Accepted::default() }
}

/// What the log says after each of `times` requests within one second, and one in the next.
async fn logged(mode: LogSpans, times: usize) -> String {
    let text = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&text);
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || Lines(Arc::clone(&writer)));
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let clock = Arc::new(HandClock::default());
    let log = SpanLog::new(mode, Arc::<HandClock>::clone(&clock));
    for time in 0..=times {
        *clock.0.lock().unwrap() = u64::from(time == times);
        let ack: Ack = Box::pin(async { Ok(accepted()) });
        let Some(sample) = log.sample(&request()) else { continue };
        let tenant = TenantId::single();
        assert_eq!(sample.told_by(ack, tenant).await.unwrap().spans, 4);
    }
    let text = text.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}

struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn refused_spans_are_logged_with_their_reason() {
    let log = logged(LogSpans::Discarded, 1).await;
    let line = log.lines().next().unwrap();
    for part in [
        "span discarded",
        "tenant=default",
        "trace_id=\"00000000000000000000000000000000\"",
        "name=\"span 2\"",
        "service=\"pay\"",
        "reason=\"trace id is all zeros\"",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[tokio::test]
async fn stored_spans_are_sampled_and_bounded_by_the_second() {
    let log = logged(LogSpans::Received, 100).await;
    assert!(!log.contains("span 2"), "a refused span is not stored: {log}");
    assert!(log.contains("span 0") && log.contains("span 3"));
    let most = (LINES_PER_SECOND + LINES_PER_REQUEST) as usize;
    assert_eq!(log.lines().count(), most);
}

#[tokio::test]
async fn nothing_is_looked_at_when_it_is_off() {
    assert_eq!(logged(LogSpans::Off, 3).await, "");
}

proptest! {
    #[test]
    fn any_bytes_can_be_walked(body: Vec<u8>) {
        prop_assert!(spans(&body).count() <= body.len());
    }
}
