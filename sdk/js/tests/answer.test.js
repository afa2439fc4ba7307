// Answers stand in the one form that `docs/reference/plugin-buffer.md` has for each.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  Batch, DROP, Decisions, EMPTY, Edits, Internal, KEEP, Owner, Projection, REMOVE, attribute, attributes, probability,
} from '@traceweir/plugin';
import { decodeAnswer, encode } from '@traceweir/plugin/kit';

import * as codes from '../src/codes.js';
import { hex } from './examples.js';

const { NONE } = codes;

function batch(rows = 3) {
  const projection = new Projection({ reads: [attributes(Owner.SPAN, ''), attribute(Owner.LINK, 'x')] });
  const spans = Array.from({ length: rows }, (_, i) => ({ attributes: { a: BigInt(i) }, links: [{}] }));
  return new Batch(encode({ spans, resources: [{}, {}] }, projection));
}

const bytesOf = (array) => new Uint8Array(array.buffer);
const u64s = (...numbers) => bytesOf(BigUint64Array.from(numbers, BigInt));
const u32s = (...numbers) => bytesOf(Uint32Array.from(numbers));
const f64s = (...numbers) => bytesOf(Float64Array.from(numbers));
const u8s = (...numbers) => Uint8Array.from(numbers);

function text(index, ...values) {
  const heaps = values.map((value) => (typeof value === 'string' ? Buffer.from(value) : value));
  const ends = heaps.map((_, i) => heaps.slice(0, i + 1).reduce((sum, heap) => sum + heap.length, 0));
  return Uint8Array.from([...u32s(values.length, index.length, ...index, 0, ...ends), ...heaps.flatMap((heap) => [...heap])]);
}

/** Kind, type, domain, argument and content, after holding the places against the rules. */
function parts(answer) {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  const count = view.getUint32(28, true);
  let end = codes.HEADER_BYTES + codes.ENTRY_BYTES * count;
  const found = [];
  for (let at = codes.HEADER_BYTES, i = 0; i < count; i++, at += codes.ENTRY_BYTES) {
    const offset = view.getUint32(at + 8, true);
    const size = view.getUint32(at + 12, true);
    assert.ok(offset % 8 === 0 && offset >= end && offset < end + 8);
    assert.ok(answer.subarray(end, offset).every((byte) => byte === 0));
    end = offset + size;
    const argument = view.getUint32(at + 4, true);
    found.push([view.getUint16(at, true), answer[at + 2], answer[at + 3], argument, hex(answer.subarray(offset, end))]);
  }
  assert.equal(end, answer.length);
  return found;
}

function check(answer, ...expected) {
  assert.deepEqual(parts(answer.encode()), expected.map(([kind, layout, domain, argument, content]) => [kind, layout, domain, argument, hex(content)]));
}

test('an answer that says nothing has no sections', () => {
  const edits = new Edits(batch());
  edits.set(0, Owner.SPAN).put(1, undefined);
  edits.count(3, 0);
  assert.equal(hex(edits.encode()), hex(u32s(codes.ANSWER_MAGIC, 1, 3, 2, 1, 0, 0, 0)));
});

