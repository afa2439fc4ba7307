/**
 * What a plugin answers: edits, or decisions.
 * @module
 */

import * as codes from './codes.js';
import { Internal } from './errors.js';
import { domainOf } from './projection.js';
import { Reasons, Sections, Values, texts } from './sections.js';
import { largest, smallest } from './views.js';

const COUNT_MAX = 2n ** 64n - 1n;

export const DROP = Object.freeze({ code: codes.VERDICT_DROP, probability: 0 });
export const KEEP = Object.freeze({ code: codes.VERDICT_KEEP, probability: 0 });

export function probability(share) {
  return Object.freeze({ code: codes.VERDICT_PROBABILITY, probability: share });
}

/** What edits and decisions have in common. */
class Answer {
  constructor(batch, domain) {
    this.batch = batch;
    this.domain = domain;
    /** Rows or traces, as verdicts and reasons are of. */
    this.entries = batch.entriesOf(domain);
    this.reasons = null;
    this.sets = new Map();
    this.counters = new Map();
  }

  set(place, per) {
    const domain = domainOf(per);
    const key = place * 256 + domain;
    let found = this.sets.get(key);
    if (found === undefined) {
      found = new Values(this.batch.entriesOf(domain) ?? this.batch.links);
      this.sets.set(key, found);
    }
    return found;
  }

  count(counter, by = 1) {
    const sum = (this.counters.get(counter) ?? 0n) + BigInt(by);
    this.counters.set(counter, sum < COUNT_MAX ? sum : COUNT_MAX);
  }

  check(row) {
    if (!(row >= 0 && row < this.entries)) throw new Internal(`the batch has no row ${row}`);
  }

  encode() {
    const sections = new Sections();
    this.writeDecisions(sections);
    this.writeEdits(sections);
    sorted(this.sets, (values, key) => {
      values.write(sections, codes.ANSWER_SET, key % 256, Math.floor(key / 256));
    });
    this.writeAdditions(sections);
    if (this.counters.size > 0) this.writeCounts(sections);
    this.writeLast(sections);
    return sections.finish(this.batch);
  }

  writeCounts(sections) {
    const counts = [];
    this.counters.forEach((by, counter) => {
      if (by > 0n) counts.push(BigInt(counter), by);
    });
    if (counts.length > 0) sections.add(codes.ANSWER_COUNT, codes.LAYOUT_COUNTS, new BigUint64Array(counts));
  }

  writeDecisions(sections) {
    const reasons = this.reasons?.section();
    if (reasons !== undefined) sections.add(codes.ANSWER_REASON, codes.LAYOUT_TEXT, reasons, this.domain);
  }

  writeEdits() {}

  writeAdditions() {}

  writeLast() {}
}

export class Decisions extends Answer {
  constructor(batch, domain = codes.DOMAIN_SPANS) {
    super(batch, domain);
    this.verdicts = new Uint8Array(this.entries).fill(codes.VERDICT_KEEP);
    /** `null` until one has a probability. */
    this.probabilities = null;
  }

  static ofTraces(batch) {
    return new Decisions(batch, codes.DOMAIN_TRACES);
  }

  decide(i, verdict, reason = '') {
    this.decideRows([i], verdict, reason);
  }

  decideAll(verdict, reason = '') {
    this.verdicts.fill(verdict.code);
    this.probabilities = new Float64Array(this.entries).fill(verdict.probability);
    this.reasons = new Reasons(this.entries, reason);
  }

  decideRows(rows, verdict, reason = '') {
    if (rows.length === 0) return;
    this.check(smallest(rows));
    this.check(largest(rows));
    this.probabilities ??= new Float64Array(this.entries);
    this.reasons ??= new Reasons(this.entries);
    const { verdicts, probabilities } = this;
    const { which, lists } = this.reasons;
    const number = this.reasons.numberOf(reason);
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      verdicts[row] = verdict.code;
      probabilities[row] = verdict.probability;
      which[row] = number;
    }
    lists.push(rows);
  }

  writeDecisions(sections) {
    super.writeDecisions(sections);
    sections.add(codes.ANSWER_VERDICT, codes.LAYOUT_U8, this.verdicts, this.domain);
    if (this.verdicts.includes(codes.VERDICT_PROBABILITY)) {
      sections.add(codes.ANSWER_PROBABILITY, codes.LAYOUT_F64, this.probabilities, this.domain);
    }
  }
}

export class Edits extends Answer {
  constructor(batch) {
    super(batch, codes.DOMAIN_SPANS);
    /** 1 for each row that is dropped; `null` until one is. */
    this.dropped = null;
    this.renames = new Map();
    this.deletes = new Map();
    this.starts = new Map();
    this.pairs = new Map();
    this.adds = new Map();
  }

