// @ts-check
// Drops the spans of health checks.

import { Edits, Owner, Processor, Projection, attribute } from '@traceweir/plugin';

const SCHEMA = JSON.stringify({
  type: 'object',
  properties: { paths: { type: 'array', items: { type: 'string' } } },
});

export default class MyPlugin extends Processor {
  /** @type {Set<string>} Those that are asked for by health checks. */
  paths = new Set();
  /** Where it is among what is read. */
  path = 0;

  describe() {
    return {
      name: 'my-plugin',
      version: '0.1.0',
      description: 'drops the spans of health checks',
      configSchema: SCHEMA,
    };
  }

  /** @param {import('@traceweir/plugin').Config} config */
  configure(config) {
    this.paths = new Set(config.texts('paths', ['/healthz']));
    // What is not read is not sent.
    const projection = new Projection();
    this.path = projection.read(attribute(Owner.SPAN, 'url.path'));
    return projection;
  }

  /** @param {import('@traceweir/plugin').Batch} batch */
  process(batch) {
    const edits = new Edits(batch);
    // `map` asks once for each path, however many spans have it.
    const unwanted = batch.column(this.path).map((path) => this.paths.has(path));
    edits.dropWhere(unwanted, 'health check');
    return edits;
  }
}
