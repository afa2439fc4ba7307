//! Core modules become components, so that a language needs no component tooling for its plugins to run: it
//! exports the functions of one world under their canonical names (`traceweir:plugin/lifecycle@0.1.0#describe`),
//! `cabi_realloc` and its memory, and is wrapped here when a file is loaded or built. Components pass as they are.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use wasmparser::{Parser, Payload, Validator};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId, WorldItem, WorldKey};

const CONTRACT: &str = include_str!("../../wit/traceweir-plugin.wit");
/// `adapter/deny.wat`.
const DENY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/deny.wasm"));
const WASI: &str = "wasi_snapshot_preview1";
const PACKAGE: &str = "traceweir:plugin/";
/// Every world has it, so it tells none.
const LIFECYCLE: &str = "lifecycle";
/// What every module exports next to the functions of its world.
const CANONICAL: [&str; 2] = ["cabi_realloc", "memory"];
/// Names that a message lists before it only counts.
const LISTED: usize = 8;

/// Why something is no plugin: what was found, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

fn error<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error(message.into()))
}

/// The component in `bytes`: `bytes` itself where it is one, or a core module wrapped into one.
///
/// A module whose toolchain has left a section that names its world (`wit-bindgen` does) is wrapped by that; for
/// any other the world is found by what it exports. Imports of WASI preview 1 are satisfied by an adapter that
/// denies everything, so the component imports the contract alone.
///
/// A component is not looked into: whether it is a plugin shows when it is linked.
///
/// # Errors
///
/// `bytes` are no WebAssembly or an invalid module; exports are missing, of more than one world or of another
/// version of the contract; or it imports what the world does not have.
pub fn component_of(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    if Parser::is_component(bytes) {
        return Ok(Cow::Borrowed(bytes));
    }
    if !Parser::is_core_wasm(bytes) {
        return error(format!(
            "neither a WebAssembly component nor a core module: {} bytes that do not begin as one",
            bytes.len()
        ));
    }
    if let Err(e) = Validator::new().validate_all(bytes) {
        return error(format!("not a valid WebAssembly module: {e}"));
    }
    let module = Module::read(bytes)?;
    if module.names_its_world {
        return encode(bytes).map(Cow::Owned);
    }
    let contract = Contract::read()?;
    let world = contract.world_of(&module)?;
    contract.check_exports(world, &module)?;
    contract.check_imports(world, &module)?;
    encode(&contract.name_world(bytes, world)?).map(Cow::Owned)
}

/// What a component imports and exports, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// What it wants.
    pub imports: Vec<String>,
    /// What it has.
    pub exports: Vec<String>,
}

/// The interfaces of a component; nothing of a core module.
///
/// # Errors
///
/// `bytes` cannot be read as WebAssembly.
pub fn interfaces_of(bytes: &[u8]) -> Result<Option<Interfaces>, Error> {
    if !Parser::is_component(bytes) {
        return Ok(None);
    }
    read_interfaces(bytes)
        .map(Some)
        .or_else(|e| error(format!("not a valid WebAssembly component: {e}")))
}

fn read_interfaces(bytes: &[u8]) -> wasmparser::Result<Interfaces> {
    let (mut found, mut depth) = (Interfaces::default(), 0_u32);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            // Of what it is made of nobody outside knows.
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    found.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    found.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn encode(module: &[u8]) -> Result<Vec<u8>, Error> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.adapter(WASI, DENY))
        .and_then(|mut encoder| encoder.encode())
        .or_else(|e| error(format!("the module does not fit its world: {e:#}")))
}

/// What of a core module tells its world.
struct Module<'a> {
    imports: Vec<(&'a str, &'a str)>,
    exports: BTreeSet<&'a str>,
    names_its_world: bool,
}

impl<'a> Module<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut module =
            Self { imports: Vec::new(), exports: BTreeSet::new(), names_its_world: false };
        for payload in Parser::new(0).parse_all(bytes) {
            module
                .take(payload)
                .or_else(|e| error(format!("not a valid WebAssembly module: {e}")))?;
        }
        Ok(module)
    }

    fn take(&mut self, payload: wasmparser::Result<Payload<'a>>) -> wasmparser::Result<()> {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    self.imports.push((import.module, import.name));
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    self.exports.insert(export?.name);
                }
            }
            Payload::CustomSection(section) => {
                self.names_its_world |= section.name().starts_with("component-type");
            }
            _ => {}
        }
        Ok(())
    }

    /// The interfaces of the contract that it exports, whatever their version: `lifecycle@0.1.0`.
    fn interfaces(&self) -> impl Iterator<Item = &'a str> {
        let exports = self.exports.iter().filter_map(|name| name.strip_prefix(PACKAGE));
        exports.filter_map(|name| Some(name.split_once('#')?.0))
    }
}

/// The WIT that this host was built with.
struct Contract {
    resolve: Resolve,
    worlds: Vec<WorldId>,
    version: String,
}

