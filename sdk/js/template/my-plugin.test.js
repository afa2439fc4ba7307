// @ts-check
// Runs without Wasm: npm test

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ConfigError } from '@traceweir/plugin';
import { run } from '@traceweir/plugin/kit';

import MyPlugin from './my-plugin.js';

const to = (/** @type {string} */ path) => ({ attributes: { 'url.path': path } });

test('health checks are dropped', () => {
  const outcome = run(new MyPlugin(), {}, { spans: [to('/healthz'), to('/cart'), {}] });
  assert.deepEqual(outcome.kept, [false, true, true]);
  assert.deepEqual(outcome.reasons, ['health check', undefined, undefined]);
});

test('other paths can be configured', () => {
  assert.deepEqual(run(new MyPlugin(), { paths: ['/ping'] }, { spans: [to('/ping')] }).kept, [false]);
});

test('a key that there is not is refused', () => {
  const refuses = (/** @type {unknown} */ error) => error instanceof ConfigError && error.path === '$.path';
  assert.throws(() => run(new MyPlugin(), { path: [] }), refuses);
});
