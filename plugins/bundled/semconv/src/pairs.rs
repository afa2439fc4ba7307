//! The table: what an attribute was called, and what it is called now. From the migration guides of OpenTelemetry's
//! semantic conventions for HTTP (1.23), databases (1.33) and deployments (1.27).

use serde::Deserialize;
use traceweir_plugin::Owner;

/// Of what a key is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Group {
    /// HTTP, and the network below it.
    Http,
    /// Databases.
    Database,
    /// `deployment.environment`.
    Deployment,
}

/// On which spans a pair holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// All.
    All,
    /// Those that ask: client and producer.
    Asking,
    /// Those that are asked: server and consumer.
    Asked,
}

impl On {
    /// Whether it holds on spans of this kind, as OTLP numbers them.
    pub(crate) fn holds(self, kind: u8) -> bool {
        match self {
            Self::All => true,
            Self::Asking => matches!(kind, 3 | 4),
            Self::Asked => matches!(kind, 2 | 5),
        }
    }
}

/// How values differ.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values {
    /// They do not.
    Same,
    /// These texts do: old, new.
    Texts(&'static [(&'static str, &'static str)]),
    /// The new one is the path of the old one.
    Path,
    /// The new one is the query of the old one, which has a row for its path, too.
    Query,
}

/// One attribute by two keys.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) group: Group,
    pub(crate) owner: Owner,
    pub(crate) old: &'static str,
    pub(crate) new: &'static str,
    pub(crate) on: On,
    pub(crate) values: Values,
}

const fn http(old: &'static str, new: &'static str, on: On, values: Values) -> Pair {
    Pair { group: Group::Http, owner: Owner::Span, old, new, on, values }
}

const fn db(old: &'static str, new: &'static str, values: Values) -> Pair {
    Pair { group: Group::Database, owner: Owner::Span, old, new, on: On::All, values }
}

/// Where several old keys have become one, the first is the one that it becomes again.
#[rustfmt::skip]
pub(crate) const PAIRS: &[Pair] = &[
    http("http.method", "http.request.method", On::All, Values::Same),
    http("http.status_code", "http.response.status_code", On::All, Values::Same),
    http("http.request_content_length", "http.request.body.size", On::All, Values::Same),
    http("http.response_content_length", "http.response.body.size", On::All, Values::Same),
    http("http.resend_count", "http.request.resend_count", On::All, Values::Same),
    http("http.url", "url.full", On::All, Values::Same),
    http("http.target", "url.path", On::All, Values::Path),
    http("http.target", "url.query", On::All, Values::Query),
    http("http.scheme", "url.scheme", On::All, Values::Same),
    http("http.user_agent", "user_agent.original", On::All, Values::Same),
    http("http.client_ip", "client.address", On::Asked, Values::Same),
    http("net.host.name", "server.address", On::Asked, Values::Same),
    http("net.host.port", "server.port", On::Asked, Values::Same),
    http("net.peer.name", "server.address", On::Asking, Values::Same),
    http("net.peer.port", "server.port", On::Asking, Values::Same),
    http("net.peer.port", "client.port", On::Asked, Values::Same),
    http("net.protocol.name", "network.protocol.name", On::All, Values::Same),
    http("net.protocol.version", "network.protocol.version", On::All, Values::Same),
    http("http.flavor", "network.protocol.version", On::All, Values::Texts(&[("2.0", "2"), ("3.0", "3")])),
    http("net.transport", "network.transport", On::All, Values::Texts(&[("ip_tcp", "tcp"), ("ip_udp", "udp")])),
    http("net.sock.peer.addr", "network.peer.address", On::All, Values::Same),
    http("net.peer.ip", "network.peer.address", On::All, Values::Same),
    http("net.sock.peer.port", "network.peer.port", On::All, Values::Same),
    http("net.sock.host.addr", "network.local.address", On::All, Values::Same),
    http("net.host.ip", "network.local.address", On::All, Values::Same),
    http("net.sock.host.port", "network.local.port", On::All, Values::Same),
    db("db.system", "db.system.name", Values::Texts(SYSTEMS)),
    db("db.statement", "db.query.text", Values::Same),
    db("db.operation", "db.operation.name", Values::Same),
    db("db.name", "db.namespace", Values::Same),
    db("db.sql.table", "db.collection.name", Values::Same),
    db("db.mongodb.collection", "db.collection.name", Values::Same),
    db("db.cassandra.table", "db.collection.name", Values::Same),
    db("db.cosmosdb.container", "db.collection.name", Values::Same),
    Pair {
        group: Group::Deployment, owner: Owner::Resource, on: On::All, values: Values::Same,
        old: "deployment.environment", new: "deployment.environment.name",
    },
];

/// Databases that have got another name.
const SYSTEMS: &[(&str, &str)] = &[
    ("adabas", "softwareag.adabas"),
    ("cosmosdb", "azure.cosmosdb"),
    ("db2", "ibm.db2"),
    ("dynamodb", "aws.dynamodb"),
    ("firebird", "firebirdsql"),
    ("h2", "h2database"),
    ("hanadb", "sap.hana"),
    ("informix", "ibm.informix"),
    ("ingres", "actian.ingres"),
    ("intersystems_cache", "intersystems.cache"),
    ("maxdb", "sap.maxdb"),
    ("mssql", "microsoft.sql_server"),
    ("netezza", "ibm.netezza"),
    ("oracle", "oracle.db"),
    ("redshift", "aws.redshift"),
    ("spanner", "gcp.spanner"),
];
