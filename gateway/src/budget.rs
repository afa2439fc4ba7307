//! What the process may use: cores, memory and disk, from the cgroup and the volume.
//!
//! The host's own numbers lie inside a container: a pod with half a core on a machine of 64 must
//! not start 64 threads, nor size its head by 512 GiB. Reads a few files of `/proc` and `/sys`
//! through a function that tests replace; the answer goes to `config`, as the source of every
//! default that depends on the machine.

use std::fmt;
use std::path::{Path, PathBuf};

use model::ByteSize;

/// The smallest head that is still of use.
const HEAD_BYTES_MIN: u64 = 32 << 20;
/// Beyond this a head only makes restarts longer: what is sealed is as quick to find.
const HEAD_BYTES_MAX: u64 = 128 << 20;
/// Cgroups nest a few levels deep; a longer path than this is no path of ours.
const CGROUP_DEPTH_MAX: usize = 32;
/// Files of one data directory that are counted; the rest is taken for nothing.
const DATA_FILES_MAX: usize = 100_000;

/// What the process may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Cores, as a share of time: 0.5 is half a core.
    pub cores: f64,
    /// Memory, all in.
    pub memory: ByteSize,
    /// The data directory, all in: log, sealed blocks and cache share it.
    pub disk: ByteSize,
}

/// One volume, as `statvfs` tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Its size in bytes.
    pub bytes: u64,
    /// What an ordinary user may still write, in bytes.
    pub available: u64,
    /// What the data directory holds already, in bytes.
    pub used: u64,
}

/// What the machine says about itself, before any cgroup.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// Cores that the scheduler lets us run on (its affinity mask).
    pub cores: usize,
    /// Reads a file of `/proc` or `/sys`; `None` where it is not there.
    pub read: &'a dyn Read,
}

/// Reads a small text file.
pub trait Read: fmt::Debug {
    /// Its content, or `None` where it cannot be read.
    fn read(&self, path: &Path) -> Option<String>;
}

/// The real files.
#[derive(Debug)]
pub struct Files;

impl Read for Files {
    fn read(&self, path: &Path) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }
}

impl Budget {
    /// Looks at this machine and at the volume that `data` is (or will be) on.
    #[must_use]
    pub fn detect(data: &Path) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let machine = Machine { cores, read: &Files };
        Self {
            cores: cores_of(machine),
            memory: whole_mib(memory_of(machine)),
            disk: whole_mib(disk_of(volume(data))),
        }
    }

    /// Threads that compute: one for each whole core, at least one.
    #[must_use]
    pub fn threads(&self) -> usize {
        whole_threads(self.cores)
    }

    /// What the head may hold: a quarter of the memory, since a request is in memory several
    /// times (received, decompressed, in columns) and queries need room beside it.
    #[must_use]
    pub fn head(&self) -> ByteSize {
        whole_mib((self.memory.0 / 4).clamp(HEAD_BYTES_MIN, HEAD_BYTES_MAX))
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |size: ByteSize| size.0 >> 20;
        write!(
            f,
            "{} cores, {} MiB of memory, {} MiB of disk",
            self.cores,
            mib(self.memory),
            mib(self.disk)
        )
    }
}

/// Rounded down, so that it reads well.
fn whole_mib(bytes: u64) -> ByteSize {
    ByteSize::mib(bytes >> 20)
}

/// Threads for so many cores: 0.5 and 1.9 are one, as a second thread would only be throttled.
#[must_use]
pub fn whole_threads(cores: f64) -> usize {
    // Up to 4,096 cores, exact in an f64; the loop spares a lossy cast.
    (1_u16..=4096).take_while(|n| f64::from(*n) <= cores).count().max(1)
}

