/**
 * To test plugins without Wasm and without a host: spans in, what becomes of them out.
 *
 *     const outcome = run(new MyPlugin(), { key: 'team' }, { spans: [{ name: 'GET /' }] });
 *     assert.deepEqual(outcome.kept, [true]);
 *
 * What the plugin logs, counts and looks up is in `host`.
 * @module
 */

import * as codes from './codes.js';
import { Column } from './columns.js';
import { StandIn, use } from './host.js';
import { Instance, TailSampler } from './plugin.js';
import { CODES, OWNERS, domainOf } from './projection.js';
import { Sections, Values, texts } from './sections.js';
import { REMOVE } from './values.js';
import { Texts } from './views.js';

export let host = new StandIn();
use(host.imports);

export function resetHost() {
  host = new StandIn();
  use(host.imports);
}

const SPAN = {
  traceId: '00000000000000000000000000000001',
  spanId: '0000000000000001',
  parentSpanId: '0000000000000000',
  traceState: '',
  traceFlags: 0,
  name: '',
  kind: 0,
  startTime: 0n,
  duration: 0n,
  statusCode: 0,
  statusMessage: '',
  resource: 0,
  scope: 0,
  attributes: {},
  events: [],
  links: [],
};

/** What a batch is made of, with defaults in place of what is not said. */
function complete({ spans = [], resources = [{}], scopes = [{}], budgets = [] }) {
  const all = {
    spans: spans.map((span) => ({ ...SPAN, ...span })),
    resources: resources.map((resource) => ({ attributes: {}, peerAddress: '', ...resource })),
    scopes: scopes.map((scope) => ({ name: '', version: '', attributes: {}, ...scope })),
    budgets,
  };
  all.events = all.spans.flatMap(({ events }) => events.map((event) => ({ name: '', time: 0n, attributes: {}, ...event })));
  all.links = all.spans.flatMap(({ links }) => links.map((link) => ({ attributes: {}, ...link })));
  return all;
}

const u32s = (values) => Uint32Array.from(values);
const u64s = (values) => BigUint64Array.from(values, BigInt);
const ids = (values) => Uint8Array.from(values.flatMap((id) => id.match(/../g).map((byte) => parseInt(byte, 16))));

const { DOMAIN_SPANS, DOMAIN_SCOPES, DOMAIN_EVENTS, DOMAIN_NONE, DOMAIN_RESOURCES } = codes;
const { LAYOUT_ID16, LAYOUT_ID8, LAYOUT_TEXT, LAYOUT_U32, LAYOUT_U64, LAYOUT_U8 } = codes;

