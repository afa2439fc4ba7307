// A new plugin passes its own test, and manifests name what their commands make.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { PLUGINS, SDK } from './examples.js';

const { TRACEWEIR_TSC: tsc } = process.env;
const TYPES = ['--allowJs', '--checkJs', '--strict', '--noEmit', '--target', 'es2024', '--module', 'nodenext'];

test('the template passes its test, those of other worlds describe themselves, and their types fit', async () => {
  const plugin = mkdtempSync(join(tmpdir(), 'traceweir-template-'));
  try {
    cpSync(join(SDK, 'template'), plugin, { recursive: true });
    // As `npm install` of a directory does.
    mkdirSync(join(plugin, 'node_modules/@traceweir'), { recursive: true });
    symlinkSync(SDK, join(plugin, 'node_modules/@traceweir/plugin'));
    // The runner tells what it runs that it is not alone.
    const { NODE_TEST_CONTEXT, ...env } = process.env;
    const { status, stdout } = spawnSync('npm', ['test'], { cwd: plugin, env, encoding: 'utf8' });
    assert.equal(status, 0, stdout);
    assert.match(stdout, /^# pass 3$/m);
    const worlds = readdirSync(join(plugin, 'worlds')).map((name) => join('worlds', name));
    assert.equal(worlds.length, 4);
    for (const name of worlds) {
      const { default: Plugin } = await import(join(plugin, name));
      assert.equal(new Plugin().describe().name, 'my-plugin', name);
    }
    if (tsc) {
      const types = spawnSync(tsc, [...TYPES, 'my-plugin.js', ...worlds], { cwd: plugin, encoding: 'utf8' });
      assert.equal(types.status, 0, types.stdout);
    }
  } finally {
    rmSync(plugin, { recursive: true });
  }
});

for (const of of ['template', ...Object.keys(PLUGINS).map((name) => `examples/${name}`)]) {
  test(`the manifest of ${of} names what its command makes`, () => {
    const text = readFileSync(join(SDK, of, 'plugin.toml'), 'utf8');
    const value = (key) => new RegExp(`^${key} = "(.*)"$`, 'm').exec(text)?.[1];
    assert.equal(value('language'), 'js');
    const [, command] = /^build = \["(.*)"\]$/m.exec(text);
    assert.equal(command, `{sdk}/build-plugin ${value('name')}.js ${value('world')} {wit} ${value('artifact')}`);
  });
}
