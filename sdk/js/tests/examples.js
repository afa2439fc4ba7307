// The example plugins, by their names in the vectors.

import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import Enrich from '../examples/enrich/enrich.js';
import KeepInteresting from '../examples/keep-interesting/keep-interesting.js';
import Scrub from '../examples/scrub/scrub.js';
import Team from '../examples/team/team.js';
import Tenth from '../examples/tenth/tenth.js';

export const PLUGINS = { enrich: Enrich, 'keep-interesting': KeepInteresting, scrub: Scrub, team: Team, tenth: Tenth };

/** What they cannot do without; the others take an empty one. */
export const CONFIGS = { enrich: '{"teams": {"a": "x"}}', tenth: '{"one_in": 2}' };

export const SDK = fileURLToPath(new URL('..', import.meta.url));
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** The vectors that every SDK answers alike; none where there is no such directory. */
export function vectors() {
  const directory = new URL('../../vectors/', import.meta.url);
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith('.json'));
    return names.sort().map((name) => ({ name, ...JSON.parse(readFileSync(new URL(name, directory))) }));
  } catch {
    return [];
  }
}

export const fromBase64 = (text) => new Uint8Array(Buffer.from(text, 'base64'));
export const hex = (bytes) => Buffer.from(bytes).toString('hex');
