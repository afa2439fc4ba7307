//! What was fetched over a network, kept on the disk: a plugin runs also when nobody answers where it comes from.
//!
//! A file is of one source, as it is written down. It is only read where nobody else can have written it and its contents
//! have the hash in front of them; and then it is no more than what a network has given: its digest, the manifest that
//! names it, its signature are held against what is asked of plugins now (`source::check`).
//!
//! ```text
//! magic "TWKEPT1\n" | 32 bytes: SHA-256 of all that follows | 4 bytes: how long the head is | head: JSON | the plugin
//! ```

use std::path::PathBuf;

use model::Nanos;
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use crate::digest::Digest;
use crate::own::{self, Bounds};
use crate::plugin::COMPONENT_BYTES_MAX;
use crate::source::{Fetched, Source};

const MAGIC: [u8; 8] = *b"TWKEPT1\n";
/// The largest head: a manifest is the most of it.
const HEAD_BYTES_MAX: usize = 16 << 20;
/// The largest file that is read.
const FILE_BYTES_MAX: u64 = (COMPONENT_BYTES_MAX + HEAD_BYTES_MAX + 64) as u64;
/// What its files end in.
const ENDING: &str = "kept";
/// How much is kept; what was not asked for since the most starts goes.
const BOUNDS: Bounds = Bounds { files: 200, bytes: 1 << 30 };

/// A directory of what was fetched; or none, and nothing is kept.
#[derive(Debug, Default)]
pub struct Shelf {
    dir: Option<PathBuf>,
}

/// What was kept of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// What had come.
    pub(crate) fetched: Fetched,
    /// When.
    pub(crate) since: Nanos,
}

/// What stands in front of a plugin.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// The SHA-256 of the source as it is written down, which may have secrets in it.
    source: String,
    /// Nanoseconds since 1970.
    since: u64,
    revision: Option<String>,
    signature: Option<String>,
    manifest: Option<String>,
}

impl Shelf {
    /// Keeps plugins in a directory, which is made where it is not there.
    #[must_use]
    pub const fn in_dir(dir: PathBuf) -> Self {
        Self { dir: Some(dir) }
    }

    /// What was kept of a source; what is no whole file of ours is nothing.
    pub(crate) fn get(&self, source: &Source, now: Nanos) -> Option<Kept> {
        let (key, dir) = (key(source), self.dir.as_ref()?);
        let path = dir.join(format!("{key}.{ENDING}"));
        let bytes = match own::read(&path, FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return None,
            Err(fault) => {
                warn!(%source, %fault, "what was kept of a plugin cannot be read");
                return None;
            }
        };
        let kept = decode(bytes, &key);
        if kept.is_none() {
            warn!(%source, path = %path.display(), "what was kept of a plugin is damaged");
        }
        // Where that cannot be noted it goes earlier than others.
        own::touch(&path, now).unwrap_or_default();
        kept
    }

    /// Keeps what has come from a source, in the place of what was kept of it before.
    pub(crate) fn put(&self, source: &Source, fetched: &Fetched, now: Nanos) {
        let Some(dir) = &self.dir else { return };
        let key = key(source);
        let put = encode(&key, fetched, now).and_then(|head| {
            own::write(dir, &format!("{key}.{ENDING}"), &[&head, &fetched.bytes])
                .and_then(|()| own::sweep(dir, ENDING, BOUNDS))
                .map_err(|fault| fault.to_string())
        });
        if let Err(fault) = put {
            debug!(%source, dir = %dir.display(), fault, "a plugin that was fetched is not kept");
        }
    }
}

fn key(source: &Source) -> String {
    Digest::of(source.to_string().as_bytes()).hex()
}

/// Everything that stands in front of the plugin.
fn encode(key: &str, fetched: &Fetched, now: Nanos) -> Result<Vec<u8>, String> {
    let Fetched { bytes, signature, revision, manifest } = fetched;
    let manifest = manifest.clone().map(String::from_utf8).transpose();
    let head = Head {
        source: key.to_owned(),
        since: now.0,
        revision: revision.clone(),
        signature: signature.clone(),
        manifest: manifest.map_err(|fault| fault.to_string())?,
    };
    let head = serde_json::to_vec(&head).map_err(|fault| fault.to_string())?;
    let len = u32::try_from(head.len()).ok().filter(|_| head.len() <= HEAD_BYTES_MAX);
    let len = len.ok_or("what is told of it is too long")?.to_le_bytes();
    let hash = Digest::of_parts(&[&len, &head, bytes]);
    Ok([&MAGIC[..], hash.bytes(), &len, &head].concat())
}

