//! An authenticator: keys in a header, and whose they are.

use std::collections::BTreeMap;

use serde::Deserialize;
use traceweir_plugin::{
    Authenticator, ConfigError, Denied, Identity, Info, Permission, Plugin, Projection, Request,
    config, export_authenticator,
};

/// What `configure` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The header, in lower case.
    #[serde(default = "header")]
    header: String,
    /// Who may do what, by their keys.
    keys: BTreeMap<String, Grant>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    tenants: Vec<String>,
    /// Whether it may read, beside sending.
    #[serde(default)]
    reads: bool,
}

fn header() -> String {
    "x-api-key".to_owned()
}

/// For so long an answer holds: a key that is taken out of the configuration is gone at once all the same.
const TTL_SECONDS: u32 = 300;

/// An instance.
#[derive(Debug)]
pub struct ApiKeys {
    header: String,
    keys: BTreeMap<String, Grant>,
}

impl Plugin for ApiKeys {
    fn describe() -> Info {
        Info {
            name: "api-keys".to_owned(),
            version: "0.1.0".to_owned(),
            description: "lets in who shows one of some keys in a header".to_owned(),
            config_schema: r#"{
                "type": "object",
                "properties": {
                    "header": { "type": "string", "minLength": 1 },
                    "keys": { "type": "object", "additionalProperties": {
                        "type": "object",
                        "properties": {
                            "tenants": { "type": "array", "items": { "type": "string" } },
                            "reads": { "type": "boolean" }
                        },
                        "required": ["tenants"],
                        "additionalProperties": false
                    } }
                },
                "required": ["keys"],
                "additionalProperties": false
            }"#
            .to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { header, keys } = config::parse(json)?;
        if header != header.to_ascii_lowercase() {
            return Err(ConfigError::new("$.header", "must be in lower case"));
        }
        Ok((Self { header, keys }, Projection::default()))
    }
}

impl Authenticator for ApiKeys {
    fn authenticate(&mut self, request: &Request) -> Result<Identity, Denied> {
        let grant = request.header(&self.header).and_then(|key| self.keys.get(key));
        let Some(Grant { tenants, reads }) = grant else {
            let message = format!("{}: no key that is known here", self.header);
            return Err(Denied { status: 401, message, ttl_seconds: TTL_SECONDS });
        };
        let mut permissions = vec![Permission::Ingest];
        if *reads {
            permissions.push(Permission::Query);
        }
        Ok(Identity {
            tenants: tenants.clone(),
            permissions,
            ttl_seconds: TTL_SECONDS,
            ..Identity::default()
        })
    }
}

export_authenticator!(ApiKeys);
