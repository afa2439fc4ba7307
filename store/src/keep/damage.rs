//! What is found damaged is set aside: named, counted, and never read again.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use model::{Nanos, TenantId};
use tracing::{error, warn};

use super::{Keep, Step, aside, lock};
use crate::block::cache::Cache;
use crate::block::reader::Reader;
use crate::block::verify::is_sound;
use crate::disk::File;
use crate::error::{Error, Kind};
use crate::execute::Problem;
use crate::l0::L0;
use crate::manifest::{Change, Removal, State};
use crate::shelf::{Block, Damage, Part};

/// How often a block may be found damaged and be well where it lies, within so long.
const MISREAD_MAX: u32 = 8;
const MISREAD_FOR: Nanos = Nanos::from_secs(3_600);
/// How much of a file is held while it is read again, and how often each piece of it is asked for.
const PIECE_BYTES: u64 = 8 << 20;
const ASKED_MAX: usize = 4;
/// Damaged files that wait to be set aside; others are found damaged again.
const DAMAGED_MAX: usize = 64;

impl Keep {
    /// Notes what a read found; the text for its answer.
    pub(crate) fn note(&self, problems: Vec<Problem>) -> Option<String> {
        let first = problems.first().map(|problem| problem.what.clone());
        let mut damaged = lock(&self.damaged);
        for Problem { part, tenant, is_damaged, what } in problems {
            if is_damaged {
                let is_known = damaged.iter().any(|(known, ..)| known.is_same(&part));
                if !is_known && damaged.len() < DAMAGED_MAX {
                    damaged.push((part, tenant, what));
                }
            } else {
                warn!(%tenant, what, "a part could not be read, the answer is from the others");
            }
        }
        if !damaged.is_empty() {
            drop(damaged);
            self.wake_merge();
        }
        first
    }

    /// Sets a damaged file aside: it is named, counted, and never read again. May be repeated
    /// after a failure.
    pub(super) fn set_aside(
        &self,
        part: &Part,
        tenant: &TenantId,
        what: &str,
    ) -> Result<(), Error> {
        let to = match part {
            Part::Head(..) => return Ok(()),
            Part::L0(l0) => {
                if self.shelf.contents().l0.iter().all(|other| other.id != l0.id) {
                    return Ok(());
                }
                let to = aside::l0(l0.id.number);
                self.backend.set_aside(&L0::name(l0.id.number), &to)?;
                l0.reader.forget();
                self.shelf.change(|contents| {
                    contents.l0.retain(|other| other.id != l0.id);
                    tell(&mut contents.damage, None, &to, what);
                });
                to
            }
            Part::Block(block) => {
                let contents = self.shelf.contents();
                let Some(blocks) = contents.tenants.get(tenant) else { return Ok(()) };
                if blocks.list.iter().all(|other| other.meta.id != block.meta.id) {
                    return Ok(());
                }
                let id = block.meta.id;
                if self.is_misread(block)? {
                    return Ok(());
                }
                let to = aside::block(tenant, id);
                self.backend.set_aside(&block.name, &to)?;
                self.readers.forget(block);
                let removed = vec![(id, Removal::Damaged)];
                let state =
                    self.commit(tenant, blocks, &Change { removed, ..Change::default() })?;
                // Its spans are missing, and that is told, in one step for readers.
                self.shelf.change(|contents| {
                    let after = blocks.follow(tenant, state);
                    contents.tenants.insert(tenant.clone(), Arc::new(after));
                    tell(&mut contents.damage, Some(tenant), &to, what);
                });
                to
            }
        };
        self.stats.quarantined.inc();
        error!(file = to, what, "a damaged file is set aside, its spans are missing");
        self.count();
        Ok(())
    }

