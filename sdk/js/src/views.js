/**
 * Typed views over the sections of a batch: numbers, ids, texts and bytes where they lie.
 *
 * A view is held against the rules of `docs/reference/plugin-buffer.md` when it is made, so that reading it cannot fail.
 * In Wasm JavaScript is interpreted. A turn of a loop costs some 100 ns, a call of a built-in function 500, and what
 * such a function does for each entry 1 to 10; whatever goes through an iterator (`for … of`, spreading, taking a typed
 * array apart) a microsecond a step. Hence the loops by index, and `indexOf` and `Math.max.apply` where a loop was to be
 * expected.
 * @module
 */

import { BadInput, Internal } from './errors.js';

/** A view of `length` numbers from `offset`: over the buffer itself, or over a copy where they are not aligned. */
export function numbers(Type, bytes, offset, length) {
  const start = bytes.byteOffset + offset;
  if (start % Type.BYTES_PER_ELEMENT === 0) return new Type(bytes.buffer, start, length);
  return new Type(bytes.slice(offset, offset + length * Type.BYTES_PER_ELEMENT).buffer);
}

/** How many arguments a function is given at once. */
export const ARGUMENTS_MAX = 4096;

/** The largest of numbers, of which `NaN` is larger than any; `-Infinity` of none. */
export function largest(array) {
  if (array.length <= ARGUMENTS_MAX) return Math.max.apply(null, array);
  let most = -Infinity;
  for (let i = 0; i < array.length; i += ARGUMENTS_MAX) {
    most = Math.max(most, Math.max.apply(null, array.slice(i, i + ARGUMENTS_MAX)));
  }
  return most;
}

/** The smallest of numbers, of which `NaN` is smaller than any; `Infinity` of none. */
export function smallest(array) {
  if (array.length <= ARGUMENTS_MAX) return Math.min.apply(null, array);
  let least = Infinity;
  for (let i = 0; i < array.length; i += ARGUMENTS_MAX) {
    least = Math.min(least, Math.min.apply(null, array.slice(i, i + ARGUMENTS_MAX)));
  }
  return least;
}

/** Whether no number is less than the one before it. */
export function rises(array) {
  let last = 0;
  let i = 0;
  // Four in a turn take a third of the time.
  for (const whole = array.length - (array.length % 4); i < whole; i += 4) {
    const a = array[i];
    const b = array[i + 1];
    const c = array[i + 2];
    const d = array[i + 3];
    if (a < last || b < a || c < b || d < c) return false;
    last = d;
  }
  for (; i < array.length; i++) {
    const next = array[i];
    if (next < last) return false;
    last = next;
  }
  return true;
}

const TWO_32 = 4294967296;

/** Numbers of 64 bits without sign: as such, and as halves, the lower one first, which are no objects. */
export class U64s {
  constructor(bytes, offset, length) {
    this.length = length;
    this.words = numbers(BigUint64Array, bytes, offset, length);
    this.halves = new Uint32Array(this.words.buffer, this.words.byteOffset, length * 2);
  }

  get(i) {
    return this.words[i];
  }

  number(i) {
    return this.halves[2 * i + 1] * TWO_32 + this.halves[2 * i];
  }
}

/** Of how many rows one may be found on its own, which costs as much as so many turns of a loop. */
const ROWS_PER_SEARCH = 20;

export function rowsAtLeast(column, limit) {
  const { words, length } = column;
  const least = typeof limit === 'bigint' ? limit : BigInt(Math.ceil(limit));
  // Those that are looked for are the last ones of a sorted copy.
  const sorted = words.slice().sort();
  let start = 0;
  for (let end = length; start < end; ) {
    const middle = (start + end) >> 1;
    if (sorted[middle] >= least) end = middle;
    else start = middle + 1;
  }
  const rows = new Uint32Array(length - start);
  if (rows.length * ROWS_PER_SEARCH > length) {
    for (let row = 0, n = 0; n < rows.length; row++) {
      if (words[row] >= least) rows[n++] = row;
    }
    return rows;
  }
  for (let n = 0, row = -1; n < rows.length; n++) {
    const again = n > 0 && sorted[start + n] === sorted[start + n - 1];
    row = words.indexOf(sorted[start + n], again ? row + 1 : 0);
    rows[n] = row;
  }
  return rows.sort();
}

export function rowsEqual(column, value) {
  const rows = [];
  for (let row = column.indexOf(value); row >= 0; row = column.indexOf(value, row + 1)) rows.push(row);
  return new Uint32Array(rows);
}

/** Ids of traces (16 bytes) or spans (8). */
export class Ids {
  constructor(bytes, offset, length, size) {
    this.length = length;
    this.size = size;
    this.bytes = bytes.subarray(offset, offset + length * size);
  }

