//! A host for tests, one per thread.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::fetch::{FetchError, Request, Response};
use super::log::Level;
use super::metrics::Metric;

/// What stands in for the host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Tables, by their names.
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
    /// What the clock says.
    pub now_unix_nano: u64,
    /// The lines that were logged.
    pub lines: Vec<(Level, String)>,
    /// Names of the metrics that were made, and how far each was raised by calls.
    pub metrics: Vec<(String, u64)>,
    /// Values that were put into histograms.
    pub observed: Vec<(u32, f64)>,
    /// What comes back from which URL; other hosts are not allowed.
    pub responses: BTreeMap<String, Response>,
    /// What was fetched.
    pub requests: Vec<Request>,
    /// Until when what is kept.
    cache: BTreeMap<String, (u64, Vec<u8>)>,
    /// How many random bytes were asked for.
    drawn: u64,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// Does something with this thread's host.
pub fn with<T>(what: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(what)
}

impl Host {
    /// Fills a table.
    #[must_use]
    pub fn table<'a>(
        mut self,
        name: &str,
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.tables.entry(name.to_owned()).or_default().extend(entries);
        self
    }

    /// Makes it this thread's host.
    pub fn install(self) {
        HOST.set(self);
    }

    pub(super) fn metric(&mut self, name: &str, _help: &str) -> Metric {
        self.metrics.push((name.to_owned(), 0));
        Metric(u32::try_from(self.metrics.len() - 1).unwrap_or(u32::MAX))
    }

    pub(super) fn raise(&mut self, metric: Metric, delta: u64) {
        if let Some((_, value)) = self.metrics.get_mut(metric.0 as usize) {
            *value += delta;
        }
    }

    pub(super) fn lookup(&self, table: &str, keys: &[String]) -> Vec<Option<String>> {
        let table = self.tables.get(table);
        keys.iter().map(|key| table.and_then(|table| table.get(key)).cloned()).collect()
    }

    pub(super) fn generation(&self, table: &str) -> u64 {
        self.tables.contains_key(table).into()
    }

    pub(super) fn cached(&self, key: &str) -> Option<Vec<u8>> {
        let (until, value) = self.cache.get(key)?;
        (self.now_unix_nano < *until).then(|| value.clone())
    }

    pub(super) fn cache(&mut self, key: &str, value: &[u8], ttl_seconds: u32) {
        let until = self.now_unix_nano + u64::from(ttl_seconds) * 1_000_000_000;
        self.cache.insert(key.to_owned(), (until, value.to_vec()));
    }

    pub(super) fn fetch(&mut self, request: Request) -> Result<Response, FetchError> {
        let response = self.responses.get(&request.url).cloned();
        self.requests.push(request);
        response.ok_or(FetchError::NotAllowed)
    }

    /// The same bytes in every run, others in every call.
    pub(super) fn random(&mut self, len: u32) -> Vec<u8> {
        let start = self.drawn;
        self.drawn += u64::from(len);
        let byte = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0];
        (start..self.drawn).map(byte).collect()
    }
}
