//! Where plugins come from: the bundled set, files, HTTPS and OCI registries; and what has to be true of what comes
//! before it is run.
//!
//! What comes over a network is named with its digest, unless that is switched off. Where keys are configured, what is
//! not bundled needs a signature: 64 bytes of Ed25519 over the bytes of the file, in Base64, in a file beside it
//! (`NAME.wasm.sig`), at the URL with `.sig` behind it, or in the annotation `dev.traceweir.signature` of an OCI
//! manifest.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::digest::Digest;
use crate::error::{Error, Kind};
use crate::plugin::COMPONENT_BYTES_MAX;

/// A signature is short.
const SIGNATURE_BYTES_MAX: u64 = 4_096;

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is part of this program.
    Bundled(String),
    /// A file.
    File(PathBuf),
    /// A URL, with the digest of what is there.
    Https(String, Option<Digest>),
    /// An artifact of an OCI registry.
    Oci(Reference),
}

/// `registry/repository:tag@sha256:…`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The registry's host, and port where there is one.
    pub registry: String,
    /// The repository.
    pub repository: String,
    /// The tag. What it points to may change, so a digest wins.
    pub tag: Option<String>,
    /// The digest of the manifest.
    pub digest: Option<Digest>,
}

impl Source {
    /// `bundled:NAME`, `file:PATH` (or a path), `https://…[@sha256:…]`, `oci://REGISTRY/REPOSITORY[:TAG][@sha256:…]`.
    ///
    /// # Errors
    /// Says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("bundled:") {
            return Ok(Self::Bundled(name.to_owned()));
        }
        if let Some(reference) = text.strip_prefix("oci://") {
            return Reference::parse(reference).map(Self::Oci);
        }
        if text.starts_with("https://") {
            let (url, digest) = with_digest(text)?;
            return Ok(Self::Https(url.to_owned(), digest));
        }
        let path =
            text.strip_prefix("file://").or_else(|| text.strip_prefix("file:")).unwrap_or(text);
        if path.is_empty() || path.contains("://") {
            return Err(format!("{text:?}: bundled:NAME, file:PATH, https://… or oci://…"));
        }
        Ok(Self::File(PathBuf::from(path)))
    }

    /// Whether what is there may change without that its name does.
    #[must_use]
    pub const fn is_pinned(&self) -> bool {
        match self {
            Self::Bundled(_) => true,
            Self::File(_) => false,
            Self::Https(_, digest) => digest.is_some(),
            Self::Oci(reference) => reference.digest.is_some(),
        }
    }

    /// Whether it comes over a network.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        matches!(self, Self::Https(..) | Self::Oci(_))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled(name) => write!(f, "bundled:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Https(url, None) => f.write_str(url),
            Self::Https(url, Some(digest)) => write!(f, "{url}@{digest}"),
            Self::Oci(reference) => write!(f, "oci://{reference}"),
        }
    }
}

fn with_digest(text: &str) -> Result<(&str, Option<Digest>), String> {
    match text.rsplit_once("@sha256:") {
        None => Ok((text, None)),
        Some((name, digest)) => Ok((name, Some(Digest::parse(digest)?))),
    }
}

impl Reference {
    /// Reads what stands behind `oci://`.
    ///
    /// # Errors
    /// Says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fault = || format!("{text:?}: REGISTRY/REPOSITORY, then :TAG or @sha256:…");
        let (name, digest) = with_digest(text)?;
        let (registry, path) = name.split_once('/').ok_or_else(fault)?;
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (path, None),
        };
        let is_word = |text: &str, also: &str| {
            !text.is_empty()
                && text.chars().all(|of| of.is_ascii_alphanumeric() || also.contains(of))
        };
        let fits =
            is_word(registry, ".-:[]") && is_word(repository, "._-/") && !repository.contains("..");
        if !fits
            || tag.is_some_and(|tag| !is_word(tag, "._-"))
            || (tag.is_none() && digest.is_none())
        {
            return Err(fault());
        }
        let (registry, repository) = (registry.to_owned(), repository.to_owned());
        Ok(Self { registry, repository, tag: tag.map(str::to_owned), digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// What came, and its signature where there was one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The plugin.
    pub bytes: Vec<u8>,
    /// In Base64.
    pub signature: Option<String>,
    /// What tells whether it has changed: the `ETag` of a URL, the digest of a manifest.
    pub revision: Option<String>,
    /// The manifest of an artifact, which names the plugin by its digest.
    pub manifest: Option<Vec<u8>>,
}

/// Why what a source names is not taken, and of which revision that is: it need not be fetched again.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: Error,
    /// The revision, where something came.
    pub revision: Option<String>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, revision: None }
    }
}

