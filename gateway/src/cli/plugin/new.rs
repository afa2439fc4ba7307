//! `traceweir plugin new`.

mod fixtures;
mod template;

use std::path::PathBuf;

use plugins::World;

use super::manifest::{NAMES, is_name};
use super::sdk::{self, Language};
use super::{Exit, Stop, print};
use template::Template;

/// Make the directory of a new plugin, which builds right away.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The directory has the source with its tests, plugin.toml (how it is built), the SDK as it is in this program
(traceweir/), what it is to be tested with, and what has to come out of that (fixtures/).

Examples:
  traceweir plugin new --lang rust shop-team
  traceweir plugin new --lang go --world head-sampler keep-errors
  traceweir plugin new --lang rust --world router by-namespace
  cd shop-team && traceweir plugin build && traceweir plugin test shop-team.wasm --batches fixtures/batch.json

Exit codes:
  0  the directory is made
  1  it cannot be written
  2  wrong usage, a directory that is there already, or no template for that world in that language")]
pub(super) struct Args {
    /// What the plugin is called
    name: String,
    /// The language that it is written in
    #[arg(long, value_name = "LANG", value_enum)]
    lang: Language,
    /// What it is for; by default a span processor, where there is a template of one
    #[arg(long, value_enum)]
    world: Option<For>,
    /// The directory to make; by default its name, here
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What a plugin is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum For {
    /// Enriches, redacts, renames, drops spans on their way in.
    SpanProcessor,
    /// Says which spans stay on their way in.
    HeadSampler,
    /// Says which whole traces stay.
    TailSampler,
    /// Says whose spans they are.
    Router,
    /// Says who somebody is.
    Authenticator,
    /// Fetches what tables are made of.
    #[value(alias = "refresher")]
    TableRefresher,
}

impl For {
    const fn world(self) -> World {
        match self {
            Self::SpanProcessor => World::SpanProcessor,
            Self::HeadSampler => World::HeadSampler,
            Self::TailSampler => World::TailSampler,
            Self::Router => World::Router,
            Self::Authenticator => World::Authenticator,
            Self::TableRefresher => World::TableRefresher,
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, Stop> {
    let Args { name, lang, .. } = args;
    if !is_name(name) {
        return Err(Stop::refused(format!("{name:?}: {NAMES}")));
    }
    let template = chosen(*lang, args.world.map(For::world))?;
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(name));
    let is_taken = match std::fs::read_dir(&dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(fault) => fault.kind() != std::io::ErrorKind::NotFound,
    };
    if is_taken {
        return Err(Stop::refused(format!("{}: it is there already", dir.display())));
    }
    for (path, bytes, is_script) in template.files(name) {
        sdk::write(&dir.join(path), &bytes, is_script)?;
    }
    sdk::put_beside(&dir, *lang)?;
    let (world, shown) = (template.world().name(), dir.display());
    Ok(print(&format!(
        "{shown}: a {world} in {}; it needs {}\n\n  cd {shown}\n  traceweir plugin build\n  \
         traceweir plugin test {name}.wasm {} --expect fixtures/expected.txt\n",
        lang.name(),
        lang.needs(),
        template.fixtures().given,
    )))
}

/// The template of a world, or the first that there is.
fn chosen(language: Language, world: Option<World>) -> Result<Template, Stop> {
    let all = Template::all(language);
    let found = match world {
        Some(world) => all.iter().find(|template| template.world() == world),
        None => all.first(),
    };
    found.copied().ok_or_else(|| {
        let wanted = world.map_or("", World::name);
        let known: Vec<&str> = all.iter().map(|template| template.world().name()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let name = language.name();
        Stop::refused(format!("no template of {wanted} in {name}; there is {known}"))
    })
}

#[cfg(test)]
mod tests;
