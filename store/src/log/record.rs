//! One record of the log: a frame of 48 bytes, then tenant, edits and body, padded to 8 bytes.
//!
//! Every frame's checksum covers the writer id and the segment's number, so that bytes which an
//! earlier life of the file left behind are never taken for records. `docs/reference/wal-format.md`
//! has the layout; a change there is a change here.

use bytes::Bytes;
use model::{Nanos, TenantId};

use crate::error::{Error, Kind};
use crate::log::edit::Edits;

/// Bytes before the payload of a record.
pub const FRAME_BYTES: usize = 48;
/// Frames start at multiples of this, which makes finding the next one cheap.
pub const ALIGN: u64 = 8;
/// The largest body that the log takes, decompressed. Receivers refuse far smaller ones.
pub const BODY_BYTES_MAX: usize = 256 << 20;

/// `TWIR`, read as a little-endian number.
pub(crate) const MAGIC: u32 = u32::from_le_bytes(*b"TWIR");

const KIND_RECORD: u8 = 1;
const KIND_END: u8 = 2;

/// What the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An OTLP `ExportTraceServiceRequest`, protobuf.
    OtlpProtobuf,
}

/// How the body is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Raw,
    /// One zstd frame.
    Zstd,
}

/// One request as the log gives it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The segment that holds it.
    pub segment: u64,
    /// Its place in the segment, counted from 0. (segment, sequence) never comes twice.
    pub sequence: u64,
    /// Whose spans these are.
    pub tenant: TenantId,
    /// When the gateway received the request.
    pub received_at: Nanos,
    /// What the body is.
    pub format: Format,
    /// What was decided about the body's spans on the way in.
    pub edits: Edits,
    /// The body, decompressed.
    pub body: Bytes,
}

/// What a segment's checksums cover besides the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The data directory's writer id.
    pub writer: u64,
    /// The segment's number.
    pub segment: u64,
}

impl Seal {
    pub(crate) fn checksum(self, bytes: &[u8]) -> u32 {
        let seed = crc32c::crc32c(&self.writer.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c_append(seed, &self.segment.to_le_bytes()), bytes)
    }

    /// What every frame of the segment starts with.
    pub(crate) fn frame_start(self) -> [u8; 8] {
        let mut start = [0; 8];
        start[..4].copy_from_slice(&MAGIC.to_le_bytes());
        start[4..].copy_from_slice(&self.low().to_le_bytes());
        start
    }

    /// Enough of the segment's number to tell stale frames from damaged ones.
    fn low(self) -> u32 {
        let [a, b, c, d, ..] = self.segment.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

/// The parts of a record that is being written.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) sequence: u64,
    pub(crate) tenant: &'a TenantId,
    pub(crate) received_at: Nanos,
    pub(crate) format: Format,
    pub(crate) coding: Coding,
    /// Length of the body before it was compressed.
    pub(crate) raw_len: u32,
    /// Encoded edits.
    pub(crate) edits: &'a [u8],
    /// The body as stored.
    pub(crate) body: &'a [u8],
}

/// Bytes that a record takes in its segment.
pub(crate) fn frame_len(tenant: usize, edits: usize, body: usize) -> u64 {
    (FRAME_BYTES as u64 + tenant as u64 + edits as u64 + body as u64).next_multiple_of(ALIGN)
}

/// What a frame says about the bytes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    kind: u8,
    tenant_len: u8,
    format: u8,
    coding: u8,
    pub(crate) sequence: u64,
    received_at: u64,
    edits_len: u32,
    body_len: u32,
    raw_len: u32,
    payload_crc: u32,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoFrame {
    /// Never written in this life of the file: not our magic, or another segment's.
    Unwritten,
    /// Ours, and its checksum is wrong.
    Damaged,
}

impl Frame {
    /// The mark behind the last record of a finished segment, with how many there are.
    pub(crate) fn end(records: u64) -> Self {
        Self {
            kind: KIND_END,
            tenant_len: 0,
            format: 0,
            coding: 0,
            sequence: records,
            received_at: 0,
            edits_len: 0,
            body_len: 0,
            raw_len: 0,
            payload_crc: 0,
        }
    }

    pub(crate) fn is_end(&self) -> bool {
        self.kind == KIND_END
    }

    /// Bytes from the frame to the next one.
    pub(crate) fn total_len(&self) -> u64 {
        FRAME_BYTES as u64 + self.payload_len().next_multiple_of(ALIGN)
    }