/// Fetches what comes over a network: the process that runs plugins has a client, this crate has none.
pub trait Fetch: Send + Sync + fmt::Debug {
    /// Fetches; blocks for as long as that takes. Nothing where what is there is the revision that is `known`. Whoever has
    /// asked holds what came against the digest of the source.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] with what the other side said; [`Kind::NotOurs`] where what is there is something else.
    fn fetch(&self, source: &Source, known: Option<&str>) -> Result<Option<Fetched>, Refused>;
}

/// Nothing comes over a network.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

impl Fetch for Nowhere {
    fn fetch(&self, source: &Source, _: Option<&str>) -> Result<Option<Fetched>, Refused> {
        Err(Error::new(Kind::Unavailable, format!("{source}: nothing is fetched here")).into())
    }
}

/// What has to be true of plugins that are not bundled.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Public keys of Ed25519, 32 bytes each. None: no signatures are asked for.
    pub keys: Vec<Vec<u8>>,
    /// What comes over a network need not be named with its digest.
    pub unpinned: bool,
}

impl Trust {
    /// Reads a public key in Base64: 32 bytes, or a PEM body of 44 with the algorithm in front of them.
    ///
    /// # Errors
    /// Says what is accepted.
    pub fn key(text: &str) -> Result<Vec<u8>, String> {
        let fault = || format!("{text:.20}…: no public key of Ed25519 in Base64");
        let bytes = BASE64_STANDARD.decode(text.trim()).map_err(|_| fault())?;
        match bytes.len() {
            32 => Ok(bytes),
            44 => Ok(bytes.get(12..).unwrap_or_default().to_vec()),
            _ => Err(fault()),
        }
    }

    fn check(&self, source: &Source, fetched: &Fetched) -> Result<(), Error> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let not_ours = |what: &str| Error::new(Kind::NotOurs, format!("{source}: {what}"));
        let signature =
            fetched.signature.as_ref().ok_or_else(|| not_ours("it has no signature"))?;
        let signature = BASE64_STANDARD.decode(signature.trim());
        let signature = signature.map_err(|_| not_ours("its signature is not Base64"))?;
        let is_good = |key: &Vec<u8>| {
            UnparsedPublicKey::new(&ED25519, key).verify(&fetched.bytes, &signature).is_ok()
        };
        if self.keys.iter().any(is_good) {
            return Ok(());
        }
        Err(not_ours("its signature is of none of the keys that are trusted"))
    }
}

/// Reads what a source names, and holds it against digest and signature. Nothing where it is the revision of a network
/// that is `known`.
///
/// # Errors
/// [`Kind::Unavailable`] where it cannot be had, [`Kind::NotOurs`] where it is something else; and the revision of what is
/// something else.
pub(crate) fn read(
    source: &Source,
    bundled: &[(&str, &[u8])],
    (fetch, known): (&dyn Fetch, Option<&str>),
    trust: &Trust,
) -> Result<Option<Fetched>, Refused> {
    allowed(source, trust)?;
    let fetched = match source {
        Source::Bundled(name) => {
            let found = bundled.iter().find(|(known, _)| known == name);
            let names: Vec<&str> = bundled.iter().map(|(name, _)| *name).collect();
            let missing =
                || Error::new(Kind::Config, format!("{source}: bundled are {}", names.join(", ")));
            let (_, bytes) = found.ok_or_else(missing)?;
            return Ok(Some(Fetched { bytes: bytes.to_vec(), ..Fetched::default() }));
        }
        Source::File(path) => read_file(path, !trust.keys.is_empty())?,
        Source::Https(..) | Source::Oci(_) => match fetch.fetch(source, known)? {
            Some(fetched) => fetched,
            None => return Ok(None),
        },
    };
    match check(source, &fetched, trust) {
        Ok(()) => Ok(Some(fetched)),
        Err(error) => Err(Refused { error, revision: fetched.revision }),
    }
}

