//! Plugins in OCI registries: the artifacts that `wkg` makes and reads, by version 1.1 of the OCI distribution
//! specification and version 0 of the CNCF's artifact layout for Wasm. A manifest has one config and one layer, the file
//! itself; a signature stands among its annotations.
//!
//! Written over the client that we have: `oci-client` makes a reqwest client of its own, which leaves no place for our
//! resolver, redirects and roots, and brings some twenty crates for the few requests that there are here.

pub mod credentials;
mod session;

use std::collections::BTreeMap;

use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use plugins::{COMPONENT_BYTES_MAX, Digest, Interfaces, Reference};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::credentials::AuthFile;
use self::session::{Access, Request, Session};
use crate::web::Web;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";
/// Where a signature stands.
const SIGNATURE: &str = "dev.traceweir.signature";
/// As the specification has it for what registries have to take.
const MANIFEST_BYTES_MAX: usize = 4 << 20;
/// Answers that only say that something was done.
const WORDS_BYTES_MAX: usize = 64 << 10;
const CONTENT_DIGEST: &str = "docker-content-digest";

/// Why an artifact does not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It may come later.
    Unavailable(String),
    /// What is there is something else; with the digest of its manifest, where that is known.
    NotOurs(String, Option<Digest>),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Unavailable(why) | Self::NotOurs(why, _)) = self;
        f.write_str(why)
    }
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The file.
    pub bytes: Vec<u8>,
    /// The manifest, as the registry has it.
    pub manifest: Vec<u8>,
    /// Its digest.
    pub digest: Digest,
    /// In Base64.
    pub signature: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

impl Descriptor {
    fn of(media_type: &str, bytes: &[u8]) -> Self {
        let (media_type, digest) = (media_type.to_owned(), Digest::of(bytes).to_string());
        Self { media_type, digest, size: bytes.len() as u64 }
    }
}

/// Fetches an artifact; nothing where its manifest is the one that is known.
///
/// # Errors
/// Says what the registry said, or what is there instead.
///
/// # Cancel safety
/// Nothing has happened when it is dropped.
pub async fn pull(
    web: &Web,
    auth: &AuthFile,
    reference: &Reference,
    known: Option<&str>,
) -> Result<Option<Artifact>, Fault> {
    let is_known = |digest: &str| known == Some(digest);
    if reference.digest.as_ref().is_some_and(|digest| is_known(&digest.to_string())) {
        return Ok(None);
    }
    let session = Session::open(web, auth, reference, Access::Pull).await;
    let mut session = session.map_err(Fault::Unavailable)?;
    let path = format!("manifests/{}", name_of(reference));
    // Registries count who fetches manifests, and not who only asks.
    if known.is_some() {
        let head = Request::new(Method::HEAD, &path, WORDS_BYTES_MAX).header(ACCEPT, MANIFEST);
        let said = session.ask(head).await.map_err(Fault::Unavailable)?;
        if said.status == StatusCode::OK && said.header(CONTENT_DIGEST).is_some_and(is_known) {
            return Ok(None);
        }
    }
    let get = Request::new(Method::GET, &path, MANIFEST_BYTES_MAX).header(ACCEPT, MANIFEST);
    let manifest = session.found(get, "its manifest").await.map_err(Fault::Unavailable)?;
    let digest = Digest::of(&manifest);
    let not_ours = |why: String| Fault::NotOurs(why, Some(digest.clone()));
    if let Some(wanted) = reference.digest.as_ref().filter(|wanted| **wanted != digest) {
        return Err(not_ours(format!("the manifest that came for {wanted} is {digest}")));
    }
    if is_known(&digest.to_string()) {
        return Ok(None);
    }
    let (layer, signature) = layer_of(&manifest).map_err(not_ours)?;
    let (wanted, size) = size_of(&layer).map_err(not_ours)?;
    let get = Request::new(Method::GET, &format!("blobs/{wanted}"), size);
    let bytes = session.found(get, "its layer").await.map_err(Fault::Unavailable)?;
    let found = Digest::of(&bytes);
    if found != wanted {
        return Err(not_ours(format!("the layer that came for {wanted} is {found}")));
    }
    Ok(Some(Artifact { bytes, manifest, digest, signature }))
}

fn name_of(reference: &Reference) -> String {
    let tag = || reference.tag.clone().unwrap_or_default();
    reference.digest.as_ref().map_or_else(tag, ToString::to_string)
}

