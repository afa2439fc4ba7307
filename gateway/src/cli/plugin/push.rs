//! `traceweir plugin push`: a plugin becomes an artifact of a registry.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use plugins::{COMPONENT_BYTES_MAX, Reference, component_of, interfaces_of};

use super::registry::{Registry, reference, signature_of, wait};
use crate::attach::oci::{self, Upload};
use crate::cli::{Exit, complain, print};

/// A signature is short.
const SIGNATURE_BYTES_MAX: u64 = 4 << 10;

/// Push a plugin to a registry.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints the reference with the digest of what was pushed, as a file of plugins takes it. The same file always has the
same digest. Where FILE.sig lies beside it, its signature is pushed, too.

Examples:
  traceweir plugin push cards.wasm oci://ghcr.io/acme/plugins/cards:1.2.0
  traceweir plugin push cards.wasm oci://localhost:5000/cards:latest

Exit codes:
  0  the registry has it
  1  it has not, or FILE is no plugin
  2  wrong usage")]
pub(super) struct Args {
    /// The plugin: a component, or a core module
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to: oci://REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "REFERENCE", value_parser = reference)]
    reference: Reference,
    #[command(flatten)]
    registry: Registry,
}

pub(super) fn run(args: &Args) -> Exit {
    match push(args) {
        Ok(text) => print(&text),
        Err(fault) => {
            complain(&fault);
            Exit::Failed
        }
    }
}

fn push(args: &Args) -> Result<String, String> {
    let named = |fault: &dyn std::fmt::Display| format!("{}: {fault}", args.file.display());
    let bytes = read(&args.file, COMPONENT_BYTES_MAX as u64).map_err(|fault| named(&fault))?;
    let bytes = bytes.ok_or_else(|| named(&"there is no such file"))?;
    // What would be refused when it is loaded is not pushed.
    component_of(&bytes).map_err(|fault| named(&fault))?;
    let interfaces = interfaces_of(&bytes).map_err(|fault| named(&fault))?;
    let beside = signature_of(&args.file);
    let signature = read(&beside, SIGNATURE_BYTES_MAX);
    let signature = signature.map_err(|fault| format!("{}: {fault}", beside.display()))?;
    let signature = signature.map(|text| String::from_utf8_lossy(&text).trim().to_owned());
    let (web, auth) = (args.registry.web()?, args.registry.auth());
    let upload = Upload { bytes: &bytes, interfaces, signature };
    let pushed = wait(oci::push(&web, &auth, &args.reference, upload));
    let digest = pushed.map_err(|fault| format!("oci://{}: {fault}", args.reference))?;
    let pinned = Reference { digest: Some(digest), ..args.reference.clone() };
    Ok(format!("oci://{pinned}\n"))
}

/// What is in a file; nothing where there is none.
fn read(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, String> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(fault.to_string()),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|fault| fault.to_string())?;
    match bytes.len() as u64 > bytes_max {
        true => Err(format!("more than {bytes_max} bytes")),
        false => Ok(Some(bytes)),
    }
}
