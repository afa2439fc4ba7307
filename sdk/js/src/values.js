/**
 * Values of attributes, and the encoding of OTLP's `AnyValue` for those that are arrays, maps or bytes:
 * opentelemetry-proto, common/v1/common.proto.
 *
 * A number is a double, a bigint an int: so what was read and is written again has the type that it had.
 * @module
 */

import {
  TAG_ABSENT, TAG_ARRAY, TAG_BOOL, TAG_BYTES, TAG_DOUBLE, TAG_EMPTY, TAG_INT, TAG_MAP, TAG_REMOVE, TAG_STRING,
} from './codes.js';
import { BadInput, Internal } from './errors.js';

export const EMPTY = Symbol('an attribute without a value');
export const REMOVE = Symbol('the attribute goes');
export const UNREAD = Symbol('an array, a map or bytes, which were not asked for');

/** How deep arrays and maps may lie in each other. */
const DEPTH_MAX = 64;

const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();

/** The number of a value's type. */
export function tagOf(value) {
  switch (typeof value) {
    case 'undefined':
      return TAG_ABSENT;
    case 'string':
      return TAG_STRING;
    case 'bigint':
      return TAG_INT;
    case 'number':
      return TAG_DOUBLE;
    case 'boolean':
      return TAG_BOOL;
  }
  if (value instanceof Uint8Array) return TAG_BYTES;
  if (Array.isArray(value)) return TAG_ARRAY;
  if (value instanceof Map) return TAG_MAP;
  if (value === EMPTY) return TAG_EMPTY;
  if (value === REMOVE) return TAG_REMOVE;
  throw new Internal(`no value for an attribute: ${String(value)}`);
}

/** The bits of a number or bool. */
export function wordOf(value) {
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'number') {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    return view.getBigUint64(0);
  }
  if (value < INT_MIN || value > INT_MAX) throw new Internal(`${value} has more than 64 bits`);
  return BigInt.asUintN(64, value);
}

/** A text in UTF-8. */
export function utf8(text) {
  if (!text.isWellFormed()) throw new Internal(`half a character in ${JSON.stringify(text)}`);
  return ENCODER.encode(text);
}

/** A value as an `AnyValue`. */
export function encode(value) {
  const bytes = [];
  put(bytes, value);
  return Uint8Array.from(bytes);
}

function put(bytes, value) {
  switch (tagOf(value)) {
    case TAG_STRING:
      putDelimited(bytes, 1, utf8(value));
      break;
    case TAG_BOOL:
      bytes.push(2 << 3, value ? 1 : 0);
      break;
    case TAG_INT:
      bytes.push(3 << 3);
      putVarint(bytes, wordOf(value));
      break;
    case TAG_DOUBLE: {
      const double = new DataView(new ArrayBuffer(8));
      double.setFloat64(0, value, true);
      bytes.push((4 << 3) | 1, ...new Uint8Array(double.buffer));
      break;
    }
    case TAG_ARRAY: {
      const items = [];
      for (const item of value) putDelimited(items, 1, encode(item));
      putDelimited(bytes, 5, items);
      break;
    }
    case TAG_MAP: {
      const pairs = [];
      for (const [key, item] of value) {
        const pair = [];
        putDelimited(pair, 1, utf8(key));
        putDelimited(pair, 2, encode(item));
        putDelimited(pairs, 1, pair);
      }
      putDelimited(bytes, 6, pairs);
      break;
    }
    case TAG_BYTES:
      putDelimited(bytes, 7, value);
      break;
    case TAG_EMPTY:
      break;
    default:
      throw new Internal(`no value in an array or map: ${String(value)}`);
  }
}

function putDelimited(bytes, field, data) {
  bytes.push((field << 3) | 2);
  putVarint(bytes, BigInt(data.length));
  for (let i = 0; i < data.length; i++) bytes.push(data[i]);
}

function putVarint(bytes, number) {
  while (number > 0x7fn) {
    bytes.push(Number(number & 0x7fn) | 0x80);
    number >>= 7n;
  }
  bytes.push(Number(number));
}

export function decode(bytes, depth = DEPTH_MAX) {
  if (depth === 0) throw new BadInput('a value is too deep');
  let value = EMPTY;
  for (const [field, wire] of fields(bytes)) {
    const isBytes = wire instanceof Uint8Array;
    if (field === 1 && isBytes) value = text(wire);
    else if (field === 2 && typeof wire === 'bigint') value = wire !== 0n;
    else if (field === 3 && typeof wire === 'bigint') value = BigInt.asIntN(64, wire);
    else if (field === 4 && typeof wire === 'number') value = wire;
    else if (field === 5 && isBytes) value = members(wire).map((item) => decode(item, depth - 1));
    else if (field === 6 && isBytes) value = new Map(members(wire).map((item) => pair(item, depth - 1)));
    else if (field === 7 && isBytes) value = wire;
  }
  return value;
}

function members(bytes) {
  return fields(bytes).filter(([field, wire]) => field === 1 && wire instanceof Uint8Array).map(([, wire]) => wire);
}

function pair(bytes, depth) {
  let key = '';
  let value = new Uint8Array();
  for (const [field, wire] of fields(bytes)) {
    if (field === 1 && wire instanceof Uint8Array) key = text(wire);
    if (field === 2 && wire instanceof Uint8Array) value = wire;
  }
  return [key, decode(value, depth)];
}

function text(bytes) {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new BadInput('a text is not UTF-8');
  }
}

/** Number and content of the fields of a message; fixed 32 bits, which `AnyValue` has not, are skipped. */
function fields(bytes) {
  const found = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const varint = () => {
    let number = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) break;
      const byte = bytes[at++];
      number |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return number;
    }
    throw new BadInput('a value is malformed');
  };
  while (at < bytes.length) {
    const key = varint();
    const field = Number(key >> 3n);
    const wire = Number(key & 7n);
    if (wire === 0) {
      found.push([field, varint()]);
      continue;
    }
    const length = wire === 2 ? Number(varint()) : wire === 1 ? 8 : wire === 5 ? 4 : Infinity;
    if (at + length > bytes.length) throw new BadInput('a value is malformed');
    if (wire === 1) found.push([field, view.getFloat64(at, true)]);
    if (wire === 2) found.push([field, bytes.subarray(at, at + length)]);
    at += length;
  }
  return found;
}
