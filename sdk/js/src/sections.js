/**
 * Puts answers together, in the one way that `docs/reference/plugin-buffer.md` has for each: the same plugin gives the
 * same bytes in every language.
 * @module
 */

import * as codes from './codes.js';
import { Internal } from './errors.js';
import { REMOVE, encode, tagOf, utf8, wordOf } from './values.js';
import { ARGUMENTS_MAX, largest } from './views.js';

/** The sections of an answer, which are added in the order in which they are to stand. */
export class Sections {
  constructor() {
    this.list = [];
    this.size = 0;
  }

  add(kind, layout, data, domain = codes.DOMAIN_NONE, argument = 0) {
    const bytes = data instanceof Uint8Array ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const offset = Math.ceil(this.size / 8) * 8;
    this.list.push({ kind, layout, domain, argument, offset, bytes });
    this.size = offset + bytes.length;
  }

  /** The whole buffer; an answer repeats the numbers of its batch. */
  finish(batch, magic = codes.ANSWER_MAGIC) {
    const { list } = this;
    const start = codes.HEADER_BYTES + codes.ENTRY_BYTES * list.length;
    const buffer = new Uint8Array(start + this.size);
    const words = new Uint32Array(buffer.buffer, 0, start / 4);
    words[0] = magic;
    words[1] = codes.VERSION;
    words[2] = batch.rows;
    words[3] = batch.resources;
    words[4] = batch.scopes;
    words[5] = batch.events;
    words[6] = batch.traceCount;
    words[7] = list.length;
    for (let i = 0, at = 8; i < list.length; i++, at += 4) {
      const section = list[i];
      words[at] = section.kind | (section.layout << 16) | (section.domain << 24);
      words[at + 1] = section.argument;
      words[at + 2] = start + section.offset;
      words[at + 3] = section.bytes.length;
      buffer.set(section.bytes, start + section.offset);
    }
    return buffer;
  }
}

/** A section of texts or blobs: which value each entry has, and the values, in bytes. */
export function dictionary(index, values) {
  let size = 0;
  for (let i = 0; i < values.length; i++) size += values[i].length;
  const bytes = section(index, values, size);
  let at = bytes.length - size;
  for (let i = 0; i < values.length; i++) {
    bytes.set(values[i], at);
    at += values[i].length;
  }
  return bytes;
}

/** The same, but for the bytes of the values, of which there are `size`: each has `length`, or is `undefined`. */
function section(index, values, size) {
  const heap = 8 + 4 * (index.length + values.length + 1);
  const bytes = new Uint8Array(heap + size);
  const words = new Uint32Array(bytes.buffer, 0, heap / 4);
  words[0] = values.length;
  words[1] = index.length;
  words.set(index, 2);
  for (let i = 0, at = index.length + 3, end = 0; i < values.length; i++, at++) {
    const value = values[i];
    if (value !== undefined) end += value.length;
    words[at] = end;
  }
  return bytes;
}

const ENCODER = new TextEncoder();

/** A section of texts, of which `undefined` is none: each once, in the order of first use. */
export function texts(entries) {
  return interned(entries, (text) => text, utf8);
}

/** The same of a column, where nearly all are different each by itself. */
function textColumn(entries) {
  if (!differ(entries, (text) => text)) return texts(entries);
  const joined = entries.join('');
  const heap = ENCODER.encode(joined);
  // All at once, where each character is a byte.
  if (heap.length !== joined.length) return each(entries, utf8);
  const bytes = section([], entries, heap.length);
  bytes.set(heap, bytes.length - heap.length);
  return bytes;
}

/** A section of blobs, as of texts of a column. */
export function blobs(entries) {
  return differ(entries, latin1) ? each(entries, (blob) => blob) : interned(entries, latin1, (blob) => blob);
}

/** So many entries tell whether a column is a dictionary: with more different values it is none. */
const SAMPLE = 128;
const DIFFERENT = (SAMPLE / 8) * 7;
const NOTHING = new Uint8Array(0);

function differ(entries, keyOf) {
  const sample = [];
  for (let i = 0; i < entries.length && sample.length < SAMPLE; i++) {
    if (entries[i] !== undefined) sample.push(keyOf(entries[i]));
  }
  return sample.length === SAMPLE && new Set(sample).size > DIFFERENT;
}

/** A section with a value for each entry. */
function each(entries, bytesOf) {
  const values = new Array(entries.length);
  for (let i = 0; i < values.length; i++) values[i] = entries[i] === undefined ? NOTHING : bytesOf(entries[i]);
  return dictionary([], values);
}

/** One character for each byte: what can be looked up. */
function latin1(bytes) {
  if (bytes.length <= ARGUMENTS_MAX) return String.fromCharCode.apply(null, bytes);
  let text = '';
  for (let at = 0; at < bytes.length; at += ARGUMENTS_MAX) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + ARGUMENTS_MAX));
  }
  return text;
}

function interned(entries, keyOf, bytesOf) {
  const index = new Uint32Array(entries.length).fill(codes.NONE);
  const numbers = new Map();
  const values = [];
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i];
    if (entry === undefined) continue;
    const key = keyOf(entry);
    let number = numbers.get(key);
    if (number === undefined) {
      number = values.length;
      numbers.set(key, number);
      values.push(bytesOf(entry));
    }
    index[i] = number;
  }
  return dictionary(index, values);
}