/** Type, domain and content of the sections of intrinsic fields, by their names in the WIT. */
const INTRINSICS = {
  'trace-id': ({ spans }) => [LAYOUT_ID16, DOMAIN_SPANS, ids(spans.map((span) => span.traceId))],
  'span-id': ({ spans }) => [LAYOUT_ID8, DOMAIN_SPANS, ids(spans.map((span) => span.spanId))],
  'parent-span-id': ({ spans }) => [LAYOUT_ID8, DOMAIN_SPANS, ids(spans.map((span) => span.parentSpanId))],
  'trace-state': ({ spans }) => [LAYOUT_TEXT, DOMAIN_SPANS, texts(spans.map((span) => span.traceState))],
  'trace-flags': ({ spans }) => [LAYOUT_U32, DOMAIN_SPANS, u32s(spans.map((span) => span.traceFlags))],
  name: ({ spans }) => [LAYOUT_TEXT, DOMAIN_SPANS, texts(spans.map((span) => span.name))],
  kind: ({ spans }) => [LAYOUT_U8, DOMAIN_SPANS, Uint8Array.from(spans, (span) => span.kind)],
  'start-time': ({ spans }) => [LAYOUT_U64, DOMAIN_SPANS, u64s(spans.map((span) => span.startTime))],
  duration: ({ spans }) => [LAYOUT_U64, DOMAIN_SPANS, u64s(spans.map((span) => span.duration))],
  'status-code': ({ spans }) => [LAYOUT_U8, DOMAIN_SPANS, Uint8Array.from(spans, (span) => span.statusCode)],
  'status-message': ({ spans }) => [LAYOUT_TEXT, DOMAIN_SPANS, texts(spans.map((span) => span.statusMessage))],
  'scope-name': ({ scopes }) => [LAYOUT_TEXT, DOMAIN_SCOPES, texts(scopes.map((scope) => scope.name))],
  'scope-version': ({ scopes }) => [LAYOUT_TEXT, DOMAIN_SCOPES, texts(scopes.map((scope) => scope.version))],
  'event-name': ({ events }) => [LAYOUT_TEXT, DOMAIN_EVENTS, texts(events.map((event) => event.name))],
  'event-time': ({ events }) => [LAYOUT_U64, DOMAIN_EVENTS, u64s(events.map((event) => event.time))],
  'event-count': ({ spans }) => [LAYOUT_U32, DOMAIN_SPANS, u32s(spans.map((span) => span.events.length))],
  'link-count': ({ spans }) => [LAYOUT_U32, DOMAIN_SPANS, u32s(spans.map((span) => span.links.length))],
  'resource-index': ({ spans }) => [LAYOUT_U32, DOMAIN_SPANS, u32s(spans.map((span) => span.resource))],
  'scope-index': ({ spans }) => [LAYOUT_U32, DOMAIN_SPANS, u32s(spans.map((span) => span.scope))],
  'event-span': ({ spans }) => [LAYOUT_U32, DOMAIN_EVENTS, u32s(spans.flatMap((span, row) => span.events.map(() => row)))],
  'span-attribute-keys': ({ spans }) => {
    const keys = new Set(spans.flatMap((span) => Object.keys(span.attributes)));
    return [LAYOUT_TEXT, DOMAIN_NONE, texts([...keys])];
  },
  'peer-address': ({ resources }) => [LAYOUT_TEXT, DOMAIN_RESOURCES, texts(resources.map((one) => one.peerAddress))],
};

export function encode(data, projection, { byTrace = false } = {}) {
  const all = complete(data);
  const traces = new Map();
  if (byTrace) {
    all.spans.forEach((span) => traces.set(span.traceId, [...(traces.get(span.traceId) ?? []), span]));
    Object.assign(all, complete({ ...data, spans: [...traces.values()].flat() }));
  }
  const sections = new Sections();
  projection.reads.forEach(({ tag, val }, place) => {
    if (tag === 'attribute') addColumn(sections, place, val, all);
    else if (tag === 'attributes') addPairs(sections, place, val, all);
    else {
      const [layout, domain, content] = INTRINSICS[val](all);
      sections.add(CODES.get(val), layout, content, domain);
    }
  });
  projection.budgets.forEach(({ per }, place) => addBudget(sections, place, per, all, traces));
  if (byTrace) addTraces(sections, traces, all);
  const counts = {
    rows: all.spans.length,
    resources: all.resources.length,
    scopes: all.scopes.length,
    events: all.events.length,
    traceCount: traces.size,
  };
  return sections.finish(counts, codes.BATCH_MAGIC);
}

function addColumn(sections, place, { owner, key, complex }, all) {
  const values = all[`${owner}s`].map(({ attributes }) => attributes[key]);
  addValues(sections, codes.BATCH_ATTRIBUTE, domainOf(OWNERS.indexOf(owner)), place, values, complex);
}

function addPairs(sections, place, { owner, key: prefix, complex }, all) {
  const ends = [];
  const pairs = [];
  all[`${owner}s`].forEach(({ attributes }) => {
    pairs.push(...Object.entries(attributes).filter(([key]) => key.startsWith(prefix)));
    ends.push(pairs.length);
  });
  sections.add(codes.BATCH_PAIRS_END, LAYOUT_U32, u32s(ends), domainOf(OWNERS.indexOf(owner)), place);
  sections.add(codes.BATCH_PAIRS_KEY, LAYOUT_TEXT, texts(pairs.map(([key]) => key)), codes.DOMAIN_PAIRS, place);
  const values = pairs.map(([, value]) => value);
  addValues(sections, codes.BATCH_PAIRS, codes.DOMAIN_PAIRS, place, values, complex);
}

