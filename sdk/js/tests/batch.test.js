// What a plugin reads is what was sent, wherever the buffer begins; what is malformed is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  BadInput, Batch, Internal, Owner, Projection, UNREAD, attribute, attributes, rowsAtLeast, rowsEqual,
} from '@traceweir/plugin';
import { encode } from '@traceweir/plugin/kit';

import * as codes from '../src/codes.js';
import { Sections } from '../src/sections.js';
import { Texts } from '../src/views.js';
import { ATTRIBUTES, DATA, everything } from './everything.js';

const list = (view) => Array.from({ length: view.length }, (_, i) => view.get(i));
const values = (column) => Array.from({ length: column.length }, (_, i) => column.value(i));

/** The same bytes, beginning at an odd address. */
function unaligned(bytes) {
  const moved = new Uint8Array(bytes.length + 3);
  moved.set(bytes, 3);
  return moved.subarray(3);
}

for (const [where, place] of [['aligned', (bytes) => bytes], ['unaligned', unaligned]]) {
  const projection = everything();
  const batch = new Batch(place(encode(DATA, projection)));

  test(`intrinsic fields, ${where}`, () => {
    assert.deepEqual([batch.rows, batch.resources, batch.scopes, batch.events, batch.links], [2, 2, 1, 2, 1]);
    assert.deepEqual([batch.traceIds.hex(0), batch.traceIds.hex(1)], DATA.spans.map((span) => span.traceId));
    assert.deepEqual(batch.spanIds.get(1), new Uint8Array(8).fill(2));
    assert.equal(batch.parentSpanIds.hex(1), '0101010101010101');
    assert.deepEqual(list(batch.traceStates), ['a=b', '']);
    assert.deepEqual([...batch.traceFlags], [1, 0]);
    assert.deepEqual(list(batch.names), ['GET /', 'GET /']);
    assert.deepEqual(batch.names.values, ['GET /']);
    assert.deepEqual([...batch.kinds], [2, 0]);
    assert.deepEqual(list(batch.startTimes), [1000n, 0n]);
    assert.deepEqual(list(batch.durations), [2n ** 63n, 5n]);
    assert.equal(batch.durations.number(0), 2 ** 63);
    assert.deepEqual([...batch.statusCodes], [2, 0]);
    assert.deepEqual(list(batch.statusMessages), ['größe 🦊', '']);
    assert.deepEqual(list(batch.scopeNames), ['lib']);
    assert.deepEqual(list(batch.scopeVersions), ['1.0']);
    assert.deepEqual(list(batch.eventNames), ['e0', 'e1']);
    assert.deepEqual(list(batch.eventTimes), [7n, 8n]);
    assert.deepEqual([...batch.eventCounts], [2, 0]);
    assert.deepEqual([...batch.linkCounts], [0, 1]);
    assert.deepEqual([...batch.resourceIndices], [0, 1]);
    assert.deepEqual([...batch.scopeIndices], [0, 0]);
    assert.deepEqual([...batch.eventSpans], [0, 0]);
    assert.deepEqual(list(batch.spanAttributeKeys), ['a', 'ab', 'b', 'c', 'd', 'e']);
    assert.deepEqual(list(batch.peerAddresses), ['10.0.0.1', '']);
  });

  test(`columns, ${where}`, () => {
    assert.deepEqual(values(batch.column(projection.read(attribute(Owner.SPAN, 'd')))), [UNREAD, UNREAD]);
    const column = batch.column(projection.read(attribute(Owner.SPAN, 'd', { complex: true })));
    assert.deepEqual(values(column), [['x', 1n], Uint8Array.of(1, 2)]);
    const team = batch.column(projection.read(attribute(Owner.RESOURCE, 'team')));
    assert.deepEqual(values(team), [undefined, 'x']);
    assert.deepEqual([team.text(0), team.text(1), team.indexOf(0), team.indexOf(1)], [undefined, 'x', -1, 0]);
    assert.deepEqual(team.map((text) => text.toUpperCase()), [undefined, 'X']);
  });

  test(`pairs, ${where}`, () => {
    const pairs = batch.pairs(projection.read(attributes(Owner.SPAN, '', { complex: true })));
    assert.deepEqual([pairs.start(0), pairs.end(0), pairs.start(1), pairs.end(1)], [0, 6, 6, 8]);
    const first = Array.from({ length: 6 }, (_, i) => [pairs.key(i), pairs.value(i)]);
    assert.deepEqual(Object.fromEntries(first), ATTRIBUTES);
    assert.deepEqual([1, 2, 3, 6].map((i) => pairs.values.number(i)), [-1, 0.5, undefined, 2 ** 63]);
    const links = batch.pairs(projection.read(attributes(Owner.LINK, '')));
    assert.deepEqual([links.length, links.key(0), links.value(0)], [1, 'a', 'link']);
  });

  test(`budgets, ${where}`, () => {
    const each = batch.budget(1);
    assert.deepEqual(list(each.keys), ['pay']);
    assert.deepEqual([...each.index], [-1, 0]);
    assert.equal(each.left(0), 0n);
    assert.equal(batch.budget(0).left(0), 97n);
  });

  test(`traces, ${where}`, () => {
    const spans = [...DATA.spans, { traceId: DATA.spans[0].traceId, statusCode: 2 }];
    const { traces } = new Batch(place(encode({ ...DATA, spans }, projection, { byTrace: true })));
    assert.deepEqual([traces.length, traces.start(1), traces.end(1)], [2, 2, 3]);
    assert.deepEqual([...traces.errors], [2, 0]);
    assert.deepEqual([...traces.spans], [2, 1]);
    assert.equal(traces.durations.get(1), 5n);
    assert.deepEqual(list(traces.rootNames), ['GET /', '']);
    assert.deepEqual(list(traces.rootServices), ['shop', '']);
    assert.deepEqual([traces.complete(0), traces.complete(1), traces.late(0)], [true, false, false]);
  });

  test(`searches, ${where}`, () => {
    assert.deepEqual([...rowsEqual(batch.statusCodes, 2)], [0]);
    for (const [limit, rows] of [[6, [0]], [5, [0, 1]], [4.5, [0, 1]], [0, [0, 1]], [-1n, [0, 1]], [2n ** 63n + 1n, []], [2n ** 64n, []]]) {
      assert.deepEqual([...rowsAtLeast(batch.durations, limit)], rows, `at least ${limit}`);
    }
    assert.deepEqual([...batch.traceIds.rowsLike([0])], [0]);
    assert.deepEqual([...batch.traceIds.rowsLike([])], []);
  });
}

