//! A router: whose spans they are is told by the namespace of their resource.

use std::collections::BTreeMap;

use serde::Deserialize;
use traceweir_plugin::{
    Batch, ConfigError, Field, Info, Owner, Plugin, PluginError, Projection, Read, Route, Router,
    config, export_router,
};

/// The configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Tenants, by namespace.
    tenants: BTreeMap<String, String>,
}

/// What `configure` has made.
pub struct MyPlugin {
    routes: Vec<String>,
    /// Places in `routes`, by namespace.
    places: BTreeMap<String, u16>,
    namespace: Read,
}

impl Plugin for MyPlugin {
    fn describe() -> Info {
        Info {
            name: "my-plugin".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "says whose spans they are, by their namespace".to_owned(),
            // A JSON Schema, which the host holds configurations against; empty: it does not.
            config_schema: String::new(),
            // Same batch, same answer: the host may run an instance per thread.
            stateless: true,
        }
    }

    /// Called once, before any batch. It says what is read: nothing else is passed.
    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { tenants } = config::parse(json)?;
        let (mut routes, mut places) = (Vec::<String>::new(), BTreeMap::new());
        for (namespace, tenant) in tenants {
            let known = routes.iter().position(|known| *known == tenant);
            let place = u16::try_from(known.unwrap_or(routes.len()));
            let place = place.map_err(|_| ConfigError::new("$.tenants", "more than 65,535"))?;
            if known.is_none() {
                routes.push(tenant);
            }
            places.insert(namespace, place);
        }
        let mut projection = Projection::default();
        let namespace = projection.read(Field::attribute(Owner::Resource, "k8s.namespace.name"));
        Ok((Self { routes, places, namespace }, projection))
    }
}

impl Router for MyPlugin {
    fn routes(&self) -> Vec<String> {
        self.routes.clone()
    }

    /// Called for each batch: where each resource goes.
    fn route(&mut self, batch: &Batch<'_>) -> Result<Vec<Route>, PluginError> {
        let namespaces = batch.column(self.namespace)?;
        let route = |resource| {
            let place = namespaces.text(resource).and_then(|name| self.places.get(name));
            place.map_or(Route::Stay, |place| Route::To(*place))
        };
        Ok((0..batch.resources()).map(route).collect())
    }
}

export_router!(MyPlugin);

#[cfg(test)]
mod tests {
    use traceweir_plugin::testing::{Fixture, Resource, Span, refusal};

    use super::*;

    #[test]
    fn a_namespace_says_whose_it_is() {
        let of = |namespace| {
            Resource::new().with("k8s.namespace.name", namespace).span(Span::new("work"))
        };
        let fixture = Fixture::new().resource(of("checkout")).resource(of("other"));
        let config = r#"{"tenants": {"checkout": "shop", "cart": "shop"}}"#;
        let (mut router, projection) = MyPlugin::configure(config).unwrap();
        assert_eq!(router.routes(), ["shop"]);
        let batch = fixture.batch(&projection);
        let routes = router.route(&Batch::parse(&batch).unwrap()).unwrap();
        assert_eq!(routes, [Route::To(0), Route::Stay]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let told = refusal::<MyPlugin>(r#"{"tenants": {"checkout": 7}}"#).unwrap();
        assert!(told.starts_with("$.tenants.checkout: "), "{told}");
    }
}
