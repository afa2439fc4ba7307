//! The examples of every SDK, as they are built, answer the shared vectors (`sdk/vectors`) byte for byte: in the engine of
//! the host, core modules wrapped as the host does.
//!
//! `TRACEWEIR_SDK_ARTIFACTS` names a directory that has `LANGUAGE/EXAMPLE.wasm`; `tests/prove/sdks` fills one. Without it
//! nothing is tested, and that is said.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells"
)]

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use plugins::{Engine, Settings, component_of};
use serde_json::Value as Json;
use wasmtime::Store;
use wasmtime::component::{Component, Func, Instance, Linker, Val};

const VERSION: &str = "0.1.0";
/// The worlds of the examples: an interface, and its function that takes batches.
const WORLDS: [(&str, &str); 2] = [("span-processor", "process"), ("head-sampler", "sample")];
#[test]
fn built_examples_answer_as_the_vectors_say() {
    let Some(dir) = std::env::var_os("TRACEWEIR_SDK_ARTIFACTS") else {
        eprintln!(
            "SKIPPED: vectors as Wasm: TRACEWEIR_SDK_ARTIFACTS is not set (./dev prove sdks sets it)"
        );
        return;
    };
    let engine = Engine::start(&Settings::default()).unwrap();
    let artifacts = artifacts(Path::new(&dir));
    assert!(!artifacts.is_empty(), "{} has no LANGUAGE/EXAMPLE.wasm", dir.display());
    for artifact in artifacts {
        let vectors = vectors(artifact.file_stem().unwrap().to_str().unwrap());
        let example = Example::compile(&engine, &artifact);
        for (name, vector) in &vectors {
            example.check(vector, &format!("{}: {name}", artifact.display()));
        }
        eprintln!("{} answers {} vectors", artifact.display(), vectors.len());
    }
}

fn artifacts(dir: &Path) -> Vec<PathBuf> {
    let files = |dir: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let languages = files(dir).into_iter().filter(|path| path.is_dir());
    let mut all: Vec<PathBuf> = languages
        .flat_map(|language| files(&language))
        .filter(|file| file.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    all.sort();
    all
}

/// The cases of an example, by their names.
fn vectors(example: &str) -> Vec<(String, Json)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/vectors");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with(example) {
            let vector: Json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            assert_eq!(vector["example"], example, "{name}");
            all.push((name, vector));
        }
    }
    assert!(!all.is_empty(), "sdk/vectors has none of {example}");
    all
}

struct Example {
    component: Component,
    linker: Linker<()>,
}

impl Example {
    fn compile(engine: &Engine, artifact: &Path) -> Self {
        let bytes = std::fs::read(artifact).unwrap();
        let component =
            component_of(&bytes).unwrap_or_else(|fault| panic!("{}: {fault}", artifact.display()));
        let component = engine.compile(&component).unwrap();
        let mut linker = Linker::new(component.engine());
        // No example calls the host: whichever would, traps. That it imports the contract alone the host checks, too.
        for (name, _) in component.component_type().imports(component.engine()) {
            assert!(name.starts_with("traceweir:plugin/"), "{} imports {name}", artifact.display());
        }
        linker.define_unknown_imports_as_traps(&component).unwrap();
        Self { component, linker }
    }

    /// Whether a new instance does what a vector says, and the same when it is asked again.
    fn check(&self, vector: &Json, what: &str) {
        let mut guest = Guest::new(self);
        let configured = guest.configure(&vector["config"].to_string());
        if let Some(path) = vector["config_error"]["path"].as_str() {
            assert_eq!(configured, Err(path.to_owned()), "{what}");
            return;
        }
        assert_eq!(configured, Ok(()), "{what}");
        let batch = BASE64.decode(vector["batch"].as_str().unwrap()).unwrap();
        let expected = match vector["answer"].as_str() {
            Some(answer) => Ok(BASE64.decode(answer).unwrap()),
            None => Err("bad-input".to_owned()),
        };
        for _ in 0..3 {
            assert_eq!(guest.answer(&batch), expected, "{what}");
        }
    }
}

struct Guest {
    store: Store<()>,
    instance: Instance,
}

impl Guest {
    fn new(example: &Example) -> Self {
        let mut store = Store::new(example.component.engine(), ());
        store.set_epoch_deadline(u64::from(u32::MAX));
        let instance = example.linker.instantiate(&mut store, &example.component).unwrap();
        let mut guest = Self { store, instance };
        let describe = guest.function("lifecycle", "describe").unwrap();
        let Val::Record(info) = guest.call(describe, &[]) else { panic!("describe is no record") };
        assert!(info.iter().any(|(name, _)| name == "version"), "{info:?}");
        guest
    }

    fn function(&mut self, interface: &str, name: &str) -> Option<Func> {
        let interface = format!("traceweir:plugin/{interface}@{VERSION}");
        let within = self.instance.get_export_index(&mut self.store, None, &interface)?;
        let at = self.instance.get_export_index(&mut self.store, Some(&within), name)?;
        self.instance.get_func(&mut self.store, at)
    }

    fn call(&mut self, function: Func, params: &[Val]) -> Val {
        let mut results = [Val::Bool(false)];
        function.call(&mut self.store, params, &mut results).unwrap();
        let [result] = results;
        result
    }

    /// The path of what is wrong.
    fn configure(&mut self, config: &str) -> Result<(), String> {
        let configure = self.function("lifecycle", "configure").unwrap();
        match self.call(configure, &[Val::String(config.to_owned())]) {
            Val::Result(Ok(_)) => Ok(()),
            Val::Result(Err(Some(fault))) => Err(path_of(*fault)),
            other => panic!("configure answers {other:?}"),
        }
    }

    /// The answer, or the case of the error.
    fn answer(&mut self, batch: &[u8]) -> Result<Vec<u8>, String> {
        let function = WORLDS.into_iter().find_map(|(of, name)| self.function(of, name)).unwrap();
        let batch = batch.iter().copied().map(Val::U8).collect();
        match self.call(function, &[Val::List(batch)]) {
            Val::Result(Ok(Some(answer))) => Ok(bytes(*answer)),
            Val::Result(Err(Some(fault))) => match *fault {
                Val::Variant(case, _) => Err(case),
                other => panic!("an error is {other:?}"),
            },
            other => panic!("an answer is {other:?}"),
        }
    }
}

fn path_of(fault: Val) -> String {
    let Val::Record(fields) = fault else { panic!("a fault is {fault:?}") };
    match fields.into_iter().find(|(name, _)| name == "path") {
        Some((_, Val::String(path))) => path,
        other => panic!("a path is {other:?}"),
    }
}

fn bytes(list: Val) -> Vec<u8> {
    let Val::List(list) = list else { panic!("bytes are {list:?}") };
    let byte = |item| match item {
        Val::U8(byte) => byte,
        other => panic!("a byte is {other:?}"),
    };
    list.into_iter().map(byte).collect()
}
