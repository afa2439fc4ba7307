//! Encodes planned spans as OTLP `Span` messages.
//!
//! What every span of an operation has in common (name, kind, half of the attributes) is encoded
//! once; a span copies it and adds what is its own.

use model::wire::{put_bytes, put_fixed32, put_fixed64, put_u64};

use super::catalog::operations::OPERATIONS;
use super::catalog::{Form, Language, Operation, SERVICES};
use super::exception::{Exception, Exceptions};
use super::plan::{Outcome, Planned, ROOT, Side, Trace};
use super::random::{Random, member, mix};
use super::resource::{Fleet, Pod};
use super::value::{self, Value};

/// The field of `Span` that holds its attributes.
const ATTRIBUTES: u32 = 9;

/// Browsers and other clients that the shop sees.
const USER_AGENTS: [&str; 8] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/26.0 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/141.0.0.0 Mobile Safari/537.36",
    "shop-ios/7.12.0 (build 7120; iOS 18.7)",
    "shop-android/7.11.3 (build 71103; Android 15)",
    "curl/8.16.0",
];

/// What every span of an operation's side has in common.
#[derive(Debug, Default)]
struct Template {
    /// Fields 5 and 6: name and kind.
    name: Vec<u8>,
    /// Some of field 9: the attributes that never vary.
    attributes: Vec<u8>,
}

/// Text of a trace that its spans repeat.
#[derive(Debug, Default)]
struct Texts {
    user: Vec<u8>,
    session: Vec<u8>,
    order: Vec<u8>,
    product: Vec<u8>,
    address: Vec<u8>,
}

/// Encodes the spans of one trace after the other.
#[derive(Debug)]
pub(super) struct Encoder {
    seed: u64,
    templates: Vec<[Template; 2]>,
    exceptions: Exceptions,
    texts: Texts,
    agent: &'static str,
    state: Option<&'static str>,
    /// The root of an earlier trace, for links.
    earlier: ([u8; 16], [u8; 8]),
    value: Vec<u8>,
    nested: Vec<u8>,
}

/// The place of a side's template: callers first, the called second.
const fn end_of(side: Side) -> usize {
    match side {
        Side::Client | Side::Producer => 0,
        Side::Server | Side::Consumer | Side::Internal => 1,
    }
}

impl Encoder {
    pub(super) fn new(seed: u64) -> Self {
        let templates = OPERATIONS.iter().map(|op| {
            let (caller, called) = match op.form {
                Form::Internal { .. } => (Side::Internal, Side::Internal),
                Form::Publish { .. } | Form::Consume { .. } => (Side::Producer, Side::Consumer),
                _ => (Side::Client, Side::Server),
            };
            [template(op, caller), template(op, called)]
        });
        Self {
            seed,
            templates: templates.collect(),
            exceptions: Exceptions::new(seed),
            texts: Texts::default(),
            agent: USER_AGENTS[0],
            state: None,
            earlier: ([1; 16], [1; 8]),
            value: Vec::new(),
            nested: Vec::new(),
        }
    }

    /// Draws what the spans of the trace have in common.
    pub(super) fn begin(&mut self, random: &mut Random, trace: &Trace) {
        let texts = &mut self.texts;
        for text in [&mut texts.user, &mut texts.session, &mut texts.order] {
            text.clear();
        }
        value::uuid(&mut texts.user, user_id(self.seed, trace.user));
        value::uuid(&mut texts.session, random.bytes());
        value::uuid(&mut texts.order, random.bytes());
        texts.product.clear();
        texts.product.extend_from_slice(b"PRD-");
        value::decimal(&mut texts.product, 10_000 + random.below(20_000));
        texts.address.clear();
        for group in 0..4 {
            if group > 0 {
                texts.address.push(b'.');
            }
            value::decimal(&mut texts.address, random.between(1, 254));
        }
        self.agent = random.pick(&USER_AGENTS);
        self.state = random.chance(80_000).then_some("ot=th:c;rv:8f3a1c0e5d7b92");
    }

    /// Remembers the trace for the links of later ones.
    pub(super) fn finish(&mut self, trace: &Trace) {
        if let Some(root) = trace.spans.first() {
            self.earlier = (trace.id, root.id);
        }
    }

