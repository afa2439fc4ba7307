//! A plugin that is loaded: compiled, linked, and known by what it says of itself; not yet configured.

use std::sync::Arc;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::code::Codes;
use crate::contract::{PACKAGE, PluginInfo, VERSION, interface};
use crate::digest::Digest;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::host::{Host, Shared};
use crate::imports;
use crate::instance::{Instance, Limits};
use crate::worlds::World;

/// The largest component, as it is distributed. Python's are 18 MB.
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;
/// The longest name, version, and description.
const NAME_BYTES_MAX: usize = 100;
const TEXT_BYTES_MAX: usize = 4 << 10;
const SCHEMA_BYTES_MAX: usize = 256 << 10;

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does.
    pub description: String,
    /// The JSON Schema of its configuration; empty where it has none.
    pub config_schema: String,
    /// Whether it remembers nothing from one call for the next.
    pub stateless: bool,
}

/// A loaded plugin.
pub struct Plugin {
    engine: Engine,
    digest: Digest,
    world: World,
    info: Info,
    bytes: usize,
    imports: Vec<String>,
    exports: Vec<String>,
    pre: InstancePre<Host>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("info", &self.info)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Plugin {
    /// Loads a component or a core module: seconds where it has to be compiled.
    ///
    /// # Errors
    /// [`Kind::NotOurs`], with what was found and what was expected; [`Kind::Failed`] where it cannot even say what it
    /// is.
    pub(crate) fn load(
        engine: &Engine,
        codes: &Codes,
        bytes: &[u8],
        (shared, limits): (Arc<Shared>, Limits),
    ) -> Result<Arc<Self>, Error> {
        if bytes.len() > COMPONENT_BYTES_MAX {
            let what = format!("{} bytes, {COMPONENT_BYTES_MAX} is the limit", bytes.len());
            return Err(Error::new(Kind::NotOurs, what));
        }
        let digest = Digest::of(bytes);
        let component = crate::wrap::component_of(bytes)
            .map_err(|fault| Error::new(Kind::NotOurs, fault.to_string()))?;
        let size = component.len();
        // A core module that is wrapped anew each time is a component that differs with our version: its own digest.
        let component = codes.get(engine, &Digest::of(&component), &component)?;
        let (imports, exports) = names(&component, engine);
        let world = world_of(&exports)?;
        check_imports(&imports, world)?;
        let mut linker = Linker::new(&engine.wasm);
        let not_ours = |fault: wasmtime::Error| Error::new(Kind::NotOurs, format!("{fault:#}"));
        imports::link(&mut linker, world).map_err(not_ours)?;
        let pre = linker.instantiate_pre(&component).map_err(not_ours)?;
        let mut instance = Instance::new(engine, &pre, world, (shared, limits))?;
        let info = checked(instance.describe()?)?;
        let engine = engine.clone();
        Ok(Arc::new(Self { engine, digest, world, info, bytes: size, imports, exports, pre }))
    }

    /// The hash of what was loaded.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What it is for.
    #[must_use]
    pub const fn world(&self) -> World {
        self.world
    }

    /// What it says of itself.
    #[must_use]
    pub const fn info(&self) -> &Info {
        &self.info
    }

    /// Bytes of the component.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it imports.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// What it exports.
    #[must_use]
    pub fn exports(&self) -> &[String] {
        &self.exports
    }

    /// A new instance, not configured yet.
    pub(crate) fn instance(&self, shared: Arc<Shared>, limits: Limits) -> Result<Instance, Error> {
        Instance::new(&self.engine, &self.pre, self.world, (shared, limits))
    }
}

pub(crate) fn names(component: &Component, engine: &Engine) -> (Vec<String>, Vec<String>) {
    let kind = component.component_type();
    let imports = kind.imports(&engine.wasm).filter(|(_, item)| {
        // Types that are named again are no functions.
        let ComponentItem::ComponentInstance(instance) = &item.ty else { return true };
        let mut exports = instance.exports(&engine.wasm);
        exports.any(|(_, item)| !matches!(item.ty, ComponentItem::Type(_)))
    });
    let imports = imports.map(|(name, _)| name.to_owned()).collect();
    let exports = kind.exports(&engine.wasm).map(|(name, _)| name.to_owned()).collect();
    (imports, exports)
}

/// What it is, by what it exports.
pub(crate) fn world_of(exports: &[String]) -> Result<World, Error> {
    let has = |name: &str| exports.iter().any(|export| *export == interface(name));
    let worlds: Vec<World> =
        World::ALL.into_iter().filter(|world| has(world.interface())).collect();
    match worlds.as_slice() {
        [world] if has("lifecycle") => Ok(*world),
        _ => {
            let known: Vec<&str> = World::ALL.iter().map(|world| world.interface()).collect();
            let found = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
            let what = format!(
                "no plugin of {PACKAGE}@{VERSION}: it exports {found}; expected are lifecycle and one of {}",
                known.join(", ")
            );
            Err(Error::new(Kind::NotOurs, what))
        }
    }
}

pub(crate) fn check_imports(imports: &[String], world: World) -> Result<(), Error> {
    let allowed: Vec<String> = world.imports().iter().map(|name| interface(name)).collect();
    let unknown = imports.iter().find(|import| !allowed.contains(import));
    match unknown {
        None => Ok(()),
        Some(unknown) => {
            let (name, allowed) = (world.name(), world.imports().join(", "));
            let what = format!(
                "it imports {unknown}; the world {name} of {PACKAGE}@{VERSION} has {allowed}"
            );
            Err(Error::new(Kind::NotOurs, what))
        }
    }
}

fn checked(info: PluginInfo) -> Result<Info, Error> {
    let PluginInfo { name, version, description, config_schema, stateless } = info;
    let limits = [
        ("name", name.len(), NAME_BYTES_MAX),
        ("version", version.len(), NAME_BYTES_MAX),
        ("description", description.len(), TEXT_BYTES_MAX),
        ("config-schema", config_schema.len(), SCHEMA_BYTES_MAX),
    ];
    if let Some((what, bytes, limit)) = limits.into_iter().find(|(_, bytes, limit)| bytes > limit) {
        let what = format!("describe: {what} has {bytes} bytes, {limit} is the limit");
        return Err(Error::new(Kind::NotOurs, what));
    }
    if name.is_empty() {
        return Err(Error::new(Kind::NotOurs, "describe: it has no name"));
    }
    Ok(Info { name, version, description, config_schema, stateless })
}
