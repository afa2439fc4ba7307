/**
 * Columns of attributes, tables of pairs, budgets, and the table of traces of a tail sampler.
 * @module
 */

import {
  LAYOUT_BLOB, LAYOUT_TEXT, LAYOUT_U64, LAYOUT_U8, TAG_ABSENT, TAG_ARRAY, TAG_BOOL, TAG_BYTES, TAG_DOUBLE, TAG_EMPTY,
  TAG_INT, TAG_MAP, TAG_STRING,
} from './codes.js';
import { BadInput } from './errors.js';
import { EMPTY, UNREAD, decode } from './values.js';
import { Blobs, Texts, U64s, largest, rises, smallest } from './views.js';

/** What is no string. */
const OTHERS = [TAG_ABSENT, TAG_INT, TAG_DOUBLE, TAG_BOOL, TAG_BYTES, TAG_ARRAY, TAG_MAP, TAG_EMPTY];

/** One attribute: the value that each of its owners has. */
export class Column {
  /** Reads up to four sections, by their type; the column has `entries`, or as many as there are tags. */
  constructor(bytes, sections, entries) {
    const tags = sections[LAYOUT_U8];
    if (tags === undefined) throw new BadInput('a column has no tags');
    this.length = entries ?? tags.size;
    if (tags.size < this.length) throw new BadInput('a column has too few entries');
    this.tags = bytes.subarray(tags.offset, tags.offset + this.length);
    // Tags are numbered without a gap.
    if (largest(this.tags) > TAG_EMPTY) throw new BadInput('a column has a tag that there is not');
    const words = sections[LAYOUT_U64];
    if (words !== undefined && words.size < 8 * this.length) throw new BadInput('a column has too few entries');
    this.words = words === undefined ? null : new U64s(bytes, words.offset, this.length);
    const texts = sections[LAYOUT_TEXT];
    this.texts = texts === undefined ? null : new Texts(bytes, texts.offset, texts.size);
    const blobs = sections[LAYOUT_BLOB];
    this.blobs = blobs === undefined ? null : new Blobs(bytes, blobs.offset, blobs.size);
    const has = (tag) => this.tags.includes(tag);
    if (
      (this.words === null && (has(TAG_INT) || has(TAG_DOUBLE) || has(TAG_BOOL))) ||
      (this.texts === null && has(TAG_STRING))
    ) {
      throw new BadInput('a column has no value where its tag says that it has');
    }
    this.check(this.texts, TAG_STRING, TAG_STRING);
    this.check(this.blobs, TAG_BYTES, TAG_MAP);
  }

  /** Refuses an index that leads nowhere, where the tag is one of these: the others mean nothing. */
  check(dictionary, first, last) {
    if (dictionary === null) return;
    if (dictionary.length < this.length) throw new BadInput('a column has too few entries');
    const { index, distinct } = dictionary;
    if (index === null || (smallest(index) >= 0 && largest(index) < distinct)) return;
    for (let i = 0; i < this.length; i++) {
      const tag = this.tags[i];
      if (tag >= first && tag <= last && !(index[i] >= 0 && index[i] < distinct)) {
        throw new BadInput('a column has no value where its tag says that it has');
      }
    }
  }

  get values() {
    return this.texts === null ? [] : this.texts.values;
  }

  indexOf(i) {
    return this.tags[i] === TAG_STRING ? this.texts.indexOf(i) : -1;
  }

  text(i) {
    return this.tags[i] === TAG_STRING ? this.texts.value(this.texts.indexOf(i)) : undefined;
  }

  map(work) {
    const { values } = this;
    const results = new Array(values.length);
    for (let i = 0; i < results.length; i++) results[i] = work(values[i]);
    return this.spread(results);
  }

  rewrite(work) {
    return this.spread(this.texts === null ? [] : this.texts.rewritten(work));
  }

  /** The result of each owner, of results that there are for each text. */
  spread(results) {
    // As it is where each has a text of its own.
    if (this.texts?.index === null && results.length === this.length && !OTHERS.some((tag) => this.tags.includes(tag))) {
      return results;
    }
    const entries = new Array(this.length);
    for (let i = 0; i < entries.length; i++) {
      const at = this.indexOf(i);
      entries[i] = at >= 0 ? results[at] : undefined;
    }
    return entries;
  }

  number(i) {
    switch (this.tags[i]) {
      case TAG_INT:
        // The upper half has the sign.
        return (this.words.halves[2 * i + 1] | 0) * 4294967296 + this.words.halves[2 * i];
      case TAG_DOUBLE:
        return this.double(i);
    }
    return undefined;
  }

  double(i) {
    const { halves } = this.words;
    const view = new DataView(halves.buffer, halves.byteOffset + 8 * i, 8);
    return view.getFloat64(0, true);
  }

  value(i) {
    switch (this.tags[i]) {
      case TAG_STRING:
        return this.text(i);
      case TAG_INT:
        return BigInt.asIntN(64, this.words.get(i));
      case TAG_DOUBLE:
        return this.double(i);
      case TAG_BOOL:
        return this.words.get(i) !== 0n;
      case TAG_BYTES:
      case TAG_ARRAY:
      case TAG_MAP: {
        const blob = this.blobs?.get(i);
        return blob === undefined ? UNREAD : decode(blob);
      }
      case TAG_EMPTY:
        return EMPTY;
      case TAG_ABSENT:
    }
    return undefined;
  }
}

/** Every attribute whose key begins so: a list of key and value, owner after owner. */
export class Pairs {
  constructor(bytes, place, ends, keys, values) {
    if (!rises(ends)) throw new BadInput('pairs end before they begin');
    this.place = place;
    this.ends = ends;
    this.length = ends.length === 0 ? 0 : ends[ends.length - 1];
    if (this.length > 0 && keys === undefined) throw new BadInput('a pair has no key');
    this.keys = keys ?? new Texts(new Uint8Array(12), 0, 12);
    this.values = new Column(bytes, values ?? { [LAYOUT_U8]: { offset: 0, size: 0 } }, this.length);
    this.keys.check(this.length);
    const { index } = this.keys;
    if (index !== null && index.subarray(0, this.length).includes(-1)) throw new BadInput('a pair has no key');
  }

  start(owner) {
    return owner > 0 ? this.ends[owner - 1] : 0;
  }

  end(owner) {
    return this.ends[owner];
  }

  key(pair) {
    return this.keys.get(pair);
  }

  value(pair) {
    return this.values.value(pair);
  }
}

/** What may be kept in the window, and what was: by the values of the budget's attribute. */
export class BudgetView {
  constructor(keys, limits, used, index) {
    if (Math.min(limits.length, used.length) < keys.length) throw new BadInput('a budget has too few entries');
    this.keys = keys;
    this.limits = limits;
    this.used = used;
    this.index = index;
  }

  left(key) {
    const left = this.limits.get(key) - this.used.get(key);
    return left > 0n ? left : 0n;
  }
}

/** The traces that a tail sampler decides on; an entry of each list for each. */
export class Traces {
  constructor(lists) {
    Object.assign(this, lists);
    this.length = this.ids.length;
  }

  start(trace) {
    return trace > 0 ? this.ends[trace - 1] : 0;
  }

  end(trace) {
    return this.ends[trace];
  }

  complete(trace) {
    return (this.states[trace] & 1) !== 0;
  }

  late(trace) {
    return (this.states[trace] & 2) !== 0;
  }
}