    /// Whether a block that was found damaged is well where it lies: its bytes were wrong on their way,
    /// or in what is kept of it. That is forgotten, so that it is read anew.
    fn is_misread(&self, block: &Block) -> Result<bool, Error> {
        let Block { meta, name } = block;
        let mut misread = lock(&self.misread);
        let now = self.clock.now();
        misread.retain(|_, (_, since)| now.minus(*since) < MISREAD_FOR);
        let (times, since) = misread.get(&meta.id).copied().unwrap_or((0, now));
        // What is well again and again, and cannot be read, is of no use.
        if times >= MISREAD_MAX {
            return Ok(false);
        }
        let file = match self.backend.open(name) {
            // An attempt before this one has moved it.
            Err(error) if error.is_not_found() => return Ok(false),
            opened => opened?,
        };
        let len = file.len().map_err(|fault| Error::io(format!("read {name}"), fault))?;
        let file: Arc<dyn File> = Arc::new(Agreed { inner: file, len, last: Mutex::default() });
        let reader =
            Reader::open(Arc::clone(&file), meta.directory, name.clone(), Arc::new(Cache::new(0)));
        match reader {
            Err(error) if error.kind() == Kind::Corrupt => return Ok(false),
            opened => drop(opened?),
        }
        if !is_sound(&file, name)? {
            return Ok(false);
        }
        if misread.len() >= DAMAGED_MAX {
            misread.clear();
        }
        misread.insert(meta.id, (times + 1, since));
        self.stats.misread.inc();
        warn!(file = name, "bytes of a block were wrong on their way: it is well where it lies");
        self.readers.forget(block);
        self.backend.forget(name, meta.bytes);
        Ok(true)
    }

    /// After a merge met a damaged input: finds which, and sets it aside.
    pub(super) fn set_aside_inputs(
        &self,
        inputs: &[Arc<L0>],
        error: &Error,
    ) -> Result<Step, Error> {
        let mut found = false;
        for l0 in inputs {
            if error.to_string().contains(l0.reader.name()) {
                found = true;
                self.set_aside(&Part::L0(Arc::clone(l0)), &TenantId::single(), &error.to_string())?;
            }
        }
        if found { Ok(Step::Worked) } else { Err(Error::new(error.kind(), error.to_string())) }
    }
}

/// Notes whose spans are missing, and why.
fn tell(damage: &mut Vec<Damage>, tenant: Option<&TenantId>, to: &str, what: &str) {
    // A start may have found it with both names.
    damage.retain(|known| !known.what.starts_with(to));
    damage.push(Damage { tenant: tenant.cloned(), what: format!("{to} is damaged: {what}") });
}

/// What a tenant has lost by what the manifest says, and is not known yet: another process has set it
/// aside.
pub(super) fn told_by(tenant: &TenantId, state: &State, known: &[Damage]) -> Vec<Damage> {
    let names = state.markers.iter().filter(|marker| marker.is_damaged);
    let names = names.map(|marker| aside::block(tenant, marker.id));
    let fresh =
        names.filter(|name| known.iter().all(|known| !known.what.starts_with(name.as_str())));
    fresh
        .map(|name| Damage { tenant: Some(tenant.clone()), what: format!("{name} is damaged") })
        .collect()
}

/// A file as it lies there: read in large pieces, each until it is the same twice, as what goes wrong on
/// the way does not go wrong in the same way. Page by page would be hundreds of requests.
#[derive(Debug)]
struct Agreed {
    inner: Arc<dyn File>,
    len: u64,
    /// The piece that was read last, and its number.
    last: Mutex<Option<(u64, Bytes)>>,
}

impl Agreed {
    fn piece(&self, number: u64) -> io::Result<Bytes> {
        let mut last = lock(&self.last);
        if let Some((_, bytes)) = last.as_ref().filter(|(of, _)| *of == number) {
            return Ok(bytes.clone());
        }
        let start = number * PIECE_BYTES;
        let range = start..(start + PIECE_BYTES).min(self.len);
        let ask = || -> io::Result<Bytes> {
            let mut parts = self.inner.read_ranges(std::slice::from_ref(&range))?;
            parts.pop().ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
        };
        let mut before = ask()?;
        for _ in 1..ASKED_MAX {
            let now = ask()?;
            if now == before {
                *last = Some((number, now.clone()));
                return Ok(now);
            }
            before = now;
        }
        Err(io::Error::other("it is something else each time"))
    }
}

impl File for Agreed {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (mut rest, mut at) = (buffer, offset);
        while !rest.is_empty() && at < self.len {
            let piece = self.piece(at / PIECE_BYTES)?;
            let from = usize::try_from(at % PIECE_BYTES).map_err(io::Error::other)?;
            let part = piece.get(from..).unwrap_or_default();
            let count = part.len().min(rest.len());
            if count == 0 {
                break;
            }
            let (to, after) = rest.split_at_mut(count);
            to.copy_from_slice(part.get(..count).unwrap_or_default());
            (rest, at) = (after, at + count as u64);
        }
        usize::try_from(at - offset).map_err(io::Error::other)
    }
}