/// Whether something may come from there at all.
fn allowed(source: &Source, trust: &Trust) -> Result<(), Error> {
    if source.is_remote() && !source.is_pinned() && !trust.unpinned {
        let what =
            format!("{source}: it has no digest; add @sha256:…, or allow it (unpinned: true)");
        return Err(Error::new(Kind::NotOurs, what));
    }
    Ok(())
}

/// Holds what came from a source, now or some time ago, against what is asked of it.
///
/// # Errors
/// [`Kind::NotOurs`] with what is otherwise.
pub(crate) fn check(source: &Source, fetched: &Fetched, trust: &Trust) -> Result<(), Error> {
    allowed(source, trust)?;
    let found = || Digest::of(&fetched.bytes);
    let other = |what: String| Error::new(Kind::NotOurs, format!("{source}: {what}"));
    match source {
        Source::Https(_, Some(digest)) if *digest != found() => {
            return Err(other(format!("what is there is {}", found())));
        }
        Source::Oci(reference) => check_manifest(reference, fetched).map_err(other)?,
        Source::Bundled(_) | Source::File(_) | Source::Https(..) => {}
    }
    trust.check(source, fetched)
}

/// From the digest that is pinned to the manifest, and from there to the plugin.
fn check_manifest(reference: &Reference, fetched: &Fetched) -> Result<(), String> {
    let Some(manifest) = &fetched.manifest else {
        return reference.digest.as_ref().map_or(Ok(()), |_| Err("it has no manifest".to_owned()));
    };
    let digest = Digest::of(manifest);
    if reference.digest.as_ref().is_some_and(|wanted| *wanted != digest) {
        return Err(format!("its manifest is {digest}"));
    }
    let read: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let layer = read.pointer("/layers/0/digest").and_then(Value::as_str);
    let found = Digest::of(&fetched.bytes).to_string();
    if layer != Some(&found) {
        return Err(format!("its manifest names another plugin than {found}"));
    }
    Ok(())
}

