//! `hash`: SHA-256 in hexadecimal digits, of the same bytes as in the Collector.

use sha2::{Digest, Sha256};
use traceweir_plugin::Any;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The hash of a text, number or bool; nothing for what is none, which stays.
pub(super) fn hashed(value: &Any) -> Option<Any> {
    let digest = match value {
        Any::Text(text) => Sha256::digest(text),
        Any::Int(int) => Sha256::digest(int.to_le_bytes()),
        Any::Double(double) => Sha256::digest(double.to_le_bytes()),
        Any::Bool(bool) => Sha256::digest([u8::from(*bool)]),
        Any::Empty | Any::Bytes(_) | Any::Array(_) | Any::Map(_) => return None,
    };
    let digit = |four: u8| DIGITS.get(usize::from(four)).copied().unwrap_or_default();
    let digits = digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    Some(Any::Text(digits.map(char::from).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_sha256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hashed(&Any::from("")), Some(Any::from(empty)));
        assert_eq!(hashed(&Any::Empty), None);
    }
}