test('sections stand in their order', () => {
  const of = batch();
  const edits = new Edits(of);
  edits.count(5);
  edits.count(2, 2n ** 64n - 1n);
  edits.count(2);
  edits.count(5, 2);
  edits.add(3, 1, 'k', 'v');
  edits.add(1, 0, 'n', -1n);
  edits.add(3, 2, 'k', true);
  edits.set(2, Owner.RESOURCE).put(1, 'b');
  edits.set(2, Owner.SPAN).put(2, 0.5);
  edits.set(0, Owner.LINK).remove(1);
  edits.setPairs(of.pairs(0)).put(0, new Map([['x', 1n]]));
  edits.deleteKey(Owner.RESOURCE, 'x');
  for (const key of 'yzy') edits.deleteKey(Owner.SPAN, key);
  edits.deleteStarting(Owner.SPAN, 'x.');
  edits.rename(Owner.SPAN, 'a', 'b', { replace: true });
  edits.rename(Owner.SPAN, 'b', 'c');
  edits.rename(Owner.SPAN, 'c', 'b');
  edits.drop(2, 'late');
  edits.drop(0, 'early');
  check(
    edits,
    [1, 5, 1, 0, u64s(0b010)],
    [2, 6, 1, 0, text([0, NONE, 1], 'early', 'late')],
    [5, 6, 0, 0, text([0, 1, 1, 0], 'b', 'c')],
    [5, 6, 0, 256, text([0, 1], 'a', 'b')],
    [6, 6, 0, 0, text([0, 1, 0], 'y', 'z')],
    [6, 6, 0, 1, text([0], 'x')],
    [7, 1, 6, 0, u8s(7, 0, 0)],
    [7, 7, 6, 0, text([0, NONE, NONE], Buffer.from('32090a070a01781202' + '1801', 'hex'))],
    [8, 1, 8, 0, u8s(0, 255, 0)],
    [8, 1, 1, 2, u8s(0, 0, 3)],
    [8, 3, 1, 2, f64s(0, 0, 0.5)],
    [8, 1, 2, 2, u8s(0, 1)],
    [8, 6, 2, 2, text([NONE, 0], 'b')],
    [9, 2, 0, 1, u32s(0)],
    [9, 2, 0, 3, u32s(1, 2)],
    [10, 6, 0, 1, text([0], 'n')],
    [10, 6, 0, 3, text([0, 0], 'k')],
    [11, 1, 0, 1, u8s(2)],
    [11, 3, 0, 1, u64s(2n ** 64n - 1n)],
    [11, 1, 0, 3, u8s(1, 4)],
    [11, 3, 0, 3, u64s(0, 1)],
    [11, 6, 0, 3, text([0, NONE], 'v')],
    [12, 10, 0, 0, u64s(5, 3, 2, 2n ** 64n - 1n)],
    [13, 6, 0, 0, text([0], 'x.')],
  );
});

test('the last word on an entry counts', () => {
  const edits = new Edits(batch());
  const values = edits.set(0, Owner.SPAN);
  values.put(0, 'gone');
  values.put(0, 7n);
  values.put(1, 7n);
  values.put(1, 'late');
  values.put(2, 'gone');
  values.put(2, EMPTY);
  check(edits, [8, 1, 1, 0, u8s(2, 1, 8)], [8, 3, 1, 0, u64s(7, 0, 0)], [8, 6, 1, 0, text([NONE, 0, NONE], 'late')]);
});

test('texts that are nearly all different stand each by itself', () => {
  const written = (rows, different, put) => {
    const edits = new Edits(batch(rows));
    put(edits.set(0, Owner.SPAN), (i) => `t${i % different}`);
    return Buffer.from(edits.encode());
  };
  const inOrder = (values, textOf) => {
    for (let i = 0; i < values.length; i++) if (i !== 5) values.put(i, textOf(i));
  };
  // 16 bytes of the table for each of two sections, 32 before; indices are the second number of the texts.
  const indices = (answer) => answer.readUInt32LE(answer.readUInt32LE(32 + 16 + 8) + 4);
  assert.equal(indices(written(129, 113, inOrder)), 0);
  assert.equal(indices(written(129, 112, inOrder)), 129);
  assert.equal(indices(written(128, 128, inOrder)), 128, 'too few to tell');
  // In whatever order they are put, and if some are put twice.
  const backwards = (values, textOf) => {
    for (let i = values.length - 1; i >= 0; i--) values.put(i, textOf(i));
    values.put(5, undefined);
    values.put(130 % values.length, textOf(130 % values.length));
  };
  for (const different of [113, 112]) {
    assert.equal(hex(written(300, different, backwards)), hex(written(300, different, inOrder)));
  }
});

test('all entries may get texts at once', () => {
  const edits = new Edits(batch());
  edits.set(0, Owner.SPAN).putTexts(['b', undefined, 'a']);
  check(edits, [8, 1, 1, 0, u8s(1, 0, 1)], [8, 6, 1, 0, text([0, NONE, 1], 'b', 'a')]);
});

