//! JSON Web Tokens (RFC 7519, 8725, 9068): what has to hold before a claim of one is believed.
//!
//! jsonwebtoken checks signatures; all rules are here, as its own take the clock of the machine and
//! let through what a gateway must not: `crit`, `typ`, lists for `iss`, claims that stand twice, an
//! audience that is not there, lives of years.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hasher as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use model::Nanos;
use serde_json::{Map, Value};

use super::strict;

/// The longest token, in bytes.
pub(super) const TOKEN_BYTES_MAX: usize = 8 << 10;
/// The longest name of a key.
const KID_BYTES_MAX: usize = 128;
/// The most keys of an issuer.
pub(super) const KEYS_MAX: usize = 100;
/// Clocks of machines differ by so much.
const LEEWAY: Nanos = Nanos::from_secs(30);
/// The shortest modulus of an RSA key, in bytes: 2,048 bits.
const RSA_BYTES_MIN: usize = 256;

/// Claims of a token.
pub(super) type Claims = Map<String, Value>;

/// A token whose form is right, and of which nothing is believed yet.
#[derive(Debug)]
pub(super) struct Unproven<'t> {
    /// Header and claims as they are signed.
    signed: &'t str,
    signature: &'t str,
    algorithm: String,
    /// The name of the key that signed it, as it says.
    pub(super) kid: Option<String>,
    /// Who issued it, as it says.
    pub(super) issuer: String,
    claims: Claims,
}

/// What a token is refused for, in words that have nothing of it.
pub(super) type Refusal = &'static str;

impl<'t> Unproven<'t> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'t str) -> Result<Self, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err("the token is longer than 8 KiB");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("it is no JWT")?;
        let (header, claims) = signed.split_once('.').ok_or("it is no JWT")?;
        if claims.contains('.') || signature.is_empty() {
            return Err("it is no signed JWT");
        }
        let mut header = part(header).ok_or("its header is no JSON object with each name once")?;
        let claims = part(claims).ok_or("its claims are no JSON object with each name once")?;
        if header.contains_key("crit") {
            return Err("its header has `crit`, and no extension is known");
        }
        if ["b64", "enc", "zip"].iter().any(|name| header.contains_key(*name)) {
            return Err("its header asks for what is not known");
        }
        let is_jwt = |typ: &str| {
            let typ = typ.strip_prefix("application/").unwrap_or(typ);
            typ.eq_ignore_ascii_case("jwt") || typ.eq_ignore_ascii_case("at+jwt")
        };
        match header.get("typ") {
            None => {}
            Some(Value::String(typ)) if is_jwt(typ) => {}
            Some(_) => return Err("its `typ` is neither JWT nor at+jwt"),
        }
        let Some(Value::String(algorithm)) = header.remove("alg") else {
            return Err("its header has no `alg`");
        };
        let kid = match header.remove("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= KID_BYTES_MAX => Some(kid),
            Some(_) => return Err("its `kid` is no text of at most 128 bytes"),
        };
        let Some(Value::String(issuer)) = claims.get("iss") else {
            return Err("its `iss` is no text");
        };
        let issuer = issuer.clone();
        Ok(Self { signed, signature, algorithm, kid, issuer, claims })
    }

    /// The claims, where one of these keys signed them.
    pub(super) fn prove(self, keys: &[&Key]) -> Result<Claims, Refusal> {
        let mut refusal = "its `alg` is not that of the key";
        for key in keys {
            // What the key is for is told by whoever published it, never by the token.
            if self.algorithm != name_of(key.algorithm) {
                continue;
            }
            refusal = "its signature does not hold";
            let signed = self.signed.as_bytes();
            let verified =
                jsonwebtoken::crypto::verify(self.signature, signed, &key.key, key.algorithm);
            if verified.unwrap_or(false) {
                return Ok(self.claims);
            }
        }
        Err(refusal)
    }
}

/// A part of a token: an object in base64 without padding.
fn part(text: &str) -> Option<Claims> {
    strict::object(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// What claims have to say to hold.
#[derive(Debug)]
pub(super) struct Rules<'r> {
    /// Whom the token has to be for: one of these.
    pub(super) audience: &'r BTreeSet<String>,
    /// The longest time from when it is issued to when it ends.
    pub(super) lifetime_max: Nanos,
}

impl Rules<'_> {
    /// Until when claims hold.
    pub(super) fn check(&self, claims: &Claims, now: Nanos) -> Result<Nanos, Refusal> {
        let is_ours = |one: &Value| one.as_str().is_some_and(|one| self.audience.contains(one));
        let for_us = match claims.get("aud") {
            Some(one @ Value::String(_)) => is_ours(one),
            Some(Value::Array(all)) => all.iter().all(Value::is_string) && all.iter().any(is_ours),
            _ => return Err("its `aud` is neither a text nor a list of texts"),
        };
        if !for_us {
            return Err("its `aud` is somebody else");
        }
        if claims.get("sub").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err("its `sub` is no text");
        }
        let ends = moment(claims, "exp")?.ok_or("it has no `exp`")?;
        if ends.plus(LEEWAY) <= now {
            return Err("it has expired");
        }
        let begins = moment(claims, "nbf")?;
        if begins.is_some_and(|begins| begins > now.plus(LEEWAY)) {
            return Err("it is not valid yet");
        }
        let issued = moment(claims, "iat")?;
        if issued.is_some_and(|issued| issued > now.plus(LEEWAY)) {
            return Err("it was issued in the future");
        }
        let since = issued.or(begins).unwrap_or(now);
        if ends.minus(since) > self.lifetime_max {
            return Err("it lives longer than tokens may");
        }
        Ok(ends)
    }
}

