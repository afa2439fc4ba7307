//! How the query API behaves.

use model::{ByteSize, Faults, Wait};
use serde::{Deserialize, Serialize};

use crate::limits::admission;
use crate::receiver::cors;

/// How the API behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A path in front of every path of the API, such as `/tempo`, for proxies that do not take it
    /// off. Paths without it go on to be served. Default none.
    pub base_path: String,
    /// Requests that are answered at a time. Default 512, of which one tenant gets two thirds at most.
    pub requests_max: u32,
    /// Bytes of answers that are being sent, of all requests together. Default 64MiB; one answer may have
    /// more, and is alone then.
    pub answers_bytes_max: ByteSize,
    /// Which web pages may ask. Default none.
    pub cors: cors::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base_path: String::new(),
            requests_max: 512,
            answers_bytes_max: ByteSize::mib(64),
            cors: cors::Config::default(),
        }
    }
}

/// How long an answer waits for memory while others are being sent.
const ANSWER_WAIT: Wait = Wait::secs(10);

impl Config {
    /// Notes every value that is not accepted; `key` is the dotted key of this section.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        let path = &self.base_path;
        let odd = |byte: u8| !byte.is_ascii_graphic() || b"?#%".contains(&byte);
        let slashes = !path.starts_with('/') || path.ends_with('/') || path.contains("//");
        if !path.is_empty() && (slashes || path.bytes().any(odd)) {
            let accepted = "a path such as /tempo, without a slash at its end";
            faults.push(&format!("{key}.base_path"), path, accepted);
        }
        self.cors.check(&format!("{key}.cors"), faults);
        let key = |name: &str| format!("{key}.{name}");
        faults.check_range(&key("requests_max"), self.requests_max, 1..=1_000_000);
        let bytes = ByteSize::mib(1)..=ByteSize(1 << 40);
        faults.check_range(&key("answers_bytes_max"), self.answers_bytes_max, bytes);
    }

    /// What may be in flight.
    pub(super) fn admission(&self) -> admission::Config {
        admission::Config {
            body_bytes_max: ByteSize(0),
            in_flight_bytes_max: self.answers_bytes_max,
            requests_max: self.requests_max,
            wait: ANSWER_WAIT,
        }
    }
}