test('many texts are what they are one by one', () => {
  for (const start of ['a', 'größe 🦊 ']) {
    const edits = new Edits(batch(140));
    const values = edits.set(0, Owner.SPAN);
    values.put(1, 7n);
    const texts = Array.from({ length: 140 }, (_, i) => (i === 3 ? undefined : `${start}${i}`));
    values.putTexts(texts);
    const tags = Uint8Array.from(texts, (text) => (text === undefined ? 0 : 1));
    check(edits, [8, 1, 1, 0, tags], [8, 6, 1, 0, text([], ...texts.map((text) => text ?? ''))]);
    assert.throws(() => values.putTexts(['a']), Internal);
    for (const broken of [texts.with(7, '\ud800'), new Array(140).fill('\ud800')]) {
      values.putTexts(broken);
      assert.throws(() => edits.encode(), Internal);
    }
  }
});

test('spans are dropped by flags', () => {
  for (const flags of [u8s(0, 1, 2), [undefined, true, 'x']]) {
    const edits = new Edits(batch());
    edits.dropWhere(u8s(0, 0, 0));
    check(edits);
    edits.dropWhere(flags, 'why');
    edits.dropWhere([false, false, true]);
    check(edits, [1, 5, 1, 0, u64s(1)], [2, 6, 1, 0, text([NONE, 0, 0], 'why')]);
    edits.drop(0);
    assert.deepEqual(parts(edits.encode())[0], [1, 5, 1, 0, hex(u64s(0))]);
    assert.throws(() => edits.dropWhere([true]), Internal);
  }
  for (const rows of [1, 7, 8, 9, 63, 64, 65, 130]) {
    const flags = Uint8Array.from({ length: rows }, (_, row) => (row % 3 === 0 ? 1 : 0));
    const [byFlags, byRow] = [new Edits(batch(rows)), new Edits(batch(rows))];
    byFlags.dropWhere(flags);
    flags.forEach((flag, row) => flag && byRow.drop(row));
    const bits = flags.reduce((sum, flag, row) => (flag ? sum : sum | (1n << BigInt(row))), 0n);
    const words = Array.from({ length: Math.ceil(rows / 64) }, (_, i) => BigInt.asUintN(64, bits >> BigInt(64 * i)));
    check(byFlags, [1, 5, 1, 0, u64s(...words)]);
    check(byRow, [1, 5, 1, 0, u64s(...words)]);
  }
});

test('equal blobs stand once', () => {
  const edits = new Edits(batch());
  const values = edits.set(0, Owner.SPAN);
  [0, 2].forEach((i) => values.put(i, Uint8Array.of(255)));
  values.put(1, []);
  const blobs = [Buffer.from('3a01ff', 'hex'), Buffer.from('2a00', 'hex')];
  check(edits, [8, 1, 1, 0, u8s(5, 6, 5)], [8, 7, 1, 0, text([0, 1, 0], ...blobs)]);
});

test('blobs may be long', () => {
  const edits = new Edits(batch());
  const long = new Uint8Array(1 << 20).fill(200);
  const other = long.slice();
  other[70_000] = 1;
  const values = edits.set(0, Owner.SPAN);
  [long, other, long.slice()].forEach((value, i) => values.put(i, value));
  const [{ values: read }] = decodeAnswer(edits.encode()).sets;
  assert.deepEqual(read.map((value) => Buffer.compare(value, long)), [0, -1, 0]);
});

test('bits fill whole words', () => {
  for (const rows of [1, 7, 8, 63, 64, 65, 128, 130]) {
    const edits = new Edits(batch(rows));
    edits.drop(rows - 1);
    const words = Array.from({ length: Math.ceil(rows / 64) }, (_, i) => {
      const left = rows - 1 - 64 * i;
      return left >= 64 ? 2n ** 64n - 1n : 2n ** BigInt(Math.max(left, 0)) - 1n;
    });
    check(edits, [1, 5, 1, 0, u64s(...words)]);
  }
});

test('decisions', () => {
  const decisions = new Decisions(batch());
  check(decisions, [3, 1, 1, 0, u8s(1, 1, 1)]);
  decisions.decide(1, probability(0.25), 'ratio');
  decisions.decide(2, DROP);
  decisions.decide(0, probability(0.5), 'ratio');
  decisions.decide(0, KEEP, 'kept');
  check(decisions, [2, 6, 1, 0, text([0, 1, NONE], 'kept', 'ratio')], [3, 1, 1, 0, u8s(1, 2, 0)], [4, 4, 1, 0, f64s(0, 0.25, 0)]);
});