impl Contract {
    fn read() -> Result<Self, Error> {
        let mut resolve = Resolve::default();
        let package = resolve
            .push_str("traceweir-plugin.wit", CONTRACT)
            .or_else(|e| error(format!("the contract itself: {e:?}")))?;
        let package = &resolve.packages[package];
        let worlds = package.worlds.values().copied().collect();
        let version = package.name.version.as_ref().map(ToString::to_string).unwrap_or_default();
        Ok(Self { resolve, worlds, version })
    }

    /// The one world whose interfaces, `lifecycle` aside, the module exports.
    fn world_of(&self, module: &Module<'_>) -> Result<WorldId, Error> {
        let found = self.interfaces_of(module)?;
        let fits = |&world: &WorldId| {
            let mut own = self.own_interfaces(world).peekable();
            own.peek().is_some() && own.all(|name| found.contains(name))
        };
        let fitting: Vec<_> = self.worlds.iter().copied().filter(fits).collect();
        match fitting.as_slice() {
            [world] => Ok(*world),
            [] => error(format!(
                "not a plugin: exports {}, and a plugin exports {PACKAGE}{LIFECYCLE}@{} and one of {}",
                listed(&module.exports),
                self.version,
                listed(self.worlds.iter().flat_map(|&world| self.own_interfaces(world)))
            )),
            several => error(format!(
                "exports the functions of several worlds ({}), and a plugin implements one",
                listed(several.iter().map(|&world| &self.resolve.worlds[world].name))
            )),
        }
    }

    /// The interfaces of the contract that the module exports, by their names alone.
    fn interfaces_of<'a>(&self, module: &Module<'a>) -> Result<BTreeSet<&'a str>, Error> {
        let versioned = |name: &'a str| match name.split_once('@') {
            Some((name, version)) if version == self.version => Ok(name),
            _ => error(format!(
                "made for another version of the contract: exports {PACKAGE}{name}, this host runs {}",
                self.version
            )),
        };
        module.interfaces().map(versioned).collect()
    }

    /// The interfaces that a world exports besides `lifecycle`.
    fn own_interfaces(&self, world: WorldId) -> impl Iterator<Item = &str> {
        let names = self.exports(world).filter_map(|(_, item)| match item {
            WorldItem::Interface { id, .. } => self.resolve.interfaces[*id].name.as_deref(),
            _ => None,
        });
        names.filter(|&name| name != LIFECYCLE)
    }

    fn check_exports(&self, world: WorldId, module: &Module<'_>) -> Result<(), Error> {
        let functions = self
            .functions(self.exports(world))
            .map(|(interface, name)| format!("{interface}#{name}"));
        let missing: Vec<_> = functions
            .chain(CANONICAL.map(str::to_owned))
            .filter(|name| !module.exports.contains(name.as_str()))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let world = &self.resolve.worlds[world].name;
        error(format!("a module for the world {world} that does not export {}", listed(missing)))
    }

    fn check_imports(&self, world: WorldId, module: &Module<'_>) -> Result<(), Error> {
        let offered: BTreeSet<_> = self.functions(self.imports(world)).collect();
        let adapter = Module::read(DENY)?;
        for &(from, name) in &module.imports {
            let known = match from {
                WASI => adapter.exports.contains(name),
                _ => offered.contains(&(from.to_owned(), name)),
            };
            if known {
                continue;
            }
            let world = &self.resolve.worlds[world].name;
            let interfaces: BTreeSet<_> =
                offered.iter().map(|(interface, _)| interface.as_str()).collect();
            return error(format!(
                "imports {name} of {from}, which the world {world} does not have: it has {}",
                listed(interfaces)
            ));
        }
        Ok(())
    }

    /// The module with the section that `wit-bindgen` would have left.
    fn name_world(&self, module: &[u8], world: WorldId) -> Result<Vec<u8>, Error> {
        let mut named = module.to_vec();
        embed_component_metadata(&mut named, &self.resolve, world, StringEncoding::UTF8)
            .or_else(|e| error(format!("{e:#}")))?;
        Ok(named)
    }

    fn exports(&self, world: WorldId) -> impl Iterator<Item = (&WorldKey, &WorldItem)> {
        self.resolve.worlds[world].exports.iter()
    }

    fn imports(&self, world: WorldId) -> impl Iterator<Item = (&WorldKey, &WorldItem)> {
        self.resolve.worlds[world].imports.iter()
    }

    /// Every function of interfaces, as modules import them: `(traceweir:plugin/log@0.1.0, write)`.
    fn functions<'a>(
        &'a self,
        items: impl Iterator<Item = (&'a WorldKey, &'a WorldItem)>,
    ) -> impl Iterator<Item = (String, &'a str)> {
        items.flat_map(|(key, item)| {
            let functions = match item {
                WorldItem::Interface { id, .. } => {
                    Some(self.resolve.interfaces[*id].functions.keys())
                }
                _ => None,
            };
            let interface = self.resolve.name_world_key(key);
            functions.into_iter().flatten().map(move |name| (interface.clone(), name.as_str()))
        })
    }
}

fn listed(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    let text = names.iter().take(LISTED).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "nothing".to_owned(),
        n if n > LISTED => format!("{text} and {} more", n - LISTED),
        _ => text,
    }
}

#[cfg(test)]
mod tests;
