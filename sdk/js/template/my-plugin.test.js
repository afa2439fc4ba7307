// @ts-check
// Runs without Wasm: npm test

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ConfigError } from '@traceweir/plugin';
import { run } from '@traceweir/plugin/kit';

import MyPlugin from './my-plugin.js';

test('health checks are dropped', () => {
  const outcome = run(new MyPlugin(), {}, { spans: [{ name: 'GET /healthz' }, { name: 'GET /cart' }] });
  assert.deepEqual(outcome.kept, [false, true]);
  assert.deepEqual(outcome.reasons, ['health check', undefined]);
});

test('other names can be configured', () => {
  assert.deepEqual(run(new MyPlugin(), { names: ['ping'] }, { spans: [{ name: 'ping' }] }).kept, [false]);
});

test('a key that there is not is refused', () => {
  const refuses = (/** @type {unknown} */ error) => error instanceof ConfigError && error.path === '$.name';
  assert.throws(() => run(new MyPlugin(), { name: [] }), refuses);
});
