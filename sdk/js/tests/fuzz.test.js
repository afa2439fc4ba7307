// Whatever a buffer is: a plugin that reads all of it answers, or says that it is malformed.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BadInput, Batch, Instance, rowsAtLeast, rowsEqual } from '@traceweir/plugin';
import { encode } from '@traceweir/plugin/kit';

import { Ids, U64s } from '../src/views.js';
import { CONFIGS, PLUGINS } from './examples.js';
import { DATA, everything } from './everything.js';

const ROUNDS = 3000;
const SEED = Math.floor(Math.random() * 2 ** 32);

/** Numbers below a limit, the same for the same seed. */
function chances(seed) {
  let state = seed >>> 0;
  return (limit) => {
    // Mulberry32.
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

const GETTERS = Object.entries(Object.getOwnPropertyDescriptors(Batch.prototype)).filter(([, { get }]) => get);

/** Reads whatever there is. */
function readAll(bytes) {
  const batch = new Batch(bytes);
  for (const [name] of GETTERS) {
    try {
      const view = name === 'traces' ? batch.traces.rootNames : batch[name];
      for (let i = 0; i < view.length; i++) view.get?.(i);
    } catch (error) {
      if (!(error instanceof BadInput)) throw error;
    }
  }
  batch.columns.forEach((column) => {
    for (let i = 0; i < column.length; i++) column.value(i);
    column.map((text) => text.length);
  });
  batch.tables.forEach((pairs) => {
    for (let i = 0; i < pairs.length; i++) assert.equal(typeof pairs.key(i), 'string');
    for (let i = 0; i < pairs.length; i++) pairs.value(i);
  });
}

/** A few bytes, words or ends that are others. */
function mutate(bytes, chance) {
  let buffer = Array.from(bytes);
  for (let n = chance(3); n >= 0; n--) {
    if (buffer.length === 0) break;
    const at = chance(buffer.length);
    switch (chance(5)) {
      case 0:
        buffer[at] ^= 1 << chance(8);
        break;
      case 1: {
        const word = [0, 1, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, buffer.length][chance(7)];
        for (let i = 0; i < 4; i++) buffer[at - (at % 4) + i] = (word >>> (8 * i)) & 0xff;
        break;
      }
      case 2:
        buffer = buffer.slice(0, at);
        break;
      case 3:
        buffer.splice(at, 0, ...Array.from({ length: 1 + chance(8) }, () => chance(256)));
        break;
      case 4:
        buffer[chance(Math.min(buffer.length, 32 + 16 * 60))] = chance(256);
    }
  }
  return Uint8Array.from(buffer);
}

function tryTo(read, bytes) {
  try {
    read(bytes);
  } catch (error) {
    assert.ok(error instanceof BadInput, `seed ${SEED}: ${error.stack} of ${Buffer.from(bytes).toString('hex')}`);
  }
}

test('random bytes', () => {
  const chance = chances(SEED);
  for (let i = 0; i < ROUNDS; i++) {
    const bytes = Uint8Array.from({ length: chance(200) }, () => chance(256));
    tryTo(readAll, bytes);
    tryTo(readAll, Uint8Array.of(...Buffer.from('TWB1'), 1, 0, 0, 0, ...bytes));
  }
});

test('mutated batches', () => {
  const chance = chances(SEED);
  for (const byTrace of [false, true]) {
    const bytes = encode(DATA, everything(), { byTrace });
    readAll(bytes);
    for (let i = 0; i < ROUNDS / 4; i++) tryTo(readAll, mutate(bytes, chance));
  }
});

test('examples fail cleanly', () => {
  const chance = chances(SEED);
  for (const [name, Plugin] of Object.entries(PLUGINS)) {
    const instance = new Instance(new Plugin());
    const projection = instance.configure(CONFIGS[name] ?? '{}');
    const attributes = { 'url.full': '?token=a\0', 'http.request.header.host': 'b' };
    const span = (_, i) => ({ duration: 2 ** 27 * i, traceId: String(i).padStart(32, '0'), attributes });
    const spans = Array.from({ length: 20 }, span);
    const resources = ['a', 'b', 'c'].map((name) => ({ attributes: { 'k8s.namespace.name': name } }));
    const bytes = encode({ spans, resources }, projection);
    instance.answer(bytes);
    for (let i = 0; i < ROUNDS / 2; i++) {
      const mutated = mutate(bytes, chance);
      // A host does not send more rows than it has memory for.
      const large = mutated.length >= 16 && new Uint32Array(mutated.buffer.slice(8, 16)).some((count) => count > 2 ** 20);
      if (!large) tryTo((data) => instance.answer(data), mutated);
    }
  }
});

test('searches find what a loop finds', () => {
  const chance = chances(SEED);
  const edges = [0n, 1n, 2n ** 32n, 2n ** 63n - 1n, 2n ** 63n, 0x7ff0000000000001n, 2n ** 64n - 1n];
  for (let round = 0; round < ROUNDS / 4; round++) {
    const rows = chance(200);
    // At any address.
    const offset = chance(9);
    const bytes = new Uint8Array(offset + 16 * rows);
    const view = new DataView(bytes.buffer, offset);
    const values = Array.from({ length: rows }, () => {
      const word = (BigInt(chance(2 ** 32)) << 32n) | BigInt(chance(2 ** 32));
      return edges[chance(20)] ?? word >> BigInt(chance(64));
    });
    values.forEach((value, i) => view.setBigUint64(8 * i, value, true));
    const limit = [...edges, ...values, 2n ** 64n, -1n][chance(rows + 9)] + BigInt(chance(3) - 1);
    const expected = values.flatMap((value, row) => (value >= limit ? [row] : []));
    assert.deepEqual([...rowsAtLeast(new U64s(bytes, offset, rows), limit)], expected, `seed ${SEED}`);

    const codes = Uint8Array.from({ length: rows }, () => chance(3));
    assert.deepEqual([...rowsEqual(codes, 2)], [...codes].flatMap((code, row) => (code === 2 ? [row] : [])));

    for (const size of [8, 16]) {
      const ids = Array.from({ length: rows }, () => Array.from({ length: size }, (_, i) => (i % 4 === 0 ? chance(3) : 0)));
      ids.forEach((id, i) => bytes.set(id, offset + size * i));
      const some = ids.flatMap((_, row) => (chance(4) === 0 ? [row] : []));
      const wanted = new Set(some.map((row) => ids[row].join()));
      const alike = ids.flatMap((id, row) => (wanted.has(id.join()) ? [row] : []));
      assert.deepEqual([...new Ids(bytes, offset, rows, size).rowsLike(some)], alike, `seed ${SEED}`);
      const lows = ids.map((id) => BigInt(`0x${Buffer.from(id.slice(-7)).toString('hex')}`));
      const limit = [...lows, 0n, -1n, 2n ** 56n][chance(rows + 3)] + BigInt(chance(2));
      const below = lows.map((low) => (low < limit ? 1 : 0));
      assert.deepEqual([...new Ids(bytes, offset, rows, size).below(limit)], below, `seed ${SEED}`);
    }
  }
});
