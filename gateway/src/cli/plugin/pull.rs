//! `traceweir plugin pull`: an artifact of a registry becomes a file.

use std::path::PathBuf;

use plugins::Reference;

use super::registry::{Registry, reference, signature_of, wait};
use crate::attach::oci::{self, Artifact};
use crate::cli::{Exit, complain, print};

/// Pull a plugin from a registry.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every digest is held against what came. Prints the reference with the digest of what was pulled, as a file of plugins
takes it. A signature is written beside the file, as FILE.sig.

Examples:
  traceweir plugin pull oci://ghcr.io/acme/plugins/cards:1.2.0
  traceweir plugin pull oci://ghcr.io/acme/plugins/cards@sha256:… -o /etc/traceweir/cards.wasm

Exit codes:
  0  the file is there
  1  it is not
  2  wrong usage")]
pub(super) struct Args {
    /// What: oci://REGISTRY/REPOSITORY, then :TAG or @sha256:…
    #[arg(value_name = "REFERENCE", value_parser = reference)]
    reference: Reference,
    /// Where to [default: the last part of the repository, with .wasm]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    registry: Registry,
}

pub(super) fn run(args: &Args) -> Exit {
    match pull(args) {
        Ok(text) => print(&text),
        Err(fault) => {
            complain(&fault);
            Exit::Failed
        }
    }
}

fn pull(args: &Args) -> Result<String, String> {
    let (web, auth) = (args.registry.web()?, args.registry.auth());
    let named = |fault: &dyn std::fmt::Display| format!("oci://{}: {fault}", args.reference);
    let pulled = wait(async {
        oci::pull(&web, &auth, &args.reference, None).await.map_err(|fault| fault.to_string())
    });
    let artifact = pulled.map_err(|fault| named(&fault))?;
    let Artifact { bytes, digest, signature, .. } =
        artifact.ok_or_else(|| named(&"nothing came"))?;
    let name = args.reference.repository.rsplit('/').next().unwrap_or("plugin");
    let file = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.wasm")));
    write(&file, &bytes)?;
    if let Some(signature) = signature {
        write(&signature_of(&file), signature.as_bytes())?;
    }
    let pinned = Reference { digest: Some(digest), ..args.reference.clone() };
    Ok(format!("oci://{pinned}\n"))
}

/// A gateway may have the file: it is exchanged, and never half of it there.
fn write(file: &std::path::Path, bytes: &[u8]) -> Result<(), String> {
    let mut fresh = file.as_os_str().to_owned();
    fresh.push(".new");
    let written = std::fs::write(&fresh, bytes).and_then(|()| std::fs::rename(&fresh, file));
    written.map_err(|fault| format!("{}: {fault}", file.display()))
}