  drop(row, reason = '') {
    this.check(row);
    this.dropped ??= new Uint8Array(this.entries);
    this.dropped[row] = 1;
    if (reason === '') return;
    this.reasons ??= new Reasons(this.entries);
    this.reasons.which[row] = this.reasons.numberOf(reason);
    this.reasons.lists.push([row]);
  }

  dropWhere(flags, reason = '') {
    if (flags.length !== this.entries) throw new Internal(`${flags.length} flags for ${this.entries} rows`);
    if (this.dropped === null && reason === '' && flags instanceof Uint8Array && largest(flags) <= 1) {
      this.dropped = flags.slice();
      return;
    }
    for (let row = 0; row < flags.length; row++) {
      if (flags[row]) this.drop(row, reason);
    }
  }

  rename(owner, from, to, { replace = false } = {}) {
    append(this.renames, replace ? owner | codes.REPLACE : owner, from, to);
  }

  deleteKey(owner, key) {
    append(this.deletes, owner, key);
  }

  deleteStarting(owner, start) {
    append(this.starts, owner, start);
  }

  setPairs(pairs) {
    if (!this.pairs.has(pairs.place)) this.pairs.set(pairs.place, new Values(pairs.length));
    return this.pairs.get(pairs.place);
  }

  add(place, owner, key, value) {
    if (!this.adds.has(place)) this.adds.set(place, { owners: [], keys: [], values: new Values(0) });
    const adds = this.adds.get(place);
    adds.owners.push(owner);
    adds.keys.push(key);
    adds.values.append(value);
  }

  writeDecisions(sections) {
    if (this.dropped?.includes(1)) {
      sections.add(codes.ANSWER_KEEP, codes.LAYOUT_BITMAP, bitmap(this.entries, this.dropped), codes.DOMAIN_SPANS);
    }
    super.writeDecisions(sections);
  }

  writeEdits(sections) {
    sorted(this.renames, (names, owner) => {
      sections.add(codes.ANSWER_RENAME, codes.LAYOUT_TEXT, texts(names), codes.DOMAIN_NONE, owner);
    });
    sorted(this.deletes, (keys, owner) => {
      sections.add(codes.ANSWER_DELETE_KEYS, codes.LAYOUT_TEXT, texts(keys), codes.DOMAIN_NONE, owner);
    });
    sorted(this.pairs, (values, place) => {
      values.write(sections, codes.ANSWER_SET_PAIRS, codes.DOMAIN_PAIRS, place);
    });
  }

  writeLast(sections) {
    sorted(this.starts, (starts, owner) => {
      sections.add(codes.ANSWER_DELETE_STARTS, codes.LAYOUT_TEXT, texts(starts), codes.DOMAIN_NONE, owner);
    });
  }

  writeAdditions(sections) {
    // All owners, then all keys, then all values: sections stand in the order of their kinds.
    sorted(this.adds, ({ owners }, place) => {
      sections.add(codes.ANSWER_ADD_OWNER, codes.LAYOUT_U32, new Uint32Array(owners), codes.DOMAIN_NONE, place);
    });
    sorted(this.adds, ({ keys }, place) => {
      sections.add(codes.ANSWER_ADD_KEY, codes.LAYOUT_TEXT, texts(keys), codes.DOMAIN_NONE, place);
    });
    sorted(this.adds, ({ values }, place) => {
      values.write(sections, codes.ANSWER_ADD, codes.DOMAIN_NONE, place);
    });
  }
}

/** Adds to the list at `key`. */
function append(lists, key, ...items) {
  if (!lists.has(key)) lists.set(key, []);
  lists.get(key).push(...items);
}

/** Does work for each entry of a map whose keys are numbers, in their order. */
function sorted(map, work) {
  if (map.size === 0) return;
  const keys = [];
  map.forEach((_, key) => keys.push(key));
  if (keys.length > 1) keys.sort((a, b) => a - b);
  for (let i = 0; i < keys.length; i++) work(map.get(keys[i]), keys[i]);
}

/** One bit for each of `entries`, in words of 64: 0 for those that are dropped. */
function bitmap(entries, dropped) {
  const bytes = new Uint8Array(Math.ceil(entries / 64) * 8);
  // Four flags are a word, which the multiplication pushes together into its highest bits.
  const flags = new Uint8Array(bytes.length * 8);
  flags.set(dropped);
  const words = new Uint32Array(flags.buffer);
  for (let at = 0, i = 0; at < entries; at += 8, i += 2) {
    const low = Math.imul(words[i], 0x10204080) >>> 28;
    bytes[at >> 3] = ~((Math.imul(words[i + 1], 0x10204080) >>> 28 << 4) | low);
  }
  if (entries % 8 > 0) bytes[entries >> 3] &= (1 << entries % 8) - 1;
  return bytes;
}