    /// Bytes behind the frame that its checksum covers.
    pub(crate) fn payload_len(&self) -> u64 {
        u64::from(self.tenant_len) + u64::from(self.edits_len) + u64::from(self.body_len)
    }

    pub(crate) fn encode(&self, seal: Seal) -> [u8; FRAME_BYTES] {
        let mut bytes = [0; FRAME_BYTES];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        put(&MAGIC.to_le_bytes());
        put(&seal.low().to_le_bytes());
        put(&self.sequence.to_le_bytes());
        put(&self.received_at.to_le_bytes());
        put(&[self.kind, self.tenant_len, self.format, self.coding]);
        put(&self.edits_len.to_le_bytes());
        put(&self.body_len.to_le_bytes());
        put(&self.raw_len.to_le_bytes());
        put(&self.payload_crc.to_le_bytes());
        let crc = seal.checksum(&bytes[..FRAME_BYTES - 4]);
        bytes[FRAME_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; FRAME_BYTES], seal: Seal) -> Result<Self, NoFrame> {
        let mut at = 0;
        if number::<4>(bytes, &mut at) != MAGIC.to_le_bytes()
            || number::<4>(bytes, &mut at) != seal.low().to_le_bytes()
        {
            return Err(NoFrame::Unwritten);
        }
        let sequence = u64::from_le_bytes(number(bytes, &mut at));
        let received_at = u64::from_le_bytes(number(bytes, &mut at));
        let [kind, tenant_len, format, coding] = number(bytes, &mut at);
        let mut next = || u32::from_le_bytes(number(bytes, &mut at));
        let (edits_len, body_len, raw_len, payload_crc) = (next(), next(), next(), next());
        if next() != seal.checksum(&bytes[..FRAME_BYTES - 4]) {
            return Err(NoFrame::Damaged);
        }
        Ok(Self {
            kind,
            tenant_len,
            format,
            coding,
            sequence,
            received_at,
            edits_len,
            body_len,
            raw_len,
            payload_crc,
        })
    }

    /// Whether these are the bytes that the frame was written with.
    pub(crate) fn covers(&self, payload: &[u8]) -> bool {
        payload.len() as u64 == self.payload_len() && crc32c::crc32c(payload) == self.payload_crc
    }

    /// Takes the record out of its payload, whose checksum was right.
    ///
    /// # Errors
    /// `Refused` when a newer version wrote something that this one does not know, `Corrupt`
    /// when the parts make no sense.
    pub(crate) fn open(
        &self,
        payload: &[u8],
        segment: u64,
        unpacker: &mut Unpacker,
    ) -> Result<Record, Error> {
        let at = || format!("record {} of wal segment {segment}", self.sequence);
        let corrupt = |what: &str| Error::new(Kind::Corrupt, format!("{}: {what}", at()));
        let newer = |what: String| {
            let at = at();
            Error::new(Kind::Refused, format!("{at} was written by a newer version: {what}"))
        };
        if self.kind != KIND_RECORD {
            return Err(newer(format!("kind {} is not known", self.kind)));
        }
        let format = match self.format {
            1 => Format::OtlpProtobuf,
            other => return Err(newer(format!("body format {other} is not known"))),
        };
        let coding = match self.coding {
            0 => Coding::Raw,
            1 => Coding::Zstd,
            other => return Err(newer(format!("body coding {other} is not known"))),
        };
        let (tenant, rest) = payload
            .split_at_checked(usize::from(self.tenant_len))
            .ok_or_else(|| corrupt("no room for the tenant"))?;
        let edits_len = usize::try_from(self.edits_len).unwrap_or(usize::MAX);
        let (edits, body) =
            rest.split_at_checked(edits_len).ok_or_else(|| corrupt("no room for the edits"))?;
        let tenant = std::str::from_utf8(tenant).map_err(|_| corrupt("tenant is not utf-8"))?;
        let tenant = TenantId::parse(tenant).map_err(|fault| corrupt(&fault.to_string()))?;
        let edits = Edits::decode(edits)
            .map_err(|error| Error::new(error.kind(), format!("{}: {error}", at())))?;
        let raw_len = usize::try_from(self.raw_len).unwrap_or(usize::MAX);
        let body = unpacker.unpack(coding, body, raw_len).map_err(|what| corrupt(&what))?;
        Ok(Record {
            segment,
            sequence: self.sequence,
            tenant,
            received_at: Nanos(self.received_at),
            format,
            edits,
            body,
        })
    }
}

/// Appends the frame, the payload and the padding of one record.
pub(crate) fn encode(parts: &Parts<'_>, seal: Seal, out: &mut Vec<u8>) {
    let tenant = parts.tenant.as_str().as_bytes();
    let mut payload_crc = crc32c::crc32c(tenant);
    payload_crc = crc32c::crc32c_append(payload_crc, parts.edits);
    payload_crc = crc32c::crc32c_append(payload_crc, parts.body);
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).expect("pack and append bound the lengths");
    let frame = Frame {
        kind: KIND_RECORD,
        tenant_len: u8::try_from(tenant.len()).expect("a tenant has at most 150 bytes"),
        format: match parts.format {
            Format::OtlpProtobuf => 1,
        },
        coding: match parts.coding {
            Coding::Raw => 0,
            Coding::Zstd => 1,
        },
        sequence: parts.sequence,
        received_at: parts.received_at.0,
        edits_len: len(parts.edits),
        body_len: len(parts.body),
        raw_len: parts.raw_len,
        payload_crc,
    };
    out.extend_from_slice(&frame.encode(seal));
    for part in [tenant, parts.edits, parts.body] {
        out.extend_from_slice(part);
    }
    let padding = frame.total_len() - FRAME_BYTES as u64 - frame.payload_len();
    out.extend(std::iter::repeat_n(0, usize::try_from(padding).unwrap_or(0)));
}

