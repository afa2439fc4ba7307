//! Seeded simulations over disks that fail: what was acknowledged is found exactly once.
//!
//! `disk` is the simulated disk, `log` crashes the log at every operation and `damage` its files;
//! `store` does the same to the whole store, `keep` and `faults` to what it keeps in files,
//! `compaction` to how those become fewer, `redact` to how traces are taken out of them, and `arbitrary` sends it whatever OTLP allows.

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod compaction;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod keep;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod log;
#[cfg(test)]
mod redact;
#[cfg(test)]
mod store;
#[cfg(test)]
mod world;
