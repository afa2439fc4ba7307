//! A data directory, and the bucket that has its blocks, looked at and not taken: what `traceweir
//! block` reads.
//!
//! Files of blocks and L0 never change once they have their names, so they can be read while a
//! server has the directory. Files come and go meanwhile: what is listed is asked for in the order
//! in which the server acts (a file, then its manifest entry; at the end the entry, then the
//! file), so that nothing is called missing that was only merged or removed.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use model::TenantId;
use serde::Serialize;

use crate::backend::{Backend, Local};
use crate::block::cache::Cache;
use crate::block::reader::Reader;
use crate::block::section::{Header, Level};
use crate::disk::{Disk, File, data_dir};
use crate::error::{Error, Kind};
use crate::keep::aside::{Aside, QUARANTINE};
use crate::l0::{self, L0};
use crate::manifest::{self, BlockId, BlockMeta, L0Id, Loaded, Manifest, tenant_dir, tenant_of};
use crate::shelf::{self, Damage, block_name};

/// Bytes of parsed tables that are kept: listing needs each file's once.
const CACHE_BYTES: usize = 1 << 20;

/// A directory that is looked at.
#[derive(Debug)]
pub struct Bare {
    /// Who has the L0 files.
    local: Arc<Local>,
    /// Who has blocks and manifest.
    backend: Arc<dyn Backend>,
    manifest: Manifest,
    cache: Arc<Cache>,
}

/// What a directory holds.
#[derive(Debug, Default)]
pub struct Found {
    /// Files of spans: L0, then blocks by tenant, each in the order of their numbers; missing ones
    /// last.
    pub files: Vec<Listed>,
    /// What answers may miss spans for, besides those files: damaged entries of the manifest, and
    /// what is set aside.
    pub damage: Vec<Damage>,
}

/// One file of spans.
#[derive(Debug)]
pub struct Listed {
    /// What it is called on the command line: the number of an L0, the id of a block.
    pub id: String,
    /// Its name below the directory.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Whose it is; an L0 has several, or none that can be told where it is damaged.
    pub tenants: Vec<TenantId>,
    /// What it says about itself, or why that cannot be read or believed.
    pub header: Result<Header, Error>,
    /// What it is to the server.
    pub standing: Standing,
}

/// What a file is to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its spans are served from it.
    Live,
    /// An L0 whose spans are in blocks: it goes soon.
    Merged,
    /// A block whose spans are in others, or too old: it goes soon.
    Removed,
    /// A block that the manifest does not name: its commit is under way, or never was.
    Unnamed,
    /// A block that the manifest names, and that is not there.
    Missing,
}

