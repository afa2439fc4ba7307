//! What the host offers, in the SDK's own types.

use super::bindings::base::traceweir::plugin::log as bound_log;
use super::bindings::refresher::traceweir::plugin::fetch as bound;
use crate::host::fetch::{FetchError, Request, Response};
use crate::host::log::Level;

pub(crate) use super::bindings::base::traceweir::plugin::{metrics, tables};
pub(crate) use super::bindings::processor::traceweir::plugin::{cache, clock, random};

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => bound_log::Level::Debug,
        Level::Info => bound_log::Level::Info,
        Level::Warn => bound_log::Level::Warn,
        Level::Error => bound_log::Level::Error,
    };
    bound_log::write(level, message);
}

pub(crate) fn fetch(request: Request) -> Result<Response, FetchError> {
    let Request { method, url, headers, body, timeout_ms } = request;
    let request = bound::Request { method, url, headers, body, timeout_ms };
    match bound::send(&request) {
        Ok(bound::Response { status, headers, body }) => Ok(Response { status, headers, body }),
        Err(bound::FetchError::NotAllowed) => Err(FetchError::NotAllowed),
        Err(bound::FetchError::Timeout) => Err(FetchError::Timeout),
        Err(bound::FetchError::TooLarge) => Err(FetchError::TooLarge),
        Err(bound::FetchError::Network(why)) => Err(FetchError::Network(why)),
    }
}