/** Of an entry that has no reason. */
const NOBODY = 255;

/** Why each entry is dropped or kept. */
export class Reasons {
  constructor(entries, reason = '') {
    /** By their numbers. */
    this.names = [];
    this.base = this.numberOf(reason);
    /** For each entry the number of its reason. Whoever writes it adds the entries to `lists`. */
    this.which = new Uint8Array(entries).fill(this.base);
    this.lists = [];
  }

  numberOf(reason) {
    if (reason === '') return NOBODY;
    const number = this.names.indexOf(reason);
    if (number >= 0) return number;
    if (this.names.length === NOBODY) throw new Internal('a host takes 32 different reasons at most');
    return this.names.push(reason) - 1;
  }

  /** The section; `undefined` where no entry has a reason. */
  section() {
    const { names, which, lists } = this;
    const used = [];
    for (let number = 0; number < names.length; number++) {
      const first = which.indexOf(number);
      if (first >= 0) used.push({ number, first });
    }
    if (used.length === 0) return undefined;
    if (used.length > 1) used.sort((a, b) => a.first - b.first);
    const places = new Uint32Array(NOBODY + 1).fill(codes.NONE);
    const values = [];
    let moved = which.includes(NOBODY);
    for (let place = 0; place < used.length; place++) {
      const { number } = used[place];
      places[number] = place;
      moved ||= number !== place;
      values.push(utf8(names[number]));
    }
    if (!moved) return dictionary(which, values);
    // Most have the reason that all had at first: only the others are gone through.
    const index = new Uint32Array(which.length).fill(places[this.base]);
    for (let n = 0; n < lists.length; n++) {
      const rows = lists[n];
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i];
        index[row] = places[which[row]];
      }
    }
    return dictionary(index, values);
  }
}

/** A column of an answer: for each entry a new value, a removal, or nothing. */
export class Values {
  constructor(entries) {
    /** A list where entries are appended. */
    this.tags = entries === 0 ? [] : new Uint8Array(entries);
    /** What is put, as it is; numbers and bools. */
    this.words = new Map();
    this.texts = new Array(entries);
    this.blobs = new Array(entries);
  }

  get length() {
    return this.tags.length;
  }

  put(i, value) {
    if (!(i >= 0 && i < this.tags.length)) throw new Internal(`an answer has no entry ${i}`);
    const tag = tagOf(value);
    this.forget(i);
    this.tags[i] = tag;
    switch (tag) {
      case codes.TAG_STRING:
        this.texts[i] = value;
        break;
      case codes.TAG_INT:
      case codes.TAG_DOUBLE:
      case codes.TAG_BOOL:
        this.words.set(i, wordOf(value));
        break;
      case codes.TAG_BYTES:
      case codes.TAG_ARRAY:
      case codes.TAG_MAP:
        this.blobs[i] = encode(value);
        break;
    }
  }

  putTexts(texts) {
    if (texts.length !== this.length) throw new Internal(`${texts.length} texts for ${this.length} entries`);
    if (texts.length === 0) return;
    this.words.clear();
    this.blobs = new Array(texts.length);
    this.texts = texts.slice();
    if (!texts.includes(undefined)) {
      this.tags.fill(codes.TAG_STRING);
      return;
    }
    for (let i = 0; i < texts.length; i++) this.tags[i] = texts[i] === undefined ? codes.TAG_ABSENT : codes.TAG_STRING;
  }

  remove(i) {
    this.put(i, REMOVE);
  }

  /** An entry more, in a list by itself. */
  append(value) {
    this.tags.push(codes.TAG_ABSENT);
    this.put(this.tags.length - 1, value);
    // Both lists are as long as the tags.
    this.texts.length = this.tags.length;
    this.blobs.length = this.tags.length;
  }

  forget(i) {
    if (this.tags[i] === codes.TAG_ABSENT) return;
    this.words.delete(i);
    this.texts[i] = undefined;
    this.blobs[i] = undefined;
  }

  /** Adds its sections, of those that say something; bytes, arrays and maps if `complex`. */
  write(sections, kind, domain, argument, complex = true) {
    const has = (...tags) => tags.some((tag) => this.tags.includes(tag));
    const tags = new Uint8Array(this.tags);
    if (largest(tags) <= codes.TAG_ABSENT) return;
    sections.add(kind, codes.LAYOUT_U8, tags, domain, argument);
    if (has(codes.TAG_INT, codes.TAG_DOUBLE, codes.TAG_BOOL)) {
      const words = new BigUint64Array(this.length);
      this.words.forEach((word, i) => {
        words[i] = word;
      });
      sections.add(kind, codes.LAYOUT_U64, words, domain, argument);
    }
    if (has(codes.TAG_STRING)) sections.add(kind, codes.LAYOUT_TEXT, textColumn(this.texts), domain, argument);
    if (complex && has(codes.TAG_BYTES, codes.TAG_ARRAY, codes.TAG_MAP)) {
      sections.add(kind, codes.LAYOUT_BLOB, blobs(this.blobs), domain, argument);
    }
  }
}
