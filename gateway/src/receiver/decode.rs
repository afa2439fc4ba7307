//! Decompression of bodies: bytes from outside in, at most `limit` bytes out.
//!
//! Plain functions for the compute pool. Output grows step by step under the running limit, and
//! each step is paid for through [`Room`] before it is allocated, so that a bomb of a kilobyte
//! costs what it may cost and no more. Nothing here panics, whatever the bytes.

use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};
use snap::read::FrameDecoder;
use zstd::zstd_safe::{self, DCtx, DParameter, InBuffer, OutBuffer};

use super::buffers::Buffers;
use super::reply::{Fault, Kind, Size};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// gzip, of one or more members.
    Gzip,
    /// Zstandard, of one or more frames.
    Zstd,
    /// zlib, as HTTP means it; raw deflate is recognised.
    Deflate,
    /// snappy, block or framed.
    Snappy,
}

/// What `grpc-accept-encoding` says, and what unknown codings are told.
pub const CODINGS_ACCEPTED: &str = "identity,gzip,zstd,deflate,snappy";

/// Every name that a client may give, with its coding.
const NAMES: [(&str, Coding); 7] = [
    ("", Coding::Identity),
    ("identity", Coding::Identity),
    ("gzip", Coding::Gzip),
    ("zstd", Coding::Zstd),
    ("deflate", Coding::Deflate),
    ("zlib", Coding::Deflate),
    ("snappy", Coding::Snappy),
];

impl Coding {
    /// Reads the name of a `content-encoding` or `grpc-encoding` header.
    ///
    /// # Errors
    /// `Coding`, with the names that are known.
    pub fn parse(name: &[u8]) -> Result<Self, Fault> {
        let name = name.trim_ascii();
        let known = NAMES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        known.map(|(_, coding)| *coding).ok_or_else(|| {
            let name: String = String::from_utf8_lossy(name).chars().take(40).collect();
            let message = format!("unsupported encoding {name:?}, supported: {CODINGS_ACCEPTED}");
            Fault::new(Kind::Coding, message)
        })
    }
}

/// A guess at the decompressed size, to be paid for while there is still time to wait. What the
/// body claims is believed as far as its own length makes it likely.
#[must_use]
pub fn guess(coding: Coding, body: &[u8], limit: usize) -> usize {
    let likely = body.len().saturating_mul(RATIO);
    let claimed = match coding {
        Coding::Identity => return 0,
        Coding::Gzip => Some(gzip_claims(body)),
        Coding::Zstd => zstd_claims(body),
        Coding::Deflate => None,
        Coding::Snappy => snap::raw::decompress_len(body).ok(),
    };
    let guess = claimed.map_or(likely, |claimed| claimed.min(likely.saturating_mul(8)));
    // One byte more than the whole, so that its end is seen without growing again.
    guess.saturating_add(1).max(STEP_BYTES).min(limit.saturating_add(1))
}

/// Pays for memory before it is allocated.
pub trait Room {
    /// Asks for `bytes` more.
    ///
    /// # Errors
    /// `Unavailable` when there is no room now.
    fn take(&mut self, bytes: usize) -> Result<(), Fault>;
}

/// The decompressed body.
///
/// # Errors
/// `TooLarge` when there would be more than `limit` bytes, `Invalid` when the bytes are not what
/// the coding says, `Unavailable` when there is no room.
pub fn inflate(
    coding: Coding,
    body: &[u8],
    limit: usize,
    room: &mut dyn Room,
    buffers: &Buffers,
) -> Result<Vec<u8>, Fault> {
    if body.is_empty() {
        // No bytes are no spans, however they are said to be compressed.
        return Ok(Vec::new());
    }
    let mut output = Output::new(Kept::All, limit, room, buffers);
    match coding {
        Coding::Identity => output.push(body)?,
        Coding::Gzip => gunzip(body, &mut output)?,
        Coding::Zstd => unzstd(body, &mut output)?,
        Coding::Deflate => undeflate(body, &mut output)?,
        Coding::Snappy => unsnap(body, &mut output)?,
    }
    Ok(output.bytes)
}

/// What becomes of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// It is the body.
    All,
    /// The same, and its size is known.
    Measured,
    /// It is counted and forgotten.
    Nothing,
}

