//! Seeded simulations over disks that fail: what was acknowledged is found exactly once.
//!
//! `disk` is the simulated disk, `log` crashes the log at every operation and damages its files.

#[cfg(test)]
mod damage;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod log;
#[cfg(test)]
mod world;
