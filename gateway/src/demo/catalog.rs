//! The shop that the demo traces: its services, what they do, and whom they call.
//!
//! A service or an operation is one row. Calls name operations by service and name; the lookup is
//! done once, when the generator starts, and a test follows every row.

pub(super) mod operations;

/// One service and how many pods of it run in each cluster.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) language: Language,
    pub(super) pods: u64,
}

/// What a service is written in: its runtime, its instrumentation, the look of its stack traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Cpp,
    Dotnet,
    Go,
    Java,
    Node,
    Php,
    Python,
    Rust,
}

/// 22 services with 69 pods in each of the three clusters.
pub(super) const SERVICES: [Service; 22] = [
    service("frontend-proxy", Language::Cpp, 4),
    service("frontend", Language::Node, 7),
    service("checkout", Language::Go, 4),
    service("cart", Language::Dotnet, 4),
    service("payment", Language::Node, 4),
    service("product-catalog", Language::Go, 5),
    service("recommendation", Language::Python, 4),
    service("shipping", Language::Rust, 3),
    service("quote", Language::Php, 2),
    service("currency", Language::Cpp, 3),
    service("email", Language::Python, 2),
    service("ad", Language::Java, 3),
    service("accounting", Language::Dotnet, 2),
    service("fraud-detection", Language::Java, 2),
    service("inventory", Language::Go, 3),
    service("search", Language::Java, 4),
    service("account", Language::Java, 3),
    service("auth", Language::Go, 3),
    service("media", Language::Rust, 2),
    service("loyalty", Language::Python, 2),
    service("notification", Language::Node, 1),
    service("postgresql", Language::Cpp, 2),
];

const fn service(name: &'static str, language: Language, pods: u64) -> Service {
    Service { name, language, pods }
}

/// One thing that a service does.
#[derive(Debug)]
pub(super) struct Operation {
    /// The service that does it (for a database that traces nothing: its name).
    pub(super) service: &'static str,
    pub(super) name: &'static str,
    pub(super) form: Form,
    /// The median of its own work, without its calls, in microseconds.
    pub(super) micros: u64,
    pub(super) calls: &'static [Call],
}

/// How an operation is reached, and with it the kinds and attributes of its spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// HTTP: a client span and a server span.
    Http { method: &'static str, route: &'static str },
    /// gRPC: a client span and a server span.
    Rpc { service: &'static str, method: &'static str },
    /// PostgreSQL: a client span, and for a third of the queries a server span as well.
    Sql { operation: &'static str, table: &'static str, text: &'static str },
    /// Valkey: a client span.
    Cache { command: &'static str },
    /// Kafka: a producer span; the consumers' spans follow as calls.
    Publish { topic: &'static str },
    /// Kafka: a consumer span with a link to what it consumes.
    Consume { topic: &'static str },
    /// Inside the service: one internal span.
    Internal { function: &'static str },
}

/// One call of an operation: whom, how likely, how often.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) service: &'static str,
    pub(super) name: &'static str,
    pub(super) per_cent: u64,
    pub(super) times: (u64, u64),
    pub(super) order: Order,
}

/// When a call starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// When the call before it has ended.
    After,
    /// Together with the call before it.
    Beside,
}

/// What comes in from outside: service and name of the first operation, and its share of the
/// traces in hundredths of a per cent (10,000 in all).
pub(super) const ROOTS: [(&str, &str, u64); 7] = [
    ("frontend-proxy", "GET /", 2_380),
    ("frontend-proxy", "GET /products", 3_400),
    ("frontend-proxy", "GET /search", 1_400),
    ("frontend-proxy", "POST /cart", 1_315),
    ("frontend-proxy", "POST /order", 985),
    ("frontend-proxy", "GET /account", 500),
    ("inventory", "reconcile stock", 20),
];