  get(i) {
    return this.bytes.subarray(i * this.size, (i + 1) * this.size);
  }

  hex(i) {
    let text = '';
    for (let at = i * this.size; at < (i + 1) * this.size; at++) {
      text += (this.bytes[at] < 16 ? '0' : '') + this.bytes[at].toString(16);
    }
    return text;
  }

  rowsLike(rows) {
    if (rows.length === 0) return new Uint32Array();
    const words = numbers(BigUint64Array, this.bytes, 0, (this.length * this.size) / 8);
    const halves = new Uint32Array(words.buffer, words.byteOffset, words.length * 2);
    const perRow = this.size / 4;
    // One row for each different id; those with the same last half by that half.
    const distinct = [];
    const byEnd = new Map();
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      if (!(row >= 0 && row < this.length)) throw new Internal(`the batch has no row ${row}`);
      const end = halves[row * perRow + perRow - 1];
      const alike = byEnd.get(end);
      if (alike === undefined) byEnd.set(end, [row]);
      else if (!isLike(halves, perRow, row, alike)) alike.push(row);
      else continue;
      distinct.push(row);
    }
    const few = distinct.length <= SEARCHES_MAX;
    const found = few ? search(words, halves, perRow, distinct) : sift(halves, perRow, byEnd);
    return new Uint32Array(found).sort();
  }

  below(limit) {
    const { bytes, length, size } = this;
    const flags = new Uint8Array(length);
    const least = BigInt(limit);
    if (least <= 0n) return flags;
    if (least > RANDOM_MAX) return flags.fill(1);
    // The first of these bytes says it of all rows but one in 256, which are looked at again.
    const top = Number(least >> 48n);
    const said = new Uint8Array(256).fill(1, 0, top);
    said[top] = UNSAID;
    for (let row = 0, at = size - 7; row < length; row++, at += size) flags[row] = said[bytes[at]];
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let row = flags.indexOf(UNSAID); row >= 0; row = flags.indexOf(UNSAID, row + 1)) {
      flags[row] = (view.getBigUint64((row + 1) * size - 8) & RANDOM_MAX) < least ? 1 : 0;
    }
    return flags;
  }
}

/** The last 56 bits of an id. */
const RANDOM_MAX = 2n ** 56n - 1n;
const UNSAID = 2;

/** Up to how many ids it is cheaper to search all rows for each than to go through them once. */
const SEARCHES_MAX = 30;

/** Rows with the same id as one of `distinct`. */
function search(words, halves, perRow, distinct) {
  const found = [];
  const perId = perRow / 2;
  for (let i = 0; i < distinct.length; i++) {
    const last = distinct[i] * perId + perId - 1;
    const word = words[last];
    for (let at = words.indexOf(word); at >= 0; at = words.indexOf(word, at + 1)) {
      if (perId === 1) found.push(at);
      else if ((at & 1) === 1 && isSame(halves, 2, 2 * at - 2, 2 * last - 2)) found.push(at >> 1);
    }
  }
  return found;
}

/** The same for many ids: one pass, in which most rows end as none that is looked for. */
function sift(halves, perRow, byEnd) {
  const found = [];
  const near = new Uint8Array(65536);
  byEnd.forEach((_, end) => {
    near[end & 0xffff] = 1;
  });
  for (let at = perRow - 1; at < halves.length; at += perRow) {
    if (near[halves[at] & 0xffff]) {
      const row = (at - perRow + 1) / perRow;
      const alike = byEnd.get(halves[at]);
      if (alike !== undefined && isLike(halves, perRow, row, alike)) found.push(row);
    }
  }
  return found;
}

function isLike(halves, perRow, row, others) {
  for (let i = 0; i < others.length; i++) {
    if (isSame(halves, perRow, row * perRow, others[i] * perRow)) return true;
  }
  return false;
}

