//! The SHA-256 of a plugin: its name, wherever it comes from.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_parts(&[bytes])
    }

    /// Of the bytes of all parts, one after the other.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let (mut context, mut own) = (Context::new(&SHA256), [0; 32]);
        parts.iter().for_each(|part| context.update(part));
        for (own, byte) in own.iter_mut().zip(context.finish().as_ref()) {
            *own = *byte;
        }
        Self(own)
    }

    /// As it is written: 64 hexadecimal digits, `sha256:` before them or not.
    ///
    /// # Errors
    /// Says what it should look like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fault = || format!("{text:.80}: no digest: sha256: and 64 hexadecimal digits");
        let hex = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
        let mut own = [0; 32];
        if hex.len() != 64 || !hex.iter().all(u8::is_ascii_hexdigit) {
            return Err(fault());
        }
        for (own, pair) in own.iter_mut().zip(hex.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| fault())?;
            *own = u8::from_str_radix(pair, 16).map_err(|_| fault())?;
        }
        Ok(Self(own))
    }

    /// As it is.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// In hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            // A string takes everything.
            write!(text, "{byte:02x}").unwrap_or_default();
            text
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let empty = Digest::of(b"");
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty.to_string(), text);
        assert_eq!(Digest::parse(text).as_ref(), Ok(&empty));
        assert_eq!(Digest::parse(&empty.hex().to_uppercase()), Ok(empty));
        for wrong in
            ["", "sha256:", "sha256:ab", &"g".repeat(64), &"é".repeat(32), &"+1".repeat(32)]
        {
            assert!(Digest::parse(wrong).is_err(), "{wrong}");
        }
    }
}