fn read_file(path: &Path, wants_signature: bool) -> Result<Fetched, Error> {
    let named = |fault: &dyn fmt::Display| {
        Error::new(Kind::Unavailable, format!("{}: {fault}", path.display()))
    };
    let file = File::open(path).map_err(|fault| named(&fault))?;
    let mut bytes = Vec::new();
    let read = file.take(COMPONENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|fault| named(&fault))?;
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(named(&format!("more than {} MiB", COMPONENT_BYTES_MAX >> 20)));
    }
    let mut signature = None;
    if wants_signature {
        let mut name = path.as_os_str().to_owned();
        name.push(".sig");
        let mut text = String::new();
        let read = File::open(&name)
            .and_then(|file| file.take(SIGNATURE_BYTES_MAX).read_to_string(&mut text));
        signature = read.is_ok().then_some(text);
    }
    Ok(Fetched { bytes, signature, ..Fetched::default() })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    #[test]
    fn sources_are_read_as_they_are_written() {
        for text in [
            "bundled:redact".to_owned(),
            "file:/etc/plugins/a.wasm".to_owned(),
            "https://plugins.example/a.wasm".to_owned(),
            format!("https://plugins.example/a.wasm@sha256:{ZEROS}"),
            "oci://ghcr.io/acme/plugins/a:1.0".to_owned(),
            format!("oci://127.0.0.1:5000/a@sha256:{ZEROS}"),
            format!("oci://127.0.0.1:5000/a:1@sha256:{ZEROS}"),
        ] {
            assert_eq!(Source::parse(&text).unwrap().to_string(), text);
        }
        assert_eq!(Source::parse("a.wasm"), Ok(Source::File("a.wasm".into())));
        for wrong in [
            "",
            "http://a/b",
            "oci://a",
            "oci://a/b",
            "oci://a/../b:1",
            "https://a@sha256:1",
            "oci:///a:1",
        ] {
            assert!(Source::parse(wrong).is_err(), "{wrong}");
        }
    }

    fn told(source: &Source, fetch: &dyn Fetch, trust: &Trust) -> Result<Vec<u8>, Error> {
        let read = read(source, &[("x", b"y")], (fetch, None), trust);
        read.map(|fetched| fetched.unwrap().bytes).map_err(|refused| refused.error)
    }

    #[test]
    fn what_comes_over_a_network_is_named_with_its_digest() {
        let source = Source::parse("https://plugins.example/a.wasm").unwrap();
        let fault = told(&source, &Nowhere, &Trust::default()).unwrap_err();
        assert!(fault.to_string().contains("@sha256:"), "{fault}");
        let trust = Trust { unpinned: true, ..Trust::default() };
        assert_eq!(told(&source, &Nowhere, &trust).unwrap_err().kind(), Kind::Unavailable);
    }

    #[derive(Debug)]
    struct Always(&'static [u8]);

    impl Fetch for Always {
        fn fetch(&self, _: &Source, _: Option<&str>) -> Result<Option<Fetched>, Refused> {
            Ok(Some(Fetched { bytes: self.0.to_vec(), ..Fetched::default() }))
        }
    }

    #[test]
    fn another_digest_is_refused_and_told() {
        let source =
            |digest: &Digest| Source::Https("https://a/b".to_owned(), Some(digest.clone()));
        let trust = Trust::default();
        let right = Digest::of(b"plugin");
        assert!(told(&source(&right), &Always(b"plugin"), &trust).is_ok());
        let fault = told(&source(&right), &Always(b"other"), &trust).unwrap_err();
        assert_eq!(fault.kind(), Kind::NotOurs);
        assert!(fault.to_string().contains(&Digest::of(b"other").to_string()));
    }

    #[test]
    fn a_pinned_manifest_names_the_plugin() {
        let bytes = b"plugin".to_vec();
        let manifest = |of: &[u8]| {
            serde_json::json!({"layers": [{"digest": Digest::of(of).to_string()}]}).to_string()
        };
        let right = manifest(b"plugin").into_bytes();
        let source = |manifest: &[u8]| {
            Source::parse(&format!("oci://a.example/b:1@{}", Digest::of(manifest))).unwrap()
        };
        let told = |source: &Source, manifest: Option<&[u8]>| {
            let manifest = manifest.map(<[u8]>::to_vec);
            let fetched = Fetched { bytes: bytes.clone(), manifest, ..Fetched::default() };
            check(source, &fetched, &Trust::default()).map_err(|error| error.to_string())
        };
        assert_eq!(told(&source(&right), Some(&right)), Ok(()));
        let other = manifest(b"other").into_bytes();
        for (of, manifest, why) in [
            (&right, Some(&other[..]), "its manifest is sha256:"),
            (&other, Some(&other[..]), "names another plugin"),
            (&b"{".to_vec(), Some(&b"{"[..]), "names another plugin"),
            (&right, None, "no manifest"),
        ] {
            let fault = told(&source(of), manifest).unwrap_err();
            assert!(fault.contains(why), "{fault}");
        }
    }

    #[test]
    fn where_keys_are_trusted_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wasm");
        std::fs::write(&path, b"plugin").unwrap();
        let source = Source::File(path);
        let [own, other] =
            [1u8, 2].map(|seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap());
        let keys = vec![own.public_key().as_ref().to_vec()];
        let trust = Trust { keys, ..Trust::default() };
        let fault = || told(&source, &Nowhere, &trust).unwrap_err().to_string();
        assert!(fault().contains("no signature"), "{}", fault());
        let sign = |key: &Ed25519KeyPair, bytes: &[u8]| {
            let signature = BASE64_STANDARD.encode(key.sign(bytes).as_ref());
            std::fs::write(dir.path().join("a.wasm.sig"), signature).unwrap();
        };
        sign(&other, b"plugin");
        assert!(fault().contains("none of the keys"), "{}", fault());
        sign(&own, b"other");
        assert!(fault().contains("none of the keys"), "{}", fault());
        sign(&own, b"plugin");
        assert_eq!(told(&source, &Nowhere, &trust).unwrap(), b"plugin");
        assert!(told(&Source::Bundled("x".to_owned()), &Nowhere, &trust).is_ok());
    }

    #[test]
    fn keys_are_read_in_both_forms() {
        let key = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
        let raw = key.public_key().as_ref().to_vec();
        assert_eq!(Trust::key(&BASE64_STANDARD.encode(&raw)), Ok(raw.clone()));
        let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        der.extend_from_slice(&raw);
        assert_eq!(Trust::key(&BASE64_STANDARD.encode(der)), Ok(raw));
        assert!(Trust::key("AAAA").is_err() && Trust::key("?").is_err());
    }
}