/// Cores: the affinity mask, or less where a cgroup has a quota.
#[must_use]
pub fn cores_of(machine: Machine<'_>) -> f64 {
    let affinity = f64::from(u16::try_from(machine.cores.max(1)).unwrap_or(u16::MAX));
    let v2 = levels(machine.read, None).filter_map(|dir| {
        let text = machine.read.read(&dir.join("cpu.max"))?;
        let (quota, period) = text.trim().split_once(' ')?;
        ratio(quota, period)
    });
    let v1 = levels(machine.read, Some("cpu")).filter_map(|dir| {
        let quota = machine.read.read(&dir.join("cpu.cfs_quota_us"))?;
        let period = machine.read.read(&dir.join("cpu.cfs_period_us"))?;
        ratio(quota.trim(), period.trim())
    });
    v2.chain(v1).fold(affinity, f64::min)
}

/// Memory in bytes: the machine's, or less where a cgroup has a limit.
#[must_use]
pub fn memory_of(machine: Machine<'_>) -> u64 {
    let host = machine
        .read
        .read(Path::new("/proc/meminfo"))
        .and_then(|text| meminfo_total(&text))
        // A machine that does not say gets what the smallest supported one has.
        .unwrap_or(256 << 20);
    let limit = |dir: PathBuf, file: &str| -> Option<u64> {
        machine.read.read(&dir.join(file))?.trim().parse().ok()
    };
    // `memory.high` throttles before `memory.max` kills: the lower of the two counts.
    let v2 = levels(machine.read, None)
        .flat_map(|dir| ["memory.max", "memory.high"].map(|file| limit(dir.clone(), file)));
    let v1 = levels(machine.read, Some("memory")).map(|dir| limit(dir, "memory.limit_in_bytes"));
    // v1 says "no limit" with a number near 2^63, which the minimum discards.
    v2.chain(v1).flatten().filter(|limit| *limit > 0).fold(host, u64::min)
}

/// The share of a volume that the data directory may fill: 80 % of it, but never more than what
/// is there to be had, less a twentieth that is left for others.
#[must_use]
pub fn disk_of(volume: Volume) -> u64 {
    let share = volume.bytes / 10 * 8;
    let reachable = volume.available.saturating_add(volume.used);
    share.min(reachable - reachable / 20)
}

/// The volume of a directory, or of its nearest ancestor that is there already.
#[must_use]
pub fn volume(dir: &Path) -> Volume {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let stat = absolute.ancestors().find_map(|dir| rustix::fs::statvfs(dir).ok());
    stat.map_or_else(Volume::default, |stat| Volume {
        bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        available: stat.f_bavail.saturating_mul(stat.f_frsize),
        used: bytes_below(&absolute),
    })
}

/// What may still be written to the volume of a directory, in bytes.
#[must_use]
pub fn available(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes of the files below a directory; links are not followed.
fn bytes_below(dir: &Path) -> u64 {
    let mut dirs = vec![dir.to_owned()];
    let (mut bytes, mut seen) = (0_u64, 0);
    while let Some(dir) = dirs.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            seen += 1;
            if seen > DATA_FILES_MAX {
                return bytes;
            }
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => dirs.push(entry.path()),
                Ok(meta) if meta.is_file() => bytes = bytes.saturating_add(meta.len()),
                _ => {}
            }
        }
    }
    bytes
}

/// The directories of our cgroup, from our own up to the root: a limit on any level binds.
/// `controller` names a v1 hierarchy; `None` is the one of v2.
fn levels<'a>(
    read: &'a dyn Read,
    controller: Option<&'a str>,
) -> impl Iterator<Item = PathBuf> + 'a {
    let table = read.read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let ours = table.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let found = match controller {
            None => controllers.is_empty(),
            Some(name) => controllers.split(',').any(|one| one == name),
        };
        found.then(|| path.trim_start_matches('/').to_owned())
    });
    let root = Path::new("/sys/fs/cgroup").join(controller.unwrap_or_default());
    // Inside a container the path is often the host's, which is not mounted: the root is ours.
    let path = root.join(ours.unwrap_or_default());
    path.ancestors()
        .take(CGROUP_DEPTH_MAX)
        .take_while(|dir| dir.starts_with(&root))
        .map(Path::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

/// `quota / period`, where both are positive numbers (`max` and `-1` mean no quota).
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn meminfo_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests;
