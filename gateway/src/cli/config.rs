//! `traceweir config check` and `traceweir config print`.

mod probe;

use model::TenantId;

use super::{ConfigArgs, Exit, complain, print};
use crate::config::Loaded;
use crate::overrides::{Overrides, Row, Whose};
use crate::settings::source::Origin;

/// Check or print the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  traceweir config check --config traceweir.yaml
  traceweir config check --config traceweir.yaml --probe
  traceweir config print --sources
  traceweir config print --config traceweir.yaml --tenant shop --cluster eu-1")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Tell everything that is wrong with the configuration; exit code 2 if there is anything.
    Check(CheckArgs),
    /// Print the configuration as the server would use it, secrets as ***.
    Print(PrintArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Also try the data directory and the bucket: write, read, list, race for a name, remove. What
    /// is written is removed again.
    #[arg(long)]
    probe: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, clap::Args)]
struct PrintArgs {
    /// Print one line per key, with where its value comes from.
    #[arg(long)]
    sources: bool,
    /// Print the limits that hold for a tenant instead, with where each comes from.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// As those of a class have them.
    #[arg(long, requires = "tenant")]
    class: Option<String>,
    /// As a cluster within the tenant has them.
    #[arg(long, requires = "tenant")]
    cluster: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: Args) -> Exit {
    match args.action {
        Action::Check(args) => match args.config.load() {
            Ok(loaded) => match print("the configuration holds\n") {
                Exit::Done if args.probe => probe::run(&loaded.config),
                exit => exit,
            },
            Err(exit) => exit,
        },
        Action::Print(args) => match args.config.load() {
            Ok(loaded) if args.tenant.is_some() => {
                let told = limits(
                    &loaded,
                    &args.tenant.unwrap_or_default(),
                    (args.class.as_deref(), args.cluster.as_deref()),
                );
                match told {
                    Ok(told) => print(&told),
                    Err(fault) => {
                        complain(&fault);
                        Exit::Refused
                    }
                }
            }
            Ok(loaded) if args.sources => print(&table(&loaded.rows())),
            Ok(loaded) => match loaded.yaml() {
                Ok(yaml) => print(&yaml),
                Err(fault) => {
                    complain(&format!("cannot print the configuration: {fault}"));
                    Exit::Failed
                }
            },
            Err(exit) => exit,
        },
    }
}

/// The limits of a tenant. Of what the overrides do not say, the configuration tells where it comes from.
fn limits(
    loaded: &Loaded,
    tenant: &str,
    (class, cluster): (Option<&str>, Option<&str>),
) -> Result<String, String> {
    let tenant = TenantId::parse(tenant).map_err(|fault| format!("--tenant: {fault}"))?;
    let overrides = Overrides::open(&loaded.config.overrides)?;
    let mut rows = overrides.rows(Whose { tenant: &tenant, class, cluster });
    let defaults = loaded.rows();
    for (key, _, origin) in rows.iter_mut().filter(|(.., origin)| *origin == Origin::Default) {
        let of = format!("overrides.defaults.{key}");
        if let Some((.., told)) = defaults.iter().find(|(known, ..)| *known == of) {
            *origin = told.clone();
        }
    }
    Ok(table(&rows))
}

fn table(rows: &[Row]) -> String {
    let width = |cell: fn(&(String, String, _)) -> usize| rows.iter().map(cell).max().unwrap_or(0);
    let (keys, values) = (width(|row| row.0.len()), width(|row| row.1.len()));
    let line = |(key, value, origin): &(String, String, _)| {
        format!("{key:keys$}  {value:values$}  {origin}\n")
    };
    rows.iter().map(line).collect()
}
