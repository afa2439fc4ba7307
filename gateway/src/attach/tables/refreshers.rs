//! When plugins that make tables are called: each on a thread of its own while it works, one call at a time, as often as it
//! wants; sooner where it has failed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Clock, Nanos};
use plugins::refresher::Outside;
use plugins::registry::{Entry, Registry};
use plugins::{Configured, Digest};
use tracing::warn;

use super::outside::Allowed;
use super::sink::{Fault, Kind, Sink};
use crate::clock::nanos;
use crate::web::{Courier, Redirects, Web};

/// After a call that failed; twice as long each time, up to the usual.
const FAILED_WAIT: Nanos = Nanos::from_secs(10);

/// Who is called when.
#[derive(Debug)]
pub(super) struct Refreshers {
    courier: Arc<Courier>,
    clock: Arc<dyn Clock>,
    ca_file: String,
    turns: Arc<Mutex<BTreeMap<String, Turn>>>,
}

/// When it is a plugin's turn.
#[derive(Debug, Default)]
struct Turn {
    /// What was called: a plugin that was swapped is called at once.
    of: Option<(Digest, String)>,
    next: Nanos,
    failures: u32,
    is_running: bool,
}

/// The tables that a plugin may make.
type Sinks = BTreeMap<String, Sink>;

impl Refreshers {
    pub(super) fn new(courier: Arc<Courier>, clock: Arc<dyn Clock>, ca_file: &str) -> Self {
        Self { courier, clock, ca_file: ca_file.to_owned(), turns: Arc::default() }
    }

    /// Calls whose turn it is, of those that make these tables.
    pub(super) fn look(&self, registry: &Registry, made: BTreeMap<String, Sinks>) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|name, turn| turn.is_running || made.contains_key(name));
        let (entries, now) = (registry.entries(), self.clock.monotonic());
        for (name, sinks) in made {
            let turn = turns.entry(name.clone()).or_default();
            if turn.is_running {
                continue;
            }
            let configured = entries.get(&name).map(|entry| &entry.configured);
            let Some(interval) = configured.and_then(|of| of.interval()) else {
                let why = match configured {
                    None => "it does not run".to_owned(),
                    Some(of) => {
                        format!("it is a {}, and makes no tables", of.plugin().world().name())
                    }
                };
                // Said once, and counted as often as it is looked for.
                tell(&sinks, &Fault::new(Kind::Plugin, format!("plugin {name}: {why}")));
                continue;
            };
            let Some(entry) = entries.get(&name) else { continue };
            let of =
                (entry.configured.plugin().digest().clone(), entry.definition.config.to_string());
            if turn.of.as_ref() == Some(&of) && now < turn.next {
                continue;
            }
            (turn.of, turn.is_running) = (Some(of), true);
            self.call(name, entry, interval, sinks, turn);
        }
    }

    fn call(&self, name: String, entry: &Entry, interval: Duration, sinks: Sinks, turn: &mut Turn) {
        let allowed = entry.definition.refresher.clone();
        let outside: Arc<dyn Outside> = match Web::new(&self.ca_file, Redirects::Refused) {
            Ok(web) => {
                let hosts = allowed.hosts.clone();
                Arc::new(Allowed::new(Arc::new(web), Arc::clone(&self.courier), hosts))
            }
            Err(why) => {
                turn.is_running = false;
                return tell(&sinks, &Fault::unavailable(why));
            }
        };
        let (configured, clock) = (Arc::clone(&entry.configured), Arc::clone(&self.clock));
        let turns = Arc::clone(&self.turns);
        let work = move || {
            let is_good = refresh(&configured, outside, &allowed, (&name, &sinks));
            let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = turns.entry(name).or_default();
            turn.is_running = false;
            turn.failures = if is_good { 0 } else { turn.failures.saturating_add(1) };
            turn.next = clock.monotonic().plus(after(turn.failures, nanos(interval)));
        };
        let thread = std::thread::Builder::new().name("refresher".to_owned());
        if let Err(fault) = thread.spawn(work) {
            turn.is_running = false;
            warn!(%fault, "no thread to refresh tables with");
        }
    }
}

fn after(failures: u32, interval: Nanos) -> Nanos {
    match failures.checked_sub(1) {
        None => interval,
        Some(before) => Nanos(FAILED_WAIT.0.saturating_mul(1 << before.min(16)).min(interval.0)),
    }
}

fn tell(sinks: &Sinks, fault: &Fault) {
    sinks.values().for_each(|sink| sink.failed(fault));
}

/// Calls a plugin, and takes over the tables that it may make; whether all went well.
fn refresh(
    configured: &Configured,
    outside: Arc<dyn Outside>,
    allowed: &plugins::refresher::Allowed,
    (name, sinks): (&str, &Sinks),
) -> bool {
    let made = match configured.refresh(outside, allowed) {
        Ok(made) => made,
        Err(error) => {
            tell(sinks, &Fault::new(Kind::Plugin, format!("plugin {name}: {error}")));
            return false;
        }
    };
    let mut missing = sinks.clone();
    let mut is_good = true;
    for (table, entries) in made {
        match sinks.get(&table) {
            Some(sink) => {
                missing.remove(&table);
                is_good &= sink.put(entries.map_err(Fault::from));
            }
            None => {
                let table: String = table.chars().take(100).collect();
                warn!(plugin = name, table, "a plugin makes a table that is not its own");
            }
        }
    }
    tell(&missing, &Fault::new(Kind::Plugin, format!("plugin {name}: it did not make this table")));
    is_good && missing.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_tried_again_sooner_and_never_later_than_usual() {
        let seconds = |failures: u32, interval: u64| {
            after(failures, Nanos::from_secs(interval)).0 / 1_000_000_000
        };
        let waits: Vec<u64> = (0..6).map(|failures| seconds(failures, 60)).collect();
        assert_eq!(waits, [60, 10, 20, 40, 60, 60]);
        assert_eq!(seconds(1, 5), 5);
    }
}
