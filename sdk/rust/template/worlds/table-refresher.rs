//! A refresher: makes the table `teams` of the lines that a server says, such as `shop=checkout`.

use serde::Deserialize;
use traceweir_plugin::host::fetch::{self, Request};
use traceweir_plugin::{
    ConfigError, Info, Plugin, Projection, Refresher, Table, config, export_refresher,
};

/// The configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MyPlugin {
    /// What is asked; the definition of the plugin has to allow its host.
    url: String,
    /// How often.
    #[serde(default = "every")]
    interval_seconds: u32,
}

const fn every() -> u32 {
    60
}

impl Plugin for MyPlugin {
    fn describe() -> Info {
        Info {
            name: "my-plugin".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "makes a table of what a server says".to_owned(),
            // A JSON Schema, which the host holds configurations against; empty: it does not.
            config_schema: String::new(),
            stateless: true,
        }
    }

    /// Called once. It reads no spans.
    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        Ok((config::parse(json)?, Projection::default()))
    }
}

impl Refresher for MyPlugin {
    fn interval_seconds(&self) -> u32 {
        self.interval_seconds
    }

    /// Called now and then; what it returns replaces the tables that it names. With an error they stay.
    fn refresh(&mut self) -> Result<Vec<Table>, String> {
        let request = Request {
            method: "GET".to_owned(),
            url: self.url.clone(),
            headers: vec![("accept".to_owned(), "text/plain".to_owned())],
            timeout_ms: 10_000,
            ..Request::default()
        };
        let response = fetch::send(request).map_err(|fault| format!("{}: {fault:?}", self.url))?;
        if response.status != 200 {
            return Err(format!("{} answers {}", self.url, response.status));
        }
        let text = String::from_utf8_lossy(&response.body);
        let entry = |line: &str| {
            line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
        };
        Ok(vec![Table {
            name: "teams".to_owned(),
            entries: text.lines().filter_map(entry).collect(),
        }])
    }
}

export_refresher!(MyPlugin);

#[cfg(test)]
mod tests {
    use traceweir_plugin::host::fetch::Response;
    use traceweir_plugin::testing::Host;

    use super::*;

    #[test]
    fn lines_become_entries() {
        let url = "https://teams.example/teams.txt";
        let body = b"shop=checkout\n".to_vec();
        let mut service = Host::default();
        let response = Response { status: 200, headers: Vec::new(), body };
        service.responses.insert(url.to_owned(), response);
        service.install();
        let (mut plugin, _) = MyPlugin::configure(&format!(r#"{{"url": "{url}"}}"#)).unwrap();
        assert_eq!(plugin.interval_seconds(), 60);
        let tables = plugin.refresh().unwrap();
        assert_eq!(tables[0].entries, [("shop".to_owned(), "checkout".to_owned())]);
    }
}