impl Bare {
    /// Looks at a directory, and at its bucket where it has one. Of a bucket alone (the directory
    /// is on another machine) only what is not in it is missed: L0 files.
    ///
    /// # Errors
    /// `Refused` when the directory is not ours, a newer version's, or of another bucket; `Io`.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        bucket: Option<(&str, Arc<dyn Backend>)>,
    ) -> Result<Self, Error> {
        data_dir::check(&*disk, path, bucket.as_ref().map(|(url, _)| *url))?;
        let local = Arc::new(Local::new(disk, path));
        let own = || Arc::clone(&local) as Arc<dyn Backend>;
        let backend = bucket.map_or_else(own, |(_, backend)| backend);
        let manifest = Manifest::new(Arc::clone(&backend));
        Ok(Self { local, backend, manifest, cache: Arc::new(Cache::new(CACHE_BYTES)) })
    }

    /// Reads the directory of every file and the whole manifest.
    ///
    /// # Errors
    /// `Io`; `Refused` where a newer version wrote the manifest.
    pub fn list(&self) -> Result<Found, Error> {
        let mut found = Found::default();
        // L0 before the manifest: what a merge consumes meanwhile is seen in at least one of them.
        for name in self.local.list(l0::ROOT)? {
            if let Some(number) = L0::number(&name) {
                found.files.extend(self.l0(number, format!("{}/{name}", l0::ROOT))?);
            }
        }
        let mut tenants = BTreeMap::new();
        for tenant in self.tenants()? {
            let loaded = self.blocks(&tenant, &mut found.files)?;
            for entry in &loaded.damaged {
                let what = format!("{} is damaged: {}", entry.name, entry.why);
                found.damage.push(Damage { tenant: Some(tenant.clone()), what });
            }
            tenants.insert(tenant, loaded);
        }
        for file in found.files.iter_mut().filter(|file| file.standing == Standing::Live) {
            if is_merged(file, &tenants) {
                file.standing = Standing::Merged;
            }
        }
        found.damage.extend(self.set_aside()?);
        Ok(found)
    }

    /// The file with this name below the directory or in the bucket; `None` where it is gone.
    ///
    /// # Errors
    /// `Io`.
    pub fn file(&self, name: &str) -> Result<Option<Arc<dyn File>>, Error> {
        let is_l0 = name.split('/').next() == Some(l0::ROOT);
        let opened = if is_l0 { self.local.open(name) } else { self.backend.open(name) };
        match opened {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whoever has blocks, or had any.
    fn tenants(&self) -> Result<BTreeSet<TenantId>, Error> {
        let mut names = self.backend.list(shelf::ROOT)?;
        names.extend(self.backend.list(manifest::ROOT)?);
        Ok(names.iter().filter_map(|name| tenant_of(name)).collect())
    }

    fn l0(&self, number: u64, name: String) -> Result<Option<Listed>, Error> {
        let Some((mut listed, reader)) = self.look(number.to_string(), name)? else {
            return Ok(None);
        };
        if let Some(reader) = reader {
            let header = &reader.directory().header;
            if (header.level, header.number) != (Level::L0, number) {
                listed.header = Err(other(&listed.name, "the L0 file of its name"));
            }
            match reader.tenants() {
                Ok(runs) => listed.tenants = runs.into_iter().map(|run| run.tenant).collect(),
                Err(error) => listed.header = Err(error),
            }
        }
        Ok(Some(listed))
    }

    /// Lists a tenant's blocks, those that are there and those that should be.
    fn blocks(&self, tenant: &TenantId, files: &mut Vec<Listed>) -> Result<Loaded, Error> {
        let dir = format!("{}/{}", shelf::ROOT, tenant_dir(tenant));
        let id = |name: &String| BlockId::parse(name.strip_suffix(".parquet")?);
        let there: BTreeSet<BlockId> = self.backend.list(&dir)?.iter().filter_map(id).collect();
        // After the names: a block is there before its entry is.
        let loaded = self.manifest.load_tenant(tenant)?;
        let named: BTreeMap<BlockId, &Arc<BlockMeta>> =
            loaded.state.blocks.iter().map(|meta| (meta.id, meta)).collect();
        let mut gone = BTreeSet::new();
        for id in there.iter().chain(named.keys().filter(|id| !there.contains(id))) {
            match self.block(tenant, *id, named.get(id).map(|meta| &***meta))? {
                Some(mut listed) => {
                    if loaded.state.markers.iter().any(|marker| marker.id == *id) {
                        listed.standing = Standing::Removed;
                    }
                    files.push(listed);
                }
                None => drop(gone.insert(*id)),
            }
        }
        if !gone.is_empty() {
            // By now the manifest says so, too; where it does not, it was not the server.
            let state = self.manifest.load_tenant(tenant)?.state;
            let missed = state.blocks.iter().filter(|meta| gone.contains(&meta.id));
            files.extend(missed.map(|meta| missing(tenant, meta.id)));
        }
        Ok(loaded)
    }

    fn block(
        &self,
        tenant: &TenantId,
        id: BlockId,
        meta: Option<&BlockMeta>,
    ) -> Result<Option<Listed>, Error> {
        let name = block_name(tenant, &id.to_string());
        let Some((mut listed, reader)) = self.look(id.to_string(), name)? else { return Ok(None) };
        listed.tenants = vec![tenant.clone()];
        listed.standing = if meta.is_some() { Standing::Live } else { Standing::Unnamed };
        if let Some((reader, meta)) = reader.zip(meta) {
            let header = &reader.directory().header;
            let told = BlockMeta::from_header(header, listed.bytes, reader.location());
            if told != *meta || header.tenant().as_ref() != Some(tenant) {
                listed.header = Err(other(&listed.name, "the block that the manifest names"));
            }
        }
        Ok(Some(listed))
    }

    /// Opens a file and reads its directory; `None` where it is gone, no reader where it cannot be
    /// read.
    fn look(&self, id: String, name: String) -> Result<Option<(Listed, Option<Reader>)>, Error> {
        let Some(file) = self.file(&name)? else { return Ok(None) };
        let bytes = file.len().map_err(|fault| Error::io(format!("read {name}"), fault))?;
        let reader = Reader::open_file(file, name.clone(), Arc::clone(&self.cache));
        let (header, reader) = match reader {
            Ok(reader) => (Ok(reader.directory().header.clone()), Some(reader)),
            Err(error) => (Err(error), None),
        };
        let standing = Standing::Live;
        Ok(Some((Listed { id, name, bytes, tenants: Vec::new(), header, standing }, reader)))
    }

    /// What the server set aside: its spans are missed until it is removed.
    fn set_aside(&self) -> Result<Vec<Damage>, Error> {
        let mut damage = Vec::new();
        // Of a bucket and of its directory.
        let mut names: BTreeSet<String> = self.backend.list(QUARANTINE)?.into_iter().collect();
        names.extend(self.local.list(QUARANTINE)?);
        for name in names {
            let tenant = match Aside::parse(&name) {
                Some(Aside::L0(_)) => None,
                Some(Aside::Tenant(tenant)) => tenant,
                None => continue,
            };
            let what = format!("{QUARANTINE}/{name} was damaged and is set aside");
            damage.push(Damage { tenant, what });
        }
        Ok(damage)
    }
}

/// Whether all that an L0 holds is in blocks.
fn is_merged(file: &Listed, tenants: &BTreeMap<TenantId, Loaded>) -> bool {
    let Ok(header) = &file.header else { return false };
    let id = L0Id { writer: header.writer, number: header.number };
    let consumed =
        |tenant: &TenantId| tenants.get(tenant).is_some_and(|loaded| loaded.state.has_consumed(id));
    header.level == Level::L0 && !file.tenants.is_empty() && file.tenants.iter().all(consumed)
}

fn missing(tenant: &TenantId, id: BlockId) -> Listed {
    let name = block_name(tenant, &id.to_string());
    let what = format!("{name}: the manifest names it, and it is not there");
    Listed {
        id: id.to_string(),
        name,
        bytes: 0,
        tenants: vec![tenant.clone()],
        header: Err(Error::new(Kind::Corrupt, what)),
        standing: Standing::Missing,
    }
}

fn other(name: &str, what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("{name}: it is not {what}"))
}