/// Reads the one record that `bytes` start with, as replay does. For tools and fuzzing.
///
/// # Errors
/// `Corrupt` for bytes that are no record of this segment, `Refused` for a newer version's.
pub fn decode(bytes: &[u8], seal: Seal, unpacker: &mut Unpacker) -> Result<Record, Error> {
    let corrupt = |what: &str| Error::new(Kind::Corrupt, format!("decode a wal record: {what}"));
    let (frame, rest) =
        bytes.split_first_chunk().ok_or_else(|| corrupt("shorter than its frame"))?;
    let frame = Frame::decode(frame, seal).map_err(|fault| match fault {
        NoFrame::Unwritten => corrupt("no frame of this segment"),
        NoFrame::Damaged => corrupt("checksum mismatch in the frame"),
    })?;
    let len = usize::try_from(frame.payload_len()).unwrap_or(usize::MAX);
    let payload = rest.get(..len).ok_or_else(|| corrupt("shorter than its payload"))?;
    if !frame.covers(payload) {
        return Err(corrupt("checksum mismatch in the payload"));
    }
    frame.open(payload, seal.segment, unpacker)
}

/// Decompresses bodies; keep one, making its context costs more than a small body.
#[derive(Default)]
pub struct Unpacker(Option<zstd::bulk::Decompressor<'static>>);

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Unpacker").finish_non_exhaustive()
    }
}

impl Unpacker {
    /// Gives the body of `raw_len` bytes back; takes no more memory than that, nor than
    /// [`BODY_BYTES_MAX`], whatever the stored bytes claim.
    fn unpack(&mut self, coding: Coding, body: &[u8], raw_len: usize) -> Result<Bytes, String> {
        if raw_len > BODY_BYTES_MAX {
            return Err(format!("body of {raw_len} bytes is over the limit"));
        }
        let raw = match coding {
            Coding::Raw => Bytes::copy_from_slice(body),
            Coding::Zstd => {
                let unpacker = match self.0.take() {
                    Some(unpacker) => unpacker,
                    None => zstd::bulk::Decompressor::new().map_err(|fault| fault.to_string())?,
                };
                let unpacker = self.0.insert(unpacker);
                let mut raw = Vec::with_capacity(raw_len);
                unpacker.decompress_to_buffer(body, &mut raw).map_err(|fault| fault.to_string())?;
                raw.into()
            }
        };
        if raw.len() == raw_len {
            Ok(raw)
        } else {
            Err(format!("body has {} bytes, its record says {raw_len}", raw.len()))
        }
    }
}

/// The next `N` bytes of a frame; the field offsets are ours, so they are always inside.
fn number<const N: usize>(bytes: &[u8; FRAME_BYTES], at: &mut usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[*at..*at + N]);
    *at += N;
    field
}

#[cfg(test)]
mod tests;
