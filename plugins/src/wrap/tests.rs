//! Modules as toolchains make them, written by hand.

use super::*;

const SAMPLER: [&str; 3] = [
    "lifecycle@0.1.0#describe:",
    "lifecycle@0.1.0#configure:i32 i32",
    "head-sampler@0.1.0#sample:i32 i32",
];
const PROCESSOR: &str = "span-processor@0.1.0#process:i32 i32";

/// Functions of the contract (`name:parameters`, with an i32 as the result), and `rest` before them.
fn module(rest: &str, functions: &[&str]) -> Vec<u8> {
    let functions = functions.iter().map(|function| {
        let (name, parameters) = function.split_once(':').unwrap();
        format!("(func (export \"{PACKAGE}{name}\") (param {parameters}) (result i32) unreachable)")
    });
    let text = format!(
        "(module {rest} (memory (export \"memory\") 1)
           (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) unreachable)
           {})",
        functions.collect::<String>()
    );
    wat::parse_str(text).unwrap()
}

fn wrapped(bytes: &[u8]) -> Vec<u8> {
    component_of(bytes).unwrap().into_owned()
}

fn refusal(bytes: &[u8]) -> String {
    component_of(bytes).unwrap_err().to_string()
}

fn imports(component: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ComponentImportSection(section) => {
                names
                    .extend(section.into_iter().map(|import| import.unwrap().name.name.to_owned()));
            }
            // The modules and the types within have imports of their own.
            Payload::ModuleSection { .. } => break,
            _ => {}
        }
    }
    names
}

#[test]
fn a_module_becomes_a_component() {
    let component = wrapped(&module("", &SAMPLER));
    assert!(Parser::is_component(&component));
    assert!(matches!(component_of(&component), Ok(Cow::Borrowed(same)) if same == &*component));
}

#[test]
fn a_component_imports_the_contract_alone() {
    let rest = r#"
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
        (import "traceweir:plugin/log@0.1.0" "write" (func (param i32 i32 i32)))"#;
    let component = wrapped(&module(rest, &SAMPLER));
    let names = ["traceweir:plugin/log@0.1.0", "traceweir:plugin/types@0.1.0"];
    assert_eq!(imports(&component), names.map(str::to_owned).into());
}

#[test]
fn a_section_that_names_the_world_is_taken_at_its_word() {
    let contract = Contract::read().unwrap();
    let world = contract.world_of(&Module::read(&module("", &SAMPLER)).unwrap()).unwrap();
    let typed = contract.name_world(&module("", &SAMPLER), world).unwrap();
    assert!(Parser::is_component(&wrapped(&typed)));
    let less = contract.name_world(&module("", &SAMPLER[..2]), world).unwrap();
    assert!(refusal(&less).contains("head-sampler"), "{}", refusal(&less));
}

#[test]
fn every_world_is_found_by_its_exports() {
    let contract = Contract::read().unwrap();
    for &world in &contract.worlds {
        let functions: Vec<_> = contract.functions(contract.exports(world)).collect();
        if functions.len() == 2 {
            continue; // "base", which is nobody's world
        }
        let names = functions.iter().map(|(interface, name)| format!("{interface}#{name}"));
        let text: String = names.map(|name| format!("(func (export \"{name}\"))")).collect();
        let bytes = wat::parse_str(format!("(module {text})")).unwrap();
        assert_eq!(contract.world_of(&Module::read(&bytes).unwrap()), Ok(world));
    }
}

#[test]
fn what_is_no_plugin_is_told_what_one_is() {
    assert_eq!(
        refusal(b"#!/bin/sh"),
        "neither a WebAssembly component nor a core module: 9 bytes that do not begin as one"
    );
    let broken = [module("", &SAMPLER), vec![1, 2, 3]].concat();
    assert!(
        refusal(&broken).starts_with("not a valid WebAssembly module: "),
        "{}",
        refusal(&broken)
    );
    assert_eq!(
        refusal(&module("", &[])),
        "not a plugin: exports cabi_realloc, memory, and a plugin exports traceweir:plugin/lifecycle@0.1.0 \
         and one of span-processor, head-sampler, tail-sampler, authenticator, router, refresher"
    );
}

