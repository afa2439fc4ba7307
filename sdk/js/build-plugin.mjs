// What `build-plugin` does once there are tools: TOOLS FILE WORLD WIT OUT.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** What each world exports beside `lifecycle`, and what it imports. */
const WORLDS = {
  'span-processor-plugin': ['spanProcessor', ['log', 'metrics', 'tables', 'clock', 'random', 'cache']],
  'head-sampler-plugin': ['headSampler', ['log', 'metrics', 'tables']],
  'tail-sampler-plugin': ['tailSampler', ['log', 'metrics', 'tables']],
  'authenticator-plugin': ['authenticator', ['log', 'metrics', 'tables', 'clock', 'cache']],
  'router-plugin': ['router', ['log', 'metrics', 'tables']],
  'table-refresher-plugin': ['refresher', ['log', 'clock', 'fetch']],
};

const VERSION = '0.1.0';

const [tools, file, world, wit, out] = process.argv.slice(2);
const known = WORLDS[world];
if (known === undefined) {
  console.error(`no world ${world}: one of ${Object.keys(WORLDS).join(', ')}`);
  process.exit(2);
}
const sdk = dirname(fileURLToPath(import.meta.url));
const require = createRequire(join(tools, 'package.json'));
const tool = (name) => import(pathToFileURL(require.resolve(name)));
const [{ rolldown }, { componentize }] = await Promise.all([tool('rolldown'), componentizeJs()]);

const directory = await mkdtemp(join(tmpdir(), 'traceweir-plugin-'));
try {
  const entry = join(directory, 'entry.js');
  const source = join(directory, 'plugin.js');
  await writeFile(entry, entryOf(known));
  const bundle = await rolldown({
    input: entry,
    external: /^traceweir:/,
    resolve: { alias: { '@traceweir/plugin': join(sdk, 'src/index.js') } },
  });
  await bundle.write({ file: source, format: 'esm' });
  // No clock, random or network but what the world has, so that nothing of WASI is imported.
  const disableFeatures = ['random', 'stdio', 'clocks', 'http', 'fetch-event'];
  const options = { sourcePath: source, witPath: resolve(wit), worldName: world, disableFeatures };
  const { component } = await componentize(options);
  await mkdir(dirname(resolve(out)), { recursive: true });
  await writeFile(out, component);
} catch (error) {
  // What is wrong with the plugin, and not where this script was.
  console.error(`${file}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await rm(directory, { recursive: true });
}

/** Its exports are for `import` alone, which `require.resolve` does not follow. */
function componentizeJs() {
  return import(pathToFileURL(join(tools, 'node_modules/@bytecodealliance/componentize-js/src/componentize.js')));
}

/** The module that is the component: hands the imports over, and exports what the world wants. */
function entryOf([name, imports]) {
  const lines = imports.map((host) => `import * as ${host} from 'traceweir:plugin/${host}@${VERSION}';`);
  return [
    ...lines,
    `import { exportsOf } from '@traceweir/plugin';`,
    `import Plugin from ${JSON.stringify(resolve(file))};`,
    `export const { lifecycle, ${name} } = exportsOf(Plugin, { ${imports.join(', ')} }, '${name}');`,
    '',
  ].join('\n');
}