function addValues(sections, kind, domain, place, list, complex) {
  const values = new Values(list.length);
  list.forEach((value, i) => values.put(i, value));
  if (list.some((value) => value !== undefined)) values.write(sections, kind, domain, place, complex);
  // A batch says even that there is nothing.
  else sections.add(kind, LAYOUT_U8, new Uint8Array(list.length), domain, place);
}

function addBudget(sections, place, per, all, traces) {
  const limits = Object.entries(all.budgets[place]);
  const keys = limits.map(([key]) => key);
  const keyOf = (span) => {
    if (per === undefined) return '';
    const owner = per.owner === 'span' ? span : all.resources[span.resource];
    return String(owner.attributes[per.key] ?? '');
  };
  const spans = traces.size > 0 ? [...traces.values()].map(([span]) => span) : all.spans;
  const domain = traces.size > 0 ? codes.DOMAIN_TRACES : DOMAIN_SPANS;
  const index = spans.map((span) => keys.indexOf(keyOf(span)) >>> 0);
  sections.add(codes.BATCH_BUDGET_KEY, LAYOUT_TEXT, texts(keys), codes.DOMAIN_BUDGETS, place);
  const limit = u64s(limits.map(([, [limit]]) => limit));
  sections.add(codes.BATCH_BUDGET_LIMIT, LAYOUT_U64, limit, codes.DOMAIN_BUDGETS, place);
  const used = u64s(limits.map(([, [, used]]) => used));
  sections.add(codes.BATCH_BUDGET_USED, LAYOUT_U64, used, codes.DOMAIN_BUDGETS, place);
  sections.add(codes.BATCH_BUDGET_INDEX, LAYOUT_U32, u32s(index), domain, place);
}

function addTraces(sections, traces, all) {
  const lists = [...traces.values()];
  const add = (kind, layout, content) => sections.add(kind, layout, content, codes.DOMAIN_TRACES);
  const service = (span) => all.resources[span.resource].attributes['service.name'] ?? '';
  const least = (values) => values.reduce((a, b) => (a < b ? a : b));
  const most = (values) => values.reduce((a, b) => (a > b ? a : b));
  const starts = lists.map((spans) => least(spans.map((span) => BigInt(span.startTime))));
  const ends = lists.map((spans) => most(spans.map((span) => BigInt(span.startTime) + BigInt(span.duration))));
  const roots = lists.map((spans) => spans.find((span) => span.parentSpanId === SPAN.parentSpanId));
  let row = 0;
  add(codes.BATCH_TRACE_END_ROW, LAYOUT_U32, u32s(lists.map((spans) => (row += spans.length))));
  add(codes.BATCH_TRACE, LAYOUT_ID16, ids([...traces.keys()]));
  add(codes.BATCH_TRACE_START, LAYOUT_U64, u64s(starts));
  add(codes.BATCH_TRACE_DURATION, LAYOUT_U64, u64s(ends.map((end, i) => end - starts[i])));
  add(codes.BATCH_TRACE_SPANS, LAYOUT_U32, u32s(lists.map((spans) => spans.length)));
  const errors = lists.map((spans) => spans.filter((span) => span.statusCode === 2).length);
  add(codes.BATCH_TRACE_ERRORS, LAYOUT_U32, u32s(errors));
  const services = lists.map((spans) => new Set(spans.map(service).filter((name) => name !== '')).size);
  add(codes.BATCH_TRACE_SERVICES, LAYOUT_U32, u32s(services));
  add(codes.BATCH_TRACE_ROOT_NAME, LAYOUT_TEXT, texts(roots.map((root) => root?.name ?? '')));
  add(codes.BATCH_TRACE_ROOT_SERVICE, LAYOUT_TEXT, texts(roots.map((root) => (root ? service(root) : ''))));
  add(codes.BATCH_TRACE_STATE_BITS, LAYOUT_U8, Uint8Array.from(lists, isComplete));
}

function isComplete(spans) {
  const there = new Set([SPAN.parentSpanId, ...spans.map((span) => span.spanId)]);
  return spans.every((span) => there.has(span.parentSpanId)) ? 1 : 0;
}

