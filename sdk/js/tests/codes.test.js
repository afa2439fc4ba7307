// The codes are those of the tables in `docs/reference/plugin-buffer.md`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import * as codes from '../src/codes.js';
import { ROOT } from './examples.js';

const DOC = readFileSync(`${ROOT}/docs/reference/plugin-buffer.md`, 'utf8');
const TAGS = ['absent', 'string', 'int', 'double', 'bool', 'bytes', 'array', 'map', 'empty'];

/** The rows `| code | name |` of a section of the page, also of those where it goes on. */
function table(heading) {
  const [section] = DOC.split(`\n## ${heading}\n`)[1].split(/^## /m);
  const rows = [...section.matchAll(/^\| (\d+) \| `([a-z0-9-]+)` \|/gm)];
  return Object.fromEntries(rows.map(([, code, name]) => [name.toUpperCase().replaceAll('-', '_'), Number(code)]));
}

function constants(prefix) {
  const found = Object.entries(codes).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(found.map(([name, code]) => [name.slice(prefix.length), code]));
}

test('tables of the page are the constants', () => {
  assert.deepEqual(constants('LAYOUT_'), table('Types'));
  assert.deepEqual(constants('DOMAIN_'), table('Domains'));
  assert.deepEqual(constants('BATCH_'), table('Batch'));
  assert.deepEqual(constants('ANSWER_'), table('Answer'));
});

test('tags are those of the page', () => {
  const tags = Object.fromEntries(TAGS.map((name, code) => [name.toUpperCase(), code]));
  assert.deepEqual(constants('TAG_'), { ...tags, REMOVE: 255 });
  const rows = [...DOC.split('## Values of attributes')[1].matchAll(/^\| (\d+) \| (\w*) +\|/gm)].slice(0, TAGS.length);
  rows.forEach(([, code, name]) => assert.equal(TAGS[code], name || 'absent'));
});

test('magic numbers are those of the page', () => {
  assert.ok(DOC.includes(`\`TWB1\` (0x${codes.MAGIC_BATCH.toString(16)})`));
  assert.ok(DOC.includes(`\`TWA1\` (0x${codes.MAGIC_ANSWER.toString(16)})`));
});