#[test]
fn missing_exports_are_named() {
    assert_eq!(
        refusal(&module("", &[SAMPLER[0], SAMPLER[2]])),
        "a module for the world head-sampler-plugin that does not export \
         traceweir:plugin/lifecycle@0.1.0#configure"
    );
    let bare =
        wat::parse_str(r#"(module (func (export "traceweir:plugin/tail-sampler@0.1.0#decide")))"#)
            .unwrap();
    assert_eq!(
        refusal(&bare),
        "a module for the world tail-sampler-plugin that does not export \
         traceweir:plugin/tail-sampler@0.1.0#level, traceweir:plugin/lifecycle@0.1.0#describe, \
         traceweir:plugin/lifecycle@0.1.0#configure, cabi_realloc, memory"
    );
}

#[test]
fn one_world_of_one_version() {
    assert_eq!(
        refusal(&module("", &[SAMPLER.as_slice(), &[PROCESSOR]].concat())),
        "exports the functions of several worlds (span-processor-plugin, head-sampler-plugin), \
         and a plugin implements one"
    );
    assert_eq!(
        refusal(&module("", &["head-sampler@0.2.0#sample:i32 i32"])),
        "made for another version of the contract: exports traceweir:plugin/head-sampler@0.2.0, \
         this host runs 0.1.0"
    );
}

#[test]
fn imports_that_the_world_does_not_have_are_named() {
    let clock = r#"(import "traceweir:plugin/clock@0.1.0" "now-unix-nano" (func (result i64)))"#;
    assert_eq!(
        refusal(&module(clock, &SAMPLER)),
        "imports now-unix-nano of traceweir:plugin/clock@0.1.0, which the world head-sampler-plugin does not \
         have: it has traceweir:plugin/log@0.1.0, traceweir:plugin/metrics@0.1.0, traceweir:plugin/tables@0.1.0"
    );
    let processor = [SAMPLER[0], SAMPLER[1], PROCESSOR];
    wrapped(&module(clock, &processor));
    let abort = r#"(import "env" "abort" (func (param i32 i32 i32 i32)))"#;
    assert!(refusal(&module(abort, &SAMPLER)).starts_with("imports abort of env, which the world"));
    let exec = r#"(import "wasi_snapshot_preview1" "exec" (func))"#;
    assert!(
        refusal(&module(exec, &SAMPLER))
            .starts_with("imports exec of wasi_snapshot_preview1, which")
    );
}

#[test]
fn a_function_of_another_type_is_refused() {
    let wrong = refusal(&module("", &[SAMPLER[0], SAMPLER[1], "head-sampler@0.1.0#sample:i64"]));
    assert!(wrong.starts_with("the module does not fit its world: "), "{wrong}");
    assert!(wrong.contains("head-sampler"), "{wrong}");
}

/// All of preview 1: whatever a runtime imports, the module is wrapped.
#[test]
fn the_adapter_has_all_of_preview_1() {
    let adapter = Module::read(DENY).unwrap();
    assert_eq!(adapter.exports.len(), 46);
    assert_eq!(adapter.imports, [("env", "memory")]);
    assert!(DENY.len() < 2048, "{} bytes", DENY.len());
}

#[test]
fn interfaces_are_those_of_the_component_itself() {
    let module = crate::guests::Guest::default().module();
    assert_eq!(interfaces_of(&module), Ok(None));
    let component = component_of(&module).unwrap();
    let found = interfaces_of(&component).unwrap().unwrap();
    let all = |names: &[&str]| {
        names.iter().map(|name| format!("{PACKAGE}{name}@0.1.0")).collect::<Vec<_>>()
    };
    let mut exports = found.exports.clone();
    exports.sort();
    assert_eq!(exports, all(&["lifecycle", "span-processor"]));
    assert!(found.imports.iter().all(|name| name.starts_with(PACKAGE)), "{found:?}");
    assert!(interfaces_of(b"\0asm\x0d\0\x01\0rest").is_err());
}
