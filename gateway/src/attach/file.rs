//! The file that defines plugins, and the tables that they look things up in.

use model::Faults;
use plugins::definition::{self, Definitions};
use serde::{Deserialize, Serialize};

use super::dir::Dir;
use super::tables;

/// What it says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// All plugins by name.
    pub plugins: Definitions,
    /// All tables by name.
    pub tables: tables::Definitions,
}

impl File {
    /// Reads a file and holds it against what may be.
    ///
    /// # Errors
    /// Everything that is wrong, each with its key in the file.
    pub(super) fn parse(bytes: &[u8], path: &str, dir: &Dir) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let text = std::str::from_utf8(bytes).map_err(|fault| fault.to_string());
        let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        let file = text.and_then(|text| match text.lines().all(is_blank) {
            true => Ok(Self::default()),
            false => serde_saphyr::from_str::<Self>(text).map_err(|fault| fault.to_string()),
        });
        match file {
            Ok(mut file) => {
                dir.fill(&mut file.plugins);
                definition::check(&file.plugins, "plugins", &mut faults);
                tables::check(&file.tables, &file.plugins, "tables", &mut faults);
                if faults.is_empty() { Ok(file) } else { Err(faults) }
            }
            Err(fault) => {
                let fault = fault.lines().next().unwrap_or_default();
                faults.push(path, fault, "YAML with plugins by name");
                Err(faults)
            }
        }
    }
}