test('what was not read is an error', () => {
  const batch = new Batch(encode(DATA, new Projection()));
  for (const read of [() => batch.durations, () => batch.column(0), () => batch.pairs(0), () => batch.budget(0), () => batch.traces]) {
    assert.throws(read, BadInput);
  }
});

/** A batch of some sections: kind, type, content, domain and argument each. */
function batchOf(rows, ...sections) {
  const all = new Sections();
  for (const [kind, layout, content, domain = codes.DOMAIN_SPANS, argument = 0] of sections) {
    all.add(kind, layout, content, domain, argument);
  }
  return all.finish({ rows, resources: 1, scopes: 0, events: 0, traceCount: 0 }, codes.BATCH_MAGIC);
}

const u32s = (...numbers) => new Uint8Array(Uint32Array.from(numbers).buffer);
const utf8 = (text) => new TextEncoder().encode(text);

function texts(count, index, ends, heap) {
  return Uint8Array.of(...u32s(count, index.length, ...index, ...ends), ...heap);
}

function refuse(bytes, why) {
  assert.throws(() => new Batch(bytes), (error) => error instanceof BadInput && error.message.includes(why), why);
}

/** `bytes` with some of them others. */
function changed(bytes, at, ...others) {
  const copy = bytes.slice();
  copy.set(others, at);
  return copy;
}

test('malformed headers are refused', () => {
  const good = encode(DATA, everything());
  refuse(new Uint8Array(), 'no header');
  refuse(good.subarray(0, 31), 'no header');
  refuse(changed(good, 2, 0x41), 'magic');
  refuse(changed(good, 4, 2), 'version');
  refuse(changed(good, 28, 255, 255, 255, 255), 'table');
});

test('malformed sections are refused, unknown ones skipped', () => {
  const duration = codes.BATCH_DURATION;
  refuse(batchOf(1, [duration, codes.LAYOUT_F64, new Uint8Array(8)]), 'type');
  refuse(batchOf(1, [duration, codes.LAYOUT_U64, new Uint8Array(7)]), 'few');
  refuse(batchOf(1, [duration, codes.LAYOUT_U64, new Uint8Array(8)]).slice(0, -1), 'reaches out');
  const unknown = batchOf(1, [9999, 77, new Uint8Array()]);
  assert.equal(new Batch(changed(unknown, 40, ...new Array(8).fill(255))).rows, 1);
});

test('malformed texts are refused', () => {
  for (const [content, why] of [
    [new Uint8Array(), 'shorter'],
    [texts(2 ** 32 - 1, [], [0], []), 'shorter'],
    [u32s(0, 2 ** 32 - 1, 0), 'shorter'],
    [texts(1, [0], [0, 2], utf8('x')), 'shorter'],
    [texts(1, [0], [1, 1], utf8('x')), 'before'],
    [texts(2, [0], [0, 1, 0], utf8('x')), 'before'],
    [texts(1, [1], [0, 1], utf8('x')), 'nowhere'],
    [texts(1, [2 ** 31], [0, 1], utf8('x')), 'nowhere'],
    [texts(1, [0], [0, 1], [0xff]), 'UTF-8'],
    [texts(2, [0], [0, 1, 2], utf8('ß')), 'UTF-8'],
    [texts(0, [], [0], []), 'few'],
  ]) {
    refuse(batchOf(1, [codes.BATCH_NAME, codes.LAYOUT_TEXT, content]), why);
  }
});

