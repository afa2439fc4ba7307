/**
 * What a plugin is given: typed views over the buffer, held against its rules once.
 * @module
 */

import * as codes from './codes.js';
import { BudgetView, Column, Pairs, Traces } from './columns.js';
import { BadInput } from './errors.js';
import { Ids, Texts, U64s, largest, numbers, rises, smallest } from './views.js';

const { LAYOUT_U8, LAYOUT_U32, LAYOUT_U64, LAYOUT_TEXT, LAYOUT_BLOB, LAYOUT_ID16, LAYOUT_ID8 } = codes;

/** In place of a domain: the one that the section names, where the header counts it. */
const NAMED = 254;
/** In place of a domain: as many entries as there are. */
const ANY = 255;
/** In place of a type: what values of attributes have. */
const VALUES = 255;

/** What is known of the sections of a batch: kind, type and domain. One that is not here is skipped. */
const KINDS = [
  [codes.BATCH_TRACE_ID, LAYOUT_ID16, codes.DOMAIN_SPANS],
  [codes.BATCH_SPAN_ID, LAYOUT_ID8, codes.DOMAIN_SPANS],
  [codes.BATCH_PARENT_SPAN_ID, LAYOUT_ID8, codes.DOMAIN_SPANS],
  [codes.BATCH_TRACE_STATE, LAYOUT_TEXT, codes.DOMAIN_SPANS],
  [codes.BATCH_TRACE_FLAGS, LAYOUT_U32, codes.DOMAIN_SPANS],
  [codes.BATCH_NAME, LAYOUT_TEXT, codes.DOMAIN_SPANS],
  [codes.BATCH_KIND, LAYOUT_U8, codes.DOMAIN_SPANS],
  [codes.BATCH_START_TIME, LAYOUT_U64, codes.DOMAIN_SPANS],
  [codes.BATCH_DURATION, LAYOUT_U64, codes.DOMAIN_SPANS],
  [codes.BATCH_STATUS_CODE, LAYOUT_U8, codes.DOMAIN_SPANS],
  [codes.BATCH_STATUS_MESSAGE, LAYOUT_TEXT, codes.DOMAIN_SPANS],
  [codes.BATCH_SCOPE_NAME, LAYOUT_TEXT, codes.DOMAIN_SCOPES],
  [codes.BATCH_SCOPE_VERSION, LAYOUT_TEXT, codes.DOMAIN_SCOPES],
  [codes.BATCH_EVENT_NAME, LAYOUT_TEXT, codes.DOMAIN_EVENTS],
  [codes.BATCH_EVENT_TIME, LAYOUT_U64, codes.DOMAIN_EVENTS],
  [codes.BATCH_EVENT_COUNT, LAYOUT_U32, codes.DOMAIN_SPANS],
  [codes.BATCH_LINK_COUNT, LAYOUT_U32, codes.DOMAIN_SPANS],
  [codes.BATCH_RESOURCE_INDEX, LAYOUT_U32, codes.DOMAIN_SPANS],
  [codes.BATCH_SCOPE_INDEX, LAYOUT_U32, codes.DOMAIN_SPANS],
  [codes.BATCH_EVENT_SPAN, LAYOUT_U32, codes.DOMAIN_EVENTS],
  [codes.BATCH_SPAN_ATTRIBUTE_KEYS, LAYOUT_TEXT, ANY],
  [codes.BATCH_PEER_ADDRESS, LAYOUT_TEXT, codes.DOMAIN_RESOURCES],
  [codes.BATCH_ATTRIBUTE, VALUES, NAMED],
  [codes.BATCH_PAIRS_END, LAYOUT_U32, NAMED],
  [codes.BATCH_PAIRS_KEY, LAYOUT_TEXT, ANY],
  [codes.BATCH_PAIRS, VALUES, ANY],
  [codes.BATCH_BUDGET_KEY, LAYOUT_TEXT, ANY],
  [codes.BATCH_BUDGET_LIMIT, LAYOUT_U64, ANY],
  [codes.BATCH_BUDGET_USED, LAYOUT_U64, ANY],
  [codes.BATCH_BUDGET_INDEX, LAYOUT_U32, NAMED],
  [codes.BATCH_TRACE_END_ROW, LAYOUT_U32, codes.DOMAIN_TRACES],
  [codes.BATCH_TRACE, LAYOUT_ID16, codes.DOMAIN_TRACES],
  [codes.BATCH_TRACE_START, LAYOUT_U64, codes.DOMAIN_TRACES],
  [codes.BATCH_TRACE_DURATION, LAYOUT_U64, codes.DOMAIN_TRACES],
  [codes.BATCH_TRACE_SPANS, LAYOUT_U32, codes.DOMAIN_TRACES],
  [codes.BATCH_TRACE_ERRORS, LAYOUT_U32, codes.DOMAIN_TRACES],
  [codes.BATCH_TRACE_SERVICES, LAYOUT_U32, codes.DOMAIN_TRACES],
  [codes.BATCH_TRACE_ROOT_NAME, LAYOUT_TEXT, codes.DOMAIN_TRACES],
  [codes.BATCH_TRACE_ROOT_SERVICE, LAYOUT_TEXT, codes.DOMAIN_TRACES],
  [codes.BATCH_TRACE_STATE_BITS, LAYOUT_U8, codes.DOMAIN_TRACES],
];

