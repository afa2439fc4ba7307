//! What is wrong with a file that should be a plugin: all that a gateway looks at when it loads one, and what it does
//! not mind but somebody will.

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde_json::{Value, json};

use super::Subject;
use crate::code::Codes;
use crate::configured::Configured;
use crate::digest::Digest;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::instance::Limits;
use crate::plugin::{COMPONENT_BYTES_MAX, Info, check_imports, names, world_of};
use crate::projection::Projection;
use crate::schema;
use crate::worlds::World;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// It is as it should be.
    Fine,
    /// It runs, and could be better.
    Doubt,
    /// No gateway takes it.
    Fault,
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub weight: Weight,
    /// What was looked at.
    pub of: &'static str,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Fine => "ok",
            Weight::Doubt => "doubt",
            Weight::Fault => "FAULT",
        };
        write!(f, "{weight:<5}  {}: {}", self.of, self.what)
    }
}

/// Looks a file through. What is configured with nothing, where nothing is given, only shows that it wants something.
#[must_use]
pub fn findings(
    (engine, codes): (&Engine, &Codes),
    bytes: &[u8],
    config: Option<&Value>,
    limits: Limits,
) -> Vec<Finding> {
    let mut found = Findings(Vec::new());
    if !found.look_at_file(engine, codes, bytes) {
        return found.0;
    }
    let subject = match Subject::load(engine, codes, bytes, limits) {
        Ok(subject) => subject,
        Err(error) => {
            found.fault("load", error);
            return found.0;
        }
    };
    found.look_at_info(subject.plugin().info());
    if found.look_at_schema(&subject.plugin().info().config_schema, config) {
        let given = config.cloned().unwrap_or_else(|| json!({}));
        match subject.with_config(given).configured() {
            Ok(configured) => found.look_at_configured(&configured),
            Err(error) if config.is_none() && error.kind() == Kind::Config => {
                found.doubt("configure", format!("it wants a configuration: {error}"));
            }
            Err(error) => found.fault("configure", error),
        }
    }
    found.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, weight: Weight, of: &'static str, what: String) {
        self.0.push(Finding { weight, of, what });
    }

    fn fine(&mut self, of: &'static str, what: impl fmt::Display) {
        self.add(Weight::Fine, of, what.to_string());
    }

    fn doubt(&mut self, of: &'static str, what: impl fmt::Display) {
        self.add(Weight::Doubt, of, what.to_string());
    }

    fn fault(&mut self, of: &'static str, what: impl fmt::Display) {
        self.add(Weight::Fault, of, what.to_string());
    }

    /// What shows before anything of it runs; whether it may run.
    fn look_at_file(&mut self, engine: &Engine, codes: &Codes, bytes: &[u8]) -> bool {
        if bytes.len() > COMPONENT_BYTES_MAX {
            let what = format!("{} bytes, {COMPONENT_BYTES_MAX} is the limit", bytes.len());
            self.fault("file", what);
            return false;
        }
        let component = match crate::wrap::component_of(bytes) {
            Ok(component) => component,
            Err(fault) => {
                self.fault("file", fault);
                return false;
            }
        };
        let kind = match component {
            std::borrow::Cow::Borrowed(_) => "a component",
            std::borrow::Cow::Owned(_) => "a core module, which was wrapped",
        };
        self.fine("file", format!("{kind}, {} bytes", bytes.len()));
        let compiled = match codes.get(engine, &Digest::of(&component), &component) {
            Ok(compiled) => compiled,
            Err(error) => {
                self.fault("file", error);
                return false;
            }
        };
        let (imports, exports) = names(&compiled, engine);
        let world = match world_of(&exports) {
            Ok(world) => world,
            Err(error) => {
                self.fault("exports", error);
                return false;
            }
        };
        self.fine("exports", format!("the world {} of {}", world.name(), crate::CONTRACT));
        let mut are_known = true;
        for import in &imports {
            if let Err(error) = check_imports(std::slice::from_ref(import), world) {
                self.fault("imports", error);
                are_known = false;
            }
        }
        if are_known {
            let nothing = if imports.is_empty() { "nothing" } else { "" };
            self.fine("imports", format!("{nothing}{}", imports.join(", ")));
        }
        are_known
    }

    fn look_at_info(&mut self, info: &Info) {
        let Info { name, version, description, stateless, .. } = info;
        self.fine("describe", format!("{name} {version}"));
        if !is_version(version) {
            self.doubt("describe", format!("version {version:?} is not one such as 1.2.3"));
        }
        if description.is_empty() {
            self.doubt("describe", "there is no description");
        }
        if !stateless {
            let what = "it is not stateless: each thread of a gateway has an instance that knows only its own calls";
            self.doubt("describe", what);
        }
    }

    /// Whether the configuration fits the schema, as far as there are both.
    fn look_at_schema(&mut self, schema: &str, config: Option<&Value>) -> bool {
        if schema.is_empty() {
            let what = "there is no schema: what is wrong with a configuration is left to the plugin to find";
            self.doubt("config-schema", what);
            return true;
        }
        let (is_given, nothing) = (config.is_some(), json!({}));
        let checked: Result<(), Error> = schema::check(schema, config.unwrap_or(&nothing));
        match checked {
            Ok(()) => self.fine("config-schema", format!("{} bytes", schema.len())),
            Err(error) if error.kind() == Kind::NotOurs => {
                self.fault("config-schema", error);
                return false;
            }
            Err(error) if is_given => {
                self.fault("config", error);
                return false;
            }
            Err(error) => {
                self.doubt("config", format!("it wants a configuration: {error}"));
                return false;
            }
        }
        true
    }

    fn look_at_configured(&mut self, configured: &Configured) {
        let Projection { reads, writes, match_resource, budgets, .. } = configured.projection();
        let (reads, writes) = (reads.len(), writes.len());
        let mut what = format!("it reads {reads} fields and writes {writes}");
        if !match_resource.is_empty() {
            what.push_str(", of resources that match");
        }
        if !budgets.is_empty() {
            what.push_str(", with budgets");
        }
        if configured.plugin().world() == World::Router {
            let tenants = configured.routes().len();
            write!(what, ", and may name {tenants} tenants").unwrap_or_default();
            if tenants == 0 {
                self.doubt("routes", "it names no tenant: everything stays where it is");
            }
        }
        if let Some(every) = configured.interval() {
            write!(what, ", and is called every {}s", every.as_secs()).unwrap_or_default();
        }
        self.fine("configure", what);
    }
}

/// Whether it is a version as semver.org has them, as far as one needs to order them.
fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    let is_number =
        |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.len() == 3 && numbers.iter().all(is_number)
}