    /// Appends the `Span` message (without tag and length).
    pub(super) fn span(
        &mut self,
        out: &mut Vec<u8>,
        random: &mut Random,
        trace: &Trace,
        span: &Planned,
        fleet: &Fleet,
    ) {
        let op = &OPERATIONS[span.op];
        put_bytes(out, 1, &trace.id);
        put_bytes(out, 2, &span.id);
        if let Some(state) = self.state {
            put_bytes(out, 3, state.as_bytes());
        }
        if span.parent != ROOT {
            put_bytes(out, 4, &trace.spans[span.parent].id);
        }
        let template = &self.templates[span.op][end_of(span.side)];
        out.extend_from_slice(&template.name);
        put_fixed64(out, 7, span.start);
        put_fixed64(out, 8, span.end);
        out.extend_from_slice(&template.attributes);
        let peer = &fleet.pods[span.peer];
        match op.form {
            Form::Http { route, .. } => self.http(out, span, peer, route),
            Form::Rpc { .. } => self.rpc(out, random, span, peer),
            Form::Sql { text, .. } => self.sql(out, random, span, peer, text),
            Form::Cache { command } => self.cache(out, random, command),
            Form::Publish { .. } | Form::Consume { .. } => self.message(out, random),
            Form::Internal { .. } => self.internal(out, random),
        }
        self.outcome(out, random, span, SERVICES[fleet.pods[span.pod].service].language);
        self.links(out, random, trace, span);
        if matches!(span.outcome, Outcome::Failed | Outcome::Passed) {
            self.status(out, span);
        }
        // Sampled, the context of the parent known, and not from elsewhere.
        put_fixed32(out, 16, 0x101);
    }

    fn http(&mut self, out: &mut Vec<u8>, span: &Planned, peer: &Pod, route: &str) {
        let texts = &self.texts;
        let path = &mut self.value;
        path.clear();
        if span.side == Side::Client {
            path.extend_from_slice(b"http://");
            path.extend_from_slice(SERVICES[peer.service].name.as_bytes());
            path.extend_from_slice(b":8080");
        }
        let (base, parameter) = route.split_once('{').unwrap_or((route, ""));
        path.extend_from_slice(base.as_bytes());
        match parameter {
            "" => {}
            "user}" => path.extend_from_slice(&texts.user),
            _ => path.extend_from_slice(&texts.product),
        }
        match span.side {
            Side::Client => {
                path.extend_from_slice(b"?session=");
                path.extend_from_slice(&texts.session);
                put(out, "url.full", Value::Raw(path));
                put(out, "network.peer.address", Value::Str(&peer.address));
            }
            _ => {
                put(out, "url.path", Value::Raw(path));
                put(out, "client.address", Value::Raw(&texts.address));
                put(out, "user_agent.original", Value::Str(self.agent));
            }
        }
        put(out, "user.id", Value::Raw(&texts.user));
        if route == "/api/checkout" || route == "/ship-order" {
            put(out, "app.order.id", Value::Raw(&texts.order));
        }
        if span.code != 0 {
            put(out, "http.response.status_code", Value::Int(i64::from(span.code)));
        }
    }

    fn rpc(&self, out: &mut Vec<u8>, random: &mut Random, span: &Planned, peer: &Pod) {
        let status = match span.outcome {
            Outcome::Failed => random.pick(&[2, 4, 13, 14]),
            Outcome::Passed => 13,
            Outcome::Fine | Outcome::Caught => 0,
        };
        put(out, "rpc.grpc.status_code", Value::Int(status));
        put(out, "user.id", Value::Raw(&self.texts.user));
        put(out, "app.product.id", Value::Raw(&self.texts.product));
        let key = if span.side == Side::Client { "network.peer.address" } else { "client.address" };
        put(out, key, Value::Str(&peer.address));
        if span.side == Side::Server {
            put(out, "app.session.id", Value::Raw(&self.texts.session));
        }
    }