/// The growing output under its limit.
struct Output<'a> {
    bytes: Vec<u8>,
    kept: Kept,
    /// Bytes that were counted and forgotten.
    forgotten: usize,
    limit: usize,
    room: &'a mut dyn Room,
    buffers: &'a Buffers,
}

/// The first allocation is a guess at this ratio; spans compress to a tenth or less.
const RATIO: usize = 8;

/// The least that is allocated at a time.
const STEP_BYTES: usize = 16 << 10;

/// Output of so many bytes that is so many times as long as its input is a bomb, or boilerplate: its size is
/// found out before memory is taken for it. Spans compress to a tenth, and JSON of spans to a thirtieth.
const SUSPECT_BYTES: usize = 256 << 10;
const SUSPECT_RATIO: usize = 48;

/// What output is forgotten in.
const SCRATCH_BYTES: usize = 64 << 10;

impl<'a> Output<'a> {
    fn new(kept: Kept, limit: usize, room: &'a mut dyn Room, buffers: &'a Buffers) -> Self {
        Self { bytes: Vec::new(), kept, forgotten: 0, limit, room, buffers }
    }

    /// Makes room for at least one more byte; `hint` is a guess at the whole size.
    fn grow(&mut self, hint: usize) -> Result<(), Fault> {
        if self.kept == Kept::Nothing {
            self.forgotten = self.forgotten.saturating_add(self.bytes.len());
            self.bytes.clear();
            // Of which there is one for each thread.
            self.bytes.reserve_exact(SCRATCH_BYTES);
            return self.check();
        }
        self.reserve(self.bytes.len().saturating_add(1), hint)
    }

    /// Whether it would take more memory now, of which the input makes one doubt that it is worth it.
    const fn is_suspect(&self, input: &[u8]) -> bool {
        let length = self.bytes.len();
        matches!(self.kept, Kept::All)
            && length == self.bytes.capacity()
            && length >= SUSPECT_BYTES
            && length / SUSPECT_RATIO >= input.len()
    }

    /// Goes through all of the input for the size of the output; then there is room for just that.
    ///
    /// # Errors
    /// As [`inflate`], before any memory is taken.
    fn measure(&mut self, coding: Coding, input: &[u8]) -> Result<(), Fault> {
        let mut nothing = Nothing;
        let mut all = Output::new(Kept::Nothing, self.limit, &mut nothing, self.buffers);
        match coding {
            Coding::Gzip => gunzip(input, &mut all)?,
            Coding::Deflate => undeflate(input, &mut all)?,
            Coding::Zstd => unzstd(input, &mut all)?,
            Coding::Identity | Coding::Snappy => return Ok(()),
        }
        let whole = all.forgotten.saturating_add(all.bytes.len());
        self.kept = Kept::Measured;
        // One byte more, so that its end is seen without growing again.
        let wanted = whole.saturating_add(1);
        self.room.take(wanted.saturating_sub(self.bytes.capacity()))?;
        self.make(wanted);
        Ok(())
    }

    /// Makes room for `whole` bytes in all, doubling.
    fn reserve(&mut self, whole: usize, hint: usize) -> Result<(), Fault> {
        let capacity = self.bytes.capacity();
        if whole <= capacity {
            return Ok(());
        }
        // One byte over the limit is room enough to see that there is more.
        let most = self.limit.saturating_add(1);
        if whole > most {
            return Err(self.too_large());
        }
        let wanted = capacity.saturating_mul(2).max(hint).max(STEP_BYTES).max(whole).min(most);
        self.room.take(wanted.saturating_sub(capacity))?;
        self.make(wanted);
        Ok(())
    }

    /// Has at least `whole` bytes of capacity, from the pool at first.
    fn make(&mut self, whole: usize) {
        if self.bytes.capacity() == 0 {
            self.bytes = self.buffers.take(whole);
        } else {
            self.bytes.reserve_exact(whole.saturating_sub(self.bytes.len()));
        }
    }