function isSame(halves, count, a, b) {
  if (halves[a] !== halves[b] || halves[a + 1] !== halves[b + 1]) return false;
  return count === 2 || (halves[a + 2] === halves[b + 2] && halves[a + 3] === halves[b + 3]);
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Texts or blobs: values that each stand once, and which of them each entry has; or a value for each entry. */
class Dictionary {
  constructor(bytes, offset, size, entries) {
    if (size < 8) throw new BadInput('a section of texts is shorter than it says');
    const head = numbers(Uint32Array, bytes, offset, 2);
    const distinct = head[0];
    const indices = head[1];
    const heap = 8 + 4 * (indices + distinct + 1);
    if (heap > size) throw new BadInput('a section of texts is shorter than it says');
    this.distinct = distinct;
    this.length = indices === 0 ? distinct : indices;
    /** Signed: -1 where there is none. `null` where entry `i` has value `i`. */
    this.index = indices === 0 ? null : numbers(Int32Array, bytes, offset + 8, indices);
    this.ends = numbers(Uint32Array, bytes, offset + 8 + 4 * indices, distinct + 1);
    if (this.ends[0] !== 0 || !rises(this.ends)) throw new BadInput('a text ends before it begins');
    const last = this.ends[distinct];
    if (heap + last > size) throw new BadInput('a section of texts is shorter than it says');
    this.bytes = bytes.subarray(offset + heap, offset + heap + last);
    this.all = null;
    if (entries !== undefined) this.check(entries);
  }

  /** Refuses too few entries, and an index that leads nowhere. */
  check(entries) {
    if (this.length < entries) throw new BadInput('a section of texts has too few entries');
    const { index } = this;
    if (index !== null && !(smallest(index) >= -1 && largest(index) < this.distinct)) {
      throw new BadInput('an index of texts leads nowhere');
    }
  }

  indexOf(i) {
    if (this.index === null) return i < this.distinct ? i : -1;
    return this.index[i];
  }

  get(i) {
    const value = this.indexOf(i);
    return value >= 0 ? this.value(value) : undefined;
  }

  get values() {
    if (this.all === null) {
      this.all = new Array(this.distinct);
      for (let i = 0; i < this.distinct; i++) this.all[i] = this.slice(this.ends[i], this.ends[i + 1]);
    }
    return this.all;
  }

  value(number) {
    return this.all === null ? this.slice(this.ends[number], this.ends[number + 1]) : this.all[number];
  }

  map(work) {
    const { values } = this;
    const results = new Array(this.distinct);
    for (let i = 0; i < results.length; i++) results[i] = work(values[i]);
    return this.spread(results);
  }

  /** The result of each entry, of results that there are for each value. */
  spread(results) {
    const { index } = this;
    if (index === null) return results;
    const entries = new Array(index.length);
    for (let i = 0; i < entries.length; i++) {
      const at = index[i];
      entries[i] = at >= 0 ? results[at] : undefined;
    }
    return entries;
  }
}

/** Of how many values on it takes less to make all at once. */
const SLICES_MAX = 20;

export class Texts extends Dictionary {
  constructor(bytes, offset, size, entries) {
    super(bytes, offset, size, entries);
    let text;
    try {
      text = UTF8.decode(this.bytes);
    } catch {
      throw new BadInput('a text is not UTF-8');
    }
    /** Where each character is one byte, ends are places in the text, too, and values parts of it. */
    this.text = text.length === this.bytes.length ? text : null;
    if (this.text !== null) return;
    for (let i = 0; i <= this.distinct; i++) {
      if ((this.bytes[this.ends[i]] & 0xc0) === 0x80) throw new BadInput('a text is not UTF-8');
    }
  }

  get values() {
    if (this.all === null && this.distinct >= SLICES_MAX && !this.bytes.includes(0)) {
      this.all = this.separated().split('\0');
      this.all.pop();
    }
    return super.values;
  }

  /** All values, with a zero behind each: to move bytes and split the text takes a third of the time of slices. */
  separated() {
    const { bytes, distinct, ends } = this;
    const moved = new Uint8Array(bytes.length + distinct);
    moved.set(bytes);
    for (let i = distinct - 1; i >= 0; i--) {
      const end = ends[i + 1];
      moved.copyWithin(ends[i] + i, ends[i], end);
      moved[end + i] = 0;
    }
    return UTF8.decode(moved);
  }

  rewrite(work) {
    return this.spread(this.rewritten(work));
  }

  /** What `rewrite` finds, for each value. */
  rewritten(work) {
    const { values, distinct } = this;
    if (distinct === 0) return [];
    const strange = this.bytes.includes(0);
    // Where a text has a zero itself, it is passed as what no text has.
    const given = strange ? values.map((text) => text.replaceAll('\0', '\ud800')) : values;
    const joined = given.join('\0');
    const changed = work(`${joined}\0`).split('\0');
    if (changed.pop() !== '' || changed.length !== distinct) {
      throw new Internal('work must leave the "\\0" behind each text');
    }
    for (let i = 0; i < distinct; i++) {
      if (strange) changed[i] = changed[i].replaceAll('\ud800', '\0');
      if (changed[i] === values[i]) changed[i] = undefined;
    }
    return changed;
  }

  slice(start, end) {
    return this.text === null ? UTF8.decode(this.bytes.subarray(start, end)) : this.text.slice(start, end);
  }
}

export class Blobs extends Dictionary {
  slice(start, end) {
    return this.bytes.subarray(start, end);
  }
}
