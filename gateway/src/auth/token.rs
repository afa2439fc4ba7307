//! Tokens of our own: `twk_<id>_<secret>`, whose hashes stand in a file that may change at any time.
//!
//! The secret is 256 bits of chance, so its hash (SHA-256) is as good as one that is slow to make. A row
//! that is taken out of the file revokes the token within seconds.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Faults, Nanos};
use serde::{Deserialize, Serialize};
use tracing::{error, info};

use super::denied::Denied;
use super::grants::Grants;
use super::principal::{Principal, Proof};
use crate::watch::{Reload, Watched};

/// What every token begins with.
pub const PREFIX: &str = "twk_";
/// The longest id.
const ID_BYTES_MAX: usize = 64;
/// The most tokens of a file.
const TOKENS_MAX: usize = 10_000;
/// Bytes of a secret.
pub const SECRET_BYTES: usize = 32;

/// The file with tokens.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFile {
    /// One row for each.
    pub tokens: Vec<Row>,
}

/// A token, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its id: what stands between the underscores.
    pub id: String,
    /// SHA-256 of its secret, as 64 hex digits.
    pub sha256: String,
    /// Who it is; `token <id>` where nothing is said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// When it ends, in seconds since 1970; never where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// What it may do.
    pub grants: Grants,
}

/// A token that holds.
#[derive(Debug)]
struct Known {
    sha256: [u8; 32],
    principal: Arc<Principal>,
}

type Table = HashMap<String, Known>;

/// The tokens of a file, as they are now.
#[derive(Debug)]
pub(super) struct Tokens {
    path: String,
    watched: Watched,
    table: ArcSwap<Table>,
}

impl Tokens {
    /// Reads the file.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn open(path: &str) -> Result<Self, String> {
        let (watched, contents) = Watched::open(vec![PathBuf::from(path)])?;
        let table = table(contents.first().map(Vec::as_slice).unwrap_or_default());
        let table = table.map_err(|fault| format!("{path}: {fault}"))?;
        Ok(Self { path: path.to_owned(), watched, table: ArcSwap::from_pointee(table) })
    }

    /// Whether a text is one of ours, by its form.
    pub(super) fn is_one(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Whose it is.
    pub(super) fn find(&self, token: &str, now: Nanos) -> Result<Arc<Principal>, Denied> {
        // Which of the two it is tells nobody anything.
        let unknown = || Denied::Invalid("the API token is not known".to_owned());
        let (id, secret) = parse(token).ok_or_else(unknown)?;
        let table = self.table.load();
        let hash = digest(&SHA256, secret.as_bytes());
        let known = table.get(id).ok_or_else(unknown)?;
        verify_slices_are_equal(hash.as_ref(), &known.sha256).map_err(|_| unknown())?;
        if known.principal.expires_at <= now {
            return Err(Denied::Invalid(format!("the API token {id} has expired")));
        }
        Ok(Arc::clone(&known.principal))
    }
}

impl Reload for Tokens {
    fn reload(&self) {
        let changed = match self.watched.changed() {
            Ok(None) => return,
            Ok(Some(contents)) => table(contents.first().map(Vec::as_slice).unwrap_or_default()),
            Err(fault) => Err(fault),
        };
        match changed {
            Ok(table) => {
                info!(
                    file = self.path,
                    tokens = table.len(),
                    "API tokens have changed, taken over"
                );
                self.table.store(table.into());
            }
            Err(fault) => {
                error!(
                    file = self.path,
                    fault, "API tokens have changed and cannot be used: those before hold"
                );
            }
        }
    }
}

/// The id and the secret of a token.
fn parse(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    (is_id(id) && !secret.is_empty()).then_some((id, secret))
}

fn is_id(id: &str) -> bool {
    let is_good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(is_good)
}

fn table(yaml: &[u8]) -> Result<Table, String> {
    let text = std::str::from_utf8(yaml).map_err(|fault| fault.to_string())?;
    let file: TokenFile = serde_saphyr::from_str(text).map_err(|fault| brief(&fault))?;
    if file.tokens.len() > TOKENS_MAX {
        return Err(format!("{} tokens, at most {TOKENS_MAX} are taken", file.tokens.len()));
    }
    let mut table = Table::with_capacity(file.tokens.len());
    for row in file.tokens {
        let id = row.id.clone();
        let known = row.known().map_err(|fault| format!("token {id:?}: {fault}"))?;
        if table.insert(id.clone(), known).is_some() {
            return Err(format!("token {id:?} stands twice"));
        }
    }
    Ok(table)
}

/// What is wrong and where, without the lines of the file that come with it: somebody may have put a secret
/// there.
fn brief(fault: &serde_saphyr::Error) -> String {
    fault.to_string().lines().next().unwrap_or_default().to_owned()
}

impl Row {
    fn known(self) -> Result<Known, String> {
        if !is_id(&self.id) {
            return Err("its id has to be 1 to 64 of a-z 0-9 -".to_owned());
        }
        let mut faults = Faults::default();
        self.grants.check("", |_| false, "text without braces", &mut faults);
        if let Some(fault) = faults.list().first() {
            let key = fault.key.trim_start_matches('.');
            return Err(format!("{key}: found {}, accepted is {}", fault.found, fault.accepted));
        }
        let subject =
            if self.subject.is_empty() { format!("token {}", self.id) } else { self.subject };
        let expires_at = self.expires_at.map_or(Nanos(u64::MAX), Nanos::from_secs);
        let principal = self.grants.principal((Proof::Token, subject), &|_| Vec::new(), expires_at);
        Ok(Known { sha256: hex(&self.sha256)?, principal: Arc::new(principal) })
    }
}

fn hex(text: &str) -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    let digit = |at: usize| {
        let digit = text.as_bytes().get(at).and_then(|byte| char::from(*byte).to_digit(16));
        digit.and_then(|digit| u8::try_from(digit).ok())
    };
    if text.len() != 2 * bytes.len() {
        return Err("its sha256 has to be 64 hex digits".to_owned());
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        let (high, low) = (digit(2 * at), digit(2 * at + 1));
        let both = high.zip(low).ok_or("its sha256 has to be 64 hex digits")?;
        *byte = both.0 << 4 | both.1;
    }
    Ok(bytes)
}

/// The text of a file of tokens with one more.
///
/// # Errors
/// What is wrong with either.
pub fn with_row(before: &str, row: &Row) -> Result<String, String> {
    let mut file: TokenFile = match before.trim() {
        "" => TokenFile::default(),
        _ => serde_saphyr::from_str(before).map_err(|fault| brief(&fault))?,
    };
    file.tokens.push(row.clone());
    let text = serde_saphyr::to_string(&file).map_err(|fault| fault.to_string())?;
    table(text.as_bytes()).map(|_| text)
}

/// A new token and the hash that stands in the file, from bytes of chance.
#[must_use]
pub fn make(id: &str, chance: &[u8; SECRET_BYTES]) -> Option<(String, String)> {
    if !is_id(id) {
        return None;
    }
    let secret = URL_SAFE_NO_PAD.encode(chance);
    let hash = digest(&SHA256, secret.as_bytes());
    let sha256 = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Some((format!("{PREFIX}{id}_{secret}"), sha256))
}