    fn sql(
        &mut self,
        out: &mut Vec<u8>,
        random: &mut Random,
        span: &Planned,
        peer: &Pod,
        text: &str,
    ) {
        let id = if text.contains("product_id") || text.contains("FROM products") {
            &self.texts.product
        } else if text.contains("account_id") || text.contains("accounts") {
            &self.texts.user
        } else {
            &self.texts.order
        };
        let query = &mut self.value;
        query.clear();
        query.extend_from_slice(text.as_bytes());
        query.push(b'\'');
        query.extend_from_slice(id);
        query.push(b'\'');
        put(out, "db.query.text", Value::Raw(query));
        put(out, "db.response.returned_rows", int(random.below(50)));
        if span.side == Side::Client {
            put(out, "network.peer.address", Value::Str(&peer.address));
        } else {
            put(out, "postgresql.backend.pid", int(random.between(100, 900)));
            put(out, "postgresql.blocks.hit", int(random.below(4_000)));
            put(out, "postgresql.blocks.read", int(random.below(40)));
            put(out, "client.address", Value::Str(&peer.address));
        }
    }

    fn cache(&mut self, out: &mut Vec<u8>, random: &mut Random, command: &str) {
        let query = &mut self.value;
        query.clear();
        query.extend_from_slice(command.as_bytes());
        query.extend_from_slice(b" shop:");
        query.extend_from_slice(&self.texts.user);
        query.push(b':');
        query.extend_from_slice(&self.texts.product);
        put(out, "db.query.text", Value::Raw(query));
        put(out, "app.cache.hit", Value::Bool(random.chance(870_000)));
        put(out, "db.response.returned_rows", int(random.below(8)));
        put(out, "app.session.id", Value::Raw(&self.texts.session));
    }

    fn message(&mut self, out: &mut Vec<u8>, random: &mut Random) {
        let id = &mut self.value;
        id.clear();
        value::uuid(id, random.bytes());
        put(out, "messaging.message.id", Value::Raw(id));
        put(
            out,
            "messaging.destination.partition.id",
            Value::Str(random.pick(&["0", "1", "2", "3"])),
        );
        put(out, "messaging.kafka.offset", int(random.below(90_000_000)));
        put(out, "messaging.message.body.size", int(random.between(300, 4_000)));
        put(out, "app.order.id", Value::Raw(&self.texts.order));
    }

    fn internal(&self, out: &mut Vec<u8>, random: &mut Random) {
        put(out, "thread.id", int(random.between(1, 64)));
        put(out, "app.items.count", int(random.between(1, 30)));
        let tenths = i32::try_from(random.below(10_000)).unwrap_or_default();
        put(out, "app.score", Value::Double(f64::from(tenths) / 10_000.0));
        put(out, "app.variant", Value::Bool(random.chance(500_000)));
        put(out, "user.id", Value::Raw(&self.texts.user));
        put(out, "app.flags", Value::List(&["new-search", "fast-cart"]));
    }

    /// The exception of a span that failed or caught one, as an event.
    fn outcome(&mut self, out: &mut Vec<u8>, random: &mut Random, span: &Planned, in_: Language) {
        let event = match span.outcome {
            Outcome::Fine | Outcome::Passed => return,
            Outcome::Caught | Outcome::Failed => &mut self.nested,
        };
        event.clear();
        let took = span.end - span.start;
        put_fixed64(event, 1, span.start + took / 10 * 9);
        put_bytes(event, 2, b"exception");
        let Exception { kind, message, stack } =
            self.exceptions.draw(random, in_, &self.texts.order);
        value::attribute(event, 3, "exception.type", Value::Str(kind));
        value::attribute(event, 3, "exception.message", Value::Raw(message));
        value::attribute(event, 3, "exception.stacktrace", Value::Raw(stack));
        if span.outcome == Outcome::Failed {
            put(out, "error.type", Value::Str(kind));
        }
        put_bytes(out, 11, event);
    }