export function decodeAnswer(bytes) {
  const word = (at) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
  const rows = word(8);
  const outcome = {
    kept: new Array(rows).fill(true),
    reasons: [],
    verdicts: [],
    probabilities: [],
    renamed: [],
    deleted: [],
    deletedStarting: [],
    setPairs: new Map(),
    sets: [],
    added: [],
    counts: new Map(),
  };
  const columns = new Map();
  const added = new Map();
  for (let at = codes.HEADER_BYTES; at < codes.HEADER_BYTES + codes.ENTRY_BYTES * word(28); at += codes.ENTRY_BYTES) {
    const kind = word(at) & 0xffff;
    const layout = (word(at) >>> 16) & 0xff;
    const domain = word(at) >>> 24;
    const argument = word(at + 4);
    const offset = word(at + 8);
    const size = word(at + 12);
    // A copy is aligned.
    const part = bytes.slice(offset, offset + size);
    const list = () => {
      const view = new Texts(part, 0, size, 0);
      return Array.from({ length: view.length }, (_, i) => view.get(i));
    };
    switch (kind) {
      case codes.ANSWER_KEEP:
        outcome.kept = outcome.kept.map((_, row) => ((part[row >> 3] >> row % 8) & 1) === 1);
        break;
      case codes.ANSWER_REASON:
        outcome.reasons = list();
        break;
      case codes.ANSWER_VERDICT:
        outcome.verdicts = Array.from(part);
        break;
      case codes.ANSWER_PROBABILITY:
        outcome.probabilities = Array.from(new Float64Array(part.buffer));
        break;
      case codes.ANSWER_RENAME: {
        const names = list();
        for (let i = 0; i < names.length; i += 2) {
          const replace = (argument & codes.REPLACE) !== 0;
          outcome.renamed.push({ owner: argument & 0xff, from: names[i], to: names[i + 1], replace });
        }
        break;
      }
      case codes.ANSWER_DELETE_KEYS:
        outcome.deleted.push(...list().map((key) => ({ owner: argument, key })));
        break;
      case codes.ANSWER_DELETE_STARTS:
        outcome.deletedStarting.push(...list().map((start) => ({ owner: argument, start })));
        break;
      case codes.ANSWER_ADD_OWNER:
        added.set(argument, { owners: Array.from(new Uint32Array(part.buffer)) });
        break;
      case codes.ANSWER_ADD_KEY:
        added.get(argument).keys = list();
        break;
      case codes.ANSWER_COUNT: {
        const words = new BigUint64Array(part.buffer);
        for (let i = 0; i < words.length; i += 2) outcome.counts.set(Number(words[i]), words[i + 1]);
        break;
      }
      default: {
        const key = `${kind} ${argument} ${domain}`;
        if (!columns.has(key)) columns.set(key, { kind, argument, domain, sections: {} });
        columns.get(key).sections[layout] = { offset, size };
      }
    }
  }
  columns.forEach(({ kind, argument, domain, sections }) => {
    const values = decodeValues(bytes, sections);
    if (kind === codes.ANSWER_SET_PAIRS) outcome.setPairs.set(argument, values);
    else if (kind === codes.ANSWER_SET) {
      const owner = OWNERS.findIndex((_, owner) => domainOf(owner) === domain);
      outcome.sets.push({ place: argument, owner, values });
    } else {
      const { owners, keys } = added.get(argument);
      values.forEach((value, i) => outcome.added.push({ place: argument, owner: owners[i], key: keys[i], value }));
    }
  });
  return outcome;
}

function decodeValues(bytes, sections) {
  // Removals are no values of a batch: the rest is a column as there.
  const plain = bytes.slice();
  const { offset, size } = sections[LAYOUT_U8];
  const tags = plain.subarray(offset, offset + size);
  const removed = Array.from(tags, (tag) => tag === codes.TAG_REMOVE);
  removed.forEach((gone, i) => {
    if (gone) tags[i] = codes.TAG_ABSENT;
  });
  const column = new Column(plain, sections);
  return removed.map((gone, i) => (gone ? REMOVE : column.value(i)));
}

export function run(plugin, config, data = {}) {
  const instance = new Instance(plugin);
  const projection = instance.configure(JSON.stringify(config));
  const batch = encode(data, projection, { byTrace: plugin instanceof TailSampler });
  return decodeAnswer(instance.answer(batch));
}
