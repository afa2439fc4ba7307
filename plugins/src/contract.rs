//! The types of `wit/traceweir-plugin.wit` as they cross the boundary.
//!
//! Written by hand, in the order and by the names of the WIT: what differs is refused when a plugin is loaded. Bulk
//! data is not among them, it goes in buffers.

#![expect(dead_code, reason = "guests make most of these values, by way of `Lift`")]

use wasmtime::component::{ComponentType, Lift, Lower};

/// The package, with the version that this host speaks.
pub(crate) const PACKAGE: &str = "traceweir:plugin";
pub(crate) const VERSION: &str = "0.1.0";

/// The name of an interface as components have it.
pub(crate) fn interface(name: &str) -> String {
    format!("{PACKAGE}/{name}@{VERSION}")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Intrinsic {
    #[component(name = "trace-id")]
    TraceId,
    #[component(name = "span-id")]
    SpanId,
    #[component(name = "parent-span-id")]
    ParentSpanId,
    #[component(name = "trace-state")]
    TraceState,
    #[component(name = "trace-flags")]
    TraceFlags,
    #[component(name = "name")]
    Name,
    #[component(name = "kind")]
    Kind,
    #[component(name = "start-time")]
    StartTime,
    #[component(name = "duration")]
    Duration,
    #[component(name = "status-code")]
    StatusCode,
    #[component(name = "status-message")]
    StatusMessage,
    #[component(name = "scope-name")]
    ScopeName,
    #[component(name = "scope-version")]
    ScopeVersion,
    #[component(name = "event-name")]
    EventName,
    #[component(name = "event-time")]
    EventTime,
    #[component(name = "event-count")]
    EventCount,
    #[component(name = "link-count")]
    LinkCount,
    #[component(name = "resource-index")]
    ResourceIndex,
    #[component(name = "scope-index")]
    ScopeIndex,
    #[component(name = "event-span")]
    EventSpan,
    #[component(name = "span-attribute-keys")]
    SpanAttributeKeys,
    #[component(name = "peer-address")]
    PeerAddress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Owner {
    #[component(name = "span")]
    Span,
    #[component(name = "resource")]
    Resource,
    #[component(name = "scope")]
    Scope,
    #[component(name = "event")]
    Event,
    #[component(name = "link")]
    Link,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Attribute {
    #[component(name = "owner")]
    pub(crate) owner: Owner,
    #[component(name = "key")]
    pub(crate) key: String,
    #[component(name = "complex")]
    pub(crate) complex: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Field {
    #[component(name = "intrinsic")]
    Intrinsic(Intrinsic),
    #[component(name = "attribute")]
    Attribute(Attribute),
    #[component(name = "attributes")]
    Attributes(Attribute),
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct MatchRule {
    #[component(name = "key")]
    pub(crate) key: String,
    #[component(name = "any-of")]
    pub(crate) any_of: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Budget {
    #[component(name = "name")]
    pub(crate) name: String,
    #[component(name = "per")]
    pub(crate) per: Option<Attribute>,
    #[component(name = "limit")]
    pub(crate) limit: u64,
    #[component(name = "window-ms")]
    pub(crate) window_ms: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Projection {
    #[component(name = "reads")]
    pub(crate) reads: Vec<Field>,
    #[component(name = "writes")]
    pub(crate) writes: Vec<Field>,
    #[component(name = "match-resource")]
    pub(crate) match_resource: Vec<MatchRule>,
    #[component(name = "budgets")]
    pub(crate) budgets: Vec<Budget>,
    #[component(name = "max-batch-rows")]
    pub(crate) max_batch_rows: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct PluginInfo {
    #[component(name = "name")]
    pub(crate) name: String,
    #[component(name = "version")]
    pub(crate) version: String,
    #[component(name = "description")]
    pub(crate) description: String,
    #[component(name = "config-schema")]
    pub(crate) config_schema: String,
    #[component(name = "stateless")]
    pub(crate) stateless: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct ConfigError {
    #[component(name = "path")]
    pub(crate) path: String,
    #[component(name = "message")]
    pub(crate) message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum PluginError {
    #[component(name = "bad-input")]
    BadInput(String),
    #[component(name = "not-ready")]
    NotReady(String),
    #[component(name = "internal")]
    Internal(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum InputLevel {
    #[component(name = "summary")]
    Summary,
    #[component(name = "projected-spans")]
    ProjectedSpans,
}

/// What a refresher has made.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct TableData {
    #[component(name = "name")]
    pub(crate) name: String,
    #[component(name = "entries")]
    pub(crate) entries: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct FetchRequest {
    #[component(name = "method")]
    pub(crate) method: String,
    #[component(name = "url")]
    pub(crate) url: String,
    #[component(name = "headers")]
    pub(crate) headers: Vec<(String, String)>,
    #[component(name = "body")]
    pub(crate) body: Vec<u8>,
    #[component(name = "timeout-ms")]
    pub(crate) timeout_ms: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct FetchResponse {
    #[component(name = "status")]
    pub(crate) status: u16,
    #[component(name = "headers")]
    pub(crate) headers: Vec<(String, String)>,
    #[component(name = "body")]
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum FetchError {
    #[component(name = "not-allowed")]
    NotAllowed,
    #[component(name = "timeout")]
    Timeout,
    #[component(name = "too-large")]
    TooLarge,
    #[component(name = "network")]
    Network(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum LogLevel {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct ClientCertificate {
    #[component(name = "subject")]
    pub(crate) subject: String,
    #[component(name = "names")]
    pub(crate) names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct RequestInfo {
    #[component(name = "method")]
    pub(crate) method: String,
    #[component(name = "path")]
    pub(crate) path: String,
    #[component(name = "peer-ip")]
    pub(crate) peer_ip: String,
    #[component(name = "headers")]
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    #[component(name = "client-cert")]
    pub(crate) client_cert: Option<ClientCertificate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Permission {
    #[component(name = "ingest")]
    Ingest,
    #[component(name = "query")]
    Query,
    #[component(name = "admin")]
    Admin,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Identity {
    #[component(name = "tenants")]
    pub(crate) tenants: Vec<String>,
    #[component(name = "permissions")]
    pub(crate) permissions: Vec<Permission>,
    #[component(name = "rate-class")]
    pub(crate) rate_class: String,
    #[component(name = "cluster")]
    pub(crate) cluster: String,
    #[component(name = "ttl-seconds")]
    pub(crate) ttl_seconds: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Denied {
    #[component(name = "status")]
    pub(crate) status: u16,
    #[component(name = "message")]
    pub(crate) message: String,
    #[component(name = "ttl-seconds")]
    pub(crate) ttl_seconds: u32,
}