    fn check(&self) -> Result<(), Fault> {
        if self.forgotten.saturating_add(self.bytes.len()) > self.limit {
            Err(self.too_large())
        } else {
            Ok(())
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.declare(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Makes room for a size that the input declares.
    fn declare(&mut self, size: usize) -> Result<(), Fault> {
        let whole = self.bytes.len().saturating_add(size);
        if whole > self.limit {
            let size = Size::Exact(whole as u64);
            return Err(Fault::too_large("decompressed message", size, self.limit as u64));
        }
        self.room.take(size)?;
        self.make(whole);
        Ok(())
    }

    fn too_large(&self) -> Fault {
        let size = Size::AtLeast((self.limit as u64).saturating_add(1));
        Fault::too_large("decompressed message", size, self.limit as u64)
    }
}

/// Room for nothing.
struct Nothing;

impl Room for Nothing {
    fn take(&mut self, _: usize) -> Result<(), Fault> {
        Ok(())
    }
}

fn corrupt(coding: &str, offset: usize, why: impl std::fmt::Display) -> Fault {
    Fault::new(Kind::Invalid, format!("corrupt {coding} body at byte {offset}: {why}"))
}

fn gunzip(body: &[u8], output: &mut Output<'_>) -> Result<(), Fault> {
    let hint = guess(Coding::Gzip, body, output.limit);
    let mut at = 0;
    for _ in 0..GZIP_MEMBERS_MAX {
        let mut member = Decompress::new_gzip(WINDOW_BITS);
        at += deflated(Coding::Gzip, &mut member, body, at, hint, output)?;
        // Members follow each other without a gap; zero padding after the last one is common.
        let rest = body.get(at..).unwrap_or_default();
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
    }
    Err(corrupt("gzip", at, format_args!("more than {GZIP_MEMBERS_MAX} members")))
}

/// Each member costs a decoder of its own, and can be as short as 20 bytes.
const GZIP_MEMBERS_MAX: usize = 1024;

fn undeflate(body: &[u8], output: &mut Output<'_>) -> Result<(), Fault> {
    let hint = guess(Coding::Deflate, body, output.limit);
    let mut stream = Decompress::new_with_window_bits(is_zlib(body), WINDOW_BITS);
    let taken = deflated(Coding::Deflate, &mut stream, body, 0, hint, output)?;
    if taken < body.len() {
        return Err(corrupt("deflate", taken, "bytes after the end"));
    }
    Ok(())
}

/// The size in the trailer: modulo 2^32, and of the last member only.
fn gzip_claims(body: &[u8]) -> usize {
    body.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size) as usize)
}

const WINDOW_BITS: u8 = 15;

/// Whether the first two bytes are a zlib header (RFC 1950, 2.2).
fn is_zlib(body: &[u8]) -> bool {
    let Some([method, flags]) = body.first_chunk::<2>() else { return true };
    let check = u16::from_be_bytes([*method, *flags]);
    method & 0x0f == 8 && method >> 4 <= 7 && check.is_multiple_of(31)
}

/// Runs one deflate stream from `start` to its end; returns how many bytes it took.
fn deflated(
    coding: Coding,
    stream: &mut Decompress,
    body: &[u8],
    start: usize,
    hint: usize,
    output: &mut Output<'_>,
) -> Result<usize, Fault> {
    let name = if coding == Coding::Gzip { "gzip" } else { "deflate" };
    loop {
        if output.is_suspect(body) {
            output.measure(coding, body)?;
        }
        output.grow(hint)?;
        let taken = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
        let at = start.saturating_add(taken);
        let input = body.get(at..).unwrap_or_default();
        let (before_in, before_out) = (stream.total_in(), stream.total_out());
        let status = stream
            .decompress_vec(input, &mut output.bytes, FlushDecompress::None)
            .map_err(|error| corrupt(name, at, error))?;
        output.check()?;
        let taken = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
        if status == Status::StreamEnd {
            return Ok(taken);
        }
        let stuck = (before_in, before_out) == (stream.total_in(), stream.total_out());
        let room = output.bytes.len() < output.bytes.capacity();
        if room && (stuck || start.saturating_add(taken) >= body.len()) {
            return Err(corrupt(name, start.saturating_add(taken), "it ends too early"));
        }
    }
}

/// The largest window that a frame may ask us to keep: what RFC 8878 recommends to support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

fn unzstd(body: &[u8], output: &mut Output<'_>) -> Result<(), Fault> {
    let fail = |at: usize, code| corrupt("zstd", at, zstd_safe::get_error_name(code));
    let mut context = DCtx::try_create()
        .ok_or_else(|| Fault::new(Kind::Unavailable, "no memory for a zstd context"))?;
    // No window is needed at all.
    if let Some(size) = zstd_claims(body).filter(|_| output.kept == Kept::All) {
        output.declare(size)?;
        context.decompress(&mut output.bytes, body).map_err(|code| fail(0, code))?;
        return output.check();
    }
    context
        .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))
        .map_err(|code| fail(0, code))?;
    let hint = guess(Coding::Zstd, body, output.limit);
    let mut input = InBuffer::around(body);
    loop {
        if output.is_suspect(body) {
            // Its window is as large as what it has written; measuring needs one, too.
            drop(context);
            output.measure(Coding::Zstd, body)?;
            return unzstd_measured(body, output);
        }
        output.grow(hint)?;
        let at = input.pos();
        let before = output.bytes.len();
        let mut space = OutBuffer::around_pos(&mut output.bytes, before);
        let left =
            context.decompress_stream(&mut space, &mut input).map_err(|code| fail(at, code))?;
        output.check()?;
        if left == 0 && input.pos() == body.len() {
            return Ok(());
        }
        let stuck = input.pos() == at && output.bytes.len() == before;
        let room = output.bytes.len() < output.bytes.capacity();
        if room && (stuck || input.pos() == body.len()) {
            return Err(corrupt("zstd", input.pos(), "it ends too early"));
        }
    }
}