test('a mark at the beginning of a text stays', () => {
  const content = texts(2, [], [0, 4, 7], utf8('\ufeffx\ufeff'));
  assert.deepEqual(new Texts(content, 0, content.length).values, ['\ufeffx', '\ufeff']);
});

test('an entry may have no text', () => {
  const content = texts(1, [0, 2 ** 32 - 1], [0, 1], utf8('x'));
  const { names } = new Batch(batchOf(2, [codes.BATCH_NAME, codes.LAYOUT_TEXT, content]));
  assert.deepEqual(list(names), ['x', undefined]);
  assert.deepEqual(names.map((text) => text.length), [1, undefined]);
});

test('many texts are what they are one by one', () => {
  for (const heap of ['abc', 'größe 🦊 ', '\ufeffa\0']) {
    const all = Array.from({ length: 50 }, (_, i) => heap.repeat(i % 4));
    const ends = all.map((_, i) => utf8(all.slice(0, i).join('')).length);
    const content = texts(50, [], [...ends, utf8(all.join('')).length], utf8(all.join('')));
    const view = new Texts(content, 0, content.length);
    assert.deepEqual(all.map((_, i) => view.value(i)), all);
    assert.deepEqual(view.values, all);
  }
});

test('texts are rewritten all at once', () => {
  const given = [];
  const work = (joined) => {
    given.push(joined);
    return joined.replaceAll('a', 'ü');
  };
  for (const [index, expected] of [
    [[], ['ü', undefined, 'ä\0ü']],
    [[0, 0, 2 ** 32 - 1, 1], ['ü', 'ü', undefined, undefined]],
  ]) {
    const content = texts(3, index, [0, 1, 3, 7], utf8('abbä\0a'));
    assert.deepEqual(new Texts(content, 0, content.length).rewrite(work), expected);
  }
  assert.deepEqual(given, ['a\0bb\0ä\ud800a\0', 'a\0bb\0ä\ud800a\0']);
  const one = new Texts(texts(1, [], [0, 1], utf8('a')), 0, 17);
  for (const wrong of ['a\0a\0', 'a\0a', 'a', '']) assert.throws(() => one.rewrite(() => wrong), Internal);
  assert.deepEqual(new Texts(texts(0, [], [0], utf8('')), 0, 12).rewrite(work), []);
});

test('texts of columns are rewritten', () => {
  const column = (...given) => {
    const spans = given.map((a) => ({ attributes: { a } }));
    const projection = new Projection({ reads: [attribute(Owner.SPAN, 'a')] });
    return new Batch(encode({ spans }, projection)).column(0).rewrite((texts) => texts.toUpperCase());
  };
  assert.deepEqual(column('x', 7n, 'X', 'x'), ['X', undefined, undefined, 'X']);
  assert.deepEqual(column(7n), [undefined]);
});

test('malformed columns are refused', () => {
  const column = (...parts) =>
    batchOf(2, ...parts.map(([layout, content]) => [codes.BATCH_ATTRIBUTE, layout, content, codes.DOMAIN_SPANS, 3]));
  const tags = (...all) => [codes.LAYOUT_U8, Uint8Array.from(all)];
  const text = (...all) => [codes.LAYOUT_TEXT, texts(...all)];
  const good = text(1, [0, 0], [0, 1], utf8('x'));
  refuse(column(good), 'no tags');
  refuse(column(tags(1), good), 'few');
  refuse(column(tags(1, 1)), 'no value');
  refuse(column(tags(2, 0)), 'no value');
  refuse(column(tags(2, 0), [codes.LAYOUT_U64, new Uint8Array(8)]), 'few');
  refuse(column(tags(9, 0)), 'tag');
  refuse(column(tags(255, 0)), 'tag');
  refuse(column(tags(1, 1), text(1, [0, 1], [0, 1], utf8('x'))), 'no value');
  refuse(column(tags(1, 1), text(1, [0], [0, 1], utf8('x'))), 'few');
  refuse(column(tags(6, 0), [codes.LAYOUT_BLOB, texts(1, [1, 1], [0, 1], utf8('x'))]), 'no value');
  // What a tag does not point to means nothing.
  const fine = new Batch(column(tags(1, 0), text(1, [0, 77], [0, 1], utf8('x')))).column(3);
  assert.deepEqual(values(fine), ['x', undefined]);
  assert.deepEqual(fine.map((found) => found.length), [1, undefined]);
});

test('an index that leads nowhere is refused', () => {
  refuse(batchOf(1, [codes.BATCH_RESOURCE_INDEX, codes.LAYOUT_U32, u32s(1)]), 'nowhere');
  refuse(batchOf(1, [codes.BATCH_SCOPE_INDEX, codes.LAYOUT_U32, u32s(0)]), 'nowhere');
  refuse(batchOf(1, [codes.BATCH_BUDGET_INDEX, codes.LAYOUT_U32, u32s(0)]), 'no section');
  refuse(batchOf(2, [codes.BATCH_PAIRS_END, codes.LAYOUT_U32, u32s(2, 1)]), 'before they begin');
  refuse(batchOf(1, [codes.BATCH_PAIRS_END, codes.LAYOUT_U32, u32s(1)]), 'no key');
});
