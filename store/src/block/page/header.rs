//! Page headers as Parquet has them: Thrift's compact protocol, written only. Our own reader goes
//! by [`super::PageMeta`] and passes over them.

use model::wire::put_varint;

use super::Encoding;

/// Parquet's number of the encoding of levels.
const RLE: u64 = 3;

/// Appends the header of a data page of version 1.
pub(super) fn put_data(
    out: &mut Vec<u8>,
    raw_len: u32,
    len: u32,
    entries: u32,
    encoding: Encoding,
) {
    put_sizes(out, 0, raw_len, len);
    // Field 5: the header of data pages.
    out.push(0x2c);
    put_i32(out, 1, entries);
    put_enum(out, u64::from(encoding as u8));
    put_enum(out, RLE);
    put_enum(out, RLE);
    out.extend_from_slice(&[0, 0]);
}

/// Appends the header of a dictionary page.
pub(super) fn put_dictionary(out: &mut Vec<u8>, raw_len: u32, len: u32, values: u32) {
    put_sizes(out, 2, raw_len, len);
    // Field 7: the header of dictionary pages.
    out.push(0x4c);
    put_i32(out, 1, values);
    put_enum(out, u64::from(Encoding::Plain as u8));
    out.extend_from_slice(&[0, 0]);
}

/// Fields 1 to 3: the type of the page and its lengths.
fn put_sizes(out: &mut Vec<u8>, kind: u64, raw_len: u32, len: u32) {
    put_enum(out, kind);
    put_i32(out, 1, raw_len);
    put_i32(out, 1, len);
}

/// The next field, an i32: zigzag.
fn put_i32(out: &mut Vec<u8>, step: u8, value: u32) {
    out.push(step << 4 | 5);
    put_varint(out, u64::from(value) << 1);
}

fn put_enum(out: &mut Vec<u8>, value: u64) {
    out.push(1 << 4 | 5);
    put_varint(out, value << 1);
}