/// A claim in seconds since 1970, if it is there.
fn moment(claims: &Claims, name: &str) -> Result<Option<Nanos>, Refusal> {
    /// The year 9999: what is later is no date.
    const SECONDS_MAX: f64 = 253_402_300_799.0;
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    let seconds = seconds.ok_or("a time in it is no number of seconds")?;
    let whole = std::time::Duration::from_secs_f64(seconds).as_secs();
    Ok(Some(Nanos::from_secs(whole)))
}

/// A public key of an issuer.
pub(super) struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The public keys of an issuer, by their names; those without one under none.
#[derive(Default)]
pub(super) struct Keys {
    by_kid: HashMap<Option<String>, Vec<Key>>,
    /// Of the text that they came as.
    digest: u64,
}

impl Keys {
    /// Reads a JWK set (RFC 7517). Keys of kinds that are not known, or that are secrets, are none.
    ///
    /// # Errors
    /// Where it is none, or nothing in it is of use.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let mut set = strict::object(json).map_err(|fault| format!("no JWK set: {fault}"))?;
        let Some(Value::Array(list)) = set.remove("keys") else {
            return Err("no JWK set: it has no list `keys`".to_owned());
        };
        if list.len() > KEYS_MAX {
            return Err(format!(
                "the JWK set has {} keys, at most {KEYS_MAX} are taken",
                list.len()
            ));
        }
        let mut keys: HashMap<Option<String>, Vec<Key>> = HashMap::new();
        for jwk in list {
            let Ok(jwk) = serde_json::from_value::<Jwk>(jwk) else { continue };
            let Some(key) = Key::of(&jwk) else { continue };
            keys.entry(jwk.common.key_id).or_default().push(key);
        }
        if keys.is_empty() {
            return Err("the JWK set has no key for ES256, ES384, EdDSA, RS* or PS*".to_owned());
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(json);
        Ok(Self { by_kid: keys, digest: hasher.finish() })
    }

    /// Tells one set from another.
    pub(super) const fn digest(&self) -> u64 {
        self.digest
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_kid.values().map(Vec::len).sum()
    }

    /// Those that a token may be signed with; none where its key is not known.
    pub(super) fn find(&self, kid: Option<&String>) -> Vec<&Key> {
        match kid {
            Some(_) => self.by_kid.get(&kid.cloned()).into_iter().flatten().collect(),
            // Without a name it is the only one, or none.
            None if self.len() == 1 => self.by_kid.values().flatten().collect(),
            None => Vec::new(),
        }
    }
}

impl Key {
    fn of(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let for_signing = common.public_key_use.as_ref();
        let for_signing = for_signing.is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let verifies = common.key_operations.as_ref();
        let verifies = verifies.is_none_or(|all| all.contains(&KeyOperations::Verify));
        if !for_signing || !verifies {
            return None;
        }
        let algorithm = match (&jwk.algorithm, common.key_algorithm) {
            (AlgorithmParameters::EllipticCurve(curve), told) => {
                let (own, len) = match curve.curve {
                    EllipticCurve::P256 => (Algorithm::ES256, 32),
                    EllipticCurve::P384 => (Algorithm::ES384, 48),
                    _ => return None,
                };
                if [&curve.x, &curve.y].into_iter().any(|part| decoded_len(part) != Some(len)) {
                    return None;
                }
                told.is_none_or(|told| told == KeyAlgorithm::from(own)).then_some(own)?
            }
            (AlgorithmParameters::OctetKeyPair(pair), told) => {
                let is_ours = pair.curve == EllipticCurve::Ed25519
                    && decoded_len(&pair.x) == Some(32)
                    && told.is_none_or(|told| told == KeyAlgorithm::EdDSA);
                is_ours.then_some(Algorithm::EdDSA)?
            }
            (AlgorithmParameters::RSA(rsa), told) => {
                let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).ok()?;
                let len = modulus.iter().skip_while(|byte| **byte == 0).count();
                if len < RSA_BYTES_MIN {
                    return None;
                }
                // Some issuers do not say; what nearly all sign with then is this.
                rsa_algorithm(told.unwrap_or(KeyAlgorithm::RS256))?
            }
            // A secret that is published is none.
            _ => return None,
        };
        Some(Self { algorithm, key: DecodingKey::from_jwk(jwk).ok()? })
    }
}

fn decoded_len(part: &str) -> Option<usize> {
    URL_SAFE_NO_PAD.decode(part).ok().map(|bytes| bytes.len())
}

fn rsa_algorithm(told: KeyAlgorithm) -> Option<Algorithm> {
    use KeyAlgorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
    matches!(told, RS256 | RS384 | RS512 | PS256 | PS384 | PS512)
        .then(|| Algorithm::try_from(told).ok())
        .flatten()
}

/// As tokens and JWKs write it (RFC 7518, 3.1; RFC 8037).
const fn name_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::ES256 => "ES256",
        Algorithm::ES384 => "ES384",
        Algorithm::EdDSA => "EdDSA",
        Algorithm::RS256 => "RS256",
        Algorithm::RS384 => "RS384",
        Algorithm::RS512 => "RS512",
        Algorithm::PS256 => "PS256",
        Algorithm::PS384 => "PS384",
        Algorithm::PS512 => "PS512",
        // No key is of another.
        _ => "",
    }
}
