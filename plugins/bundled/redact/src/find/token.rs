//! Credentials: JWT, what follows `Bearer` and `Basic`, keys of well-known makers by how they begin, and the values of
//! parameters such as `password=`.

use std::ops::Range;

use super::{at, before, count, end_of, is_token, is_word};

/// How keys begin (with no letter that a JWT or scheme begins with), and of how many characters at least the rest is.
const KEYS: &[(&str, usize)] = &[
    ("AIza", 35),
    ("AKIA", 16),
    ("ASIA", 16),
    ("SG.", 20),
    ("dop_v1_", 32),
    ("gho_", 30),
    ("ghp_", 30),
    ("ghr_", 30),
    ("ghs_", 30),
    ("ghu_", 30),
    ("github_pat_", 22),
    ("glpat-", 20),
    ("hvs.", 20),
    ("npm_", 36),
    ("pypi-", 16),
    ("rk_live_", 16),
    ("rk_test_", 16),
    ("shpat_", 32),
    ("sk-", 20),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("xoxa-", 10),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxs-", 10),
    ("ya29.", 20),
];

/// Schemes whose credential follows a space, and of how many characters at least it is.
const SCHEMES: &[(&str, usize)] = &[("bearer", 8), ("basic", 8)];

/// Parameters whose value is a secret, also behind a prefix: `db_password=`.
const PARAMETERS: &[&str] = &[
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth_token",
    "client_secret",
    "id_token",
    "passwd",
    "password",
    "pwd",
    "refresh_token",
    "secret",
    "session_token",
    "sig",
    "signature",
    "token",
];

/// The letters that keys begin with, a bit for each, small as 0; so most words are left alone at their first letter.
const KEY_STARTS: u32 = {
    let mut starts = 0;
    let mut i = 0;
    while i < KEYS.len() {
        starts |= letter(KEYS[i].0.as_bytes()[0]);
        i += 1;
    }
    starts
};

/// The bit of a letter, small or not.
const fn letter(byte: u8) -> u32 {
    1 << (byte & 0x1f)
}

/// The first credential from `from` on. Of what tells what it is, only what begins a JWT or key goes with it.
pub(super) fn find(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    // Without one of these no word is the name of a parameter. A text is looked through for them once, not again behind
    // each credential, which would take quadratic time.
    let assigns = |byte: u8| (byte == b'=') | (byte == b'"');
    let has_parameters = from > 0 || count(bytes, assigns) > 0;
    let mut i = if is_word(before(bytes, from)) { end_of(bytes, from, is_word) } else { from };
    loop {
        i = end_of(bytes, i, |byte| !is_word(byte));
        let first = bytes.get(i)?;
        let end = end_of(bytes, i + 1, is_word);
        let found = match *first {
            b'e' => jwt(bytes, i),
            b'b' | b'B' => scheme(bytes, i),
            first if !first.is_ascii_alphabetic() => {
                i = end;
                continue;
            }
            first if KEY_STARTS & letter(first) != 0 => key(bytes, i),
            _ => None,
        };
        // A name may have hyphens, so more than this word.
        let may_be_name = has_parameters && matches!(at(bytes, end), b'=' | b'"' | b'-');
        let parameter = || if may_be_name { parameter(bytes, i) } else { None };
        if let Some(found) = found.or_else(parameter) {
            return Some(found);
        }
        i = end;
    }
}

/// Header, claims and signature; `{"` in base64 is `eyJ`.
fn jwt(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    const PART_MIN: usize = 8;
    let starts =
        !is_token(before(bytes, start)) && bytes.get(start..)?.first_chunk() == Some(b"eyJ");
    starts.then_some(())?;
    let header = end_of(bytes, start, is_token);
    let claims = end_of(bytes, header + 1, is_token);
    let is_long = header - start >= PART_MIN && claims.saturating_sub(header + 1) >= PART_MIN;
    (is_long && at(bytes, header) == b'.').then_some(())?;
    let has_signature = at(bytes, claims) == b'.';
    Some(start..if has_signature { end_of(bytes, claims + 1, is_token) } else { claims })
}

fn key(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = bytes.get(start..)?;
    // Many words begin with such a letter, and few with two: a comparison of all of a prefix is a call.
    let two = rest.first_chunk::<2>()?;
    let is_it = |prefix: &str| {
        let prefix = prefix.as_bytes();
        prefix.first_chunk() == Some(two) && rest.starts_with(prefix)
    };
    let (prefix, least) = KEYS.iter().find(|(prefix, _)| is_it(prefix))?;
    let body = start + prefix.len();
    let end = end_of(bytes, body, |byte| is_token(byte) || byte == b'.');
    (end - body >= *least).then_some(start..end)
}

fn scheme(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = bytes.get(start..)?;
    let is_scheme =
        |(name, _): &&(&str, usize)| starts_with(rest, name) && at(rest, name.len()) == b' ';
    let (name, least) = SCHEMES.iter().find(is_scheme)?;
    let body = start + name.len() + 1;
    let end = end_of(bytes, body, |byte| is_token(byte) || b"._~+/=".contains(&byte));
    (end - body >= *least).then_some(body..end)
}

/// The value behind a name and `=`, or in JSON, `": "`.
fn parameter(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    // No longer than that, or many words with hyphens between them would be read again from each.
    const NAME_MAX: usize = 64;
    let near = bytes.get(..bytes.len().min(start + NAME_MAX))?;
    let end = end_of(near, start, is_token);
    let name = bytes.get(start..end)?;
    let value = match (at(bytes, end), at(bytes, end + 1)) {
        (b'=', _) => end + 1,
        (b'"', b':') => end_of(bytes, end + 2, |byte| byte == b' '),
        _ => return None,
    };
    let ends = |parameter: &&&str| {
        let Some(prefix) = name.len().checked_sub(parameter.len()) else { return false };
        let is_whole = prefix == 0 || matches!(at(name, prefix - 1), b'_' | b'-');
        is_whole && starts_with(name.get(prefix..).unwrap_or_default(), parameter)
    };
    PARAMETERS.iter().find(ends)?;
    let (value, quote) = match at(bytes, value) {
        quote @ (b'"' | b'\'') => (value + 1, Some(quote)),
        _ => (value, None),
    };
    let stops = |byte: u8| match quote {
        Some(quote) => byte == quote,
        None => byte.is_ascii_whitespace() || b"&;,\"'}".contains(&byte),
    };
    let end = end_of(bytes, value, |byte| !stops(byte));
    (end > value).then_some(value..end)
}

/// Whether `text` begins with `word`, in any case.
fn starts_with(text: &[u8], word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}
