//! A refresher: asks a service for a JSON array and makes a table of its objects, each by one of its fields.
//!
//! `{"url": "https://cmdb.example/pods", "table": "owners", "key": "uid", "prefix": "pod_uid/"}` makes of
//! `[{"uid": "u-1", "team": "checkout"}]` the entry `pod_uid/u-1` with the object as its value, as `k8s-enrich` reads it.

use serde::Deserialize;
use serde_json::{Map, Value};
use traceweir_plugin::host::fetch::{self, Request};
use traceweir_plugin::{
    ConfigError, Info, Plugin, Projection, Refresher, Table, config, export_refresher,
};

/// What `configure` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// What is asked.
    url: String,
    /// The table that is made.
    table: String,
    /// The field of an object that is its key.
    key: String,
    /// What stands before each key.
    #[serde(default)]
    prefix: String,
    /// How often it is asked.
    #[serde(default = "every")]
    interval_seconds: u32,
}

const fn every() -> u32 {
    300
}

impl Plugin for Rows {
    fn describe() -> Info {
        Info {
            name: "rows".to_owned(),
            version: "0.1.0".to_owned(),
            description: "makes a table of the objects that a service tells".to_owned(),
            config_schema: r#"{
                "type": "object",
                "required": ["url", "table", "key"],
                "additionalProperties": false,
                "properties": {
                    "url": { "type": "string", "minLength": 1 },
                    "table": { "type": "string", "minLength": 1 },
                    "key": { "type": "string", "minLength": 1 },
                    "prefix": { "type": "string" },
                    "interval_seconds": { "type": "integer", "minimum": 5, "maximum": 86400 }
                }
            }"#
            .to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        Ok((config::parse(json)?, Projection::default()))
    }
}

impl Refresher for Rows {
    fn interval_seconds(&self) -> u32 {
        self.interval_seconds
    }

    fn refresh(&mut self) -> Result<Vec<Table>, String> {
        let request = Request {
            method: "GET".to_owned(),
            url: self.url.clone(),
            headers: vec![("accept".to_owned(), "application/json".to_owned())],
            timeout_ms: 10_000,
            ..Request::default()
        };
        let response = fetch::send(request).map_err(|fault| format!("{}: {fault:?}", self.url))?;
        if response.status != 200 {
            return Err(format!("{} answers {}", self.url, response.status));
        }
        let rows: Vec<Map<String, Value>> = serde_json::from_slice(&response.body)
            .map_err(|fault| format!("{}: no array of objects: {fault}", self.url))?;
        let entry = |mut row: Map<String, Value>| {
            let key = row.remove(&self.key)?;
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            Some((format!("{}{key}", self.prefix), Value::Object(row).to_string()))
        };
        let entries = rows.into_iter().filter_map(entry).collect();
        Ok(vec![Table { name: self.table.clone(), entries }])
    }
}

export_refresher!(Rows);
