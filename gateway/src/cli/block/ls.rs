//! What there is: a line for each file of spans.

use model::TenantId;
use serde_json::{Value, json};
use store::bare::{Found, Listed, Standing};
use store::retention::Config;
use store::{Error, Level};

use super::{Exit, complain, level, print};
use crate::cli::table::{Table, ratio, time};

/// Lists what was found; what cannot be read is listed with the reason.
pub(super) fn ls(found: &Found, retention: &Config, as_json: bool) -> Result<Exit, Error> {
    for damage in &found.damage {
        complain(&damage.what);
    }
    let text = if as_json {
        found.files.iter().map(|file| format!("{}\n", line(file, retention))).collect()
    } else {
        table(&found.files, retention)
    };
    Ok(print(&text))
}

/// When a block is old enough to go, in nanoseconds; nothing where it is kept for ever.
fn goes(file: &Listed, retention: &Config) -> Option<u64> {
    let header = file.header.as_ref().ok().filter(|header| header.level == Level::L1)?;
    let age = retention.age_of(file.tenants.first()?)?;
    Some(header.starts.1.max(header.created_at).saturating_add(age.0))
}

fn table(files: &[Listed], retention: &Config) -> String {
    let mut table = Table::new(&[
        "ID",
        "LEVEL",
        "TENANT",
        "SPANS",
        "TRACES",
        "BYTES",
        "B/SPAN",
        "FIRST START",
        "LAST START",
        "CREATED",
        "GOES",
        "",
    ]);
    for file in files {
        let mut row = vec![file.id.clone()];
        match &file.header {
            Ok(header) => row.extend([
                level(header).to_owned(),
                owner(file),
                header.rows.to_string(),
                header.traces.to_string(),
                file.bytes.to_string(),
                ratio(file.bytes, header.rows),
                time(header.starts.0),
                time(header.starts.1),
                time(header.created_at),
                goes(file, retention).map_or_else(|| "-".to_owned(), time),
                standing(file.standing).to_owned(),
            ]),
            Err(error) => {
                let gap = || "-".to_owned();
                row.extend([gap(), owner(file), gap(), gap(), file.bytes.to_string()]);
                row.extend([gap(), gap(), gap(), gap(), gap(), error.to_string()]);
            }
        }
        table.row(row);
    }
    table.text()
}

fn line(file: &Listed, retention: &Config) -> Value {
    let tenants: Vec<_> = file.tenants.iter().map(TenantId::as_str).collect();
    let (header, fault) = match &file.header {
        Ok(header) => (serde_json::to_value(header).unwrap_or_default(), None),
        Err(error) => (Value::Null, Some(error.to_string())),
    };
    json!({ "id": file.id, "file": file.name, "bytes": file.bytes, "tenants": tenants,
        "standing": file.standing, "header": header, "goes": goes(file, retention), "fault": fault })
}

fn owner(file: &Listed) -> String {
    match file.tenants.as_slice() {
        [] => "-".to_owned(),
        [tenant] => tenant.to_string(),
        several => format!("{} tenants", several.len()),
    }
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Live => "",
        Standing::Merged => "merged",
        Standing::Removed => "removed",
        Standing::Unnamed => "not in the manifest",
        Standing::Missing => "missing",
    }
}