/// The one layer of a manifest, and its signature.
fn layer_of(manifest: &[u8]) -> Result<(Descriptor, Option<String>), String> {
    let manifest: Manifest = serde_json::from_slice(manifest)
        .map_err(|fault| format!("it is no image manifest of one artifact: {fault}"))?;
    let kind = manifest.media_type.as_deref().unwrap_or(MANIFEST);
    if manifest.schema_version != 2 || kind != MANIFEST {
        return Err(format!("its manifest is {kind:.200}, not {MANIFEST}"));
    }
    if manifest.config.media_type != CONFIG {
        return Err(format!("its config is {:.200}, not {CONFIG}", manifest.config.media_type));
    }
    let Manifest { layers, mut annotations, .. } = manifest;
    let count = layers.len();
    let [layer] = <[Descriptor; 1]>::try_from(layers)
        .map_err(|_| format!("it has {count} layers, one is expected"))?;
    if layer.media_type != LAYER {
        return Err(format!("its layer is {:.200}, not {LAYER}", layer.media_type));
    }
    Ok((layer, annotations.remove(SIGNATURE)))
}

fn size_of(layer: &Descriptor) -> Result<(Digest, usize), String> {
    let digest = Digest::parse(&layer.digest).map_err(|fault| format!("its layer: {fault}"))?;
    let size = usize::try_from(layer.size).ok().filter(|size| *size <= COMPONENT_BYTES_MAX);
    let large = || format!("it has {} bytes, {COMPONENT_BYTES_MAX} is the limit", layer.size);
    Ok((digest, size.ok_or_else(large)?))
}

/// What is pushed.
#[derive(Clone, Debug)]
pub struct Upload<'a> {
    /// The file.
    pub bytes: &'a [u8],
    /// What its component imports and exports; `None` for a core module.
    pub interfaces: Option<Interfaces>,
    /// In Base64.
    pub signature: Option<String>,
}

/// Pushes a file; the digest of its manifest. The same file always has the same one.
///
/// # Errors
/// Says what the registry said.
///
/// # Cancel safety
/// Blobs without a manifest may be left in the registry, which removes them some day.
pub async fn push(
    web: &Web,
    auth: &AuthFile,
    reference: &Reference,
    upload: Upload<'_>,
) -> Result<Digest, String> {
    let config = config_of(&upload).to_string().into_bytes();
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        config: Descriptor::of(CONFIG, &config),
        layers: vec![Descriptor::of(LAYER, upload.bytes)],
        annotations: upload
            .signature
            .map(|text| (SIGNATURE.to_owned(), text))
            .into_iter()
            .collect(),
    };
    let manifest = serde_json::to_vec(&manifest).map_err(|fault| fault.to_string())?;
    let digest = Digest::of(&manifest);
    if let Some(wanted) = reference.digest.as_ref().filter(|wanted| **wanted != digest) {
        return Err(format!("it is {digest}, not {wanted}"));
    }
    let mut session = Session::open(web, auth, reference, Access::Push).await?;
    push_blob(&mut session, upload.bytes).await?;
    push_blob(&mut session, &config).await?;
    let tag = reference.tag.clone().unwrap_or_else(|| digest.to_string());
    let put = Request::new(Method::PUT, &format!("manifests/{tag}"), WORDS_BYTES_MAX)
        .header(CONTENT_TYPE, MANIFEST)
        .body(manifest);
    let said = session.ask(put).await?;
    if said.status != StatusCode::CREATED {
        return Err(session::refused("its manifest", &said));
    }
    match said.header(CONTENT_DIGEST) {
        Some(told) if told != digest.to_string() => {
            Err(format!("the registry has {told} where {digest} was pushed"))
        }
        _ => Ok(digest),
    }
}

/// What is told of the file beside it. No time of day: what is pushed again is the same.
fn config_of(upload: &Upload<'_>) -> serde_json::Value {
    let component = upload
        .interfaces
        .as_ref()
        .map(|of| json!({"exports": of.exports, "imports": of.imports, "target": null}));
    json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": if component.is_some() { "wasip2" } else { "wasip1" },
        "layerDigests": [Digest::of(upload.bytes).to_string()],
        "component": component,
    })
}

async fn push_blob(session: &mut Session<'_>, bytes: &[u8]) -> Result<(), String> {
    let digest = Digest::of(bytes).to_string();
    let head = Request::new(Method::HEAD, &format!("blobs/{digest}"), WORDS_BYTES_MAX);
    if session.ask(head).await?.status == StatusCode::OK {
        return Ok(());
    }
    let post = Request::new(Method::POST, "blobs/uploads/", WORDS_BYTES_MAX);
    let said = session.ask(post).await?;
    let place = said.header(LOCATION.as_str()).filter(|_| said.status == StatusCode::ACCEPTED);
    let place = place.ok_or_else(|| session::refused("an upload", &said))?;
    let mut place = session.resolve(place)?;
    place.query_pairs_mut().append_pair("digest", &digest);
    let put = Request::to(Method::PUT, place, WORDS_BYTES_MAX)
        .header(CONTENT_TYPE, "application/octet-stream")
        .body(bytes.to_vec());
    let said = session.ask(put).await?;
    match said.status {
        StatusCode::CREATED => Ok(()),
        _ => Err(session::refused("a blob", &said)),
    }
}

#[cfg(test)]
mod tests;
