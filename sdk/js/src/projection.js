/**
 * What a plugin says of itself, and what it asks for: the records of `types` in the WIT.
 * @module
 */

import * as codes from './codes.js';

/** By their numbers, which are those of their sections, the names in the WIT. */
export const Intrinsic = Object.freeze({
  TRACE_ID: codes.BATCH_TRACE_ID,
  SPAN_ID: codes.BATCH_SPAN_ID,
  PARENT_SPAN_ID: codes.BATCH_PARENT_SPAN_ID,
  TRACE_STATE: codes.BATCH_TRACE_STATE,
  TRACE_FLAGS: codes.BATCH_TRACE_FLAGS,
  NAME: codes.BATCH_NAME,
  KIND: codes.BATCH_KIND,
  START_TIME: codes.BATCH_START_TIME,
  DURATION: codes.BATCH_DURATION,
  STATUS_CODE: codes.BATCH_STATUS_CODE,
  STATUS_MESSAGE: codes.BATCH_STATUS_MESSAGE,
  SCOPE_NAME: codes.BATCH_SCOPE_NAME,
  SCOPE_VERSION: codes.BATCH_SCOPE_VERSION,
  EVENT_NAME: codes.BATCH_EVENT_NAME,
  EVENT_TIME: codes.BATCH_EVENT_TIME,
  EVENT_COUNT: codes.BATCH_EVENT_COUNT,
  LINK_COUNT: codes.BATCH_LINK_COUNT,
  RESOURCE_INDEX: codes.BATCH_RESOURCE_INDEX,
  SCOPE_INDEX: codes.BATCH_SCOPE_INDEX,
  EVENT_SPAN: codes.BATCH_EVENT_SPAN,
  SPAN_ATTRIBUTE_KEYS: codes.BATCH_SPAN_ATTRIBUTE_KEYS,
  PEER_ADDRESS: codes.BATCH_PEER_ADDRESS,
});

/** Of which kind a span is. */
export const SpanKind = Object.freeze({
  UNSPECIFIED: codes.KIND_UNSPECIFIED,
  INTERNAL: codes.KIND_INTERNAL,
  SERVER: codes.KIND_SERVER,
  CLIENT: codes.KIND_CLIENT,
  PRODUCER: codes.KIND_PRODUCER,
  CONSUMER: codes.KIND_CONSUMER,
});

/** How a span ended. */
export const Status = Object.freeze({
  UNSET: codes.STATUS_UNSET,
  OK: codes.STATUS_OK,
  ERROR: codes.STATUS_ERROR,
});

export const Owner = Object.freeze({
  SPAN: codes.OWNER_SPAN,
  RESOURCE: codes.OWNER_RESOURCE,
  SCOPE: codes.OWNER_SCOPE,
  EVENT: codes.OWNER_EVENT,
  LINK: codes.OWNER_LINK,
});

export const OWNERS = ['span', 'resource', 'scope', 'event', 'link'];
const DOMAINS = [
  codes.DOMAIN_SPANS, codes.DOMAIN_RESOURCES, codes.DOMAIN_SCOPES, codes.DOMAIN_EVENTS, codes.DOMAIN_LINKS,
];

/** The domain of what has an entry per owner. */
export function domainOf(owner) {
  return DOMAINS[owner];
}

export function attribute(owner, key, { complex = false } = {}) {
  return Object.freeze({ tag: 'attribute', val: Object.freeze({ owner: OWNERS[owner], key, complex }) });
}

export function attributes(owner, prefix, { complex = false } = {}) {
  return Object.freeze({ tag: 'attributes', val: Object.freeze({ owner: OWNERS[owner], key: prefix, complex }) });
}

const NAMES = new Map(Object.entries(Intrinsic).map(([name, code]) => [code, name.toLowerCase().replaceAll('_', '-')]));
/** The other way round. */
export const CODES = new Map(Array.from(NAMES, ([code, name]) => [name, code]));

/** A field as the WIT has it. */
function fieldOf(field) {
  return typeof field === 'number' ? { tag: 'intrinsic', val: NAMES.get(field) } : field;
}

export class Projection {
  constructor({ reads = [], writes = [], matchResource = [], budgets = [], maxBatchRows = 0 } = {}) {
    this.reads = [];
    this.writes = [];
    this.matchResource = matchResource;
    this.budgets = [];
    this.maxBatchRows = maxBatchRows;
    reads.forEach((field) => this.read(field));
    writes.forEach((field) => this.write(field));
    budgets.forEach((budget) => this.budget(budget));
  }

  read(field) {
    return placeOf(this.reads, fieldOf(field));
  }

  write(field) {
    return placeOf(this.writes, fieldOf(field));
  }

  budget({ name, limit, windowMs, per }) {
    return placeOf(this.budgets, { name, per: per?.val, limit: BigInt(limit), windowMs });
  }
}

/** The sections that a batch has for a projection: kind, place and, of attributes, the domain. */
export function wanted({ reads, budgets }) {
  const fields = reads.map(({ tag, val }, place) => {
    if (tag === 'intrinsic') return { kind: CODES.get(val), place: 0 };
    const kind = tag === 'attribute' ? codes.BATCH_ATTRIBUTE : codes.BATCH_PAIRS_END;
    return { kind, place, domain: domainOf(OWNERS.indexOf(val.owner)) };
  });
  const kinds = [codes.BATCH_BUDGET_KEY, codes.BATCH_BUDGET_LIMIT, codes.BATCH_BUDGET_USED, codes.BATCH_BUDGET_INDEX];
  return [...fields, ...budgets.flatMap((_, place) => kinds.map((kind) => ({ kind, place })))];
}

/** Where `item` stands, which is put there first if it is nowhere. */
function placeOf(list, item) {
  const text = textOf(item);
  const place = list.findIndex((there) => textOf(there) === text);
  return place >= 0 ? place : list.push(item) - 1;
}

function textOf(item) {
  return JSON.stringify(item, (_, value) => (typeof value === 'bigint' ? String(value) : value));
}
