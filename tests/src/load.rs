//! Several clients that send as fast as the answers come, and remember what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;

use crate::api::hex;
use crate::gateway::{Addresses, Gateway};
use crate::http::Request;
use crate::random::Rng;
use crate::{h2, http, otlp};

/// Traces by id, with the ids of their spans.
pub type Traces = BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>;

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    clients: Vec<JoinHandle<Sent>>,
}

/// Requests, while the clients are at work.
#[derive(Debug, Default)]
struct Counts {
    acked: AtomicU64,
    refused: AtomicU64,
}

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Answered with success.
    pub acked: Traces,
    /// Answered with a retryable refusal.
    pub refused: Traces,
    /// Without an answer: the connection broke.
    pub unanswered: Traces,
    /// Answers of any other kind; a test expects none.
    pub odd: Vec<String>,
}

impl Sent {
    /// Takes over another client's.
    pub fn extend(&mut self, other: Self) {
        self.acked.extend(other.acked);
        self.refused.extend(other.refused);
        self.unanswered.extend(other.unanswered);
        self.odd.extend(other.odd);
    }

    /// How many spans were acknowledged.
    #[must_use]
    pub fn acked_spans(&self) -> usize {
        self.acked.values().map(BTreeSet::len).sum()
    }

    /// Insists that each acknowledged span is there exactly once, and that no other request is
    /// there in part.
    ///
    /// # Panics
    /// When one is missing, twice or half there.
    pub fn assert_kept(&self, gateway: &Gateway, what: &str) {
        assert_eq!(self.odd, [""; 0], "{what}: odd answers");
        for (trace, spans) in &self.acked {
            let found = span_ids(gateway, trace);
            let wanted: Vec<_> = spans.iter().cloned().collect();
            let counts = (found.len(), wanted.len());
            assert!(found == wanted, "{what}: of trace {} {counts:?} spans are there", hex(trace));
        }
        for (trace, spans) in self.unanswered.iter().chain(&self.refused) {
            let found = span_ids(gateway, trace).len();
            let whole = found == 0 || found == spans.len();
            assert!(whole, "{what}: {found} of {} unacknowledged spans", spans.len());
        }
    }
}

/// With repetitions, sorted.
fn span_ids(gateway: &Gateway, trace: &[u8]) -> Vec<Vec<u8>> {
    let reply = gateway.get_protobuf(&format!("/api/traces/{}", hex(trace)));
    if reply.status == 404 {
        return Vec::new();
    }
    assert_eq!(reply.status, 200, "{reply:?}");
    let data = TracesData::decode(reply.body.as_slice()).expect("a TracesData");
    let scopes = data.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    let mut ids: Vec<_> =
        scopes.flat_map(|scope| &scope.spans).map(|span| span.span_id.clone()).collect();
    ids.sort();
    ids
}

/// What one request looks like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Spans of the one trace that a request carries.
    pub spans: usize,
    /// Bytes of an attribute that no two spans share.
    pub filler_bytes: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { spans: 20, filler_bytes: 0 }
    }
}

impl Load {
    /// Starts so many clients, half over gRPC, half over HTTP. Each goes on until
    /// [`Load::stop`], or until its connection breaks.
    #[must_use]
    pub fn start(to: Addresses, clients: u64, shape: Shape, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(Counts::default());
        let client = |number: u64| {
            let (stop, counts) = (Arc::clone(&stop), Arc::clone(&counts));
            let rng = Rng::new(seed.wrapping_add(number.wrapping_mul(0x1_0000_0001)));
            let work = move || work(to, number.is_multiple_of(2), shape, rng, &stop, &counts);
            std::thread::Builder::new().name(format!("client {number}")).spawn(work)
        };
        let clients = (0..clients).map(|number| client(number).expect("a thread")).collect();
        Self { stop, counts, clients }
    }

    /// Requests that were acknowledged so far.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.counts.acked.load(Ordering::Relaxed)
    }

    /// Requests that were refused for now so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.counts.refused.load(Ordering::Relaxed)
    }

    /// Lets the clients finish their request under way and tells what they sent.
    ///
    /// # Panics
    /// When a client did.
    #[must_use]
    pub fn stop(self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Sent::default();
        for client in self.clients {
            all.extend(client.join().expect("a client that does not panic"));
        }
        all
    }
}

enum Client {
    Grpc(h2::Connection),
    Http(http::Connection),
}

/// How a request was answered.
enum Outcome {
    Acked,
    Refused,
    Odd(String),
}

impl Client {
    fn open(to: Addresses, grpc: bool) -> io::Result<Self> {
        if grpc {
            h2::Connection::open(to.otlp_grpc).map(Self::Grpc)
        } else {
            http::Connection::open(to.otlp_http).map(Self::Http)
        }
    }

    fn send(&mut self, message: &impl Message) -> io::Result<Outcome> {
        match self {
            Self::Grpc(connection) => {
                let answer = connection.export(message)?;
                Ok(match answer.code {
                    0 if answer.body.is_empty() => Outcome::Acked,
                    14 => Outcome::Refused,
                    _ => Outcome::Odd(format!("{answer:?}")),
                })
            }
            Self::Http(connection) => {
                let reply = connection.send(&Request::otlp(message.encode_to_vec()))?;
                Ok(match reply.status {
                    200 if reply.body.is_empty() => Outcome::Acked,
                    503 => Outcome::Refused,
                    _ => Outcome::Odd(format!("{reply:?}")),
                })
            }
        }
    }
}

fn work(
    to: Addresses,
    grpc: bool,
    shape: Shape,
    mut rng: Rng,
    stop: &AtomicBool,
    counts: &Counts,
) -> Sent {
    let mut sent = Sent::default();
    let Ok(mut client) = Client::open(to, grpc) else {
        return sent;
    };
    while !stop.load(Ordering::Relaxed) {
        let mut spans = otlp::trace(&mut rng, shape.spans);
        for span in &mut spans {
            let mut filler = hex(&span.span_id);
            filler.extend(std::iter::repeat_n('x', shape.filler_bytes));
            span.attributes.push(otlp::text("filler", &filler));
        }
        let trace = spans.first().map(|span| span.trace_id.clone()).unwrap_or_default();
        let ids = spans.iter().map(|span| span.span_id.clone()).collect();
        match client.send(&otlp::request("load", spans)) {
            Ok(Outcome::Acked) => {
                sent.acked.insert(trace, ids);
                counts.acked.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Outcome::Refused) => {
                sent.refused.insert(trace, ids);
                counts.refused.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Outcome::Odd(answer)) => sent.odd.push(answer),
            Err(_) => {
                sent.unanswered.insert(trace, ids);
                return sent;
            }
        }
    }
    sent
}
