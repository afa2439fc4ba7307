// What is exported has types, and what has types is exported; TRACEWEIR_TSC (which `test --wasm` sets) also checks types.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import * as sdk from '@traceweir/plugin';
import * as kit from '@traceweir/plugin/kit';

import { SDK } from './examples.js';

/** The names of values that a file of declarations exports. */
function declared(file) {
  const text = readFileSync(new URL(`../src/${file}`, import.meta.url), 'utf8');
  return [...text.matchAll(/^export (?:abstract )?(?:const|class|function|abstract class) (\w+)/gm)].map(([, name]) => name);
}

test('every export has a type', () => {
  assert.deepEqual(Object.keys(sdk).sort(), [...declared('index.d.ts'), ...declared('given.d.ts')].sort());
  assert.deepEqual(Object.keys(kit).sort(), declared('kit.d.ts').sort());
});

const { TRACEWEIR_TSC: tsc } = process.env;

test('types fit', { skip: !tsc && 'SKIPPED: types of JavaScript: run sdk/js/test --wasm' }, () => {
  const { status, stdout } = spawnSync(tsc, ['--project', `${SDK}/tests/tsconfig.json`], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});