/** Type and domain by kind; type 0 where it is not known. */
const TYPES = new Uint8Array(64);
const DOMAINS = new Uint8Array(64);
for (const [kind, type, domain] of KINDS) {
  TYPES[kind] = type;
  DOMAINS[kind] = domain;
}

/** Bytes an entry, by type. */
const SIZES = new Uint8Array(16);
SIZES[LAYOUT_U8] = 1;
SIZES[LAYOUT_U32] = 4;
SIZES[LAYOUT_U64] = 8;
SIZES[LAYOUT_ID16] = 16;
SIZES[LAYOUT_ID8] = 8;

/** A batch: columns of spans, resources, scopes and events, of which a plugin sees those that it reads. */
export class Batch {
  constructor(bytes) {
    if (bytes.length < codes.HEADER_BYTES) throw new BadInput('no header');
    const head = numbers(Uint32Array, bytes, 0, codes.HEADER_BYTES / 4);
    if (head[0] !== codes.BATCH_MAGIC) throw new BadInput('another magic');
    if ((head[1] & 0xffff) !== codes.VERSION) throw new BadInput('another version');
    this.bytes = bytes;
    this.rows = head[2];
    this.resources = head[3];
    this.scopes = head[4];
    this.events = head[5];
    this.traceCount = head[6];
    this.links = 0;
    // What was read by kind and argument; of columns the parts, which belong together.
    this.views = new Map();
    this.parts = new Map();
    this.columns = new Map();
    this.tables = new Map();
    // Whose an attribute is, by the same key.
    this.domains = new Map();
    // Indices and ends, which are held against other sections when all are read.
    this.leads = [];

    const count = head[7];
    if (count * codes.ENTRY_BYTES > bytes.length - codes.HEADER_BYTES) {
      throw new BadInput('the table reaches out of the buffer');
    }
    const table = numbers(Uint32Array, bytes, codes.HEADER_BYTES, (count * codes.ENTRY_BYTES) / 4);
    for (let i = 0; i < table.length; i += 4) {
      const kind = table[i] & 0xffff;
      if (kind < TYPES.length && TYPES[kind] !== 0) {
        this.take(kind, (table[i] >>> 16) & 0xff, table[i] >>> 24, table[i + 1], table[i + 2], table[i + 3]);
      }
    }
    if (this.parts.size > 0) this.joinColumns();
    for (let i = 0; i < this.leads.length; i++) this.checkLead(this.leads[i]);
  }

  /** Entries of a domain; `undefined` where the header does not count it. */
  entriesOf(domain) {
    switch (domain) {
      case codes.DOMAIN_SPANS:
        return this.rows;
      case codes.DOMAIN_RESOURCES:
        return this.resources;
      case codes.DOMAIN_SCOPES:
        return this.scopes;
      case codes.DOMAIN_EVENTS:
        return this.events;
      case codes.DOMAIN_TRACES:
        return this.traceCount;
    }
    return undefined;
  }