test('decisions on many', () => {
  const decisions = new Decisions(batch(5));
  decisions.decideAll(probability(0.1), 'ratio');
  check(decisions, [2, 6, 1, 0, text([0, 0, 0, 0, 0], 'ratio')], [3, 1, 1, 0, u8s(2, 2, 2, 2, 2)], [4, 4, 1, 0, f64s(0.1, 0.1, 0.1, 0.1, 0.1)]);
  decisions.decideRows([4, 0], KEEP, 'slow');
  decisions.decideRows(Uint32Array.of(2, 0), KEEP, 'error');
  check(
    decisions,
    [2, 6, 1, 0, text([0, 1, 0, 1, 2], 'error', 'ratio', 'slow')],
    [3, 1, 1, 0, u8s(1, 2, 1, 2, 1)],
    [4, 4, 1, 0, f64s(0, 0.1, 0, 0.1, 0)],
  );
  decisions.decideAll(DROP);
  check(decisions, [3, 1, 1, 0, new Uint8Array(5)]);
});

test('a tail sampler decides on traces', () => {
  const spans = [{}, { traceId: '0'.repeat(32) }];
  const decisions = Decisions.ofTraces(new Batch(encode({ spans }, new Projection(), { byTrace: true })));
  decisions.decide(1, DROP, 'dull');
  check(decisions, [2, 6, 5, 0, text([NONE, 0], 'dull')], [3, 1, 5, 0, u8s(1, 0)]);
});

test('what the batch does not have cannot be edited', () => {
  const edits = new Edits(batch());
  const decisions = new Decisions(batch());
  for (const edit of [
    () => edits.drop(3),
    () => edits.drop(-1),
    () => edits.set(0, Owner.SPAN).put(3, 'x'),
    () => edits.set(0, Owner.SPAN).put(-1, 'x'),
    () => edits.set(0, Owner.SPAN).putTexts(['x']),
    () => edits.set(0, Owner.SPAN).put(0, 2n ** 63n),
    () => edits.set(0, Owner.SPAN).put(0, {}),
    () => decisions.decide(3, KEEP),
    () => decisions.decideRows([0, -1], KEEP),
    () => decisions.decideRows([0, undefined], KEEP),
  ]) {
    assert.throws(edit, Internal);
  }
  edits.deleteKey(Owner.SPAN, '\ud800');
  assert.throws(() => edits.encode(), Internal);
});

test('the kit reads what was written', () => {
  const of = batch();
  const edits = new Edits(of);
  edits.drop(1, 'why');
  edits.rename(Owner.EVENT, 'a', 'b', { replace: true });
  edits.deleteKey(Owner.SCOPE, 'c');
  edits.deleteStarting(Owner.LINK, 'l.');
  const value = ['x', new Map([['y', Uint8Array.of(1)]])];
  edits.set(4, Owner.RESOURCE).put(0, value);
  edits.set(4, Owner.RESOURCE).put(1, REMOVE);
  edits.setPairs(of.pairs(0)).put(2, 1.5);
  edits.add(6, 2, 'k', 'v');
  edits.count(9, 3);
  assert.deepEqual(decodeAnswer(edits.encode()), {
    kept: [true, false, true],
    reasons: [undefined, 'why', undefined],
    verdicts: [],
    probabilities: [],
    renamed: [{ owner: Owner.EVENT, from: 'a', to: 'b', replace: true }],
    deleted: [{ owner: Owner.SCOPE, key: 'c' }],
    deletedStarting: [{ owner: Owner.LINK, start: 'l.' }],
    sets: [{ place: 4, owner: Owner.RESOURCE, values: [value, REMOVE] }],
    setPairs: new Map([[0, [undefined, undefined, 1.5]]]),
    added: [{ place: 6, owner: 2, key: 'k', value: 'v' }],
    counts: new Map([[9, 3n]]),
  });
});
