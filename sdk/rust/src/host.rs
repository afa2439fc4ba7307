//! What the host offers to plugins. On other targets than Wasm a stand-in answers, which tests fill by way of
//! `testing::Host`.

#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
pub mod standin;

/// Lines in the host's log, with the plugin's name and the tenant.
pub mod log {
    /// How loud.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Level {
        /// For whoever looks for a fault.
        Debug,
        /// Worth to know.
        Info,
        /// Something is degraded.
        Warn,
        /// Something is lost.
        Error,
    }

    /// Writes a line. Ten in a second and a hundred at once; what is more is counted.
    pub fn write(level: Level, message: &str) {
        #[cfg(target_family = "wasm")]
        crate::guest::imports::log(level, message);
        #[cfg(not(target_family = "wasm"))]
        super::standin::with(|host| host.lines.push((level, message.to_owned())));
    }

    /// Writes a line at [`Level::Info`].
    pub fn info(message: &str) {
        write(Level::Info, message);
    }

    /// Writes a line at [`Level::Warn`].
    pub fn warn(message: &str) {
        write(Level::Warn, message);
    }
}

/// Metrics on the host's page, with the plugin's name: 64 at most, made in `configure`.
pub mod metrics {
    /// A metric that the host has made.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Metric(pub(crate) u32);

    /// Makes a counter. It may be raised in an [`Answer`](crate::Answer), too, which costs no call.
    #[must_use]
    pub fn counter(name: &str, help: &str) -> Metric {
        #[cfg(target_family = "wasm")]
        return Metric(crate::guest::imports::metrics::counter(name, help));
        #[cfg(not(target_family = "wasm"))]
        super::standin::with(|host| host.metric(name, help))
    }

    /// Makes a histogram with these upper bounds.
    #[must_use]
    pub fn histogram(name: &str, help: &str, bounds: &[f64]) -> Metric {
        #[cfg(target_family = "wasm")]
        return Metric(crate::guest::imports::metrics::histogram(name, help, bounds));
        #[cfg(not(target_family = "wasm"))]
        super::standin::with(|host| {
            debug_assert!(bounds.is_sorted(), "bounds rise");
            host.metric(name, help)
        })
    }

    /// Raises a counter.
    pub fn add(metric: Metric, delta: u64) {
        #[cfg(target_family = "wasm")]
        crate::guest::imports::metrics::add(metric.0, delta);
        #[cfg(not(target_family = "wasm"))]
        super::standin::with(|host| host.raise(metric, delta));
    }

    /// Puts a value into a histogram.
    pub fn observe(metric: Metric, value: f64) {
        #[cfg(target_family = "wasm")]
        crate::guest::imports::metrics::observe(metric.0, value);
        #[cfg(not(target_family = "wasm"))]
        super::standin::with(|host| host.observed.push((metric.0, value)));
    }
}

/// Tables that the host keeps fresh, so that whoever looks up never waits for a network.
pub mod tables {
    /// The values of these keys, in their order: one call per batch, not one per span. A table that there is not has
    /// no values.
    #[must_use]
    pub fn lookup(table: &str, keys: &[String]) -> Vec<Option<String>> {
        #[cfg(target_family = "wasm")]
        return crate::guest::imports::tables::lookup(table, keys);
        #[cfg(not(target_family = "wasm"))]
        super::standin::with(|host| host.lookup(table, keys))
    }

    /// Goes up when the table changes; 0 where there is none.
    #[must_use]
    pub fn generation(table: &str) -> u64 {
        #[cfg(target_family = "wasm")]
        return crate::guest::imports::tables::generation(table);
        #[cfg(not(target_family = "wasm"))]
        super::standin::with(|host| host.generation(table))
    }
}

/// A memory of the plugin and tenant in the host, bounded in bytes. Not for samplers.
pub mod cache {
    /// What was set for `key`, if it is still there.
    #[must_use]
    pub fn get(key: &str) -> Option<Vec<u8>> {
        #[cfg(target_family = "wasm")]
        return crate::guest::imports::cache::get(key);
        #[cfg(not(target_family = "wasm"))]
        super::standin::with(|host| host.cached(key))
    }

    /// Keeps `value` for so many seconds, or until there is no room.
    pub fn set(key: &str, value: &[u8], ttl_seconds: u32) {
        #[cfg(target_family = "wasm")]
        crate::guest::imports::cache::set(key, value, ttl_seconds);
        #[cfg(not(target_family = "wasm"))]
        super::standin::with(|host| host.cache(key, value, ttl_seconds));
    }
}

/// The time. Not for samplers.
pub mod clock {
    /// Nanoseconds since 1970.
    #[must_use]
    pub fn now_unix_nano() -> u64 {
        #[cfg(target_family = "wasm")]
        return crate::guest::imports::clock::now_unix_nano();
        #[cfg(not(target_family = "wasm"))]
        super::standin::with(|host| host.now_unix_nano)
    }
}

/// Chance. Not for samplers.
pub mod random {
    /// So many random bytes, 64 KiB at most.
    #[must_use]
    pub fn fill(len: u32) -> Vec<u8> {
        #[cfg(target_family = "wasm")]
        return crate::guest::imports::random::fill(len);
        #[cfg(not(target_family = "wasm"))]
        super::standin::with(|host| host.random(len))
    }
}

/// Requests of refreshers, to the hosts that the attachment allows.
pub mod fetch {
    /// A request.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Request {
        /// The HTTP method.
        pub method: String,
        /// Where to.
        pub url: String,
        /// Headers.
        pub headers: Vec<(String, String)>,
        /// The body.
        pub body: Vec<u8>,
        /// How long it may take.
        pub timeout_ms: u32,
    }

    /// What came back.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Response {
        /// The HTTP status.
        pub status: u16,
        /// Headers.
        pub headers: Vec<(String, String)>,
        /// The body.
        pub body: Vec<u8>,
    }

    /// Why nothing came back.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum FetchError {
        /// The attachment does not allow that host.
        NotAllowed,
        /// It took too long.
        Timeout,
        /// The body is larger than may be.
        TooLarge,
        /// What the network says.
        Network(String),
    }

    /// Sends a request, and waits.
    ///
    /// # Errors
    ///
    /// Where no response came.
    pub fn send(request: Request) -> Result<Response, FetchError> {
        #[cfg(target_family = "wasm")]
        return crate::guest::imports::fetch(request);
        #[cfg(not(target_family = "wasm"))]
        super::standin::with(|host| host.fetch(request))
    }
}
