// The vectors that every SDK answers alike: `sdk/vectors`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BadInput, ConfigError, Instance } from '@traceweir/plugin';

import { PLUGINS, fromBase64, hex, vectors } from './examples.js';

const all = vectors();

test('there are vectors', { skip: all.length === 0 && 'SKIPPED: there are no vectors in sdk/vectors' }, () => {});

for (const vector of all) {
  test(`vector ${vector.name}`, () => {
    const instance = new Instance(new PLUGINS[vector.example]());
    const config = JSON.stringify(vector.config);
    if (vector.config_error) {
      const { path } = vector.config_error;
      assert.throws(() => instance.configure(config), (error) => error instanceof ConfigError && error.path === path);
      return;
    }
    instance.configure(config);
    const batch = fromBase64(vector.batch);
    if (vector.bad_batch) {
      assert.throws(() => instance.answer(batch), BadInput);
      return;
    }
    assert.equal(hex(instance.answer(batch)), hex(fromBase64(vector.answer)));
  });
}
