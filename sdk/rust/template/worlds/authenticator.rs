//! An authenticator: keys in the header `x-api-key`, and whose they are.

use std::collections::BTreeMap;

use serde::Deserialize;
use traceweir_plugin::{
    Authenticator, ConfigError, Denied, Identity, Info, Permission, Plugin, Projection, Request,
    config, export_authenticator,
};

/// The configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Tenants, by key.
    keys: BTreeMap<String, String>,
}

/// For so many seconds the host keeps an answer.
const TTL_SECONDS: u32 = 300;

/// What `configure` has made.
pub struct MyPlugin {
    keys: BTreeMap<String, String>,
}

impl Plugin for MyPlugin {
    fn describe() -> Info {
        Info {
            name: "my-plugin".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "lets in who shows a key that is known".to_owned(),
            // A JSON Schema, which the host holds configurations against; empty: it does not.
            config_schema: String::new(),
            // Same request, same answer: the host may run an instance per thread.
            stateless: true,
        }
    }

    /// Called once, before any request. It reads no spans.
    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { keys } = config::parse(json)?;
        Ok((Self { keys }, Projection::default()))
    }
}

impl Authenticator for MyPlugin {
    /// Called once for each credential, not for each request.
    fn authenticate(&mut self, request: &Request) -> Result<Identity, Denied> {
        let Some(tenant) = request.header("x-api-key").and_then(|key| self.keys.get(key)) else {
            let message = "no key that is known here".to_owned();
            return Err(Denied { status: 401, message, ttl_seconds: TTL_SECONDS });
        };
        Ok(Identity {
            tenants: vec![tenant.clone()],
            permissions: vec![Permission::Ingest, Permission::Query],
            ttl_seconds: TTL_SECONDS,
            ..Identity::default()
        })
    }
}

export_authenticator!(MyPlugin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_who_it_is() {
        let (mut door, _) = MyPlugin::configure(r#"{"keys": {"one": "shop"}}"#).unwrap();
        let mut ask = |key: &str| {
            let headers = vec![("x-api-key".to_owned(), key.as_bytes().to_vec())];
            door.authenticate(&Request { headers, ..Request::default() })
        };
        assert_eq!(ask("one").unwrap().tenants, ["shop"]);
        assert_eq!(ask("two").unwrap_err().status, 401);
    }
}
