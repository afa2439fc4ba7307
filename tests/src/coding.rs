//! Compressed bodies as clients send them.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    None,
    /// gzip
    Gzip,
    /// A zstd frame.
    Zstd,
    /// zlib, which is what HTTP calls `deflate`.
    Zlib,
    /// Deflate without zlib's frame: not what HTTP calls `deflate`, but sent under that name.
    RawDeflate,
    /// One block of snappy, as the Collector sends it over gRPC.
    SnappyBlock,
    /// snappy's frame format, as the Collector sends it over HTTP.
    SnappyFramed,
}

impl Coding {
    /// Compresses the bytes.
    #[must_use]
    pub fn pack(self, bytes: &[u8]) -> Vec<u8> {
        self.try_pack(bytes).expect("writes to memory do not fail")
    }

    fn try_pack(self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let level = Compression::fast();
        match self {
            Self::None => Ok(bytes.to_vec()),
            Self::Gzip => {
                let mut writer = GzEncoder::new(Vec::new(), level);
                writer.write_all(bytes)?;
                writer.finish()
            }
            Self::Zlib => {
                let mut writer = ZlibEncoder::new(Vec::new(), level);
                writer.write_all(bytes)?;
                writer.finish()
            }
            Self::RawDeflate => {
                let mut writer = DeflateEncoder::new(Vec::new(), level);
                writer.write_all(bytes)?;
                writer.finish()
            }
            Self::Zstd => zstd::bulk::compress(bytes, 3),
            Self::SnappyBlock => {
                snap::raw::Encoder::new().compress_vec(bytes).map_err(std::io::Error::other)
            }
            Self::SnappyFramed => {
                let mut writer = snap::write::FrameEncoder::new(Vec::new());
                writer.write_all(bytes)?;
                writer.into_inner().map_err(|fault| std::io::Error::other(fault.to_string()))
            }
        }
    }
}