  /** Takes a section, of those that are alike the first. */
  take(kind, layout, domain, argument, offset, size) {
    const type = TYPES[kind];
    const fits =
      type === VALUES
        ? layout === LAYOUT_U8 || layout === LAYOUT_U64 || layout === LAYOUT_TEXT || layout === LAYOUT_BLOB
        : layout === type;
    if (!fits) throw new BadInput(`section ${kind} of ${argument} has another type`);
    if (offset + size > this.bytes.length) throw new BadInput(`section ${kind} of ${argument} reaches out of the buffer`);
    const key = keyOf(kind, argument);
    if (type === VALUES) {
      let parts = this.parts.get(key);
      if (parts === undefined) {
        parts = { kind, argument, domain, sections: {} };
        this.parts.set(key, parts);
      }
      if (parts.domain !== domain) throw new BadInput(`section ${kind} of ${argument} has another domain`);
      parts.sections[layout] ??= { offset, size };
      return;
    }
    if (this.views.has(key)) return;
    const entries = this.entriesOf(DOMAINS[kind] === NAMED ? domain : DOMAINS[kind]);
    const view = this.viewOf(kind, layout, argument, offset, size, entries);
    this.views.set(key, view);
    if (layout === LAYOUT_U32) this.leads.push({ kind, argument, domain, view });
  }

  viewOf(kind, layout, argument, offset, size, wanted) {
    const { bytes } = this;
    if (layout === LAYOUT_TEXT) return new Texts(bytes, offset, size, wanted ?? 0);
    const entries = wanted ?? Math.floor(size / SIZES[layout]);
    if (entries * SIZES[layout] > size) throw new BadInput(`section ${kind} of ${argument} has too few entries`);
    switch (layout) {
      case LAYOUT_ID16:
        return new Ids(bytes, offset, entries, 16);
      case LAYOUT_ID8:
        return new Ids(bytes, offset, entries, 8);
      case LAYOUT_U8:
        return bytes.subarray(offset, offset + entries);
      case LAYOUT_U64:
        return new U64s(bytes, offset, entries);
    }
    // The index of budgets is signed, so that "none" is -1.
    return numbers(kind === codes.BATCH_BUDGET_INDEX ? Int32Array : Uint32Array, bytes, offset, entries);
  }

  /** Puts columns together. */
  joinColumns() {
    this.parts.forEach(({ kind, argument, domain, sections }) => {
      if (kind !== codes.BATCH_ATTRIBUTE) return;
      const column = new Column(this.bytes, sections, this.entriesOf(domain));
      this.columns.set(argument, column);
      this.domains.set(keyOf(kind, argument), domain);
      if (domain === codes.DOMAIN_LINKS) this.links = Math.max(this.links, column.length);
    });
  }

  /** Holds an index, or ends, against what they are of. */
  checkLead({ kind, argument, domain, view }) {
    switch (kind) {
      case codes.BATCH_PAIRS_END: {
        const keys = this.views.get(keyOf(codes.BATCH_PAIRS_KEY, argument));
        const values = this.parts.get(keyOf(codes.BATCH_PAIRS, argument));
        this.domains.set(keyOf(kind, argument), domain);
        this.tables.set(argument, new Pairs(this.bytes, argument, view, keys, values?.sections));
        if (domain === codes.DOMAIN_LINKS) this.links = Math.max(this.links, view.length);
        break;
      }
      case codes.BATCH_BUDGET_INDEX:
        check(view, this.view(codes.BATCH_BUDGET_KEY, argument).length);
        break;
      case codes.BATCH_RESOURCE_INDEX:
        check(view, this.resources);
        break;
      case codes.BATCH_SCOPE_INDEX:
        check(view, this.scopes);
        break;
      case codes.BATCH_EVENT_SPAN:
        check(view, this.rows);
        break;
      case codes.BATCH_TRACE_END_ROW:
        check(view, this.rows + 1);
        if (!rises(view)) throw new BadInput('a trace ends before it begins');
        break;
    }
  }

  /** Refuses a batch in which something is not there that is read, or is of others: `wanted` of the projection. */
  hold(wanted) {
    for (let i = 0; i < wanted.length; i++) {
      const { kind, place, domain } = wanted[i];
      if (domain === undefined) this.view(kind, place);
      else if (this.domains.get(keyOf(kind, place)) !== domain) {
        throw new BadInput(`the batch has no section ${kind} of ${place} and domain ${domain}`);
      }
    }
  }