fn decode(mut bytes: Vec<u8>, key: &str) -> Option<Kept> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (hash, body) = rest.split_first_chunk::<32>()?;
    if Digest::of(body).bytes() != hash {
        return None;
    }
    let (len, rest) = body.split_first_chunk::<4>()?;
    let (head, plugin) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    let Head { source, since, revision, signature, manifest } = head;
    let plugin = plugin.len();
    bytes.drain(..bytes.len() - plugin);
    let manifest = manifest.map(String::into_bytes);
    let fetched = Fetched { bytes, signature, revision, manifest };
    (source == key).then_some(Kept { fetched, since: Nanos(since) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn source() -> Source {
        Source::parse("https://plugins.example/a.wasm").unwrap()
    }

    fn fetched() -> Fetched {
        Fetched {
            bytes: b"plugin".to_vec(),
            signature: Some("c2ln".to_owned()),
            revision: Some("\"r1\"".to_owned()),
            manifest: Some(b"{}".to_vec()),
        }
    }

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let home = tempfile::tempdir().unwrap();
        let shelf = Shelf::in_dir(home.path().join("plugins"));
        (home, shelf)
    }

    fn file(shelf: &Shelf) -> PathBuf {
        let mut files = fs::read_dir(shelf.dir.as_ref().unwrap()).unwrap();
        files.next().unwrap().unwrap().path()
    }

    #[test]
    fn what_was_put_is_there_and_of_its_source_alone() {
        let (_home, shelf) = shelf();
        assert_eq!(shelf.get(&source(), Nanos(7)), None);
        shelf.put(&source(), &fetched(), Nanos(5));
        let kept = Kept { fetched: fetched(), since: Nanos(5) };
        assert_eq!(shelf.get(&source(), Nanos(7)), Some(kept));
        let other = Source::parse("https://plugins.example/b.wasm").unwrap();
        assert_eq!(shelf.get(&other, Nanos(7)), None);
        let moved = shelf.dir.as_ref().unwrap().join(format!("{}.{ENDING}", key(&other)));
        fs::rename(file(&shelf), moved).unwrap();
        assert_eq!(shelf.get(&other, Nanos(7)), None, "it is another one's");
        let none = Shelf::default();
        none.put(&source(), &fetched(), Nanos(5));
        assert_eq!(none.get(&source(), Nanos(7)), None);
    }

    #[test]
    fn what_somebody_changed_is_nothing() {
        let (_home, shelf) = shelf();
        shelf.put(&source(), &fetched(), Nanos(5));
        let whole = fs::read(file(&shelf)).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(file(&shelf), &changed).unwrap();
            assert_eq!(shelf.get(&source(), Nanos(7)), None, "byte {at}");
            fs::write(file(&shelf), &whole[..at]).unwrap();
            assert_eq!(shelf.get(&source(), Nanos(7)), None, "{at} bytes");
        }
        fs::write(file(&shelf), &whole).unwrap();
        assert!(shelf.get(&source(), Nanos(7)).is_some());
        fs::set_permissions(file(&shelf), std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .unwrap();
        assert_eq!(shelf.get(&source(), Nanos(7)), None, "others can write it");
    }

    #[test]
    fn what_is_asked_for_stays_longer() {
        let (_home, shelf) = shelf();
        let of = |number: u64| Source::parse(&format!("https://plugins.example/{number}")).unwrap();
        let second = |number: u64| Nanos::from_secs(1_000 + number);
        for number in 0..200 {
            shelf.put(&of(number), &fetched(), second(number));
            shelf.get(&of(number), second(number)).unwrap();
        }
        shelf.get(&of(0), second(200)).unwrap();
        shelf.put(&of(200), &fetched(), second(201));
        assert!(shelf.get(&of(0), second(202)).is_some());
        assert!(shelf.get(&of(1), second(202)).is_none(), "nobody had asked for it for longer");
    }
}
