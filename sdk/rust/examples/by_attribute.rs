//! A router: whose spans they are is told by an attribute of their resource.

use std::collections::BTreeMap;

use serde::Deserialize;
use traceweir_plugin::{
    Batch, ConfigError, Field, Info, Owner, Plugin, PluginError, Projection, Read, Route, Router,
    config, export_router,
};

/// What `configure` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The attribute of resources that tells it.
    #[serde(default = "namespace")]
    key: String,
    /// Tenants, by its values.
    tenants: BTreeMap<String, String>,
}

fn namespace() -> String {
    "k8s.namespace.name".to_owned()
}

/// An instance.
#[derive(Debug)]
pub struct ByAttribute {
    routes: Vec<String>,
    /// Places in `routes`, by the values of the attribute.
    places: BTreeMap<String, u16>,
    key: Read,
}

impl Plugin for ByAttribute {
    fn describe() -> Info {
        Info {
            name: "by-attribute".to_owned(),
            version: "0.1.0".to_owned(),
            description: "says whose spans they are by an attribute of their resource".to_owned(),
            config_schema: r#"{
                "type": "object",
                "properties": {
                    "key": { "type": "string", "minLength": 1, "maxLength": 512 },
                    "tenants": { "type": "object", "additionalProperties": { "type": "string" } }
                },
                "required": ["tenants"],
                "additionalProperties": false
            }"#
            .to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { key, tenants } = config::parse(json)?;
        let (mut routes, mut places) = (Vec::new(), BTreeMap::new());
        for (value, tenant) in tenants {
            let known = routes.iter().position(|known| *known == tenant);
            let place = u16::try_from(known.unwrap_or(routes.len()));
            let place = place.map_err(|_| ConfigError::new("$.tenants", "more than 65,535"))?;
            if known.is_none() {
                routes.push(tenant);
            }
            places.insert(value, place);
        }
        let mut projection = Projection::default();
        let key = projection.read(Field::attribute(Owner::Resource, key));
        Ok((Self { routes, places, key }, projection))
    }
}

impl Router for ByAttribute {
    fn routes(&self) -> Vec<String> {
        self.routes.clone()
    }

    fn route(&mut self, batch: &Batch<'_>) -> Result<Vec<Route>, PluginError> {
        let values = batch.column(self.key)?;
        let route = |resource| {
            let place = values.text(resource).and_then(|value| self.places.get(value));
            place.map_or(Route::Stay, |place| Route::To(*place))
        };
        Ok((0..batch.resources()).map(route).collect())
    }
}

export_router!(ByAttribute);