    /// Consumers link to what they consume; some roots to the request before them.
    fn links(&mut self, out: &mut Vec<u8>, random: &mut Random, trace: &Trace, span: &Planned) {
        let (id, linked) = match span.side {
            Side::Consumer if span.parent != ROOT => (trace.id, trace.spans[span.parent].id),
            Side::Server if span.parent == ROOT && random.chance(30_000) => self.earlier,
            _ => return,
        };
        let link = &mut self.nested;
        link.clear();
        put_bytes(link, 1, &id);
        put_bytes(link, 2, &linked);
        value::attribute(link, 4, "opentracing.ref_type", Value::Str("follows_from"));
        put_fixed32(link, 6, 0x101);
        put_bytes(out, 13, link);
    }

    fn status(&mut self, out: &mut Vec<u8>, span: &Planned) {
        let status = &mut self.nested;
        status.clear();
        if span.outcome == Outcome::Failed {
            put_bytes(status, 2, self.exceptions.last().as_bytes());
        }
        put_u64(status, 3, 2);
        put_bytes(out, 15, status);
    }
}

/// The id of a user: the same person has the same id in every trace.
pub(super) fn user_id(seed: u64, user: u64) -> [u8; 16] {
    member(mix(seed), user)
}

fn put(out: &mut Vec<u8>, key: &str, value: Value<'_>) {
    value::attribute(out, ATTRIBUTES, key, value);
}

fn int<'a>(number: u64) -> Value<'a> {
    Value::Int(number.cast_signed())
}

fn template(op: &Operation, side: Side) -> Template {
    let mut name = Vec::new();
    put_bytes(&mut name, 5, op.name.as_bytes());
    let kind = match side {
        Side::Internal => 1,
        Side::Server => 2,
        Side::Client => 3,
        Side::Producer => 4,
        Side::Consumer => 5,
    };
    put_u64(&mut name, 6, kind);
    let mut attributes = Vec::new();
    for (key, value) in common(op, side) {
        put(&mut attributes, key, value);
    }
    Template { name, attributes }
}

/// The attributes that are the same for every span of an operation's side.
fn common(op: &Operation, side: Side) -> Vec<(&'static str, Value<'static>)> {
    let text = Value::Str;
    let client = side == Side::Client;
    match op.form {
        Form::Http { method, .. } if client => vec![
            ("http.request.method", text(method)),
            ("server.address", text(op.service)),
            ("server.port", Value::Int(8080)),
            ("network.protocol.version", text("1.1")),
        ],
        Form::Http { method, route } => vec![
            ("http.request.method", text(method)),
            ("http.route", text(route)),
            ("url.scheme", text("http")),
            ("server.address", text(op.service)),
        ],
        Form::Rpc { service, method } => {
            let mut common = vec![
                ("rpc.system", text("grpc")),
                ("rpc.service", text(service)),
                ("rpc.method", text(method)),
            ];
            match client {
                true => common.extend([
                    ("server.address", text(op.service)),
                    ("server.port", Value::Int(9090)),
                ]),
                false => common.push(("network.transport", text("tcp"))),
            }
            common
        }
        Form::Sql { operation, table, .. } => {
            let mut common = vec![
                ("db.system.name", text("postgresql")),
                ("db.namespace", text("shop")),
                ("db.operation.name", text(operation)),
                ("db.collection.name", text(table)),
            ];
            if client {
                common.extend([
                    ("server.address", text("postgresql")),
                    ("server.port", Value::Int(5432)),
                ]);
            }
            common
        }
        Form::Cache { command } => vec![
            ("db.system.name", text("valkey")),
            ("db.namespace", text("0")),
            ("db.operation.name", text(command)),
            ("server.address", text("valkey")),
            ("server.port", Value::Int(6379)),
        ],
        Form::Publish { topic } => vec![
            ("messaging.system", text("kafka")),
            ("messaging.destination.name", text(topic)),
            ("messaging.operation.type", text("send")),
            ("messaging.operation.name", text("publish")),
        ],
        Form::Consume { topic } => vec![
            ("messaging.system", text("kafka")),
            ("messaging.destination.name", text(topic)),
            ("messaging.operation.type", text("process")),
            ("messaging.consumer.group.name", text(op.service)),
        ],
        Form::Internal { function } => vec![
            ("code.function.name", text(function)),
            ("thread.name", text("worker")),
            ("app.component", text(op.service)),
        ],
    }
}
