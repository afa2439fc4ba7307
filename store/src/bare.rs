//! A data directory that is looked at and not taken: what `traceweir block` reads.
//!
//! Files of blocks and L0 never change once they have their names, so they can be read while a
//! server has the directory. What goes meanwhile is told as gone.

use std::path::Path;
use std::sync::Arc;

use model::TenantId;

use crate::backend::{Backend, Local};
use crate::block::cache::Cache;
use crate::block::reader::Reader;
use crate::block::section::{Header, Level};
use crate::disk::{Disk, File, data_dir};
use crate::error::{Error, Kind};
use crate::l0::{self, L0};
use crate::manifest::{BlockId, Manifest, tenant_of};
use crate::shelf;

/// Bytes of parsed tables that are kept.
const CACHE_BYTES: usize = 16 << 20;

/// A directory that is looked at.
#[derive(Debug)]
pub struct Bare {
    backend: Arc<Local>,
    disk: Arc<dyn Disk>,
    cache: Arc<Cache>,
}

/// One file of spans.
#[derive(Debug)]
pub struct Listed {
    /// What it is called on the command line: its number, or its id.
    pub id: String,
    /// Its name below the directory.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Whose it is; an L0 has several.
    pub tenants: Vec<TenantId>,
    /// What it says about itself, or why that cannot be read.
    pub header: Result<Header, Error>,
    /// Whether the manifest names it (a block), or still needs it (an L0).
    pub is_live: bool,
}

impl Bare {
    /// Looks at a directory.
    ///
    /// # Errors
    /// `Refused` when it is not ours, or a newer version's.
    pub fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, Error> {
        data_dir::check(&*disk, path)?;
        let backend = Arc::new(Local::new(Arc::clone(&disk), path));
        Ok(Self { backend, disk, cache: Arc::new(Cache::new(CACHE_BYTES)) })
    }

    /// All files of spans: L0, then blocks by tenant, each in the order of their numbers.
    ///
    /// # Errors
    /// `Io`; `Refused` where a newer version wrote the manifest.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        let manifest = Manifest::new(Arc::clone(&self.backend) as Arc<dyn Backend>);
        let mut listed = Vec::new();
        for name in self.backend.list(l0::ROOT)? {
            let Some(number) = L0::number(&name) else { continue };
            let mut file = self.look(number.to_string(), format!("{}/{name}", l0::ROOT))?;
            file.is_live = true;
            listed.push(file);
        }
        for dir in self.backend.list(shelf::ROOT)? {
            let Some(tenant) = tenant_of(&dir) else { continue };
            let state = manifest.load_tenant(&tenant)?.state;
            for name in self.backend.list(&format!("{}/{dir}", shelf::ROOT))? {
                let Some(id) = name.strip_suffix(".parquet").and_then(BlockId::parse) else {
                    continue;
                };
                let path = format!("{}/{dir}/{name}", shelf::ROOT);
                let mut file = self.look(id.to_string(), path)?;
                file.tenants = vec![tenant.clone()];
                file.is_live = state.blocks.iter().any(|block| block.id == id);
                listed.push(file);
            }
        }
        Ok(listed)
    }

    fn look(&self, id: String, name: String) -> Result<Listed, Error> {
        let mut listed = Listed {
            id,
            name,
            bytes: 0,
            tenants: Vec::new(),
            header: Err(Error::new(Kind::Io, "it is gone")),
            is_live: false,
        };
        let Ok(file) = self.backend.open(&listed.name) else { return Ok(listed) };
        let fail = |fault| Error::io(format!("read {}", listed.name), fault);
        listed.bytes = file.len().map_err(fail)?;
        match self.reader(file, listed.name.clone()) {
            Ok(reader) => {
                let header = reader.directory().header.clone();
                if header.level == Level::L0
                    && let Ok(runs) = reader.tenants()
                {
                    listed.tenants = runs.into_iter().map(|run| run.tenant).collect();
                }
                listed.header = Ok(header);
            }
            Err(error) => listed.header = Err(error),
        }
        Ok(listed)
    }

    /// Opens a file of spans by its bytes.
    ///
    /// # Errors
    /// `Corrupt`, `Refused`, `Io`.
    pub fn reader(&self, file: Arc<dyn File>, name: String) -> Result<Reader, Error> {
        Reader::open_file(file, name, Arc::clone(&self.cache))
    }

    /// The file with this name below the directory.
    ///
    /// # Errors
    /// `Io`.
    pub fn file(&self, name: &str) -> Result<Arc<dyn File>, Error> {
        self.backend.open(name)
    }

    /// A file anywhere.
    ///
    /// # Errors
    /// `Io`.
    pub fn file_at(&self, path: &Path) -> Result<Arc<dyn File>, Error> {
        self.disk.open(path).map_err(|fault| Error::io(format!("open {}", path.display()), fault))
    }
}
