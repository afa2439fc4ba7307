//! `traceweir plugin build`.

mod wasm;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use model::ByteSize;
use plugins::{Digest, component_of};
use serde_json::json;

use super::desk::read;
use super::manifest::Manifest;
use super::sdk::{Language, Places, write};
use super::{Exit, Stop, json as pretty, print};
use crate::cli::complain;

/// The largest module that is wrapped.
const ARTIFACT_BYTES_MAX: u64 = 256 << 20;

/// Run the build commands of a plugin, and make a component of what they leave.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
plugin.toml says how: its commands are run one after the other, in its directory, by the shell. In them {sdk} stands
for the SDK of its language (traceweir/sdk beside the plugin, else that of this program), and {wit} for the contract. What
they leave is a component, or a core module, which is wrapped into one. No component tooling is needed.

Rust needs the standard library of wasm32-unknown-unknown: it is fetched by `rustup target add` where that can be done;
else it is built from Debian's packages rustc-web, cargo-web, rust-web-src and lld, where they are installed.

Examples:
  traceweir plugin build
  traceweir plugin build plugins/shop-team -o /etc/traceweir/shop-team.wasm

Exit codes:
  0  the component is written: its name, size and digest are printed
  1  a command failed, something that it needs is missing, or what it left is no plugin
  2  wrong usage, or plugin.toml is missing or wrong")]
pub(super) struct Args {
    /// The plugin's directory
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The file to write; by default NAME.wasm in the directory
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Stop> {
    let manifest = Manifest::of(&args.dir)?;
    let language = manifest.language().map_err(Stop::refused)?;
    let places = Places::of(&args.dir, language)?;
    let environment = match language {
        Language::Rust => wasm::environment(&args.dir)?,
        _ => Vec::new(),
    };
    for command in &manifest.build {
        let command = filled(command, &places);
        step(&args.dir, &command, &environment, language)?;
    }
    let artifact = args.dir.join(&manifest.artifact);
    let module = read(&artifact, ARTIFACT_BYTES_MAX).map_err(|stop| Stop::failed(stop.message))?;
    let component = component_of(&module)
        .map_err(|fault| Stop::failed(format!("{}: {fault}", artifact.display())))?;
    let output = args.output.clone();
    let output = output.unwrap_or_else(|| args.dir.join(format!("{}.wasm", manifest.name)));
    // Whole at any moment: a gateway may look at it.
    let part = output.with_extension("wasm.part");
    write(&part, &component, false)?;
    std::fs::rename(&part, &output)
        .map_err(|fault| Stop::failed(format!("{}: {fault}", output.display())))?;
    let (digest, bytes) = (Digest::of(&component), component.len());
    let shown = output.strip_prefix(".").unwrap_or(&output).display().to_string();
    Ok(print(&match args.json {
        true => pretty(&json!({"file": shown, "bytes": bytes, "digest": digest.to_string()})),
        false => format!("{shown}: {}, {digest}\n", ByteSize(bytes as u64)),
    }))
}

/// A command with the places in it.
fn filled(command: &str, places: &Places) -> String {
    let shown = |path: &Path| path.display().to_string();
    command.replace("{sdk}", &shown(&places.sdk)).replace("{wit}", &shown(&places.wit))
}

/// Runs a command; what it says goes to standard error.
fn step(
    dir: &Path,
    command: &str,
    environment: &[(String, String)],
    language: Language,
) -> Result<(), Stop> {
    complain(&format!("$ {command}"));
    let failed = |what: String| {
        let needs = language.needs();
        Stop::failed(format!("`{command}` {what}; {} needs {needs}", language.name()))
    };
    let status = Command::new("sh")
        .args(["-c", command])
        .current_dir(dir)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .map_err(|fault| failed(fault.to_string()))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(failed(format!("ended with {code}"))),
        None => Err(failed("was killed".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in() {
        let places = Places { sdk: "./traceweir/sdk/c".into(), wit: "/cache/wit".into() };
        let command = filled("{sdk}/wasm-cc -I{sdk} --wit {wit} -o build/a.wasm", &places);
        let expected =
            "./traceweir/sdk/c/wasm-cc -I./traceweir/sdk/c --wit /cache/wit -o build/a.wasm";
        assert_eq!(command, expected);
    }
}
