//! What a plugin is: a type with one of these traits, and the macro that exports it.

use crate::answer::Answer;
use crate::batch::Batch;
use crate::error::{ConfigError, PluginError};
use crate::projection::{Info, Projection};

/// What every plugin does.
pub trait Plugin: Sized {
    /// Says what it is. Of the host only `log` may be called.
    fn describe() -> Info;

    /// Makes an instance, once, before any batch; a changed configuration means new instances.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration, and where.
    fn configure(config: &str) -> Result<(Self, Projection), ConfigError>;
}

/// Sees every batch on ingest: enriches, redacts, renames, drops.
pub trait Processor: Plugin {
    /// Edits a batch.
    ///
    /// # Errors
    ///
    /// Its `on_failure` applies to the whole batch.
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError>;
}

/// Sees every batch on ingest, before all processors, and decides on each row: rows of one trace have the same
/// verdict.
pub trait HeadSampler: Plugin {
    /// Decides on the rows of a batch, with [`Answer::of_rows`].
    ///
    /// # Errors
    ///
    /// Its `on_failure` applies to the whole batch.
    fn sample(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError>;
}

/// What a tail sampler is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputLevel {
    /// The table of traces alone.
    Summary,
    /// The columns that it reads, too, of all spans.
    ProjectedSpans,
}

/// Decides on whole traces, by configuration and batch alone.
pub trait TailSampler: Plugin {
    /// What it is given; asked once, after `configure`.
    fn level(&self) -> InputLevel;

    /// Decides on traces, with [`Answer::of_traces`].
    ///
    /// # Errors
    ///
    /// Its `on_failure` applies to all of these traces.
    fn decide(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError>;
}

/// Where a resource goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// It stays with the tenant that it came for.
    Stay,
    /// To this one of [`Router::routes`].
    To(u16),
}

/// Chooses the tenant of each resource.
pub trait Router: Plugin {
    /// The tenants that it may name, at most 65,535; asked once, after `configure`.
    fn routes(&self) -> Vec<String>;

    /// Says where each resource goes, in their order.
    ///
    /// # Errors
    ///
    /// Its `on_failure` applies to the whole batch.
    fn route(&mut self, batch: &Batch<'_>) -> Result<Vec<Route>, PluginError>;
}

/// What a client certificate that was verified says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its subject.
    pub subject: String,
    /// Its alternative names.
    pub names: Vec<String>,
}

/// A request whose sender is to be known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The path, without a query.
    pub path: String,
    /// The address that it comes from.
    pub peer_ip: String,
    /// Those headers that the attachment names, in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What the client's certificate says.
    pub client_certificate: Option<ClientCertificate>,
}

impl Request {
    /// The first header with this name, in lower case, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(there, _)| there == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Send spans.
    Ingest,
    /// Read them.
    Query,
    /// Everything.
    Admin,
}

/// Who somebody is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The tenants that they may name.
    pub tenants: Vec<String>,
    /// What they may do there.
    pub permissions: Vec<Permission>,
    /// The class of limits; empty: none.
    pub rate_class: String,
    /// The cluster whose spans these are; empty: none.
    pub cluster: String,
    /// For how long the host keeps the answer.
    pub ttl_seconds: u32,
}

/// Why somebody is nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// 401 or 403.
    pub status: u16,
    /// Why.
    pub message: String,
    /// For how long the host keeps the answer.
    pub ttl_seconds: u32,
}

/// Says who somebody is, once per credential.
pub trait Authenticator: Plugin {
    /// Looks at a request.
    ///
    /// # Errors
    ///
    /// The request is refused with the status.
    fn authenticate(&mut self, request: &Request) -> Result<Identity, Denied>;
}

/// A table that a refresher has made, which replaces the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Keys and values.
    pub entries: Vec<(String, String)>,
}

/// Fetches what tables are made of, off the path of data.
pub trait Refresher: Plugin {
    /// How often it is called; asked once, after `configure`.
    fn interval_seconds(&self) -> u32;

    /// Makes tables.
    ///
    /// # Errors
    ///
    /// The tables stay as they are, and the words are logged.
    fn refresh(&mut self) -> Result<Vec<Table>, String>;
}
