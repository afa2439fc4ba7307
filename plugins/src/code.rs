//! Compiled code on the disk, so that a restart compiles nothing again: seconds for a plugin in JavaScript or
//! Python, and half a millisecond to load.
//!
//! What is loaded is run as it is, so a file is only taken that this process's user wrote, that nobody else could
//! have changed, that was made from this component by this engine, and whose contents have the hash that stands in
//! front of them. Anything else is compiled anew. Files come from nowhere else, and are shipped nowhere.
//!
//! ```text
//! magic "TWCODE1\n" | 32 bytes: SHA-256 of the component | 8 bytes: hash of engine, version, target, settings
//! | 32 bytes: SHA-256 of the code | code
//! ```

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;

use model::metric::Counter;
use tracing::debug;
use wasmtime::component::Component;

use crate::digest::Digest;
use crate::engine::Engine;
use crate::error::Error;
use crate::own::{self, Bounds};

const MAGIC: [u8; 8] = *b"TWCODE1\n";
const HEAD_BYTES: usize = 8 + 32 + 8 + 32;
/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// What files of code end in.
const ENDING: &str = "code";
/// Files that are kept; the oldest go.
const BOUNDS: Bounds = Bounds { files: 200, bytes: u64::MAX };

/// A directory of compiled code; or none, and everything is compiled each time.
#[derive(Debug, Default)]
pub struct Codes {
    dir: Option<PathBuf>,
    /// Times that code was there.
    pub loaded: Counter,
    /// Times that it had to be compiled.
    pub compiled: Counter,
}

impl Codes {
    /// Keeps code in a directory, which is made where it is not there.
    #[must_use]
    pub fn in_dir(dir: PathBuf) -> Self {
        Self { dir: Some(dir), ..Self::default() }
    }

    /// The code of a component, loaded or compiled.
    ///
    /// # Errors
    /// As [`Engine::compile`]. A file that cannot be read or written is none.
    pub fn get(&self, engine: &Engine, digest: &Digest, bytes: &[u8]) -> Result<Component, Error> {
        let key = key(engine, digest);
        if let Some(component) = self.load(engine, &key) {
            self.loaded.inc();
            return Ok(component);
        }
        let component = engine.compile(bytes)?;
        self.compiled.inc();
        self.keep(&component, &key);
        Ok(component)
    }

    fn load(&self, engine: &Engine, key: &Key) -> Option<Component> {
        let path = self.dir.as_ref()?.join(key.name());
        let bytes = own::read(&path, FILE_BYTES_MAX).ok()?;
        let (head, code) = bytes.split_at_checked(HEAD_BYTES)?;
        if head != key.head(code) {
            debug!(path = %path.display(), "compiled code is not what it should be");
            return None;
        }
        #[expect(unsafe_code, reason = "the one place where compiled code is loaded")]
        // SAFETY: `deserialize` runs what it is given. These bytes were written by this function's counterpart
        // below: the file belongs to our user, others can write neither it nor its directory, and the hash of the
        // bytes stands in front of them, with those of the component and the engine that they were made from.
        let loaded = unsafe { Component::deserialize(&engine.wasm, code) };
        loaded.ok()
    }

    fn keep(&self, component: &Component, key: &Key) {
        let Some(dir) = &self.dir else { return };
        let kept = component.serialize().map_err(|fault| fault.to_string()).and_then(|code| {
            own::write(dir, &key.name(), &[&key.head(&code), &code])
                .and_then(|()| own::sweep(dir, ENDING, BOUNDS))
                .map_err(|fault| fault.to_string())
        });
        if let Err(fault) = kept {
            debug!(dir = %dir.display(), fault, "compiled code is not kept");
        }
    }
}

/// What code is made from.
struct Key {
    component: Digest,
    engine: u64,
}

fn key(engine: &Engine, digest: &Digest) -> Key {
    let mut hasher = DefaultHasher::new();
    // Version, target and settings are all in it.
    engine.wasm.precompile_compatibility_hash().hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    Key { component: digest.clone(), engine: hasher.finish() }
}

impl Key {
    fn name(&self) -> String {
        format!("{}-{:016x}.{ENDING}", self.component.hex(), self.engine)
    }

    fn head(&self, code: &[u8]) -> Vec<u8> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(self.component.bytes());
        head.extend_from_slice(&self.engine.to_le_bytes());
        head.extend_from_slice(Digest::of(code).bytes());
        head
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::engine::Settings;

    const EMPTY: &str = "(component)";

    fn codes() -> (tempfile::TempDir, Codes, Engine) {
        let dir = tempfile::tempdir().unwrap();
        let codes = Codes::in_dir(dir.path().join("code"));
        let settings = Settings { instances_max: 64, ..Settings::default() };
        (dir, codes, Engine::start(&settings).unwrap())
    }

    fn file(codes: &Codes) -> PathBuf {
        let mut files = fs::read_dir(codes.dir.as_ref().unwrap()).unwrap();
        files.next().unwrap().unwrap().path()
    }

    #[test]
    fn compiled_code_is_found_again() {
        let (_dir, codes, engine) = codes();
        let bytes = wat::parse_str(EMPTY).unwrap();
        for _ in 0..3 {
            codes.get(&engine, &Digest::of(&bytes), &bytes).unwrap();
        }
        assert_eq!((codes.compiled.get(), codes.loaded.get()), (1, 2));
    }

    #[test]
    fn what_somebody_changed_is_compiled_anew() {
        let (_dir, codes, engine) = codes();
        let bytes = wat::parse_str(EMPTY).unwrap();
        let get = || codes.get(&engine, &Digest::of(&bytes), &bytes).unwrap();
        get();
        let whole = fs::read(file(&codes)).unwrap();
        for at in [0, 9, 41, 50, HEAD_BYTES + 1, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(file(&codes), &changed).unwrap();
            let before = codes.compiled.get();
            get();
            assert_eq!(codes.compiled.get(), before + 1, "byte {at}");
        }
        fs::write(file(&codes), &whole[..HEAD_BYTES - 3]).unwrap();
        let before = codes.compiled.get();
        get();
        assert_eq!(codes.compiled.get(), before + 1);
        fs::set_permissions(file(&codes), std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .unwrap();
        get();
        assert_eq!(codes.compiled.get(), before + 2, "others can write it");
    }
}