  view(kind, argument = 0) {
    const found = this.views.get(keyOf(kind, argument));
    if (found === undefined) throw new BadInput(`the batch has no section ${kind} of ${argument}`);
    return found;
  }

  column(place) {
    const column = this.columns.get(place);
    if (column === undefined) throw new BadInput(`the batch has no column of attributes ${place}`);
    return column;
  }

  pairs(place) {
    const pairs = this.tables.get(place);
    if (pairs === undefined) throw new BadInput(`the batch has no table of pairs ${place}`);
    return pairs;
  }

  budget(place) {
    return new BudgetView(
      this.view(codes.BATCH_BUDGET_KEY, place),
      this.view(codes.BATCH_BUDGET_LIMIT, place),
      this.view(codes.BATCH_BUDGET_USED, place),
      this.view(codes.BATCH_BUDGET_INDEX, place),
    );
  }

  get traces() {
    return new Traces({
      ends: this.view(codes.BATCH_TRACE_END_ROW),
      ids: this.view(codes.BATCH_TRACE),
      starts: this.view(codes.BATCH_TRACE_START),
      durations: this.view(codes.BATCH_TRACE_DURATION),
      spans: this.view(codes.BATCH_TRACE_SPANS),
      errors: this.view(codes.BATCH_TRACE_ERRORS),
      services: this.view(codes.BATCH_TRACE_SERVICES),
      rootNames: this.view(codes.BATCH_TRACE_ROOT_NAME),
      rootServices: this.view(codes.BATCH_TRACE_ROOT_SERVICE),
      states: this.view(codes.BATCH_TRACE_STATE_BITS),
    });
  }

  get traceIds() {
    return this.view(codes.BATCH_TRACE_ID);
  }

  get spanIds() {
    return this.view(codes.BATCH_SPAN_ID);
  }

  get parentSpanIds() {
    return this.view(codes.BATCH_PARENT_SPAN_ID);
  }

  get traceStates() {
    return this.view(codes.BATCH_TRACE_STATE);
  }

  get traceFlags() {
    return this.view(codes.BATCH_TRACE_FLAGS);
  }

  get names() {
    return this.view(codes.BATCH_NAME);
  }

  get kinds() {
    return this.view(codes.BATCH_KIND);
  }

  get startTimes() {
    return this.view(codes.BATCH_START_TIME);
  }

  get durations() {
    return this.view(codes.BATCH_DURATION);
  }

  get statusCodes() {
    return this.view(codes.BATCH_STATUS_CODE);
  }

  get statusMessages() {
    return this.view(codes.BATCH_STATUS_MESSAGE);
  }

  get scopeNames() {
    return this.view(codes.BATCH_SCOPE_NAME);
  }

  get scopeVersions() {
    return this.view(codes.BATCH_SCOPE_VERSION);
  }

  get eventNames() {
    return this.view(codes.BATCH_EVENT_NAME);
  }

  get eventTimes() {
    return this.view(codes.BATCH_EVENT_TIME);
  }

  get eventCounts() {
    return this.view(codes.BATCH_EVENT_COUNT);
  }

  get linkCounts() {
    return this.view(codes.BATCH_LINK_COUNT);
  }

  get resourceIndices() {
    return this.view(codes.BATCH_RESOURCE_INDEX);
  }

  get scopeIndices() {
    return this.view(codes.BATCH_SCOPE_INDEX);
  }

  get eventSpans() {
    return this.view(codes.BATCH_EVENT_SPAN);
  }

  get spanAttributeKeys() {
    return this.view(codes.BATCH_SPAN_ATTRIBUTE_KEYS);
  }

  get peerAddresses() {
    return this.view(codes.BATCH_PEER_ADDRESS);
  }
}

/** Kind and argument as one number, which is exact. */
function keyOf(kind, argument) {
  return argument * 65536 + kind;
}

/** Refuses an index of something that is not there. */
function check(index, limit) {
  if (index.length > 0 && !(smallest(index) >= -1 && largest(index) < limit)) {
    throw new BadInput('an index leads nowhere');
  }
}