/// All frames at once, where there is room for all of it: without a window.
fn unzstd_measured(body: &[u8], output: &mut Output<'_>) -> Result<(), Fault> {
    output.bytes.clear();
    let written = zstd_safe::decompress(&mut output.bytes, body);
    written.map_err(|code| corrupt("zstd", 0, zstd_safe::get_error_name(code)))?;
    output.check()
}

/// The size of a single frame that tells it, as most encoders write it.
fn zstd_claims(body: &[u8]) -> Option<usize> {
    let single = zstd_safe::find_frame_compressed_size(body).is_ok_and(|size| size == body.len());
    let size = zstd_safe::get_frame_content_size(body).ok().flatten().filter(|_| single)?;
    Some(usize::try_from(size).unwrap_or(usize::MAX))
}

/// The first chunk of the framed format; a block could only start so if it were corrupt.
const SNAPPY_FRAMED: &[u8] = b"\xff\x06\x00\x00sNaPpY";

fn unsnap(body: &[u8], output: &mut Output<'_>) -> Result<(), Fault> {
    if body.starts_with(SNAPPY_FRAMED) {
        return unsnap_framed(body, output);
    }
    let size = snap::raw::decompress_len(body).map_err(|error| corrupt("snappy", 0, error))?;
    // A copy of 64 bytes takes at least two: more than that is a lie, told before it is paid.
    if size / 32 > body.len() {
        return Err(corrupt("snappy", 0, "its size is more than it can hold"));
    }
    output.declare(size)?;
    output.bytes.resize(size, 0);
    let written = snap::raw::Decoder::new()
        .decompress(body, &mut output.bytes)
        .map_err(|error| corrupt("snappy", 0, error))?;
    output.bytes.truncate(written);
    Ok(())
}

fn unsnap_framed(body: &[u8], output: &mut Output<'_>) -> Result<(), Fault> {
    let mut frames = FrameDecoder::new(body);
    let mut chunk = vec![0; STEP_BYTES];
    loop {
        let read = frames.read(&mut chunk).map_err(|error| {
            let left = frames.get_ref().len();
            corrupt("snappy", body.len().saturating_sub(left), error)
        })?;
        let Some(fresh) = chunk.get(..read).filter(|fresh| !fresh.is_empty()) else {
            return Ok(());
        };
        let whole = output.bytes.len().saturating_add(fresh.len());
        if whole > output.limit {
            return Err(output.too_large());
        }
        output.reserve(whole, body.len().saturating_mul(RATIO / 2))?;
        output.bytes.extend_from_slice(fresh);
    }
}

#[cfg(test)]
mod tests;
